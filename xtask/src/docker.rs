//! Is there a Docker engine here, and does it answer?

use std::{
    env, fmt,
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use crate::command::find;

const DEFAULT: &str = "unix:///var/run/docker.sock";
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of asking an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It answers.
    Yes,
    /// It is there, but only root may ask it.
    OnlyRoot,
    /// Nobody answers.
    No,
}

/// Where an engine listens, as in DOCKER_HOST.
#[derive(Clone, Debug)]
pub(crate) struct Host(pub(crate) String);

impl Host {
    /// DOCKER_HOST, or where Docker listens without it.
    pub(crate) fn configured() -> Self {
        Self(
            env::var("DOCKER_HOST")
                .ok()
                .filter(|host| !host.is_empty())
                .unwrap_or_else(|| DEFAULT.into()),
        )
    }

    /// Asks for a sign of life.
    pub(crate) fn ping(&self) -> Answer {
        let asked = if let Some(path) = self.0.strip_prefix("unix://") {
            UnixStream::connect(path).and_then(|stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                ask(stream)
            })
        } else if let Some(address) = self.0.strip_prefix("tcp://") {
            connect(address).and_then(ask)
        } else {
            // ssh:// and the like: netwatch observes the host it runs on, such an engine is elsewhere.
            Ok(false)
        };
        match asked {
            Ok(true) => Answer::Yes,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Answer::OnlyRoot,
            _ => Answer::No,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The client's program. The distribution's own comes first: it is the one that fits the distribution's engine.
pub(crate) fn client() -> Option<PathBuf> {
    Some(PathBuf::from("/usr/bin/docker")).filter(|file| file.is_file()).or_else(|| find("docker"))
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let address = address.to_socket_addrs()?.next().ok_or(ErrorKind::AddrNotAvailable)?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// `/_ping` is the one path that every version answers, whatever API versions it speaks.
fn ask(mut stream: impl Read + Write) -> io::Result<bool> {
    stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.") && answer.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    fn answered(answer: &'static [u8]) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 100]);
            let _ = stream.write_all(answer);
        });
        Host(format!("unix://{}", path.display())).ping()
    }

    #[test]
    fn only_an_engine_that_answers_well_counts() {
        assert_eq!(answered(b"HTTP/1.0 200 OK\r\n\r\nOK"), Answer::Yes);
        assert_eq!(answered(b"HTTP/1.1 500 Oh\r\n\r\n"), Answer::No);
        assert_eq!(answered(b"HTTP"), Answer::No);
        assert_eq!(Host("unix:///nowhere/docker.sock".into()).ping(), Answer::No);
        assert_eq!(Host("ssh://elsewhere".into()).ping(), Answer::No);
    }
}
