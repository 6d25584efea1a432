//! `testdata/state-vN.bin` is a file as programs of version N write it, `testdata/state-vN.txt` what has to be read in it, by the
//! names of the fields. Both are made once, and then are as they were handed out: docs/reliability.md, "Upgrades".

use std::{env, fs, path::PathBuf};

use super::{super::*, written};
use crate::flow::{Edges, Limits, Tracker};

const UPDATE: &str = "UPDATE_GOLDEN";

fn path(version: u32, extension: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/agent/state/testdata");
    folder.join(format!("state-v{version}.{extension}"))
}

/// What is in it, with a line for each thing of which there are several, and what a tracker makes of it.
fn in_words(state: State) -> String {
    let mut text = format!("{state:?}\n");
    for thing in ["Conversation {", "(Edge {", "Sums {", "Veth {", "Kept {", "Shadow {"] {
        text = text.replace(thing, &format!("\n{thing}"));
    }
    let limits = Limits { idle: state.away, active: state.away, max_flows: 100 };
    let mut tracker = Tracker::new(limits, Edges::new(100));
    tracker.restore(state.flows, true);
    text + &format!("\n{:?}\n{:?}\n", tracker.totals(), tracker.over_limit())
}

#[test]
fn what_programs_of_each_version_write_is_read_or_refused() {
    for version in 1..=VERSION {
        let (bytes, words) = (path(version, "bin"), path(version, "txt"));
        let wanted = env::var_os(UPDATE).is_some();
        if wanted && version == VERSION && !bytes.exists() {
            fs::write(&bytes, written(7)).unwrap();
        }
        let file = bytes.display();
        let bytes = fs::read(&bytes).unwrap_or_else(|_| panic!("{file}: {UPDATE}=1 writes it"));
        match State::decode(&bytes) {
            Ok(state) => {
                let read = in_words(state);
                if wanted && !words.exists() {
                    fs::write(&words, &read).unwrap();
                }
                let kept = fs::read_to_string(&words).unwrap_or_default();
                for (number, (read, kept)) in read.lines().zip(kept.lines()).enumerate() {
                    let line = number + 1;
                    assert_eq!(read, kept, "{}:{line}: {ANOTHER}", words.display());
                }
                assert_eq!(read, kept, "{}: {ANOTHER}", words.display());
            }
            Err(why) => {
                assert_ne!(version, VERSION, "{file}: {why}: {ANOTHER}");
                let expected =
                    format!("it is of version {version}, and this netwatch reads {VERSION}");
                assert_eq!(why, expected, "{file}");
            }
        }
    }
}

/// What is wrong, to whoever has changed something.
const ANOTHER: &str = "what is written has changed, so it is another VERSION (agent/state.rs)";
