//! Rust text as tokens: enough of a lexer to know code from comments, strings and test modules.

/// A piece of code and its line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// An identifier or number, `::`, or one other character.
    pub(crate) text: String,
    /// The line.
    pub(crate) line: usize,
}

/// The code of a file, without comments, strings and characters.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut lexer = Lexer { chars, at: 0, line: 1 };
    let mut tokens = Vec::new();
    while let Some(c) = lexer.peek(0) {
        let line = lexer.line;
        let text = match (c, lexer.peek(1)) {
            ('/', Some('/')) => {
                lexer.skip_while(|c| c != '\n');
                continue;
            }
            ('/', Some('*')) => {
                lexer.block_comment();
                continue;
            }
            ('"', _) => {
                lexer.string();
                continue;
            }
            ('\'', _) => {
                lexer.character_or_lifetime();
                continue;
            }
            (':', Some(':')) => {
                lexer.skip(2);
                "::".to_owned()
            }
            _ if c.is_alphanumeric() || c == '_' => match lexer.word() {
                Some(word) => word,
                None => continue,
            },
            _ => {
                lexer.skip(1);
                c.to_string()
            }
        };
        if !text.trim().is_empty() {
            tokens.push(Token { text, line });
        }
    }
    tokens
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == Some('\n'));
            self.at += 1;
        }
    }

    fn skip_while(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&keep) {
            self.skip(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.skip(2);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.skip(2);
                }
                (None, _) => return,
                _ => self.skip(1),
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.skip(1);
        loop {
            match self.peek(0) {
                Some('\\') => self.skip(2),
                Some('"') | None => break self.skip(1),
                Some(_) => self.skip(1),
            }
        }
    }

    /// `r"…"`, `r#"…"#`: the end is a quote with as many hashes. False if it was a raw identifier or no string.
    fn raw_string(&mut self) -> bool {
        let hashes = self.chars[self.at..].iter().take_while(|c| **c == '#').count();
        if self.peek(hashes) != Some('"') {
            return false;
        }
        self.skip(hashes + 1);
        while let Some(c) = self.peek(0) {
            self.skip(1);
            if c == '"' && (0..hashes).all(|n| self.peek(n) == Some('#')) {
                self.skip(hashes);
                break;
            }
        }
        true
    }

    fn character_or_lifetime(&mut self) {
        self.skip(1);
        if self.peek(0) == Some('\\') {
            self.skip(2);
            self.skip_while(|c| c != '\'');
            self.skip(1);
        } else if self.peek(1) == Some('\'') {
            self.skip(2);
        } else {
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
        }
    }

    /// An identifier or a number; `None` for the prefix of a raw or byte string, which is skipped with it.
    fn word(&mut self) -> Option<String> {
        let start = self.at;
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        let word: String = self.chars[start..self.at].iter().collect();
        let string = match word.as_str() {
            "r" | "br" | "cr" => self.raw_string(),
            _ => false,
        };
        (!string).then_some(word)
    }
}

/// The tokens without items under `#[cfg(test)]`. With `#![cfg(test)]` nothing is left.
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is(tokens, at, "#") && is(tokens, at + 1, "!") && is_cfg_test(tokens, at + 2) {
            return Vec::new();
        }
        if is(tokens, at, "#") && is_cfg_test(tokens, at + 1) {
            at = item_end(tokens, closing(tokens, at + 1));
            continue;
        }
        kept.push(tokens[at].clone());
        at += 1;
    }
    kept
}

/// Modules in files of their own that are there for tests only: `#[cfg(test)] mod fixture;`.
pub(crate) fn test_modules(tokens: &[Token]) -> Vec<String> {
    let mut names = Vec::new();
    for at in 0..tokens.len() {
        if is(tokens, at, "#") && is_cfg_test(tokens, at + 1) {
            let item = &tokens[at..item_end(tokens, closing(tokens, at + 1))];
            if let [.., keyword, name, end] = item
                && keyword.text == "mod"
                && end.text == ";"
            {
                names.push(name.text.clone());
            }
        }
    }
    names
}

fn is(tokens: &[Token], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

/// Whether `[cfg(test)]` or `[cfg(all(test, …))]` begins here.
fn is_cfg_test(tokens: &[Token], at: usize) -> bool {
    if !(is(tokens, at, "[") && is(tokens, at + 1, "cfg")) {
        return false;
    }
    let inside = &tokens[at..closing(tokens, at).min(tokens.len())];
    let has = |word: &str| inside.iter().any(|token| token.text == word);
    has("test") && !has("not") && !has("any")
}

/// Behind the bracket that closes the one here.
fn closing(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "[" | "(" | "{" => depth += 1,
            "]" | ")" | "}" => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Behind the item that begins here: its braces, or its semicolon. Further attributes and arguments are skipped.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at + 1,
            "{" => return closing(tokens, at),
            "[" | "(" => at = closing(tokens, at),
            _ => at += 1,
        }
    }
    at
}
