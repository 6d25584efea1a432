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
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
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
