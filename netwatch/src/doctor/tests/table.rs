//! The table of results: each can be had, and has a remedy.

use super::*;

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
    let hosts: [&dyn Fn(&mut Facts); 36] = [
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
        &|facts| facts.capabilities = Some(!(1 << 1)),
        &|facts| facts.capabilities = None,
        &|facts| facts.memory.group = Some(1),
        &|facts| (facts.kernel.release, facts.capabilities) = ("5.10".into(), Some(!(1 << 24))),
        &|facts| facts.load = Err(refused(&DatapathError::NO_BTF)),
        &|facts| {
            let features = vec![Feature::lacking("drops", "no")];
            facts.load = Ok(Trial { features, map_bytes: 0 });
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
        &|facts| facts.sandbox[0] = Feature::lacking("landlock", "no"),
        &|facts| facts.pins = None,
        &|facts| facts.pins = Some(PinPlace::NotMounted("/p".into())),
        &|facts| facts.pins = Some(PinPlace::Foreign("/p".into())),
        &|facts| facts.conntrack = Err("no".into()),
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
            facts.listen = vec![("[::]:1".into(), Listen::Refused("no".into()))];
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
