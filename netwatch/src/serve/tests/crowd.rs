//! Many clients, and such as never come to an end.

use super::*;

/// Far more clients than may connect, none of which says anything: who asks is answered at once, by the place of the one that
/// has been there longest.
#[tokio::test]
async fn idle_clients_cannot_keep_others_out() {
    let patient = Limits { header_timeout: Duration::from_mins(10), ..LIMITS };
    let server = Server::start(patient, answering(Ok("netwatch_x 1\n"))).await;
    let mut idle = Vec::new();
    for _ in 0..LIMITS.connections * 20 {
        idle.push(server.connect().await);
    }
    assert!(server.ask("GET", "/metrics").await.ends_with("netwatch_x 1\n"));
    assert!(rest(&mut idle[0]).await.is_empty(), "the first had to go");
    // The last that came is still there, and can ask.
    let last = idle.last_mut().unwrap();
    send(last, "GET", "/-/healthy", "Connection: close\r\n").await;
    assert!(rest(last).await.ends_with("netwatch is healthy\n"));
    let gone = idle.len() + 1 - LIMITS.connections;
    assert_eq!(server.counts.displaced(), u64::try_from(gone).unwrap());
}

/// As before, but they send a little: a request line without end.
#[tokio::test]
async fn slow_clients_cannot_keep_others_out() {
    let patient = Limits { header_timeout: Duration::from_mins(10), ..LIMITS };
    let server = Server::start(patient, answering(Ok("netwatch_x 1\n"))).await;
    let mut slow = Vec::new();
    for _ in 0..LIMITS.connections * 3 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nX-A: ").await.unwrap();
        slow.push(stream);
    }
    assert!(server.ask("GET", "/metrics").await.ends_with("netwatch_x 1\n"));
    assert!(rest(&mut slow[0]).await.is_empty());
}

/// A server that has begun to answer so many clients, and ends when it is told to.
async fn asked_by(count: usize, limits: Limits) -> (Server, Vec<TcpStream>, watch::Sender<bool>) {
    let (release, released) = watch::channel(false);
    let (asked, mut was_asked) = watch::channel(0);
    let slow: Provider = Arc::new(move |_| {
        asked.send_modify(|asked| *asked += 1);
        let mut released = released.clone();
        Box::pin(async move {
            released.wait_for(|released| *released).await.unwrap();
            Ok("netwatch_x 1\n".to_owned())
        })
    });
    let server = Server::start(limits, slow).await;
    let mut asking = Vec::new();
    for _ in 0..count {
        let mut stream = server.connect().await;
        send(&mut stream, "GET", "/metrics", "Connection: close\r\n").await;
        asking.push(stream);
    }
    was_asked.wait_for(|asked| *asked == count).await.unwrap();
    (server, asking, release)
}

/// Whoever is being answered keeps its place, and the others wait for it.
#[tokio::test]
async fn a_request_under_way_is_not_displaced() {
    let patient = Duration::from_mins(10);
    let limits = Limits { connections: 2, requests: 0, provider_timeout: patient, ..LIMITS };
    let (server, mut asking, release) = asked_by(limits.connections, limits).await;
    let mut third = server.connect().await;
    send(&mut third, "GET", "/-/healthy", "Connection: close\r\n").await;
    release.send(true).unwrap();
    for stream in &mut asking {
        assert!(rest(stream).await.ends_with("netwatch_x 1\n"));
    }
    assert!(rest(&mut third).await.ends_with("netwatch is healthy\n"));
    assert_eq!(server.counts.displaced(), 0);
}

#[tokio::test]
async fn more_requests_for_metrics_than_may_be_are_503() {
    let limits = Limits { connections: 10, provider_timeout: Duration::from_mins(10), ..LIMITS };
    let (server, mut asking, release) = asked_by(limits.requests, limits).await;
    let body = "2 requests for metrics are being answered; more are not (--web.max-requests)\n";
    check(&server.ask("GET", "/metrics").await, "503", TEXT, body);
    assert!(server.ask("GET", "/-/healthy").await.ends_with("netwatch is healthy\n"));
    release.send(true).unwrap();
    for stream in &mut asking {
        assert!(rest(stream).await.ends_with("netwatch_x 1\n"));
    }
    assert!(server.ask("GET", "/metrics").await.ends_with("netwatch_x 1\n"));
}

/// An answer has its place until the client has it, not until the agent has made it.
#[tokio::test]
async fn an_answer_counts_until_it_has_been_taken() {
    let limits = Limits { connections: 10, requests: 1, ..LIMITS };
    let server = Server::start(limits, large()).await;
    let mut slow = server.connect().await;
    send(&mut slow, "GET", "/metrics", "Connection: close\r\n").await;
    slow.read_u8().await.unwrap();
    let refused = "1 requests for metrics are being answered; more are not (--web.max-requests)\n";
    check(&server.ask("GET", "/metrics").await, "503", TEXT, refused);
    assert!(server.ask("GET", "/-/healthy").await.ends_with("netwatch is healthy\n"));
    let answer = rest(&mut slow).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), LARGE);
    assert!(server.ask("GET", "/metrics").await.starts_with("HTTP/1.1 200 "));
    assert_eq!((server.counts.cut(), server.counts.displaced()), (0, 0));
}

/// Whoever has gone has no answer any more.
#[tokio::test]
async fn an_answer_ends_with_its_connection() {
    let limits = Limits { connections: 10, requests: 1, ..LIMITS };
    let server = Server::start(limits, large()).await;
    for _ in 0..3 {
        let mut gone = server.connect().await;
        send(&mut gone, "GET", "/metrics", "").await;
        gone.read_u8().await.unwrap();
        drop(gone);
        let freed = async {
            while server.ask("HEAD", "/metrics").await.starts_with("HTTP/1.1 503 ") {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), freed).await.expect("the place is free again");
    }
}

/// All places are taken by clients at one address that do not read: those of another one get theirs.
#[tokio::test]
async fn slow_readers_keep_no_other_client_out() {
    let limits = Limits { connections: 10, requests: 2, ..LIMITS };
    let server = Server::start(limits, large()).await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect_from([127, 0, 0, 2]).await;
        send(&mut stream, "GET", "/metrics", "").await;
        stream.read_u8().await.unwrap();
        slow.push(stream);
    }
    for _ in 0..3 {
        assert!(server.ask("GET", "/metrics").await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(server.counts.displaced(), 1);
    assert!(rest(&mut slow[0]).await.len() < LARGE, "the first has lost its answer");
    // Nobody gives way to one that has as many.
    let mut third = server.connect_from([127, 0, 0, 2]).await;
    send(&mut third, "GET", "/metrics", "").await;
    third.read_u8().await.unwrap();
    let mut fourth = server.connect_from([127, 0, 0, 2]).await;
    send(&mut fourth, "GET", "/metrics", "Connection: close\r\n").await;
    assert!(rest(&mut fourth).await.starts_with("HTTP/1.1 503 "));
}

/// The same with connections, all of which are being answered.
#[tokio::test]
async fn slow_readers_keep_no_other_connection_out() {
    let limits = Limits { connections: 2, requests: 0, ..LIMITS };
    let server = Server::start(limits, large()).await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect_from([127, 0, 0, 2]).await;
        send(&mut stream, "GET", "/metrics", "").await;
        stream.read_u8().await.unwrap();
        slow.push(stream);
    }
    assert!(server.ask("GET", "/-/healthy").await.ends_with("netwatch is healthy\n"));
    assert_eq!(server.counts.displaced(), 1);
}

#[tokio::test]
async fn a_body_is_refused_and_not_read() {
    let server = Server::start(LIMITS, answering(Ok("netwatch_x 1\n"))).await;
    for headers in ["Content-Length: 100000000000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = server.connect().await;
        send(&mut stream, "GET", "/metrics", headers).await;
        check(&rest(&mut stream).await, "413", TEXT, "a request has no body here\n");
    }
    let mut stream = server.connect().await;
    send(&mut stream, "GET", "/metrics", "Content-Length: 0\r\nConnection: close\r\n").await;
    assert!(rest(&mut stream).await.ends_with("netwatch_x 1\n"));
}

#[tokio::test]
async fn gzip_is_for_who_takes_it() {
    let server = Server::start(LIMITS, answering(Ok("netwatch_x 1\n"))).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET", "/metrics", "Accept-Encoding: gzip\r\nConnection: close\r\n").await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let head_ends = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(answer[..head_ends].to_vec()).unwrap().to_ascii_lowercase();
    assert!(
        head.contains("content-encoding: gzip\r\n")
            && head.contains("vary: accept, accept-encoding\r\n"),
        "{head}"
    );
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&answer[head_ends..]);
    std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
    assert_eq!(text, "netwatch_x 1\n");
}
