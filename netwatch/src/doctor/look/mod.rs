//! Collects facts. Changes nothing on the host: what it opens or loads it lets go of.

mod agent;
mod clock;
mod engine;
mod kernel;
mod links;
mod memory;

use std::{fs, slice};

use super::{
    distribution::Distribution,
    facts::{Facts, Listen, Refusal},
    scrape::Scrape,
};
use crate::{
    agent::config::Config,
    datapath::{self, DatapathError, Trial},
    identity::Conntrack,
    sandbox,
    serve::{self, Place},
};

/// Messages of the kernel's verifier fill pages.
const MOST_OF_A_MESSAGE: usize = 500;

/// Everything that there is to know here.
pub(super) async fn look(config: &Config) -> Facts {
    let (engine, networks) = engine::look(config.docker_host.as_deref()).await;
    let agent = agent::look(config).await;
    let load = load(config);
    let mut listen = Vec::new();
    // What systemd would hand over it does not hand to us.
    for place in config.listen.iter().filter(|place| **place != Place::Systemd) {
        listen.push((place.to_string(), listening(place, &config.telemetry_path).await));
    }
    Facts {
        distribution: Distribution::of(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
        kernel: kernel::look(),
        capabilities: datapath::effective(),
        is_root: rustix::process::geteuid().is_root(),
        memory: memory::look(load.as_ref().ok()),
        load,
        attach_mode: config.attach_mode,
        tcx: datapath::knows_tcx().map_err(|error| error.to_string()),
        sandbox: sandbox::means(),
        pins: config.pins.as_deref().map(datapath::pin_place),
        conntrack: Conntrack::attempt(),
        engine,
        links: links::look(&config.selection, networks).await,
        agent,
        listen,
        clock: clock::look(),
    }
}

fn load(config: &Config) -> Result<Trial, Refusal> {
    datapath::trial(&config.kernel_side())
        .map_err(|error| Refusal { message: described(&error), remedy: error.remedy() })
}

/// The whole cause, in so many words as a line has room for.
fn described(error: &DatapathError) -> String {
    let text = error.to_string();
    match text.char_indices().nth(MOST_OF_A_MESSAGE) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

/// Whether an agent could listen there. Asked first, so that nothing of ours is in an agent's way.
async fn listening(place: &Place, path: &str) -> Listen {
    match serve::ask(place, path).await {
        Ok((200, text)) if Scrape::of(text.clone()).is_some() => return Listen::Ours,
        Ok((status, text)) if serve::is_locked(status, &text) => return Listen::Ours,
        _ => {}
    }
    match serve::bind(slice::from_ref(place)).await {
        Ok(_) => Listen::Free,
        Err(error) => Listen::Refused(error.to_string()),
    }
}
