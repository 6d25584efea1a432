//! How a connection was passed on to its server, or whom a published port leads to, for the JSON record and the line for people.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Behind, FlowRecord, Socket, Translation, Translator};

const TRANSLATORS: [Translator; 2] = [Translator::Kernel, Translator::Proxy];

/// The container that a published port of the host leads to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Behind")]
pub(super) struct BehindView<'a> {
    /// its name
    name: &'a str,
    /// its full identifier
    container_id: &'a str,
    /// its port
    port: u16,
}

/// Where the client called, and who passed it on from there.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Via")]
pub(super) struct ViaView {
    /// the address that the client called
    address: IpAddr,
    /// the port that it called; left out for protocols that have none
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// `nat`: the kernel rewrites the addresses; `proxy`: a process, as docker-proxy, takes the connection and makes another one to the server
    #[schemars(extend("enum" = TRANSLATORS.map(Translator::name)))]
    by: &'static str,
}

/// As whom the client appears to the server.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Masquerade")]
pub(super) struct MasqueradeView {
    /// its address there
    address: IpAddr,
    /// its port there; left out for protocols that have none
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

pub(super) fn behind(flow: &FlowRecord) -> Option<BehindView<'_>> {
    let Behind { name, container_id, port } = flow.behind.as_ref()?;
    Some(BehindView { name, container_id, port: *port })
}

pub(super) fn via(flow: &FlowRecord) -> Option<ViaView> {
    let known = flow.translation.as_ref()?;
    let Socket { address, port } = known.via()?;
    let port = flow.protocol.has_ports().then_some(port);
    Some(ViaView { address, port, by: known.by.name() })
}

pub(super) fn masquerade(flow: &FlowRecord) -> Option<MasqueradeView> {
    let Socket { address, port } = flow.translation.as_ref()?.mask()?;
    Some(MasqueradeView { address, port: flow.protocol.has_ports().then_some(port) })
}

/// ` via=172.17.0.1:8080`, or with `/proxy` where the kernel did not pass it on by itself.
pub(super) fn write_via(line: &mut String, flow: &FlowRecord) {
    let Some(known) = &flow.translation else { return };
    let Some(called) = known.via() else { return };
    let _ = write!(line, " via={}", socket(flow, called));
    if known.by != Translator::Kernel {
        let _ = write!(line, "/{}", known.by.name());
    }
}

/// ` masquerade=172.17.0.1:40112`.
pub(super) fn write_masquerade(line: &mut String, flow: &FlowRecord) {
    if let Some(mask) = flow.translation.as_ref().and_then(Translation::mask) {
        let _ = write!(line, " masquerade={}", socket(flow, mask));
    }
}

fn socket(flow: &FlowRecord, Socket { address, port }: Socket) -> String {
    if flow.protocol.has_ports() {
        SocketAddr::new(address, port).to_string()
    } else {
        address.to_string()
    }
}
