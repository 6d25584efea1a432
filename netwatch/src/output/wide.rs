//! What the wide form of a line for people has besides.

use std::fmt::Write as _;

use super::{escape, passed_on};
use crate::model::FlowRecord;

/// Addresses, Ethernet addresses, images, interfaces and the number of the flow.
pub(super) fn flow(line: &mut String, flow: &FlowRecord) {
    let (client, server) = (&flow.client, &flow.server);
    let _ = write!(line, " client-addr={} server-addr={}", client.address(), server.address());
    passed_on::write_masquerade(line, flow);
    for (key, end) in [("client-mac", client), ("server-mac", server)] {
        if let Some(mac) = end.mac() {
            let _ = write!(line, " {key}={mac}");
        }
    }
    // Where a bridge or a router was in between, it is theirs.
    if let Some(mac) = flow.source_mac.filter(|mac| client.mac() != Some(*mac)) {
        let _ = write!(line, " source-mac={mac}");
    }
    for (key, end) in [("client-image", client), ("server-image", server)] {
        if let Some(container) = end.container().filter(|container| !container.image.is_empty()) {
            let _ = write!(line, " {key}={}", escape::value(&container.image));
        }
    }
    for (key, end) in [("client-shared-by", client), ("server-shared-by", server)] {
        if let Some(container) = end.container().filter(|one| !one.shared_by.is_empty()) {
            let names: Vec<_> =
                container.shared_by.iter().map(|name| escape::container(name)).collect();
            let _ = write!(line, " {key}={}", names.join(","));
        }
    }
    let interfaces: Vec<String> =
        flow.interface_names().iter().map(|name| escape::value(name)).collect();
    if !interfaces.is_empty() {
        let _ = write!(line, " interfaces={}", interfaces.join(","));
    }
    let _ = write!(line, " flow={}", flow.id);
}
