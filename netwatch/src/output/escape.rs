//! Words from containers, made harmless for a line of text.

use std::{fmt::Write as _, net::IpAddr};

/// Longest word, in characters; what is longer is cut, and the cut shown.
const MAX_WORD: usize = 128;

/// The value of a `key=value` field: no space, no `=`, nothing that a terminal would obey or hide.
pub(super) fn value(word: &str) -> String {
    escape(word, |c| matches!(c, ' ' | '=' | '"' | '\'' | '\\' | ','))
}

/// The name of an end, which stands before `:port` or `(address)`, or behind an address and `%`.
pub(super) fn end(word: &str) -> String {
    escape(word, |c| {
        matches!(
            c,
            ' ' | '=' | '"' | '\'' | '\\' | ',' | ':' | '%' | '[' | ']' | '<' | '>' | '(' | ')'
        )
    })
}

/// The name of a container. One called `host`, or after an address, would pose as that: its first letter is escaped.
pub(super) fn container(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) if name == "host" || name.parse::<IpAddr>().is_ok() => {
            format!("{}{}", first.escape_unicode(), end(letters.as_str()))
        }
        _ => end(name),
    }
}

/// A cell of a table, where quotes stand for themselves: whoever writes the table doubles them.
pub(super) fn cell(word: &str) -> String {
    escape_but(word, |_| false, |c| matches!(c, '"' | '\''))
}

/// `char::escape_debug` knows what is not printable: control and format characters (bidirectional overrides and
/// zero-width ones among them), separators, private and unassigned code points, combining marks.
fn escape(word: &str, reserved: fn(char) -> bool) -> String {
    escape_but(word, reserved, |_| false)
}

fn escape_but(word: &str, reserved: fn(char) -> bool, plain: fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(word.len());
    for (position, c) in word.chars().enumerate() {
        if position == MAX_WORD {
            safe.push('…');
            break;
        }
        // Writing to a String does not fail.
        let _ = match c {
            c if plain(c) => write!(safe, "{c}"),
            c if reserved(c) => write!(safe, "{}", c.escape_unicode()),
            c => write!(safe, "{}", c.escape_debug()),
        };
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["web", "shop_default", "a-b.c_1", "café", "数据库"] {
            assert_eq!(value(name), name);
            assert_eq!(container(name), name);
        }
        assert_eq!(
            value("registry.example:5000/shop/web:1.2@sha256"),
            "registry.example:5000/shop/web:1.2@sha256"
        );
    }

    #[test]
    fn what_terminals_and_eyes_fall_for_is_spelt_out() {
        assert_eq!(value("\u{1b}[31m"), "\\u{1b}[31m");
        assert_eq!(value("a\nb\rc\td\0"), "a\\nb\\rc\\td\\0");
        assert_eq!(
            value("\u{202e}\u{2066}\u{200b}\u{feff}"),
            "\\u{202e}\\u{2066}\\u{200b}\\u{feff}"
        );
        assert_eq!(
            value("\u{9b}\u{7f}\u{85}\u{2028}\u{a0}"),
            "\\u{9b}\\u{7f}\\u{85}\\u{2028}\\u{a0}"
        );
        assert_eq!(value("e\u{301}"), "e\\u{301}");
    }

    #[test]
    fn structure_is_spelt_out() {
        assert_eq!(value("x end=fin"), "x\\u{20}end\\u{3d}fin");
        assert_eq!(end("web:80 -> db"), "web\\u{3a}80\\u{20}-\\u{3e}\\u{20}db");
        assert_eq!(value("\\u{20}"), "\\u{5c}u{20}");
    }

    #[test]
    fn a_container_cannot_pose_as_host_or_address() {
        assert_eq!(container("host"), "\\u{68}ost");
        assert_eq!(container("10.0.0.1"), "\\u{31}0.0.0.1");
        assert_eq!(container("::1"), "\\u{3a}\\u{3a}1");
        assert_eq!(container("hosts"), "hosts");
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(value(&"x".repeat(5_000)), format!("{}…", "x".repeat(128)));
        assert_eq!(value(&"x".repeat(128)), "x".repeat(128));
    }

    proptest! {
        #[test]
        fn no_word_breaks_a_line(word in any::<String>()) {
            for safe in [value(&word), end(&word), container(&word)] {
                prop_assert!(!safe.chars().any(|c| c.is_control() || c.is_whitespace() || c == '='), "{:?}", safe);
            }
        }
    }
}
