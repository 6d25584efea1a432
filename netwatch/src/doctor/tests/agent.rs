//! Engines, agents, what these have lost, and clocks.

use super::*;

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
    let listen = |listen: Listen| told(|facts| facts.listen = vec![("127.0.0.1:1".into(), listen)]);
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
