//! What of netwatch is in the kernel when no netwatch is there any more.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    held,
    shell::{attempt, run},
    wait::{PATIENCE, within},
};

/// One word for each thing: `prog 12 netwatch_ingress`, `filter veth1 ingress`, `qdisc veth1`, `net veth1 …`.
pub type Remains = BTreeSet<String>;

/// Everything there is now, except what a living process holds (another agent, another test).
pub fn remains() -> Remains {
    let mut all = programs();
    all.append(&mut attachments());
    all.append(&mut filters());
    all
}

/// Waits until nothing is there that was not there before. The kernel frees programs a moment after the last user.
pub fn expect_nothing_since(before: &Remains) {
    let mut left = Vec::new();
    within(PATIENCE, "the kernel is clean", || {
        left = remains().difference(before).cloned().collect();
        if !left.is_empty() {
            eprintln!("still there: {left:?}");
        }
        left.is_empty().then_some(())
    });
}

/// Loaded programs by the names of netwatch's, and the links that attach them, but for those that a process holds.
fn programs() -> Remains {
    let list = |kind: &str| -> Vec<Value> {
        let text = run("bpftool", &["-j", kind, "show"]);
        serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text }).expect("JSON")
    };
    let number = |value: &Value| u32::try_from(value.as_u64().expect("a number")).expect("32 bits");
    let of_netwatch =
        |program: &Value| program["name"].as_str().is_some_and(|name| name.starts_with("netwatch"));
    let programs: Vec<Value> = list("prog").into_iter().filter(of_netwatch).collect();
    let mut links = list("link");
    links.retain(|link| programs.iter().any(|program| program["id"] == link["prog_id"]));
    let [held_links, held_programs] = held::by_anybody();
    links.retain(|link| !held_links.contains(&number(&link["id"])));
    let left = programs.iter().filter(|program| !held_programs.contains(&number(&program["id"])));
    left.map(|program| format!("prog {} {}", program["id"], program["name"]))
        .chain(links.iter().map(|link| format!("link {}", link["id"])))
        .collect()
}

/// What `bpftool net` shows of netwatch.
fn attachments() -> Remains {
    let text = run("bpftool", &["net", "show"]);
    text.lines()
        .filter(|line| line.contains("netwatch"))
        .map(|line| format!("net {}", line.trim()))
        .collect()
}

/// Filters of netwatch and clsact qdiscs of anybody, by interface.
fn filters() -> Remains {
    let mut all = Remains::new();
    for entry in run("ip", &["-o", "link"]).lines() {
        let name = entry.split(": ").nth(1).expect("a name");
        let name = name.split('@').next().unwrap_or(name);
        // An interface may go while this looks at it.
        let tc = |arguments: &[&str]| attempt("tc", arguments).unwrap_or_default();
        if tc(&["qdisc", "show", "dev", name]).contains("clsact") {
            all.insert(format!("qdisc {name}"));
        }
        for hook in ["ingress", "egress"] {
            if tc(&["filter", "show", "dev", name, hook]).contains("netwatch") {
                all.insert(format!("filter {name} {hook}"));
            }
        }
    }
    all
}
