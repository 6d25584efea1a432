//! Keeps the pages true: docs/outcomes.md is made here, and what README.md, ARCHITECTURE.md, CHANGELOG.md and docs/
//! name has to exist.
//!
//! The notation that is checked: a path of this repository stands in backticks, `netwatch-ebpf/src/flow.rs`; names of
//! what that file defines follow it in backticks, `netwatch-ebpf/src/flow.rs` `update`, `count`, with nothing but blanks
//! and commas between them. `Type::method` names a type or module and what belongs to it.

#![expect(clippy::expect_used, reason = "a test without its pages has failed")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use netwatch::metrics::catalogue::Metric;
use netwatch_common::outcome::Outcome;

/// Words that define the name behind them.
const DEFINING: &[&str] =
    &["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "macro_rules!"];

/// Words with our prefix that are no metrics: crates and programs.
const NO_METRICS: &[&str] =
    &["netwatch_common", "netwatch_ebpf", "netwatch_ingress", "netwatch_egress"];

const OUTCOMES: &str = "\
<!-- Made from netwatch-common/src/outcome.rs. After a change there: UPDATE_DOCS=1 cargo test -p netwatch --test pages -->
# The ledger

Every packet that passes a hook of netwatch is accounted for, in packets and in bytes:

```text
seen = counted in a flow + each outcome below
```

`seen` is what the hooks of all observed interfaces have counted, each hook by itself: a packet from one container to another
crosses two veths, so it is seen twice and is in a flow twice (the flow's own figures count it once, see
[ARCHITECTURE.md](../ARCHITECTURE.md#counting-once)). The kernel programs count an outcome in the moment in which they
decide against a flow; one outcome, `flow-limit`, is the agent's.

In [/metrics](metrics.md#the-ledger) the equation reads:

```text
netwatch_packets_seen_total == sum(netwatch_packet_outcomes_total)
netwatch_bytes_seen_total   == sum(netwatch_byte_outcomes_total)
```

where `outcome=\"counted\"` is what is in a flow. Between the reading of the flows and that of the totals packets go on
passing, so that under traffic a scrape may show a few more packets seen than accounted for, never fewer; with the next
one they are.

| outcome | why the packet is in no flow |
|---|---|
";

/// docs/outcomes.md.
fn outcomes_page() -> String {
    let mut page = OUTCOMES.to_owned();
    for outcome in Outcome::ALL {
        let _ = writeln!(page, "| `{}` | {} |", outcome.name(), outcome.help().trim());
    }
    page
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the repository")
}

/// Every page, relative to the repository, with its text.
fn pages() -> Vec<(String, String)> {
    let mut names: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(str::to_owned).to_vec();
    for entry in fs::read_dir(root().join("docs")).expect("docs/") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if has_extension(&name, "md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let text = fs::read_to_string(root().join(&name)).expect("a readable page");
            (name, text)
        })
        .collect()
}

/// What stands outside of blocks of code, and what stands in them.
fn prose_and_code(text: &str) -> (String, String) {
    let (mut prose, mut code, mut inside) = (String::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else {
            let part = if inside { &mut code } else { &mut prose };
            part.push_str(line);
            part.push('\n');
        }
    }
    (prose, code)
}

/// What stands in backticks, and what stands between it and the span before.
fn spans(prose: &str) -> Vec<(&str, &str)> {
    let pieces: Vec<&str> = prose.split('`').collect();
    pieces.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Whether a word can only mean a file or folder of this repository.
fn is_path(word: &str) -> bool {
    let plain = !word.is_empty()
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
        && !word.starts_with('/');
    let first = word.split('/').next().unwrap_or_default();
    let top =
        ["netwatch", "netwatch-common", "netwatch-ebpf", "xtask", "docs", "fuzz", ".ci", ".cargo"];
    let is_file = ["rs", "md", "toml"].iter().any(|end| has_extension(word, end));
    plain && (is_file || word.contains('/') && top.contains(&first))
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|have| have == extension)
}

fn is_name(word: &str) -> bool {
    word.split("::").all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Whether a file's text defines a name: `fn update`, `struct Core` … For `Core::run` both have to be there.
fn defines(text: &str, name: &str) -> bool {
    let words: Vec<&str> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '!'))
        .filter(|word| !word.is_empty())
        .collect();
    name.split("::").all(|part| {
        words
            .windows(2)
            .any(|pair| pair[1] == part && (DEFINING.contains(&pair[0]) || pair[0] == "impl"))
    })
}

/// What is wrong with the paths and names of a page.
fn wrong_names(page: &str, text: &str) -> Vec<String> {
    let (prose, code) = prose_and_code(text);
    let mut wrong = Vec::new();
    let mut file: Option<(&str, String)> = None;
    for (between, span) in spans(&prose) {
        if is_path(span) {
            let path = root().join(span);
            if !path.exists() {
                wrong.push(format!("{page}: there is no {span}"));
            }
            file = fs::read_to_string(path).ok().map(|text| (span, text));
            continue;
        }
        let joined = between.chars().all(|c| c.is_whitespace() || c == ',');
        match &file {
            Some((path, text)) if joined && is_name(span) => {
                if !defines(text, span) {
                    wrong.push(format!("{page}: {path} has no {span}"));
                }
            }
            _ => file = None,
        }
    }
    for word in code.split_whitespace().filter(|word| word.contains('/') && is_path(word)) {
        if has_extension(word, "rs") && !root().join(word).exists() {
            wrong.push(format!("{page}: there is no {word}"));
        }
    }
    wrong
}

/// Where the links of a page lead, without those to other hosts.
fn links(prose: &str) -> Vec<&str> {
    prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let (prose, _) = prose_and_code(text);
    prose
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            heading
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// What is wrong with the links of a page.
fn wrong_links(page: &str, text: &str) -> Vec<String> {
    let folder = root().join(page).parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let (prose, _) = prose_and_code(text);
    let mut wrong = Vec::new();
    for link in links(&prose) {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if path.is_empty() { root().join(page) } else { folder.join(path) };
        if !target.exists() {
            wrong.push(format!("{page}: the link {link} leads nowhere"));
        } else if !anchor.is_empty()
            && !fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor))
        {
            wrong.push(format!("{page}: the link {link} leads to no heading"));
        }
    }
    wrong
}

/// Metrics that a page names and the catalogue does not.
fn unknown_metrics(page: &str, text: &str) -> Vec<String> {
    let known: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.entry().name).collect();
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("netwatch_") && !NO_METRICS.contains(word))
        .filter(|word| {
            let stem = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| word.strip_suffix(end))
                .unwrap_or(word);
            // `netwatch_edge_` stands for all that begin so.
            let is_prefix = word.ends_with('_') && known.iter().any(|name| name.starts_with(word));
            !known.contains(word) && !known.contains(stem) && !is_prefix
        })
        .map(|word| format!("{page}: there is no metric {word}"))
        .collect()
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "the pages are not true:\n{}", found.join("\n"));
}

#[test]
fn the_page_of_outcomes_is_not_stale() {
    let path = root().join("docs/outcomes.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, outcomes_page()).expect("a page");
    }
    let have = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        have == outcomes_page(),
        "docs/outcomes.md is stale; run: UPDATE_DOCS=1 cargo test -p netwatch --test pages"
    );
}

#[test]
fn files_and_what_they_define_are_there() {
    let pages = pages();
    let found: Vec<_> = pages.iter().flat_map(|(page, text)| wrong_names(page, text)).collect();
    assert_none(&found);
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let found: Vec<_> = pages.iter().flat_map(|(page, text)| wrong_links(page, text)).collect();
    assert_none(&found);
}

#[test]
fn metrics_are_in_the_catalogue() {
    let pages = pages();
    let found: Vec<_> = pages.iter().flat_map(|(page, text)| unknown_metrics(page, text)).collect();
    assert_none(&found);
}

/// Cases of a table without the name of a test that there is.
fn untested(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| test |"));
    let is_tested = |row: &&str| {
        let spans: Vec<&str> = spans(row).into_iter().map(|(_, span)| span).collect();
        let Some(place) = spans.iter().rposition(|span| is_path(span)) else { return false };
        let text = fs::read_to_string(root().join(spans[place])).unwrap_or_default();
        let is_test = |name: &&str| {
            let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
            // Between the two may be other attributes, and in a property test comments.
            let since = before.rsplit_once("\n}").map_or(before, |(_, since)| since);
            since.contains("test]") || since.contains("proptest!")
        };
        match &spans[place + 1..] {
            [] => text.contains("#[test]"),
            names => names.iter().all(is_test),
        }
    };
    rows.filter(|row| !is_tested(row)).map(str::to_owned).collect()
}

#[test]
fn each_case_of_reliability_has_its_test() {
    let text = fs::read_to_string(root().join("docs/reliability.md")).expect("a page");
    let (_, tables) = text.split_once("\n## Churn\n").expect("its first table");
    let (tables, _) = tables.split_once("\n## The soak\n").expect("what is behind them");
    assert!(tables.lines().filter(|line| line.starts_with("| ")).count() > 40);
    assert_none(&untested(tables));
    // And the check sees what is none.
    let file = "`netwatch/tests/pages.rs`";
    assert_eq!(untested(&format!("| case | {file} `links_lead_somewhere` |")).len(), 0);
    assert_eq!(untested(&format!("| case | {file} `untested` |")).len(), 1);
    assert_eq!(untested(&format!("| case | {file} `no_such_test` |\n| case | – |")).len(), 2);
}

/// Functions that start a program as root's: after each `fn` with a reason in it.
fn starting_as_root(text: &str) -> BTreeSet<&str> {
    let reason = concat!("Root", "::");
    let functions = text.split("fn ").skip(1).filter(|function| function.contains(reason));
    functions.filter_map(|function| function.split(['(', '<']).next()).collect()
}

#[test]
fn the_page_of_security_names_each_program_that_is_roots() {
    let page = fs::read_to_string(root().join("docs/security.md")).expect("a page");
    let (_, table) = page.split_once("| started as root by |").expect("the table");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let mut named = BTreeSet::new();
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let spans = spans(row);
        named.insert((spans[0].1.to_owned(), spans[1].1.to_owned()));
    }
    let mut there = BTreeSet::new();
    let mut folders = vec![root().join("netwatch/tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let name = path.strip_prefix(root()).expect("a path of ours").display().to_string();
            there.extend(starting_as_root(&text).into_iter().map(|f| (name.clone(), f.to_owned())));
        }
    }
    assert_eq!(named, there);
}

/// A page that was copied from a terminal must not name the home of whoever sat there.
#[test]
fn no_page_names_somebodys_home() {
    for (page, text) in pages() {
        for home in ["/root/", "/home/"] {
            assert!(!text.contains(home), "{page} names {home}");
        }
    }
}

/// The checks see what they are for, and only that.
#[test]
fn breaches_are_seen() {
    let names = |text: &str| wrong_names("page", text);
    assert_eq!(names("`netwatch-ebpf/src/index.rs` `find`, `begin`\n`oldest`").len(), 0);
    assert_eq!(
        names("`netwatch-ebpf/src/flow.rs` `updated`"),
        ["page: netwatch-ebpf/src/flow.rs has no updated"]
    );
    assert_eq!(names("`netwatch/src/agent/core.rs` `Core::run`").len(), 0);
    assert_eq!(names("`netwatch/src/agent/core.rs` `Core::fly`").len(), 1);
    assert_eq!(names("`netwatch-ebpf/src/flow.rs` then `unrelated`").len(), 0);
    assert_eq!(names("`netwatch/src/no.rs`"), ["page: there is no netwatch/src/no.rs"]);
    assert_eq!(names("`flow.rs` alone is not enough").len(), 1);
    assert_eq!(names("```text\nveth netwatch/src/no.rs\n```\n").len(), 1);
    assert_eq!(names("`cargo xtask run`, `/metrics`, `a/b`, `2/196B`").len(), 0);

    let links = |text: &str| wrong_links("docs/page.md", text);
    assert_eq!(
        links("[a](../README.md) [b](https://example.org/x) [c](metrics.md#the-ledger)").len(),
        0
    );
    assert_eq!(links("[a](README.md) [b](metrics.md#no-such-heading)").len(), 2);

    let metrics = |text: &str| unknown_metrics("page", text);
    assert_eq!(
        metrics("netwatch_edge_bytes_total netwatch_attach_seconds_bucket netwatch_edge_").len(),
        0
    );
    assert_eq!(metrics("netwatch_edge_octets_total").len(), 1);
}
