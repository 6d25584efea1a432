//! Why a command ended early: one message, a remedy if there is one, and the exit code.

use std::error::Error;

use super::Exit;

/// An error as the user sees it: `netwatch: <message>`, and on a second line `hint: <hint>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(code: Exit, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// A wrong argument, variable or line of the configuration file.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something that should have worked, with its causes.
    pub fn caused(code: Exit, error: &(dyn Error + 'static)) -> Self {
        let mut parts: Vec<String> = Vec::new();
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            next = error.source();
            // Many error types print their source as a part of themselves; once is enough.
            if !parts.last().is_some_and(|last| last.ends_with(&text)) {
                parts.push(text);
            }
        }
        Self::new(code, parts.join(": "))
    }

    /// The same failure, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code.
    pub fn code(&self) -> Exit {
        self.code
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The lines for standard error. A message is one line, whatever a file name or a library put into it.
    pub fn lines(&self) -> String {
        let mut lines = format!("netwatch: {}\n", one_line(&self.message));
        if let Some(hint) = &self.hint {
            lines.push_str("hint: ");
            lines.push_str(&one_line(hint));
            lines.push('\n');
        }
        lines
    }
}

/// Escapes control characters, so that no argument can draw on the terminal.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot attach to veth1")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_chain_is_one_line() {
        let failure =
            Failure::caused(Exit::Failed, &Outer(std::io::Error::other("no such device")))
                .hint("look again");
        assert_eq!(
            failure.lines(),
            "netwatch: cannot attach to veth1: no such device\nhint: look again\n"
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(Failure::usage("a\nb\u{1b}[1m").lines(), "netwatch: a\\nb\\u{1b}[1m\n");
    }
}
