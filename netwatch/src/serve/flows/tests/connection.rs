//! Readers of all kinds, at a real socket.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{History, LINE, memory_of, publish, source};
use crate::serve::flows::{Counts, Limits, Notice, READERS, SocketPlace, Source, bind, serve};

/// For what has to happen; nothing is expected to take long.
const PATIENCE: Duration = Duration::from_secs(30);
const FOLLOW: &str = r#"{"command":"flows","follow":true,"last":0}"#;

struct Served {
    history: Arc<History>,
    place: SocketPlace,
    counts: Arc<Counts>,
    server: JoinHandle<()>,
    _folder: TempDir,
}

impl Served {
    /// A server whose history has room for so many numbers.
    fn with_room_for(numbers: usize) -> Self {
        Self::with_patience(numbers, super::PATIENCE)
    }

    fn with_patience(numbers: usize, patience: Duration) -> Self {
        let folder = TempDir::new().expect("a folder");
        let place = SocketPlace { path: folder.path().join("socket"), group: None };
        let bytes = memory_of(numbers);
        let history = Arc::new(History::new(Limits { bytes, age: PATIENCE * 100 }));
        let socket = bind(&place).expect("a socket");
        let source = Source { patience, ..source(&history) };
        let counts = Arc::clone(&source.counts);
        let server = tokio::spawn(serve(socket, source));
        Self { history, place, counts, server, _folder: folder }
    }

    async fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(&self.place.path).await.expect("a connection"))
    }

    /// Asks, and does not wait for an answer.
    async fn ask(&self, request: &str) -> BufReader<UnixStream> {
        let mut stream = self.connect().await;
        stream.write_all(format!("{request}\n").as_bytes()).await.expect("asked");
        stream
    }

    /// Everything that is said to a request.
    async fn answer(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // Who is refused early does not get rid of all of it.
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        let mut text = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("an end");
        String::from_utf8(text).expect("text")
    }

    /// A reader that follows, and has been heard.
    async fn follower(&self) -> BufReader<UnixStream> {
        let end = self.history.end();
        publish(&self.history, end..end + 1);
        let request = FOLLOW.replace(":0}", ":1}");
        let mut stream = self.ask(&request).await;
        assert_eq!(next(&mut stream).await, end.to_string());
        stream
    }
}

/// The next line, without its padding.
async fn next(stream: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    timeout(PATIENCE, stream.read_line(&mut line)).await.expect("a line").expect("a line");
    line.trim_end().to_owned()
}

fn numbers(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}

const DONE: &str = r#"{"event":"done"}"#;

#[tokio::test]
async fn past_events_as_they_are_asked_for() {
    let served = Served::with_room_for(1_000);
    publish(&served.history, 0..600);
    let ask = async |more: &str| {
        served.answer(format!("{{\"command\":\"flows\"{more}}}\n").as_bytes()).await
    };
    assert_eq!(numbers(&ask(r#","last":2"#).await), ["598", "599", DONE]);
    assert_eq!(numbers(&ask(r#","last":0"#).await), [DONE]);
    assert_eq!(numbers(&ask("").await).len(), 601);
    let end = r#","filter":[{"is":{"events":["end"]}}],"last":3"#;
    assert_eq!(numbers(&ask(end).await), ["595", "597", "599", DONE]);
    let window = r#","since_ns":100,"until_ns":102"#;
    assert_eq!(numbers(&ask(window).await), ["100", "101", "102", DONE]);
    let both = r#","since_ns":100,"until_ns":102,"last":1"#;
    assert_eq!(numbers(&ask(both).await), ["102", DONE]);
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_the_reason() {
    let served = Served::with_room_for(10);
    let with_terms = |count| {
        let terms = vec![r#"{"is":{"protocol":6}}"#; count].join(",");
        format!("{{\"command\":\"flows\",\"filter\":[{terms}]}}\n")
    };
    let nested = format!("{}a{}", "{".repeat(300), "}".repeat(300));
    let nested = format!(r#"{{"command":"flows","filter":[{{"is":{{"to":"{nested}"}}}}]}}"#) + "\n";
    for (request, reason) in [
        (&b"\n"[..], "not understood"),
        (b"", "not understood"),
        (b"hello\n", "not understood"),
        (b"\xff\xfe\n", "not understood"),
        (b"{\"command\":\"top\"}\n", "unknown variant `top`"),
        (b"{\"command\":\"flows\",\"folow\":true}\n", "unknown field `folow`"),
        (b"{\"command\":\"flows\",\"last\":-1}\n", "not understood"),
        (b"{\"command\":\"flows\",\"filter\":[{\"is\":{\"to\":\"[\"}}]}\n", "not a valid pattern"),
        (b"{\"command\":\"flows\",\"filter\":[{\"is\":{\"ip\":\"x\"}}]}\n", "not understood"),
        (with_terms(65).as_bytes(), "the filter has more than 64 terms"),
        (nested.as_bytes(), "has more than 16 opening braces"),
        (" ".repeat(16_385).as_bytes(), "longer than 16384 bytes"),
    ] {
        let answer = served.answer(request).await;
        match serde_json::from_str(&answer) {
            Ok(Notice::Refused { reason: have }) => assert!(have.contains(reason), "{have}"),
            other => panic!("{other:?} to {request:?}"),
        }
    }
    let longest = format!("{:<16383}\n", r#"{"command":"flows"}"#);
    assert_eq!(numbers(&served.answer(longest.as_bytes()).await), [DONE]);
    assert_eq!(numbers(&served.answer(with_terms(64).as_bytes()).await), [DONE]);
}

#[tokio::test]
async fn one_who_never_reads_misses_what_has_gone_and_holds_up_nobody() {
    const ALL: u64 = 5_000;
    let served = Served::with_room_for(100);
    let mut slow = served.follower().await;
    let mut quick = served.follower().await;
    let begin = served.history.end();
    // The quick one is waited for after each, the slow one never.
    for number in begin..begin + ALL {
        publish(&served.history, number..number + 1);
        assert_eq!(next(&mut quick).await, number.to_string());
    }
    served.history.close();
    assert_eq!(next(&mut quick).await, DONE);
    // The slow one had also missed nothing of what made the quick one follow.
    let mut expected = begin - 1;
    let mut missed = 0;
    loop {
        let line = next(&mut slow).await;
        if line == DONE {
            break;
        }
        if let Ok(Notice::Missed { events }) = serde_json::from_str(&line) {
            expected += events;
            missed += events;
        } else {
            assert_eq!(line, expected.to_string(), "in order, and none without a notice");
            expected += 1;
        }
    }
    assert_eq!(expected, begin + ALL);
    let buffered = (4 << 20) / LINE as u64;
    assert!(missed > ALL - 100 - buffered, "{missed}");
}

#[tokio::test]
async fn whoever_takes_nothing_for_too_long_loses_its_place() {
    let served = Served::with_patience(10_000, Duration::from_millis(100));
    let mut deaf = served.follower().await;
    // More than the buffers of a connection hold.
    let begin = served.history.end();
    publish(&served.history, begin..begin + 5_000);
    let mut taken = Vec::new();
    let end = async {
        // It takes nothing until the server has given it up, which it notices by the end of what has been sent.
        while served.counts.readers() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
        deaf.read_to_end(&mut taken).await
    };
    let end = timeout(PATIENCE, end).await.expect("an end");
    assert!(end.is_ok() && taken.len() < 5_000 * LINE, "{end:?}");
}

#[tokio::test]
async fn one_reader_too_many_is_told_so_and_has_a_place_when_one_has_gone() {
    let served = Served::with_room_for(1_000);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(served.follower().await);
    }
    for _ in 0..6 {
        let refused = Notice::Refused { reason: "64 readers are connected already".into() };
        let answer = served.answer(format!("{FOLLOW}\n").as_bytes()).await;
        assert_eq!(serde_json::from_str::<Notice>(&answer).expect("a notice"), refused);
    }
    let end = served.history.end();
    publish(&served.history, end..end + 1);
    // Each has seen those that made the later ones follow.
    for (at, reader) in readers.iter_mut().enumerate() {
        for number in at as u64 + 1..=end {
            assert_eq!(next(reader).await, number.to_string());
        }
    }
    readers.pop();
    let request = r#"{"command":"flows","last":1}"#;
    let answer = timeout(PATIENCE, async {
        loop {
            let answer = served.answer(format!("{request}\n").as_bytes()).await;
            if !answer.contains("refused") {
                return answer;
            }
        }
    });
    assert_eq!(numbers(&answer.await.expect("a place")), [&end.to_string(), DONE]);
}

#[tokio::test]
async fn the_end_of_the_agent_is_told_and_the_socket_removed() {
    let served = Served::with_room_for(10);
    let mut reader = served.follower().await;
    publish(&served.history, 1..3);
    served.history.close();
    assert_eq!(next(&mut reader).await, "1");
    assert_eq!(next(&mut reader).await, "2");
    assert_eq!(next(&mut reader).await, DONE);
    served.server.await.expect("an end");
    assert!(!served.place.path.exists());
}

#[tokio::test]
async fn what_is_folded_is_told_when_its_time_has_come() {
    let served = Served::with_room_for(100);
    publish(&served.history, 0..4);
    // The events are of long ago, and whoever does not follow waits for nothing.
    for (fold, expected) in [(1, ["0", "1", "2", "3"]), (u64::MAX, ["0", "1", "2", "3"])] {
        let request = format!("{{\"command\":\"flows\",\"fold_ns\":{fold}}}\n");
        let answer = served.answer(request.as_bytes()).await;
        assert_eq!(numbers(&answer)[..4], expected);
    }
    let ends = r#"{"command":"flows","fold_ns":1,"filter":[{"is":{"events":["end"]}}]}"#;
    assert_eq!(numbers(&served.answer(format!("{ends}\n").as_bytes()).await)[..2], ["1", "3"]);
    let mut stream = served.ask(&FOLLOW.replace(":0}", r#":2,"fold_ns":1000000000}"#)).await;
    for expected in ["2", "3"] {
        assert_eq!(next(&mut stream).await, expected);
    }
    publish(&served.history, 4..5);
    assert_eq!(next(&mut stream).await, "4");
}
