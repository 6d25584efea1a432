//! Replays the kept corpus of the fuzzer: what once was a way to somewhere new, and every input that once was a crash.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::{collections::BTreeSet, fs, path::Path};

type Target = fn(&[u8]);

/// Every target by its name.
const TARGETS: [(&str, Target); 6] = [
    ("evicted", targets::evicted),
    ("inner", targets::inner),
    ("message", targets::message),
    ("parse", targets::parse),
    ("quoted", targets::quoted),
    ("sample", targets::sample),
];

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder of the fuzzer");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    entries.map(|entry| name(entry).into_string().expect("a plain name")).collect()
}

#[test]
fn the_corpus_of_the_fuzzer_holds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("fuzz");
    let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz.join("corpus")), known, "each target has a corpus that is replayed");
    let compiled: BTreeSet<_> = names(&fuzz.join("fuzz_targets"))
        .iter()
        .map(|file| file.trim_end_matches(".rs").to_owned())
        .collect();
    assert_eq!(compiled, known, "each target is fuzzed");
    for (name, target) in TARGETS {
        let folder = fuzz.join("corpus").join(name);
        let files = names(&folder);
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        for file in files {
            let bytes = fs::read(folder.join(&file)).expect("a readable file");
            println!("{name}/{file}");
            target(&bytes);
        }
    }
}
