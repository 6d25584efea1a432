//! Real requests over loopback sockets.

mod crowd;
mod protected;

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{Counts, Door, Limits, Live, Provider, Readiness, Site, bind, router, serve};

/// Short enough for tests, long enough for a busy machine.
const LIMITS: Limits = Limits {
    connections: 3,
    requests: 2,
    header_timeout: Duration::from_millis(400),
    provider_timeout: Duration::from_millis(300),
    answer_timeout: Duration::from_secs(30),
    lifetime: Duration::from_secs(30),
    grace: Duration::from_millis(400),
};

struct Server {
    address: SocketAddr,
    counts: Arc<Counts>,
    ready: watch::Sender<Readiness>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(limits: Limits, metrics: Provider) -> Self {
        Self::start_at("/metrics", limits, metrics).await
    }

    async fn start_at(path: &str, limits: Limits, metrics: Provider) -> Self {
        Self::start_with(path, limits, metrics, None).await
    }

    /// With a web configuration.
    async fn start_with(
        path: &str,
        limits: Limits,
        metrics: Provider,
        settings: Option<&Path>,
    ) -> Self {
        let (ready, readiness) = watch::channel(Readiness::Ready);
        let (stop, stopped) = watch::channel(false);
        let site = Site {
            telemetry_path: path.to_owned(),
            version: "1.2.3".to_owned(),
            metrics,
            readiness,
        };
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = bind(&[any.into()]).await.unwrap().remove(0);
        let address = listener.name().parse().unwrap();
        let counts = Arc::new(Counts::default());
        let door =
            Door::new(Live::open(settings, Arc::clone(&counts)).unwrap(), Arc::clone(&counts));
        let router = router(site, limits).unwrap();
        let task = tokio::spawn(serve(listener, router, door, limits, stopped));
        Self { address, counts, ready, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// From another address of this host.
    async fn connect_from(&self, source: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// The whole answer to one request.
    async fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = self.connect().await;
        send(&mut stream, method, path, "Connection: close\r\n").await;
        rest(&mut stream).await
    }
}

async fn send(stream: &mut TcpStream, method: &str, path: &str, headers: &str) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// Everything until the server closes, within five seconds.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
        .await
        .expect("the server closes");
    String::from_utf8(answer).unwrap()
}

fn answering(answer: Result<&'static str, &'static str>) -> Provider {
    Arc::new(move |_| Box::pin(async move { answer.map(str::to_owned).map_err(str::to_owned) }))
}

/// More than the sockets' buffers hold.
const LARGE: usize = 32 << 20;

fn large() -> Provider {
    Arc::new(|_| Box::pin(async { Ok("x".repeat(LARGE)) }))
}

fn hanging() -> Provider {
    Arc::new(|_| Box::pin(std::future::pending()))
}

#[track_caller]
fn check(answer: &str, status: &str, content_type: &str, body: &str) {
    let (head, found) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
    assert!(head.contains(&format!("content-type: {content_type}\r\n")), "{head}");
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    assert!(
        head.contains("content-security-policy: default-src 'none'; style-src 'unsafe-inline'"),
        "{head}"
    );
    assert_eq!(found, body);
}

const TEXT: &str = "text/plain; charset=utf-8";

#[tokio::test]
async fn metrics_are_what_the_provider_says() {
    let server = Server::start(LIMITS, answering(Ok("netwatch_x 1\n"))).await;
    let answer = server.ask("GET", "/metrics").await;
    check(&answer, "200", "text/plain; version=0.0.4; charset=utf-8", "netwatch_x 1\n");
    let head = server.ask("HEAD", "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn metrics_can_be_anywhere() {
    let server = Server::start_at("/", LIMITS, answering(Ok("netwatch_x 1\n"))).await;
    assert!(server.ask("GET", "/").await.ends_with("netwatch_x 1\n"));
    let server = Server::start_at("/custom/path", LIMITS, answering(Ok("netwatch_x 1\n"))).await;
    assert!(server.ask("GET", "/custom/path").await.ends_with("netwatch_x 1\n"));
    assert!(server.ask("GET", "/").await.contains("href=\"/custom/path\""));
    assert!(server.ask("GET", "/metrics").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_provider_that_fails_is_503_with_one_line() {
    let server = Server::start(LIMITS, answering(Err("the agent\r\nis stopping"))).await;
    check(&server.ask("GET", "/metrics").await, "503", TEXT, "the agent is stopping\n");
}

#[tokio::test]
async fn a_provider_that_hangs_is_503_in_time() {
    let server = Server::start(LIMITS, hanging()).await;
    let begin = Instant::now();
    check(
        &server.ask("GET", "/metrics").await,
        "503",
        TEXT,
        "the agent did not answer within 300ms\n",
    );
    assert!(begin.elapsed() < Duration::from_secs(2));
    check(&server.ask("GET", "/-/healthy").await, "200", TEXT, "netwatch is healthy\n");
}

#[tokio::test]
async fn a_provider_that_panics_is_503() {
    let server =
        Server::start(LIMITS, Arc::new(|_| Box::pin(async { panic!("on purpose") }))).await;
    let answer = server.ask("GET", "/metrics").await;
    check(
        &answer,
        "503",
        TEXT,
        "the metrics could not be made: a defect of netwatch, see its log\n",
    );
}

#[tokio::test]
async fn ready_follows_the_agent() {
    let server = Server::start(LIMITS, answering(Ok(""))).await;
    check(&server.ask("GET", "/-/ready").await, "200", TEXT, "netwatch is ready\n");
    server.ready.send(Readiness::NotReady("attaching: 3 of 5".to_owned())).unwrap();
    check(&server.ask("GET", "/-/ready").await, "503", TEXT, "attaching: 3 of 5\n");
    assert!(server.ask("GET", "/").await.contains("attaching: 3 of 5"));
    check(&server.ask("GET", "/-/healthy").await, "200", TEXT, "netwatch is healthy\n");
    let Server { address, counts, ready, stop, task } = server;
    drop(ready);
    let (ready, _) = watch::channel(Readiness::Ready);
    let server = Server { address, counts, ready, stop, task };
    check(&server.ask("GET", "/-/ready").await, "503", TEXT, "the agent has stopped\n");
}

#[tokio::test]
async fn the_landing_page_is_html() {
    let server = Server::start(LIMITS, answering(Ok(""))).await;
    let answer = server.ask("GET", "/").await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    check(&answer, "200", "text/html; charset=utf-8", body);
    assert!(body.contains("1.2.3") && body.contains("href=\"/metrics\""));
}

#[tokio::test]
async fn other_paths_and_methods_are_plain_text() {
    let server = Server::start(LIMITS, answering(Ok(""))).await;
    check(
        &server.ask("GET", "/nothing").await,
        "404",
        TEXT,
        "no such page; / lists what there is\n",
    );
    for path in ["/", "/metrics", "/-/ready", "/-/healthy"] {
        let answer = server.ask("POST", path).await;
        check(&answer, "405", TEXT, "only GET and HEAD are answered here\n");
        assert!(answer.to_ascii_lowercase().contains("allow: get,head"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_never_finishes_its_headers_is_closed() {
    let server = Server::start(LIMITS, answering(Ok(""))).await;
    let mut stream = server.connect().await;
    let begin = Instant::now();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: te").await.unwrap();
    rest(&mut stream).await;
    assert!(
        begin.elapsed() >= LIMITS.header_timeout / 2 && begin.elapsed() < Duration::from_secs(3)
    );
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_off() {
    let soon = Duration::from_millis(300);
    let never = Duration::from_mins(10);
    for (answer_timeout, lifetime) in [(soon, never), (soon, soon)] {
        let limits = Limits { connections: 1, answer_timeout, lifetime, ..LIMITS };
        let server = Server::start(limits, large()).await;
        let mut silent = server.connect().await;
        send(&mut silent, "GET", "/metrics", "").await;
        silent.read_u8().await.unwrap();
        check(&server.ask("GET", "/-/healthy").await, "200", TEXT, "netwatch is healthy\n");
        assert_eq!((server.counts.cut(), server.counts.displaced()), (1, 0));
    }
}

#[tokio::test]
async fn a_header_without_end_is_refused() {
    let server = Server::start(LIMITS, answering(Ok(""))).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET", "/metrics", &format!("X: {}\r\n", "x".repeat(100_000))).await;
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start(LIMITS, answering(Ok("netwatch_x 1\n"))).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        send(&mut stream, "GET", "/-/healthy", "").await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"netwatch is healthy\n") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the server keeps it open");
        }
    }
}

#[tokio::test]
async fn stopping_ends_everything_in_time() {
    let limits = Limits {
        provider_timeout: Duration::from_secs(30),
        header_timeout: Duration::from_secs(30),
        ..LIMITS
    };
    let server = Server::start(limits, hanging()).await;
    let _idle = server.connect().await;
    let mut waiting = server.connect().await;
    send(&mut waiting, "GET", "/metrics", "").await;
    sleep(Duration::from_millis(50)).await;
    server.stop.send(true).unwrap();
    timeout(Duration::from_secs(2), server.task).await.expect("it stops").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
    rest(&mut waiting).await;
}

#[tokio::test]
async fn a_request_that_is_under_way_is_answered_before_the_stop() {
    let (stopping, stop_seen) = watch::channel(false);
    let (asked, mut was_asked) = watch::channel(false);
    let slow: Provider = Arc::new(move |_| {
        let (asked, mut stop_seen) = (asked.clone(), stop_seen.clone());
        Box::pin(async move {
            asked.send(true).unwrap();
            stop_seen.wait_for(|seen| *seen).await.unwrap();
            Ok("netwatch_x 1\n".to_owned())
        })
    });
    let patient = Duration::from_secs(5);
    let server =
        Server::start(Limits { provider_timeout: patient, grace: patient, ..LIMITS }, slow).await;
    let mut waiting = server.connect().await;
    send(&mut waiting, "GET", "/metrics", "").await;
    was_asked.wait_for(|asked| *asked).await.unwrap();
    server.stop.send(true).unwrap();
    while TcpStream::connect(server.address).await.is_ok() {
        sleep(Duration::from_millis(5)).await;
    }
    stopping.send(true).unwrap();
    assert!(rest(&mut waiting).await.ends_with("netwatch_x 1\n"));
    server.task.await.unwrap();
}
