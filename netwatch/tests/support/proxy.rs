//! An engine that comes and goes: a socket that leads to the real engine as long as it exists.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::user;

/// Dropping it is the engine's death: connections break and the socket goes.
pub struct Proxy {
    path: PathBuf,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    stopping: AtomicBool,
    streams: Mutex<Vec<UnixStream>>,
    requests: Mutex<Vec<String>>,
}

impl Proxy {
    /// Listens at `path` and hands on to `engine`.
    pub fn start(path: &Path, engine: &str) -> Self {
        Self::slow(path, engine, Duration::ZERO)
    }

    /// The same with an engine that hears questions so much later. What it tells by itself it tells at once.
    pub fn slow(path: &Path, engine: &str, delay: Duration) -> Self {
        let listener = user::listen(path);
        listener.set_nonblocking(true).expect("a listener that can be stopped");
        let state = Arc::new(State::default());
        let (shared, engine) = (Arc::clone(&state), engine.to_owned());
        let acceptor = thread::spawn(move || {
            while !shared.stopping.load(Ordering::SeqCst) {
                match listener.accept() {
                    // An engine that does not answer: the client sees its connection end.
                    Ok((client, _)) => drop(shared.join(&client, &engine, delay)),
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        Self { path: path.into(), state, acceptor: Some(acceptor) }
    }

    /// The first line of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl State {
    /// Notes what is a request: an answer begins with the version.
    fn hear(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().filter(|line| line.ends_with(" HTTP/1.1"));
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.extend(lines.map(str::to_owned));
    }

    fn join(
        self: &Arc<Self>,
        client: &UnixStream,
        engine: &str,
        delay: Duration,
    ) -> io::Result<()> {
        client.set_nonblocking(false)?;
        let engine = UnixStream::connect(engine)?;
        for (from, to, delay) in [(client, &engine, delay), (&engine, client, Duration::ZERO)] {
            let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.push(from.try_clone()?);
            drop(streams);
            let state = Arc::clone(self);
            thread::spawn(move || {
                // Either side may end first, in whatever way.
                let _ = hand_on(&mut from, &mut to, delay, |bytes| state.hear(bytes));
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        Ok(())
    }
}

fn hand_on(
    from: &mut UnixStream,
    to: &mut UnixStream,
    delay: Duration,
    hear: impl Fn(&[u8]),
) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        hear(&bytes[..count]);
        let is_stream = bytes[..count].windows(7).any(|part| part == b"/events");
        if !is_stream {
            thread::sleep(delay);
        }
        to.write_all(&bytes[..count])?;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let streams = self.state.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in streams.iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = fs::remove_file(&self.path);
    }
}
