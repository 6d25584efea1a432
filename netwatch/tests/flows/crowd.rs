//! Many readers, bad ones among them.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    thread,
};

use super::{
    flows, log, observed, send,
    support::{agent::Agent, wait::PATIENCE},
};

/// A reader that has asked.
pub(crate) fn ask(agent: &Agent, request: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(agent.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // One that is refused early may be closed already.
    let _ = stream.write_all(format!("{request}\n").as_bytes());
    BufReader::new(stream)
}

pub(crate) fn next(reader: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A request to follow from the last event on, with this filter.
pub(crate) fn following(filter: &str) -> String {
    format!(
        r#"{{"command":"flows","follow":true,"last":1,"style":{{"format":"json"}},"filter":[{filter}]}}"#
    )
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn seventy_readers_and_one_that_never_reads() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..1_001);
        let first = log(&agent, "\"start\"").remove(0);
        let everything = following("");
        // It takes what the socket's buffer holds, and no more.
        let _deaf = ask(&agent, &everything);
        let mut readers: Vec<_> = (0..69).map(|_| ask(&agent, &everything)).collect();
        for (at, reader) in readers.iter_mut().enumerate() {
            let line = next(reader);
            if at < 63 {
                assert_eq!(line, first);
            } else {
                let refusal = r#"{"event":"refused","reason":"64 readers are connected already"}"#;
                assert_eq!(line, refusal);
                let end = reader.read(&mut [0]);
                assert!(matches!(end, Ok(0) | Err(_)), "and closed: {end:?}");
            }
        }
        readers.truncate(2);
        // Their places are free soon: whoever sends what is no request does not get to keep one.
        let mut refused = 0;
        while refused < 20 {
            let answer = next(&mut ask(&agent, "what is this"));
            assert!(answer.starts_with(r#"{"event":"refused","reason":""#), "{answer}");
            refused += u32::from(answer.contains("not understood"));
        }
        let mut picky = ask(&agent, &following(r#"{"is":{"port":[17,4321]}}"#));
        let mut silent = UnixStream::connect(agent.socket()).unwrap();
        silent.write_all(b"{\"command\"").unwrap();

        send(&agent, &mut sender, 2_000..6_000);
        let expected = log(&agent, "\"start\"");
        assert_eq!(expected.len(), 4_001);
        for reader in &mut readers {
            for line in &expected[1..] {
                assert_eq!(next(reader), *line);
            }
        }
        let picked: Vec<_> =
            expected.iter().filter(|line| line.contains("\"port\":4321")).collect();
        assert_eq!([&next(&mut picky)], *picked);
        assert_eq!(flows(&agent, &["-o", "json", "--since", "1h"]), expected);
        assert_eq!(agent.metrics().count("netwatch_flow_log_lines_lost_total", &[]), 0);

        // In the end whoever reads gets the rest, and is told that this was all. The one that does not holds up nobody.
        let rests: Vec<_> = readers
            .into_iter()
            .map(|reader| thread::spawn(|| reader.lines().map(Result::unwrap).collect::<Vec<_>>()))
            .collect();
        let socket = agent.socket();
        let stopped = agent.stop(libc::SIGTERM);
        assert!(stopped.status.success(), "{}", stopped.stderr);
        assert!(!socket.exists());
        let mut ends: Vec<_> = stopped.log.lines().skip(4_001).map(str::to_owned).collect();
        assert_eq!(ends.len(), 4_001);
        ends.push(r#"{"event":"done"}"#.to_owned());
        for rest in rests {
            assert_eq!(rest.join().unwrap(), ends);
        }
    });
}
