//! Hosts that are broken in each way that there is.

mod agent;
mod kernel;
mod table;
mod traffic;

use std::collections::{BTreeSet, HashMap};

use super::{
    Case, Check, Finding, Report, Verdict,
    advice::Advice,
    distribution::Distribution,
    facts::{
        Agent, Clock, Engine, EngineSocket, Facts, Kernel, Link, Listen, Memory, Refusal, Selected,
        Socket,
    },
    judge::judge,
    scrape::Scrape,
};
use crate::{
    agent::config::AttachMode,
    datapath::{Beside, DatapathError, Hook, Mechanism, PinPlace, Trial},
    model::Feature,
};

const ALL_RIGHTS: u64 = u64::MAX;
const OPTIONS: [&str; 7] = [
    "CONFIG_BPF_SYSCALL",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_NET_XGRESS",
    "CONFIG_NET_CLS_BPF",
    "CONFIG_NET_SCH_INGRESS",
    "CONFIG_BPF_JIT",
    "CONFIG_BPF_EVENTS",
];

fn program(name: &str, id: u32, mechanism: Mechanism) -> Beside {
    Beside { name: name.into(), id: Some(id), mechanism }
}

fn ours(hook: Hook) -> Beside {
    // The kernel's own cut of the name.
    let name = if hook == Hook::Ingress { "netwatch_ingres" } else { "netwatch_egress" };
    program(name, 7, Mechanism::Tcx)
}

fn link(name: &str, selected: Selected) -> Link {
    let hooks = Hook::ALL.map(|hook| (hook, vec![ours(hook)])).to_vec();
    Link { name: name.into(), selected, hooks: Ok(hooks) }
}

fn scrape(lines: &str) -> Scrape {
    let version = env!("CARGO_PKG_VERSION");
    Scrape::of(format!(
        "netwatch_build_info{{version=\"{version}\"}} 1\nnetwatch_attached_interfaces 2\n\
         netwatch_interface_info{{interface=\"veth1\",kind=\"veth\"}} 1\n\
         netwatch_map_entries{{map=\"flows\"}} 12\nnetwatch_map_max_entries{{map=\"flows\"}} 131072\n{lines}"
    ))
    .expect("netwatch's")
}

/// A host where all is well and an agent runs.
fn healthy() -> Facts {
    Facts {
        distribution: Distribution::Debian,
        kernel: Kernel {
            release: "6.12.1-amd64".into(),
            config: Some((
                "/proc/config.gz".into(),
                OPTIONS.iter().map(|option| ((*option).into(), "y".into())).collect(),
            )),
            btf: Ok(()),
            lockdown: Some("none".into()),
        },
        capabilities: Some(ALL_RIGHTS),
        is_root: false,
        memory: Memory { memlock: Some(8 << 20), group: None, needed: 136 << 20 },
        load: Ok(Trial {
            features: vec![Feature::available("drops"), Feature::available("drop_reasons")],
            map_bytes: 30 << 20,
        }),
        attach_mode: AttachMode::Auto,
        tcx: Ok(true),
        sandbox: vec![Feature::available("landlock"), Feature::available("seccomp")],
        pins: Some(PinPlace::Usable),
        conntrack: Ok(()),
        engine: Engine::Up {
            version: "20.10.24".into(),
            api: "1.41".into(),
            endpoint: "unix:///var/run/docker.sock".into(),
        },
        links: Ok(vec![
            link("lo", Selected::NotOfContainers),
            link("docker0", Selected::Yes),
            link("veth1", Selected::Yes),
        ]),
        agent: Agent { socket: Socket::Answers, metrics: Some(scrape("")), not_ready: None },
        listen: vec![("127.0.0.1:19733".into(), Listen::Ours)],
        clock: Clock { goes_on: true, synchronised: Some(true), source: Some("tsc".into()) },
    }
}

fn found(change: impl FnOnce(&mut Facts)) -> Report {
    let mut facts = healthy();
    change(&mut facts);
    judge(&facts)
}

/// The one finding that this change makes; nothing else may change.
fn only(change: impl FnOnce(&mut Facts)) -> Finding {
    let well = judge(&healthy());
    let mut changed: Vec<Finding> = found(change)
        .findings
        .into_iter()
        .filter(|finding| !well.findings.contains(finding))
        .collect();
    assert_eq!(changed.len(), 1, "{changed:#?}");
    changed.remove(0)
}

/// Case, message, and remedy of the one finding that this change makes.
fn told(change: impl FnOnce(&mut Facts)) -> (Case, String, Option<String>) {
    let finding = only(change);
    (finding.case, finding.message, finding.remedy)
}

fn refused(error: &DatapathError) -> Refusal {
    Refusal { message: error.to_string(), remedy: error.remedy() }
}

fn without(facts: &mut Facts, options: &[&str]) {
    if let Some((_, set)) = &mut facts.kernel.config {
        set.retain(|option, _| !options.contains(&option.as_str()));
    }
}

fn down(facts: &mut Facts, reason: &str, socket: EngineSocket) {
    facts.engine = Engine::Down { reason: reason.into(), socket };
}

const KERNEL: &str = "use a kernel of 5.10 or later with CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF and CONFIG_DEBUG_INFO_BTF";

#[test]
fn a_sound_host_has_nothing_to_be_done() {
    let report = judge(&healthy());
    assert_eq!(report.verdict(), Verdict::Ok);
    let checks: Vec<Check> = report.findings.iter().map(Finding::check).collect();
    assert_eq!(checks, Check::ALL);
    assert!(report.findings.iter().all(|finding| finding.remedy.is_none()), "{report:#?}");
    assert_eq!(report.checks(Verdict::Ok).len(), Check::ALL.len());
}
