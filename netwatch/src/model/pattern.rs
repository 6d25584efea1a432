//! Globs from users: of arguments, and of whoever asks at the socket.

use globset::{GlobBuilder, GlobMatcher};

/// Each may be in another one, and the compiler of the regular expression panics where they are too deep. Who lists
/// names needs one.
const MOST_BRACES: usize = 16;
/// It panics too where the whole becomes too large.
const MOST_BYTES: usize = 4096;

/// A glob, or what is wrong with the text, as it follows the quoted text.
pub fn glob(text: &str) -> Result<GlobMatcher, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("is longer than {MOST_BYTES} bytes"));
    }
    if text.matches('{').count() > MOST_BRACES {
        return Err(format!("has more than {MOST_BRACES} opening braces"));
    }
    match GlobBuilder::new(text).build() {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(format!("is not a valid pattern: {}", error.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}a{}", "{".repeat(depth), "}".repeat(depth))
    }

    #[test]
    fn what_would_make_the_compiler_panic_is_refused() {
        assert!(glob(&nested(16)).unwrap().is_match("a"));
        for depth in [17, 300, 2_000] {
            assert_eq!(glob(&nested(depth)).unwrap_err(), "has more than 16 opening braces");
        }
        // Closing braces that close nothing hide no depth.
        let hidden = "{[}]".repeat(300) + &"}".repeat(300);
        assert_eq!(glob(&hidden).unwrap_err(), "has more than 16 opening braces");
    }

    #[test]
    fn the_longest_ones_compile() {
        for part in ["*?", "?", "**/", "[!a-z]", "é", "{a,b}"] {
            let most = if part.contains('{') { MOST_BRACES } else { MOST_BYTES / part.len() };
            let text = part.repeat(most);
            assert!(glob(&text).is_ok(), "{part}");
        }
        assert!(glob(&"*".repeat(4_096)).is_ok());
        assert_eq!(glob(&"a".repeat(4_097)).unwrap_err(), "is longer than 4096 bytes");
    }
}
