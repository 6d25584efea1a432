//! Container engines that hang, talk nonsense, go and come back. Counting knows nothing of it; the user is told once.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    alone, assert_counts_exactly,
    support::{agent::Agent, frames::Sender, user, veth, wait::until},
    until_said,
};

/// An engine at a socket, which does the same to each connection. Dropping it removes the socket.
pub(super) struct Engine {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    pub(super) fn start(path: &Path, mut each: impl FnMut(UnixStream) + Send + 'static) -> Self {
        let listener = user::listen(path);
        listener.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        each(stream);
                    }
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        Self { path: path.into(), stop, thread: Some(thread) }
    }

    /// One that answers each request with these bytes, and goes on with the next.
    fn that_answers(path: &Path, answer: &'static [u8]) -> Self {
        Self::start(path, move |mut stream| {
            thread::spawn(move || {
                let mut request = [0; 4_096];
                // Whoever has enough of it goes away.
                while stream.read(&mut request).is_ok_and(|count| count > 0)
                    && stream.write_all(answer).is_ok()
                {}
            });
        })
    }

    /// One that takes connections and says nothing.
    pub(super) fn that_hangs(path: &Path) -> Self {
        let mut open = Vec::new();
        Self::start(path, move |stream| open.push(stream))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// An engine without containers: what the agent asks for, and a stream of events that says nothing.
pub(super) fn empty(mut stream: UnixStream) {
    thread::spawn(move || {
        let mut request = [0; 4_096];
        while let Ok(count) = stream.read(&mut request)
            && count > 0
        {
            let text = String::from_utf8_lossy(&request[..count]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            let (kind, body) = match path.rsplit('/').next().unwrap_or_default() {
                "version" => {
                    ("json", r#"{"Version":"1.0","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#)
                }
                "_ping" => ("plain", "OK"),
                name if name.starts_with("events") => {
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n\
                          Transfer-Encoding: chunked\r\n\r\n",
                    );
                    continue;
                }
                _ => ("json", "[]"),
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/{kind}\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
}

/// Runs a test with an agent that looks for its engine at this path.
fn with_agent(body: impl FnOnce(&Agent, &mut Sender, &Path) + Send + 'static) {
    alone(|| {
        let [one, _] = veth::pair(["one", "two"], 1_500);
        let folder = user::folder();
        let path = folder.path().join("docker.sock");
        let host = format!("unix://{}", path.display());
        let agent = Agent::start(&super::arguments(&["--docker-host", &host]));
        body(&agent, &mut Sender::at(one), &path);
    });
}

fn until_engine_is(agent: &Agent, up: u64) {
    agent.until_metrics(&format!("the engine is up: {up}"), |metrics| {
        let has = metrics.find("netwatch_engine_up", &[]).next()?.value;
        (has.to_bits() == f64::from(u32::try_from(up).unwrap()).to_bits()).then_some(())
    });
    assert_eq!(agent.get("/-/ready").status, 200);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_engine_that_hangs_is_down_and_holds_up_nothing() {
    with_agent(|agent, sender, path| {
        until_engine_is(agent, 0);
        let hung = Engine::that_hangs(path);
        until_said(agent, "does not answer");
        until_engine_is(agent, 0);
        assert_counts_exactly(agent, sender);
        let descriptors = agent.metrics().count("process_open_fds", &[]);
        drop(hung);
        let _engine = Engine::start(path, empty);
        until_engine_is(agent, 1);
        assert_counts_exactly(agent, sender);
        assert!(agent.metrics().count("process_open_fds", &[]) <= descriptors + 4);
    });
}

/// Answers of no engine: no HTTP, cut off, of no sense, without an end.
const NONSENSE: [&[u8]; 8] = [
    b"220 mail.example ESMTP\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
    b"HTTP/1.1 200 OK\r\nApi-Version: 99999.1\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 18\r\n\r\n{\"message\":\"\\u0007\"}",
    b"HTTP/1.1 301 Moved\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF0\r\n",
    b"\0\xff\x16\x03\x01\0\0",
];

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_engine_that_talks_nonsense_is_down_and_hurts_nothing() {
    with_agent(|agent, sender, path| {
        for answer in NONSENSE {
            let asked = Arc::new(AtomicBool::new(false));
            let seen = asked.clone();
            let engine = Engine::start(path, move |mut stream| {
                let seen = seen.clone();
                thread::spawn(move || {
                    let mut request = [0; 4_096];
                    while stream.read(&mut request).is_ok_and(|count| count > 0)
                        && stream.write_all(answer).is_ok()
                    {
                        seen.store(true, Ordering::Relaxed);
                    }
                });
            });
            until("it has asked", || asked.load(Ordering::Relaxed).then_some(()));
            until_engine_is(agent, 0);
            drop(engine);
        }
        assert!(!agent.stderr().contains("panicked"), "{}", agent.stderr());
        assert_counts_exactly(agent, sender);
        let _engine = Engine::start(path, empty);
        until_engine_is(agent, 1);
        assert_counts_exactly(agent, sender);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_engine_that_restarts_again_and_again_is_followed() {
    with_agent(|agent, sender, path| {
        for _ in 0..5 {
            let engine = Engine::start(path, empty);
            until_engine_is(agent, 1);
            drop(engine);
            // Its socket has gone, and what was connected hangs.
        }
        let _last = Engine::that_answers(
            path,
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        );
        until_engine_is(agent, 0);
        assert_counts_exactly(agent, sender);
    });
}
