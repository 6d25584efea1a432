//! From facts to findings: pure.

mod agent;
mod host;
mod kernel;
mod traffic;

use super::{Case, Check, Finding, Report, facts::Facts};

/// One finding for each check, in their order.
pub(super) fn judge(facts: &Facts) -> Report {
    let findings = Check::ALL.iter().map(|check| {
        let finding = match check {
            Check::Kernel => kernel::release(&facts.kernel, facts.load.is_ok()),
            Check::Config => kernel::config(&facts.kernel),
            Check::Btf => kernel::btf(&facts.kernel),
            Check::Capabilities => kernel::capabilities(facts.capabilities, facts.is_root),
            Check::Lockdown => kernel::lockdown(&facts.kernel),
            Check::Memory => host::memory(facts),
            Check::Load => host::load(&facts.load),
            Check::Tc => traffic::tc(facts),
            Check::Sandbox => host::sandbox(&facts.sandbox),
            Check::Bpffs => host::bpffs(facts.pins.as_ref()),
            Check::Engine => host::engine(facts),
            Check::Conntrack => host::conntrack(&facts.conntrack),
            Check::Interfaces => traffic::interfaces(facts),
            Check::Agent => agent::agent(&facts.agent),
            Check::Losses => agent::losses(&facts.agent),
            Check::Http => agent::http(&facts.listen),
            Check::Clock => host::clock(&facts.clock),
        };
        advised(finding, facts)
    });
    Report { findings: findings.collect() }
}

/// What helps according to the table, unless the finding knows better.
fn advised(mut finding: Finding, facts: &Facts) -> Finding {
    if finding.remedy.is_none() {
        finding.remedy = finding.case.advice().map(|advice| advice.on(facts.distribution));
    }
    finding
}

/// `of them` by name, no more than fit a line.
fn names(all: &[&str]) -> String {
    const MOST: usize = 8;
    match all.len().checked_sub(MOST) {
        None | Some(0) => all.join(", "),
        Some(more) => format!("{} and {more} more", all[..MOST].join(", ")),
    }
}

/// `1 interface`, `2 interfaces`.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
