//! One JSON object a line, in printable ASCII only.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// Appends the object and a newline; leaves `out` as it was on an error.
pub(super) fn line(value: &impl Serialize, out: &mut Vec<u8>) -> io::Result<()> {
    let before = out.len();
    match value.serialize(&mut Serializer::with_formatter(&mut *out, Ascii(CompactFormatter))) {
        Ok(()) => {
            out.push(b'\n');
            Ok(())
        }
        Err(error) => {
            out.truncate(before);
            Err(error.into())
        }
    }
}

/// Appends a line that has been read as JSON, and a newline: the same value, in printable ASCII.
///
/// Only strings can have letters beyond ASCII, and there what is escaped means the same; other controls than DEL are
/// between words.
pub(super) fn printable(line: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    for letter in String::from_utf8_lossy(line).chars() {
        match letter {
            ' '..='~' => out.push(letter as u8),
            '\0'..' ' => out.push(b' '),
            _ => escape(letter, out)?,
        }
    }
    out.push(b'\n');
    Ok(())
}

fn escape<W: ?Sized + Write>(letter: char, writer: &mut W) -> io::Result<()> {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        write!(writer, "\\u{unit:04x}")?;
    }
    Ok(())
}

/// Escapes what JSON would let pass but a terminal would obey or hide: DEL, C1 controls, bidirectional overrides and
/// everything else beyond ASCII. Nothing is lost: a reader gets the same string.
struct Ascii(CompactFormatter);

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| !c.is_ascii() || *c == '\u{7f}') {
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            escape(c, writer)?;
            plain = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_string_comes_back_and_is_printable_ascii(word in any::<String>()) {
            let mut out = Vec::new();
            line(&word, &mut out).unwrap();
            prop_assert_eq!(out.pop(), Some(b'\n'));
            prop_assert!(out.iter().all(|byte| (0x20..0x7f).contains(byte)));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), word);
        }
    }

    proptest! {
        #[test]
        fn whatever_was_read_is_shown_as_the_same_in_printable_ascii(
            words in prop::collection::vec(any::<String>(), 0..4), space in "[ \t\r]{0,3}",
        ) {
            let words: Vec<_> = words.iter().map(|word| serde_json::to_string(word).unwrap()).collect();
            let text = format!("[{space}{}{space}]", words.join(&format!(",{space}")));
            let mut out = Vec::new();
            printable(text.as_bytes(), &mut out).unwrap();
            prop_assert_eq!(out.pop(), Some(b'\n'));
            prop_assert!(out.iter().all(|byte| (0x20..0x7f).contains(byte)));
            let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
            prop_assert_eq!(value(&out), value(text.as_bytes()));
        }
    }

    /// Of a field that nobody reads it is not looked whether it is text.
    #[test]
    fn what_is_no_text_is_shown_as_a_sign_for_that() {
        let mut out = Vec::new();
        printable(b"{\"later\":\"\x9b31m\"}", &mut out).unwrap();
        assert_eq!(out, b"{\"later\":\"\\ufffd31m\"}\n");
    }

    #[test]
    fn an_error_leaves_nothing_behind() {
        struct Broken;
        impl Serialize for Broken {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::{Error as _, SerializeSeq as _};
                let mut sequence = serializer.serialize_seq(None)?;
                sequence.serialize_element(&1)?;
                Err(S::Error::custom("broken"))
            }
        }
        let mut out = b"before\n".to_vec();
        assert!(line(&Broken, &mut out).is_err());
        assert_eq!(out, b"before\n");
    }
}
