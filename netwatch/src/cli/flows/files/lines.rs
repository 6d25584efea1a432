//! The lines of one file, plain or compressed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use super::super::super::{Exit, Failure};

/// No event's line is nearly as long.
const LONGEST: u64 = 1 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const STDIN: &str = "-";

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nothing more comes.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// This line was skipped.
    #[error("it is longer than any event's line")]
    TooLong,
}

/// Reads line after line.
pub(super) struct Lines {
    input: Box<dyn BufRead>,
    may_wait: bool,
    line: Vec<u8>,
    number: u64,
}

/// Whether all files can be read: a wrong name is noticed before anything is shown.
pub(super) fn check(files: &[PathBuf]) -> Result<(), Failure> {
    for file in files.iter().filter(|file| file.as_os_str() != STDIN) {
        let opened = File::open(file).and_then(|opened| opened.metadata());
        let wrong = match opened {
            Ok(metadata) if metadata.is_dir() => "is a directory".to_owned(),
            Ok(_) => continue,
            Err(error) => format!("cannot be read: {error}"),
        };
        return Err(Failure::new(Exit::Failed, format!("--file: {} {wrong}", file.display()))
            .hint("give a flow log that 'netwatch run --flow-format json' has written"));
    }
    Ok(())
}

impl Lines {
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        let may_wait = file.as_os_str() == STDIN;
        let raw: Box<dyn Read> =
            if may_wait { Box::new(io::stdin()) } else { Box::new(File::open(file)?) };
        let mut raw = BufReader::new(raw);
        // By what is in it: names say little, and standard input has none.
        let input: Box<dyn BufRead> = if raw.fill_buf()?.starts_with(&GZIP) {
            Box::new(BufReader::new(MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        Ok(Self { input, may_wait, line: Vec::new(), number: 0 })
    }

    /// The number of the line that was read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the next line may still have to come.
    pub(super) fn has_to_wait(&self) -> bool {
        self.may_wait
    }

    /// The next line without its end; the last one may have none. Empty lines are none.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            self.line.clear();
            self.number += 1;
            let length = self.input.by_ref().take(LONGEST).read_until(b'\n', &mut self.line)?;
            if length == 0 {
                return Ok(None);
            }
            if self.line.ends_with(b"\n") {
                self.line.pop();
            } else if length as u64 == LONGEST {
                self.input.skip_until(b'\n')?;
                return Err(Error::TooLong);
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(&self.line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn all(bytes: &[u8]) -> Vec<Result<(u64, String), String>> {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("log");
        std::fs::write(&path, bytes).expect("a file");
        let mut lines = Lines::open(&path).expect("readable");
        let mut all = Vec::new();
        loop {
            let line = match lines.next() {
                Ok(None) => return all,
                Ok(Some(line)) => Ok(String::from_utf8_lossy(line).into_owned()),
                Err(error @ Error::TooLong) => Err(error.to_string()),
                Err(error) => {
                    all.push(Err(error.to_string()));
                    return all;
                }
            };
            all.push(line.map(|line| (lines.number(), line)));
        }
    }

    fn compressed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).expect("compressed");
        encoder.finish().expect("compressed")
    }

    #[test]
    fn lines_have_numbers_and_need_no_end() {
        let line = |number, text: &str| Ok((number, text.to_owned()));
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\n \n"), []);
        assert_eq!(all(b"a\n\nb"), [line(1, "a"), line(3, "b")]);
        let two = [compressed("a\nb\n"), compressed("c\n")].concat();
        assert_eq!(all(&two), [line(1, "a"), line(2, "b"), line(3, "c")], "two put together");
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped() {
        let most = usize::try_from(LONGEST).expect("it fits");
        let text = format!("a\n{}\nb\n", "x".repeat(3 * most));
        assert_eq!(
            all(text.as_bytes()),
            [
                Ok((1, "a".to_owned())),
                Err("it is longer than any event's line".to_owned()),
                Ok((3, "b".to_owned()))
            ]
        );
    }

    #[test]
    fn what_was_compressed_and_cut_off_is_read_as_far_as_it_goes() {
        let squares: Vec<String> = (0..5_000).map(|number| (number * number).to_string()).collect();
        let text = squares.join("\n");
        let mut bytes = compressed(&text);
        bytes.truncate(bytes.len() / 2);
        let mut found = all(&bytes);
        assert!(found.pop().expect("an error").is_err());
        assert!(found.len() > 1_000, "{}", found.len());
        for (at, line) in found.into_iter().enumerate() {
            assert_eq!(line, Ok((at as u64 + 1, (at * at).to_string())));
        }
    }
}
