//! The interfaces, which of them are to be observed, and who is attached to these.

use std::{io, time::Duration};

use tokio::{sync::mpsc, time::timeout};

use super::super::facts::{Link, Selected};
use crate::{
    agent::config::Selection,
    datapath::{Beside, Hook, hooked, monotonic_now},
    identity::{Directory, EngineEvent, LinkEvent, LinkMonitor, Network},
    model::Interface,
};

const PATIENCE: Duration = Duration::from_secs(5);
const EVENTS: usize = 64;

pub(super) async fn look(
    selection: &Selection,
    networks: Vec<Network>,
) -> Result<Vec<Link>, String> {
    let (events, mut told) = mpsc::channel(EVENTS);
    let _monitor = LinkMonitor::spawn(events).map_err(|error| error.to_string())?;
    let first = async {
        loop {
            match told.recv().await {
                Some(LinkEvent::Failed(why)) => return Err(why),
                Some(LinkEvent::Snapshot(links)) => return Ok(links),
                Some(_) => {}
                None => return Err("the kernel tells nothing of its interfaces".to_owned()),
            }
        }
    };
    let silence = || Err("the kernel does not list its interfaces".to_owned());
    let links = timeout(PATIENCE, first).await.unwrap_or_else(|_| silence())?;
    let mut directory = Directory::new();
    directory.apply_engine(&EngineEvent::Networks(networks), monotonic_now());
    let all = links.iter().map(|(interface, _)| {
        let engine = directory.is_engine_bridge(&interface.name);
        let selected = selected(selection, interface, engine);
        let hooks = if selected == Selected::Yes { hooks(interface) } else { Ok(Vec::new()) };
        Link { name: interface.name.clone(), selected, hooks }
    });
    let mut all: Vec<Link> = all.collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// As the agent decides, and why not.
fn selected(selection: &Selection, interface: &Interface, engine_bridge: bool) -> Selected {
    if selection.selects(interface, engine_bridge) {
        Selected::Yes
    } else if Selection::default().selects(interface, engine_bridge) {
        Selected::NotAsked
    } else {
        Selected::NotOfContainers
    }
}

fn hooks(interface: &Interface) -> Result<Vec<(Hook, Vec<Beside>)>, String> {
    Hook::ALL
        .into_iter()
        .map(|hook| Ok((hook, hooked(&interface.name, interface.index, hook)?)))
        .collect::<io::Result<_>>()
        .map_err(|error| error.to_string())
}
