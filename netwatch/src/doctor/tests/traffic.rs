//! Interfaces, and who is attached to them.

use super::*;

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
    let (case, message, _) = told(|facts| facts.pins = Some(PinPlace::Foreign("/pins".into())));
    assert_eq!(case, Case::BpffsForeign);
    assert_eq!(message, "/pins: somebody else may write there");
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
