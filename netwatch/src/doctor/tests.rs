//! Hosts that are broken in each way that there is.

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
    datapath::{Beside, DatapathError, Hook, Mechanism, Trial},
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
        memory: Memory { memlock: Some(8 << 20), group: None, needed: 136 << 20 },
        load: Ok(Trial {
            features: vec![Feature::available("drops"), Feature::available("drop_reasons")],
            map_bytes: 30 << 20,
        }),
        attach_mode: AttachMode::Auto,
        tcx: Ok(true),
        bpffs: true,
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
        listen: vec![("127.0.0.1:19733".parse().expect("an address"), Listen::Ours)],
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

#[test]
fn an_old_kernel() {
    let old = |release: &str| {
        let report = found(|facts| {
            facts.kernel.release = release.into();
            facts.load = Err(refused(&DatapathError::NO_BTF));
        });
        assert_eq!(report.verdict(), Verdict::Failed);
        report.findings[0].clone()
    };
    let finding = old("5.4.0-216-generic");
    assert_eq!(finding.case, Case::KernelOld);
    assert_eq!(finding.message, "Linux 5.4.0-216-generic is older than 5.10");
    let command = "apt-get install linux-image-$(dpkg --print-architecture) && reboot";
    assert_eq!(finding.remedy, Some(format!("{KERNEL}: {command}")));
    assert_eq!(old("5.9.16").case, Case::KernelOld);
    for (release, case) in [
        ("5.9.16", Case::KernelPatched),
        ("5.10.0", Case::KernelSupported),
        ("10.0-rc1", Case::KernelSupported),
        ("", Case::KernelUnknown),
        ("generic", Case::KernelUnknown),
    ] {
        assert_eq!(only(|facts| facts.kernel.release = release.into()).case, case, "{release}");
    }
}

#[test]
fn options_that_are_not_set() {
    let of = |options: &[&str]| told(|facts| without(facts, options));
    for options in
        [&["CONFIG_BPF_SYSCALL"] as &[&str], &["CONFIG_DEBUG_INFO_BTF", "CONFIG_BPF_JIT"]]
    {
        let (case, message, _) = of(options);
        assert_eq!(case, Case::ConfigLacking);
        assert_eq!(
            message,
            format!("the kernel was built without {} (/proc/config.gz)", options[0])
        );
    }
    assert_eq!(of(&["CONFIG_NET_XGRESS", "CONFIG_NET_CLS_BPF"]).0, Case::ConfigLacking);
    assert_eq!(of(&["CONFIG_BPF_EVENTS"]).0, Case::ConfigPartial);
    // Either way of attaching will do.
    for options in
        [&["CONFIG_NET_XGRESS"] as &[&str], &["CONFIG_NET_CLS_BPF", "CONFIG_NET_SCH_INGRESS"]]
    {
        assert_eq!(found(|facts| without(facts, options)), judge(&healthy()));
    }
    assert_eq!(only(|facts| facts.kernel.config = None).case, Case::ConfigUnreadable);
}

#[test]
fn no_btf_is_said_as_run_says_it() {
    let (case, message, remedy) =
        told(|facts| facts.kernel.btf = Err("/sys/kernel/btf/vmlinux: not found".into()));
    assert_eq!(case, Case::BtfMissing);
    assert_eq!(
        message,
        "this kernel has no BPF type format (BTF) (/sys/kernel/btf/vmlinux: not found)"
    );
    assert!(remedy.expect("a remedy").starts_with(KERNEL));
    let (case, message, remedy) = told(|facts| facts.load = Err(refused(&DatapathError::NO_BTF)));
    assert_eq!((case, &*message), (Case::LoadRefused, "this kernel has no BPF type format (BTF)"));
    assert_eq!(remedy.as_deref(), Some(KERNEL));
}

#[test]
fn rights() {
    let rights = |mask: u64| told(|facts| facts.capabilities = Some(mask));
    let (bpf, net_admin, perfmon, ptrace, resource) = (1 << 39, 1 << 12, 1 << 38, 1 << 19, 1 << 24);
    let (case, message, remedy) = rights(net_admin | perfmon | ptrace);
    assert_eq!((case, &*message), (Case::CapabilitiesLacking, "not permitted: CAP_BPF is missing"));
    assert_eq!(
        remedy.as_deref(),
        Some(
            "run netwatch as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (Linux 5.8 and later)"
        )
    );
    let (case, message, remedy) = rights(net_admin | perfmon | bpf);
    assert_eq!((case, &*message), (Case::CapabilitiesPartial, "CAP_SYS_PTRACE is missing"));
    assert_eq!(remedy.as_deref(), Some("run netwatch as root, or give it CAP_SYS_PTRACE too"));
    assert_eq!(
        found(|facts| facts.capabilities = Some(net_admin | perfmon | bpf | ptrace)),
        judge(&healthy())
    );
    assert_eq!(only(|facts| facts.capabilities = None).case, Case::CapabilitiesUnknown);
    // An old kernel counts maps to a limit that only one of the capabilities lifts.
    let old = |mask: u64| {
        let report = found(|facts| {
            facts.kernel.release = "5.10.0".into();
            facts.capabilities = Some(mask);
        });
        report.checks(Verdict::Failed).contains(&"memory")
    };
    assert!(old(net_admin | perfmon | bpf | ptrace));
    assert!(!old(net_admin | perfmon | bpf | ptrace | resource));
}

#[test]
fn limits_of_memory() {
    let group = |limit: u64| told(|facts| facts.memory.group = Some(limit));
    assert_eq!(
        group(64 << 20).1,
        "the control group's limit is 64 MiB, the agent may need 136 MiB"
    );
    assert_eq!(group(64 << 20).0, Case::MemoryTight);
    assert_eq!(group(136 << 20).0, Case::MemoryEnough);
}

#[test]
fn lockdown() {
    assert_eq!(
        only(|facts| facts.kernel.lockdown = Some("integrity".into())).case,
        Case::LockdownOpen
    );
    let lacking = crate::datapath::LOCKED;
    let report = found(|facts| {
        facts.kernel.lockdown = Some("confidentiality".into());
        facts.load =
            Ok(Trial { features: vec![Feature::lacking("drops", lacking)], map_bytes: 30 << 20 });
    });
    assert_eq!(report.verdict(), Verdict::Degraded);
    assert_eq!(report.checks(Verdict::Degraded), ["lockdown", "load"]);
    let load = report.findings.iter().find(|finding| finding.check() == Check::Load);
    assert_eq!(load.expect("load").details, [format!("drops: {lacking}")]);
}

#[test]
fn who_runs_before_us() {
    let at = |before: &[Beside], after: &[Beside]| {
        only(|facts| {
            if let Ok(links) = &mut facts.links {
                let chain = [before, &[ours(Hook::Ingress)], after].concat();
                let egress = vec![ours(Hook::Egress)];
                links[2].hooks = Ok(vec![(Hook::Ingress, chain), (Hook::Egress, egress)]);
            }
        })
    };
    let cilium = program("cil_from_netdev", 91, Mechanism::Tcx);
    let finding = at(std::slice::from_ref(&cilium), &[]);
    assert_eq!(
        (finding.case, &*finding.message),
        (Case::TcBehind, "TCX; a program runs before netwatch's")
    );
    assert_eq!(
        finding.details,
        ["veth1 ingress: cil_from_netdev (program 91) by tcx, before netwatch"]
    );
    let flower = Beside { name: "flower".into(), id: None, mechanism: Mechanism::Clsact };
    let finding = at(&[], &[cilium, flower]);
    assert_eq!((finding.case, &*finding.message), (Case::TcFirst, "TCX; 2 programs of others"));
    assert_eq!(finding.details[1], "veth1 ingress: flower by clsact, behind netwatch");
}

#[test]
fn kernels_without_tcx() {
    let (case, message, _) = told(|facts| facts.tcx = Ok(false));
    assert_eq!((case, &*message), (Case::TcClsact, "clsact; nobody else is attached"));
    let (case, _, remedy) = told(|facts| {
        facts.tcx = Ok(false);
        facts.attach_mode = AttachMode::Tcx;
    });
    assert_eq!(case, Case::TcAbsent);
    assert_eq!(remedy.as_deref(), Some("leave out --attach-mode, or use a kernel of 6.6 or later"));
    assert_eq!(only(|facts| facts.tcx = Err("not permitted".into())).case, Case::TcUnknown);
    assert_eq!(only(|facts| facts.bpffs = false).case, Case::BpffsAbsent);
}

#[test]
fn engines() {
    let (case, message, remedy) = told(|facts| {
        down(facts, "there is no socket at /x; start the engine", EngineSocket::Absent);
    });
    assert_eq!((case, &*message), (Case::EngineAbsent, "there is no socket at /x"));
    assert_eq!(
        remedy.as_deref(),
        Some("start the engine: apt-get install docker.io && systemctl enable --now docker")
    );
    let (case, _, remedy) =
        told(|facts| down(facts, "permission denied; run as root", EngineSocket::Forbidden));
    assert_eq!(case, Case::EngineForbidden);
    assert_eq!(remedy.as_deref(), Some("run as root: usermod -aG docker USER"));
    let (case, _, remedy) = told(|facts| {
        down(
            facts,
            "nobody listens; start it, for example: systemctl start docker",
            EngineSocket::Other,
        );
    });
    assert_eq!(case, Case::EngineDown);
    assert_eq!(
        remedy.as_deref(),
        Some("start it, for example: systemctl start docker"),
        "the command is there already"
    );
}

#[test]
fn interfaces() {
    let missing = |facts: &mut Facts| {
        if let Ok(links) = &mut facts.links {
            links[2].hooks = Ok(Hook::ALL.map(|hook| (hook, Vec::new())).to_vec());
        }
    };
    let (case, message, _) = told(missing);
    assert_eq!(case, Case::InterfacesMissing);
    assert_eq!(message, "3 interfaces seen, 2 to observe, not attached to 1: veth1");
    let alone = |facts: &mut Facts| facts.agent = Agent::default();
    let of = |report: Report, check: Check| {
        report.findings.into_iter().find(|finding| finding.check() == check).expect("a finding")
    };
    let report = found(|facts| {
        missing(facts);
        alone(facts);
    });
    assert_eq!(report.verdict(), Verdict::Ok, "no agent runs, and that is no fault");
    let finding = of(report, Check::Interfaces);
    assert_eq!(finding.case, Case::InterfacesWaiting);
    assert_eq!(finding.message, "3 interfaces seen; netwatch run would observe 2: docker0, veth1");
    assert_eq!(finding.details, ["lo: not observed, no veth or bridge of containers"]);
    let finding = only(|facts| facts.links = Ok(vec![link("veth9", Selected::NotAsked)]));
    assert_eq!(
        (finding.case, &*finding.message),
        (Case::InterfacesNone, "1 interface seen, none to observe")
    );
    assert_eq!(finding.details, ["veth9: not observed because of --interface or --exclude"]);
    assert_eq!(only(|facts| facts.links = Err("no".into())).case, Case::InterfacesUnknown);
    // Who may not look believes the agent, which has veth1 only.
    let report = found(|facts| {
        for link in facts.links.as_mut().expect("links") {
            link.hooks = Err("Operation not permitted".into());
        }
    });
    assert_eq!(
        of(report, Check::Interfaces).message,
        "3 interfaces seen, 2 to observe, not attached to 1: docker0"
    );
}

#[test]
fn agents() {
    let report = found(|facts| facts.agent = Agent::default());
    assert!(report.findings.iter().any(|finding| finding.case == Case::AgentAbsent));
    assert!(report.findings.iter().any(|finding| finding.case == Case::LossesNoAgent));
    let other = "netwatch_build_info{version=\"9.9.9\"} 1\n\
                 netwatch_interface_info{interface=\"x\"} 1\nnetwatch_map_entries 12\nnetwatch_map_max_entries 131072\n";
    let (case, message, _) = told(|facts| facts.agent.metrics = Scrape::of(other.into()));
    assert_eq!(case, Case::AgentOther);
    assert!(message.starts_with("one of version 9.9.9 runs, this is "), "{message}");
    assert_eq!(
        only(|facts| facts.agent.not_ready = Some("attaching".into())).message,
        "one runs that is not ready: attaching"
    );
    let report = found(|facts| facts.agent.metrics = None);
    assert_eq!(report.checks(Verdict::Degraded), ["losses"]);
    for (socket, case) in [
        (Socket::Forbidden("not permitted to open /s".into()), Case::AgentForbidden),
        (Socket::Strange("what listens at /s is no agent".into()), Case::AgentNotReady),
    ] {
        let report = found(|facts| {
            facts.agent = Agent { socket, ..Agent::default() };
        });
        assert!(report.findings.iter().any(|finding| finding.case == case), "{report:#?}");
        assert_eq!(report.verdict(), Verdict::Degraded);
    }
}

#[test]
fn a_full_ring_is_told_with_what_helps() {
    let finding = only(|facts| {
        facts.agent.metrics = Some(scrape(
            "netwatch_packet_outcomes_total{outcome=\"arp\"} 77\n\
             netwatch_packet_outcomes_total{outcome=\"flow-table-full\"} 5\n\
             netwatch_dns_messages_lost_total{reason=\"unreadable\"} 8\n\
             netwatch_dns_messages_lost_total{reason=\"ring-full\"} 3\n",
        ));
    });
    assert_eq!(finding.case, Case::LossesSome);
    assert_eq!(finding.message, "2 kinds since its start; flow table 12 of 131072");
    assert_eq!(
        finding.remedy.as_deref(),
        Some("raise --max-flows, or exclude what is not wanted (--exclude-net, --exclude-port)")
    );
    assert_eq!(
        finding.details,
        [
            "5 packets in no flow, because flow table and ring were full: raise --max-flows, or exclude what is not wanted (--exclude-net, --exclude-port)",
            "3 DNS messages, because their ring was full: lower --dns-rate, or give the agent more CPU",
        ]
    );
}

#[test]
fn addresses_and_clocks() {
    let listen = |listen: Listen| {
        told(|facts| facts.listen = vec![("127.0.0.1:1".parse().expect("an address"), listen)])
    };
    assert_eq!(listen(Listen::Free).0, Case::HttpFree);
    let (case, message, remedy) = listen(Listen::Refused("the port is in use; choose".into()));
    assert_eq!((case, &*message, remedy), (Case::HttpTaken, "the port is in use; choose", None));
    let clock = |goes_on, synchronised| {
        only(|facts| facts.clock = Clock { goes_on, synchronised, source: Some("hpet".into()) })
    };
    assert_eq!(clock(false, Some(true)).case, Case::ClockBroken);
    assert_eq!(clock(true, None).case, Case::ClockUnknown);
    assert_eq!(
        clock(true, Some(true)).message,
        "the wall clock is synchronised, clock source hpet"
    );
    let unsynchronised = clock(true, Some(false));
    assert_eq!(unsynchronised.case, Case::ClockUnsynchronised);
    assert_eq!(
        unsynchronised.remedy.as_deref(),
        Some("let the host's clock be set by NTP: apt-get install chrony")
    );
}

/// A result that no host has would be a line of the docs that lies.
#[test]
fn each_result_has_a_host_that_has_it() {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut note = |change: &dyn Fn(&mut Facts)| {
        let report = found(change);
        seen.extend(report.findings.iter().map(|finding| {
            Case::ALL.iter().find(|case| **case == finding.case).map_or("", |case| label(*case))
        }));
    };
    let hosts: [&dyn Fn(&mut Facts); 32] = [
        &|_| {},
        &|facts| facts.kernel.release = "5.4.0".into(),
        &|facts| facts.kernel.release = "odd".into(),
        &|facts| {
            facts.kernel.release = "5.4.0".into();
            facts.load = Err(refused(&DatapathError::NO_BTF));
        },
        &|facts| facts.kernel.config = None,
        &|facts| facts.kernel.config = Some(("/boot/config".into(), HashMap::new())),
        &|facts| without(facts, &["CONFIG_BPF_JIT"]),
        &|facts| facts.kernel.btf = Err("no".into()),
        &|facts| facts.kernel.lockdown = Some("confidentiality".into()),
        &|facts| facts.capabilities = Some(0),
        &|facts| facts.capabilities = Some(!(1 << 19)),
        &|facts| facts.capabilities = None,
        &|facts| facts.memory.group = Some(1),
        &|facts| (facts.kernel.release, facts.capabilities) = ("5.10".into(), Some(!(1 << 24))),
        &|facts| facts.load = Err(refused(&DatapathError::NO_BTF)),
        &|facts| {
            facts.load = Ok(Trial { features: vec![Feature::lacking("drops", "no")], map_bytes: 0 })
        },
        &|facts| facts.tcx = Ok(false),
        &|facts| facts.tcx = Err("no".into()),
        &|facts| (facts.tcx, facts.attach_mode) = (Ok(false), AttachMode::Tcx),
        &|facts| {
            let before = program("other", 1, Mechanism::Tcx);
            let chain = vec![before, ours(Hook::Ingress)];
            facts.links.as_mut().expect("links")[1].hooks =
                Ok(vec![(Hook::Ingress, chain), (Hook::Egress, Vec::new())]);
        },
        &|facts| facts.bpffs = false,
        &|facts| down(facts, "no", EngineSocket::Absent),
        &|facts| down(facts, "no", EngineSocket::Forbidden),
        &|facts| down(facts, "no", EngineSocket::Other),
        &|facts| facts.links = Ok(Vec::new()),
        &|facts| facts.links = Err("no".into()),
        &|facts| (facts.agent, facts.listen) = (Agent::default(), Vec::new()),
        &|facts| {
            facts.agent.metrics = Scrape::of(
                "netwatch_build_info{version=\"9\"} 1\nnetwatch_samples_lost_total 1\n".into(),
            );
        },
        &|facts| facts.agent = Agent { socket: Socket::Strange("no".into()), ..Agent::default() },
        &|facts| {
            facts.agent = Agent { socket: Socket::Forbidden("no".into()), ..Agent::default() };
            facts.listen =
                vec![("[::]:1".parse().expect("an address"), Listen::Refused("no".into()))];
            facts.clock.goes_on = false;
        },
        &|facts| (facts.agent.metrics, facts.clock.synchronised) = (None, None),
        &|facts| facts.clock.synchronised = Some(false),
    ];
    for host in hosts {
        note(host);
    }
    let never: Vec<&str> =
        Case::ALL.iter().map(|case| label(*case)).filter(|name| !seen.contains(name)).collect();
    assert!(never.is_empty(), "no host has {never:?}");
}

/// Check and result; leaked, since a test's strings live as long as it does.
fn label(case: Case) -> &'static str {
    format!("{} {}", case.check().name(), case.name()).leak()
}

#[test]
fn words_are_unique_and_remedies_fit_the_distribution() {
    let words: BTreeSet<&str> = Case::ALL.iter().map(|case| label(*case)).collect();
    assert_eq!(words.len(), Case::ALL.len());
    for case in Case::ALL.iter().filter(|case| case.verdict() != Verdict::Ok) {
        let says_itself = [Case::KernelUnknown, Case::CapabilitiesUnknown];
        let of_the_error =
            [Case::LoadRefused, Case::LoadsPartly, Case::HttpTaken, Case::LossesSome];
        assert!(
            case.advice().is_some() || says_itself.contains(case) || of_the_error.contains(case),
            "{case:?} has no remedy"
        );
    }
    for (distribution, expected) in [
        (Distribution::Debian, ": apt-get install chrony"),
        (Distribution::Ubuntu, ": apt-get install chrony"),
        (Distribution::Fedora, ": dnf install chrony && systemctl enable --now chronyd"),
        (
            Distribution::Alpine,
            ": apk add chrony && rc-update add chronyd && rc-service chronyd start",
        ),
        (Distribution::Other, ""),
    ] {
        assert_eq!(
            Advice::Clock.on(distribution),
            format!("let the host's clock be set by NTP{expected}")
        );
    }
}
