//! Interfaces, and who is attached to them.

use super::{
    super::facts::{Facts, Link, Selected},
    Case, Finding, count, names,
};
use crate::{
    agent::config::AttachMode,
    datapath::{Beside, Hook},
    metrics::catalogue::Metric,
};

/// Where somebody stands at a hook, as seen from our program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Behind,
    /// We are not there.
    Alone,
}

pub(super) fn tc(facts: &Facts) -> Finding {
    let has_tcx = match &facts.tcx {
        Ok(has_tcx) => *has_tcx,
        Err(why) => {
            return Finding::new(Case::TcUnknown, format!("who is attached is not told: {why}"));
        }
    };
    if facts.attach_mode == AttachMode::Tcx && !has_tcx {
        return Finding::new(
            Case::TcAbsent,
            "this kernel has no TCX, which --attach-mode asks for",
        );
    }
    let links = observed(facts);
    if let Some(why) = links.iter().find_map(|link| link.hooks.as_ref().err()) {
        return Finding::new(Case::TcUnknown, format!("who is attached is not told: {why}"));
    }
    let others: Vec<(Place, String)> = links.iter().flat_map(|link| others(link)).collect();
    let details: Vec<String> = others.iter().map(|(_, line)| line.clone()).collect();
    let before = others.iter().filter(|(place, _)| *place == Place::Before).count();
    let clsact = facts.attach_mode == AttachMode::Clsact || !has_tcx;
    let by = if clsact { "clsact" } else { "TCX" };
    let finding = if before > 0 {
        let who =
            if before == 1 { "a program runs".into() } else { format!("{before} programs run") };
        Finding::new(Case::TcBehind, format!("{by}; {who} before netwatch's"))
    } else {
        let rest = match others.len() {
            0 => "nobody else is attached".to_owned(),
            number => format!("{} of others", count(number, "program")),
        };
        Finding::new(if clsact { Case::TcClsact } else { Case::TcFirst }, format!("{by}; {rest}"))
    };
    finding.details(details)
}

/// The interfaces that are to be observed.
fn observed(facts: &Facts) -> Vec<&Link> {
    let links = facts.links.as_deref().unwrap_or_default();
    links.iter().filter(|link| link.selected == Selected::Yes).collect()
}

/// What others have at an interface, a line for each.
fn others(link: &Link) -> Vec<(Place, String)> {
    let hooks = link.hooks.as_deref().unwrap_or_default();
    hooks.iter().flat_map(|(hook, chain)| at_hook(link, *hook, chain)).collect()
}

fn at_hook(link: &Link, hook: Hook, chain: &[Beside]) -> Vec<(Place, String)> {
    let ours = chain.iter().position(Beside::is_ours);
    let all = chain.iter().enumerate().filter(|(_, beside)| !beside.is_ours());
    all.map(|(at, beside)| {
        let (place, word) = match ours {
            Some(ours) if at < ours => (Place::Before, ", before netwatch"),
            Some(_) => (Place::Behind, ", behind netwatch"),
            None => (Place::Alone, ""),
        };
        let id = beside.id.map(|id| format!(" (program {id})")).unwrap_or_default();
        let by = beside.mechanism.name();
        let at = format!("{} {}", link.name, hook.name());
        (place, format!("{at}: {}{id} by {by}{word}", beside.name))
    })
    .collect()
}

pub(super) fn interfaces(facts: &Facts) -> Finding {
    let links = match &facts.links {
        Ok(links) => links,
        Err(why) => return Finding::new(Case::InterfacesUnknown, why),
    };
    let of = |wanted: Selected| -> Vec<&str> {
        links.iter().filter(|link| link.selected == wanted).map(|link| link.name.as_str()).collect()
    };
    let wanted = of(Selected::Yes);
    let details = [
        (of(Selected::NotAsked), "not observed because of --interface or --exclude"),
        (of(Selected::NotOfContainers), "not observed, no veth or bridge of containers"),
    ];
    let details: Vec<String> = details
        .iter()
        .filter(|(all, _)| !all.is_empty())
        .map(|(all, why)| format!("{}: {why}", names(all)))
        .collect();
    if wanted.is_empty() {
        let message = format!("{} seen, none to observe", count(links.len(), "interface"));
        return Finding::new(Case::InterfacesNone, message).details(details);
    }
    let seen = count(links.len(), "interface");
    if !facts.agent.runs() {
        let message =
            format!("{seen} seen; netwatch run would observe {}: {}", wanted.len(), names(&wanted));
        return Finding::new(Case::InterfacesWaiting, message).details(details);
    }
    let missing: Vec<&str> = observed(facts)
        .iter()
        .filter(|link| !is_attached(facts, link))
        .map(|link| link.name.as_str())
        .collect();
    if missing.is_empty() {
        let message = format!("{seen} seen, attached to {}: {}", wanted.len(), names(&wanted));
        return Finding::new(Case::InterfacesAttached, message).details(details);
    }
    let message = format!(
        "{seen} seen, {} to observe, not attached to {}: {}",
        wanted.len(),
        missing.len(),
        names(&missing)
    );
    Finding::new(Case::InterfacesMissing, message).details(details)
}

/// By the kernel's word; by the agent's, where the kernel does not let us look.
fn is_attached(facts: &Facts, link: &Link) -> bool {
    match &link.hooks {
        Ok(hooks) => hooks.iter().all(|(_, chain)| chain.iter().any(Beside::is_ours)),
        Err(_) => facts.agent.metrics.as_ref().is_none_or(|scrape| {
            scrape.labels(Metric::InterfaceInfo, "interface").contains(&link.name.as_str())
        }),
    }
}
