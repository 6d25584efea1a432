//! Requests that are none.

use std::sync::Arc;

use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    runtime::{Builder, Runtime},
};

use super::{History, publish, source};
use crate::serve::flows::{Limits, Notice, reader};

const VALID: &str = r#"{"command":"flows","last":1,"style":{"format":"json"},"filter":[{"is":{"container":"a*"},"not":true},{"is":{"port":[17,53]},"not":true}]}"#;

/// All that is answered to one that says this, and then nothing more.
fn answer(runtime: &Runtime, request: &[u8]) -> String {
    runtime.block_on(async {
        let limits = Limits { bytes: 1 << 20, age: std::time::Duration::from_hours(1) };
        let history = Arc::new(History::new(limits));
        publish(&history, 0..3);
        let source = source(&history);
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        let answering = tokio::spawn(async move { reader::answer(theirs, &source).await });
        // One that is refused early does not take all of it.
        let _ = ours.write_all(request).await;
        let _ = ours.shutdown().await;
        let mut answer = Vec::new();
        let _ = ours.read_to_end(&mut answer).await;
        answering.await.expect("no panic");
        String::from_utf8(answer).expect("text")
    })
}

/// Lines of an answer that make sense: notices, or numbers.
fn assert_sense(answer: &str) {
    for line in answer.lines() {
        let number = line.trim_end().parse::<u64>();
        assert!(number.is_ok() || Notice::parse(line.as_bytes()).is_some(), "{line:?}");
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

proptest! {
    #[test]
    fn bytes_of_no_sense(request in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let answer = answer(&runtime(), &request);
        assert_sense(&answer);
        prop_assert!(answer.is_empty() || answer.contains("refused"), "{}", answer);
    }

    #[test]
    fn damaged_requests(at in 0..VALID.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut request = VALID.as_bytes().to_vec();
        if cut { request.truncate(at) } else { request[at] = byte }
        assert_sense(&answer(&runtime(), &request));
    }
}

#[test]
fn a_valid_one_is_answered_and_deep_ones_are_not_followed() {
    let runtime = runtime();
    let ended = "{\"event\":\"done\"}\n";
    let answered = answer(&runtime, VALID.as_bytes());
    assert!(answered.starts_with('2') && answered.ends_with(ended), "{answered}");
    for deep in ["[".repeat(16_000), format!("{}\n", r#"{"filter":"#.repeat(1_600))] {
        assert!(answer(&runtime, deep.as_bytes()).contains("refused"));
    }
}
