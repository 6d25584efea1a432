//! Holds the fence of ARCHITECTURE.md: which room may import which, who may name which library, how long a file may
//! be, and that nothing outside of tests panics on purpose. A textual check of tokens: cheap, and it needs no compiler.

#[path = "fence/tokens.rs"]
mod tokens;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tokens::{Token, test_modules, tokens, without_tests};

/// What each room may import besides itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("datapath", &["model"]),
    ("flow", &["model"]),
    ("identity", &["model"]),
    ("dns", &["model"]),
    ("sandbox", &["model"]),
    ("metrics", &["model"]),
    ("output", &["model"]),
    ("serve", &["model"]),
    (
        "agent",
        &["model", "datapath", "flow", "dns", "identity", "metrics", "output", "sandbox", "serve"],
    ),
    ("doctor", &["agent", "model", "datapath", "identity", "metrics", "sandbox", "serve"]),
    ("cli", &["agent", "doctor", "model", "serve"]),
];

/// Libraries that a room keeps to itself; one that stands here twice, two rooms.
const LIBRARIES: &[(&str, &str)] = &[
    ("aya", "datapath"),
    ("aya_log", "datapath"),
    ("base64", "serve"),
    ("bcrypt", "serve"),
    ("bollard", "identity"),
    ("clap_complete", "cli"),
    ("clap_mangen", "cli"),
    ("domain", "dns"),
    // Only the configuration of the kernel, in the file that is compressed.
    ("flate2", "doctor"),
    ("flate2", "agent"),
    ("flate2", "serve"),
    ("landlock", "sandbox"),
    ("listenfd", "serve"),
    ("prometheus", "metrics"),
    ("ring", "serve"),
    ("seccompiler", "sandbox"),
    ("serde_saphyr", "serve"),
    ("tokio_rustls", "serve"),
    ("schemars", "output"),
    ("flate2", "cli"),
    ("terminal_size", "cli"),
    ("unicode_width", "cli"),
];

const MOST_LINES: usize = 500;

/// Everything wrong with a file. `path` is relative to the repository; `is_test`: a parent includes it for tests only.
fn violations(path: &str, text: &str, is_test: bool) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{path}: {lines} lines, more than {MOST_LINES}"));
    }
    let all = tokens(text);
    if let Some(inside) = path.strip_prefix("netwatch/src/") {
        imports(path, inside, &all, &mut found);
    }
    let is_source = path.split('/').take(2).eq([path.split('/').next().unwrap_or_default(), "src"]);
    if path.starts_with("netwatch") && is_source && !is_test {
        panics(path, &without_tests(&all), &mut found);
    }
    found
}

/// Modules and libraries that a room must not name.
fn imports(path: &str, inside: &str, all: &[Token], found: &mut Vec<String>) {
    let module = module_path(inside);
    let Some(room) = module.first().copied() else { return };
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        found.push(format!("{path}: no rule for the room '{room}'; add it to ROOMS"));
        return;
    };
    for (name, line) in roots(all, module.len()) {
        let is_room = ROOMS.iter().any(|(known, _)| *known == name);
        if name == "*" {
            found.push(format!(
                "{path}:{line}: imports everything of the crate; name what is needed"
            ));
        } else if name != room && is_room && !allowed.contains(&name.as_str()) {
            found.push(format!("{path}:{line}: {room} must not import {name}"));
        }
    }
    for (at, token) in all.iter().enumerate() {
        let known = LIBRARIES.iter().filter(|(name, _)| *name == token.text);
        let owners: Vec<&str> = known.map(|(_, owner)| *owner).collect();
        if owners.is_empty() {
            continue;
        }
        // A field or a local module of that name is a pity, a path or an import is a breach.
        let is_path =
            all.get(at + 1).is_some_and(|next| matches!(next.text.as_str(), "::" | ";" | ","))
                && at.checked_sub(1).is_none_or(|before| all[before].text != ".");
        if is_path && !owners.contains(&room) {
            let owners = owners.join(" and ");
            found.push(format!("{path}:{}: only {owners} may know {}", token.line, token.text));
        }
    }
}

/// `flow/merge.rs` is `flow::merge`, `flow/mod.rs` and `flow.rs` are `flow`, `lib.rs` and `main.rs` are the root.
fn module_path(inside: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    if matches!(parts.as_slice(), [.., "mod"] | ["lib" | "main"]) {
        parts.pop();
    }
    parts
}

/// First names below the crate root that paths of this file lead to: `crate::a`, `crate::{a, b::c}`, `netwatch::a`,
/// `super::super::a` where there are as many `super` as the file is deep.
fn roots(all: &[Token], depth: usize) -> Vec<(String, usize)> {
    let text = |at: usize| all.get(at).map_or("", |token| token.text.as_str());
    let mut names = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let mut next = at + 1;
        let mut reached = matches!(text(at), "crate" | "netwatch") && text(next) == "::";
        // `super::{super::x}` is a path that begins at the second `super`; nobody writes it.
        if text(at) == "super" && text(next) == "::" {
            let mut supers = 1;
            while text(next + 1) == "super" && text(next + 2) == "::" {
                supers += 1;
                next += 2;
            }
            reached = supers >= depth;
        }
        if reached {
            names.extend(first_names(all, next + 1));
        }
        at = next;
    }
    names
}

/// The first name of a path, or those of each path of a group.
fn first_names(all: &[Token], at: usize) -> Vec<(String, usize)> {
    let Some(first) = all.get(at) else { return Vec::new() };
    if first.text != "{" {
        return vec![(first.text.clone(), first.line)];
    }
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for pair in all[at..].windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(pair[0].text.as_str(), "{" | ",") && pair[1].text != "}" {
            names.push((pair[1].text.clone(), pair[1].line));
        }
    }
    names
}

/// Where the modules are that a file includes for tests only, without `.rs`: also a folder for what is below them.
fn test_paths(path: &str, text: &str) -> Vec<String> {
    let own = path.trim_end_matches(".rs");
    let folder = match own.rsplit_once('/') {
        Some((folder, "mod" | "lib" | "main")) => folder,
        _ => own,
    };
    test_modules(&tokens(text)).iter().map(|name| format!("{folder}/{name}")).collect()
}

/// Whether a file is one of these modules or below one.
fn is_below(path: &str, modules: &[String]) -> bool {
    modules.iter().any(|module| {
        path.strip_prefix(module.as_str()).is_some_and(|r| r == ".rs" || r.starts_with('/'))
    })
}

/// `.unwrap()`, `Option::unwrap`, `.expect(…)`, `panic!` and its relatives.
fn panics(path: &str, code: &[Token], found: &mut Vec<String>) {
    for triple in code.windows(3) {
        let [before, token, after] = triple else { continue };
        let is_call = matches!(before.text.as_str(), "." | "::");
        let wrong = match token.text.as_str() {
            "unwrap" | "expect" | "unwrap_err" | "expect_err" => is_call,
            "panic" | "todo" | "unimplemented" | "unreachable" => after.text == "!",
            _ => false,
        };
        if wrong {
            found.push(format!("{path}:{}: {} outside of tests", token.line, token.text));
        }
    }
}

#[test]
fn the_fence_holds() {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository");
    let mut files = Vec::new();
    walk(root, &mut files).expect("readable folders");
    assert!(files.len() > 20, "found only {} files below {}", files.len(), root.display());
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|file| {
            let path =
                file.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            (path, fs::read_to_string(file).expect("a readable file"))
        })
        .collect();
    let modules: Vec<String> =
        texts.iter().flat_map(|(path, text)| test_paths(path, text)).collect();
    let found: Vec<String> = texts
        .iter()
        .flat_map(|(path, text)| violations(path, text, is_below(path, &modules)))
        .collect();
    assert!(found.is_empty(), "the fence is broken:\n{}", found.join("\n"));
}

/// All `.rs` files, without what the build made and without hidden folders.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && name != "target" && !name.starts_with('.') {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Cases that must be seen, with a part of the message.
#[test]
fn breaches_are_seen() {
    for (path, text, message) in [
        ("netwatch/src/model/flow.rs", "use crate::flow::Merge;", "model must not import flow"),
        (
            "netwatch/src/flow/merge.rs",
            "use crate::{model::Flow, identity::{Lookup, Names}};",
            "import identity",
        ),
        (
            "netwatch/src/flow/merge.rs",
            "use super::super::metrics;",
            "flow must not import metrics",
        ),
        ("netwatch/src/flow/mod.rs", "use super::metrics::Budget;", "flow must not import metrics"),
        (
            "netwatch/src/flow.rs",
            "fn f() { crate::output::text::line(); }",
            "flow must not import output",
        ),
        (
            "netwatch/src/serve/mod.rs",
            "use\n    crate::agent;",
            "mod.rs:2: serve must not import agent",
        ),
        ("netwatch/src/serve/mod.rs", "use crate::*;", "imports everything"),
        (
            "netwatch/src/serve/mod.rs",
            "use super::{model, output};",
            "serve must not import output",
        ),
        ("netwatch/src/cli/run.rs", "use crate::datapath::Loader;", "cli must not import datapath"),
        ("netwatch/src/agent/mod.rs", "use crate::cli::Exit;", "agent must not import cli"),
        (
            "netwatch/src/flow/a.rs",
            "#[cfg(test)] mod tests { use crate::output; }",
            "flow must not import output",
        ),
        ("netwatch/src/shop/mod.rs", "", "no rule for the room 'shop'"),
        ("netwatch/src/agent/mod.rs", "use aya::Ebpf;", "only datapath may know aya"),
        ("netwatch/src/agent/mod.rs", "fn f(e: &::aya::Ebpf) {}", "only datapath may know aya"),
        ("netwatch/src/cli/run.rs", "use {aya, std::fs};", "only datapath may know aya"),
        ("netwatch/src/cli/run.rs", "use bollard::Docker;", "only identity may know bollard"),
        ("netwatch/src/datapath/mod.rs", "use bollard::Docker;", "only identity may know bollard"),
        ("netwatch/src/flow/a.rs", "fn f() { x.unwrap(); }", "a.rs:1: unwrap outside of tests"),
        ("netwatch/src/flow/a.rs", "fn f() { x.map(Option::unwrap) }", "unwrap outside of tests"),
        (
            "netwatch-common/src/a.rs",
            "fn f() {\n x\n .expect(\"y\");\n}",
            "a.rs:3: expect outside of tests",
        ),
        ("netwatch-ebpf/src/main.rs", "fn f() { panic!(\"no\") }", "panic outside of tests"),
        (
            "netwatch/src/flow/a.rs",
            "#[cfg(test)] mod t { } fn f() { x.unwrap() }",
            "unwrap outside of tests",
        ),
        (
            "netwatch/src/flow/a.rs",
            "#[cfg(not(test))] fn f() { x.unwrap() }",
            "unwrap outside of tests",
        ),
        ("xtask/src/main.rs", &"\n".repeat(501), "501 lines"),
    ] {
        let found = violations(path, text, false);
        assert!(
            found.iter().any(|line| line.contains(message)),
            "{path}: {text:?}: expected {message:?}, got {found:?}"
        );
    }
}

/// Cases that must not be taken for a breach.
#[test]
fn what_is_allowed_is_not_seen() {
    for (path, text) in [
        ("netwatch/src/flow/merge.rs", "use crate::{flow::Table, model::{Flow, metrics}};"),
        ("netwatch/src/flow/merge.rs", "use super::metrics; use super::{super::model, output};"),
        (
            "netwatch/src/flow/mod.rs",
            "// use crate::identity\n/* crate::output /* nested */ crate::cli */ //! aya::Ebpf",
        ),
        (
            "netwatch/src/flow/mod.rs",
            "const A: &str = \"use crate::identity; panic!\"; const B: &str = r#\"crate::cli \" aya::\"#;",
        ),
        (
            "netwatch/src/flow/mod.rs",
            "fn f<'a>(c: &'a str) { let q = '\"'; let n = '\\''; let identity = c; }",
        ),
        (
            "netwatch/src/agent/mod.rs",
            "use crate::{datapath, flow, identity, metrics, model, output, serve};",
        ),
        ("netwatch/src/cli/mod.rs", "use crate::{agent, model, serve};"),
        ("netwatch/src/datapath/mod.rs", "use aya::Ebpf;"),
        ("netwatch/src/main.rs", "netwatch::cli::main()"),
        ("netwatch/src/lib.rs", "pub mod agent; pub mod flow;"),
        (
            "netwatch/src/flow/a.rs",
            "#[expect(clippy::panic, reason = \"x\")] fn f() { x.unwrap_or(1); }",
        ),
        (
            "netwatch/src/flow/a.rs",
            "#[cfg(test)]\n#[allow(x)]\nmod tests { fn f() { x.unwrap(); panic!() } }",
        ),
        ("netwatch/src/flow/a.rs", "#[cfg(test)] fn f(x: [u8; 2]) -> u8 { x.first().unwrap() }"),
        ("netwatch/src/flow/a.rs", "#![cfg(test)] fn f() { x.unwrap() }"),
        ("netwatch/tests/cli.rs", "fn f() { x.unwrap() }"),
        ("xtask/src/main.rs", &"\n".repeat(500)),
    ] {
        assert_eq!(violations(path, text, false), Vec::<String>::new(), "{path}: {text:?}");
    }
}

/// A file is one of tests because its parent says so, not because of its name.
#[test]
fn files_of_tests_are_known_by_their_parents() {
    let modules = [
        test_paths(
            "netwatch/src/flow/mod.rs",
            "mod a; #[cfg(test)] pub(crate) mod fixture; #[cfg(test)] mod t { }",
        ),
        test_paths("netwatch/src/flow/merge.rs", "#[cfg(test)]\n#[path = \"x\"]\nmod tests;"),
    ]
    .concat();
    assert_eq!(modules, ["netwatch/src/flow/fixture", "netwatch/src/flow/merge/tests"]);
    assert!(is_below("netwatch/src/flow/fixture.rs", &modules));
    assert!(is_below("netwatch/src/flow/fixture/deep.rs", &modules));
    assert!(!is_below("netwatch/src/flow/fixtures.rs", &modules));
    assert!(!is_below("netwatch/src/flow/tests.rs", &modules));
    let text = "fn f() { x.unwrap() }";
    assert_eq!(violations("netwatch/src/flow/fixture.rs", text, true), Vec::<String>::new());
    assert_eq!(violations("netwatch/src/flow/fixture.rs", text, false).len(), 1);
}

/// The table has no room twice, and every room that it allows is a room.
#[test]
fn the_table_is_sound() {
    let names: BTreeSet<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), ROOMS.len());
    assert!(
        ROOMS
            .iter()
            .flat_map(|(_, allowed)| *allowed)
            .chain(LIBRARIES.iter().map(|(_, o)| o))
            .all(|r| names.contains(r))
    );
}
