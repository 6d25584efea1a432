//! Where lines go: a file that is looked after, or whatever else takes bytes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::OpenOptionsExt as _,
    },
    path::Path,
};

use super::{super::config::Rotation, file::LogFile};

/// Who may read a new file: its owner and its group. Who talked to whom is nobody else's business.
const MODE: u32 = 0o640;

/// Lines that could not be written, all or in part.
#[derive(Debug)]
pub(super) struct Unwritten {
    /// Bytes that were, up to the end of a line.
    pub(super) written: usize,
    pub(super) error: io::Error,
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self { written: 0, error }
    }
}

pub(super) enum Output {
    Stream(Stream),
    File(Box<LogFile>),
}

impl Output {
    /// Standard output, without a buffer of its own.
    pub(super) fn stdout() -> io::Result<Self> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self::stream(descriptor.into()))
    }

    /// A file. A device or a pipe has no size, and is written to as it is.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let file = open(path)?;
        if file.metadata()?.is_file() {
            Ok(Self::File(Box::new(LogFile::new(path, file, rotation)?)))
        } else {
            // Its writer may wait, which has a thread for that.
            let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
            Ok(Self::stream(OpenOptions::new().append(true).open(itself).unwrap_or(file)))
        }
    }

    pub(super) fn stream(file: File) -> Self {
        Self::Stream(Stream { file, rest: Vec::new() })
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        match self {
            Self::Stream(stream) => stream.write(lines),
            Self::File(file) => file.write(lines),
        }
    }

    /// SIGHUP: the file may have been renamed.
    pub(super) fn hang_up(&mut self) {
        if let Self::File(file) = self {
            file.reopen();
        }
    }

    /// How often a file gave way.
    pub(super) fn rotations(&self) -> u64 {
        match self {
            Self::Stream(_) => 0,
            Self::File(file) => file.rotations(),
        }
    }
}

/// What cannot be cut: a line that was begun is completed.
pub(super) struct Stream {
    file: File,
    rest: Vec<u8>,
}

impl Stream {
    fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        let (written, result) = write_some(&mut self.file, &self.rest);
        self.rest.drain(..written);
        result?;
        let (written, result) = write_some(&mut self.file, lines);
        let Err(error) = result else { return Ok(()) };
        let begun = whole_lines(&lines[..written]);
        if begun == written {
            return Err(Unwritten { written, error });
        }
        let end = lines[written..].iter().position(|byte| *byte == b'\n');
        let end = end.map_or(lines.len(), |end| written + end + 1);
        self.rest = lines[written..end].to_vec();
        Err(Unwritten { written: end, error })
    }
}

/// Opens for appending, and makes what is not there. Does not wait for the reader of a pipe: without one it is an error.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE).custom_flags(libc::O_NONBLOCK);
    options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) => io::Error::new(io::ErrorKind::NotConnected, "nobody reads this pipe"),
        _ => error,
    })
}

/// Makes a file where nothing is, not even a link.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(MODE).open(path)
}

/// Writes until it fails. How many bytes, and why no more.
pub(super) fn write_some(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Bytes of the lines that are complete.
pub(super) fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        os::{fd::OwnedFd, unix::net::UnixStream},
    };

    use super::*;

    #[test]
    fn a_stream_completes_the_line_that_it_began() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        let mut stream = Stream { file: File::from(OwnedFd::from(writer)), rest: Vec::new() };
        let lines = [b"x".repeat(99_999), b"\n".to_vec()].concat().repeat(20);
        let Unwritten { written, error } = stream.write(&lines).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(written > 0 && written % 100_000 == 0, "{written}");
        assert!(!stream.rest.is_empty(), "a socket takes no multiple of 100,000 bytes");
        let Unwritten { written: more, .. } =
            stream.write(b"not before there is room\n").unwrap_err();
        assert_eq!(more, 0);
        let mut received = vec![0; written - stream.rest.len()];
        reader.read_exact(&mut received).unwrap();
        stream.write(b"next\n").unwrap();
        drop(stream);
        reader.read_to_end(&mut received).unwrap();
        assert_eq!(received, [&lines[..written], b"next\n"].concat());
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::TempDir::new().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let rotation = Rotation { max_size: None, max_age: None, max_total: None };
        let error = Output::open(&pipe, rotation).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        let mut reader =
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).unwrap();
        let mut output = Output::open(&pipe, rotation).unwrap();
        assert!(output.write(b"line\n").is_ok());
        let mut received = [0; 5];
        reader.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"line\n");
        drop(reader);
        let Unwritten { error, .. } = output.write(b"line\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn whole_lines_end_at_the_last_newline() {
        for (text, whole) in [("", 0), ("a", 0), ("a\n", 2), ("a\nb", 2), ("a\n\nb\n", 5)] {
            assert_eq!(whole_lines(text.as_bytes()), whole, "{text:?}");
        }
    }
}
