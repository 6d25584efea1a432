//! A host with `docker0`, veths on it, and containers that come and go. Times are in seconds.

use std::net::IpAddr;

use super::*;
use crate::{
    identity::{EngineEvent, LinkEvent},
    model::{Attachment, InterfaceKind},
};

pub(in crate::identity) const BRIDGE: u32 = 2;
pub(in crate::identity) const SUBNET: &str = "172.17.0.0";

pub(in crate::identity) fn at(seconds: u64) -> Instant {
    Instant(seconds * 1_000_000_000)
}

pub(in crate::identity) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(in crate::identity) fn mac(last: u8) -> Mac {
    Mac([2, 0x42, 0, 0, 0, last])
}

pub(in crate::identity) fn link(index: u32, kind: InterfaceKind, name: &str) -> Interface {
    Interface { index, name: name.to_owned(), kind, master: None, peer_namespace: None, mac: None }
}

pub(in crate::identity) fn veth(index: u32, namespace: i32) -> Interface {
    Interface {
        master: Some(BRIDGE),
        peer_namespace: Some(namespace),
        ..link(index, InterfaceKind::Veth, &format!("veth{index}"))
    }
}

pub(in crate::identity) fn container(name: &str, pid: i32, address: &str, last: u8) -> Container {
    let attachment = Attachment {
        network: "bridge".to_owned(),
        addresses: vec![ip(address)],
        mac: Some(mac(last)),
        ..Attachment::default()
    };
    Container {
        id: format!("id-of-{name}"),
        name: name.to_owned(),
        image: "image".to_owned(),
        project: None,
        service: None,
        attachments: vec![attachment],
        pid: Some(pid),
        namespace: None,
        host_network: false,
        shares_with: None,
        published: Vec::new(),
        shared_by: Vec::new(),
        source: Source::Engine,
    }
}

pub(in crate::identity) fn named(name: &str) -> Container {
    Container {
        id: name.to_owned(),
        attachments: Vec::new(),
        pid: None,
        source: Source::Namespace,
        ..container(name, 1, "0.0.0.0", 0)
    }
}

pub(in crate::identity) fn bridge_network() -> Network {
    Network {
        id: "0123456789abcdef".to_owned(),
        name: "bridge".to_owned(),
        driver: "bridge".to_owned(),
        bridge: Some("docker0".to_owned()),
        subnets: vec![(ip(SUBNET), 16)],
        gateways: vec![ip("172.17.0.1")],
    }
}

/// `docker0` and the host's addresses; no engine has spoken.
pub(in crate::identity) fn host() -> Directory {
    let mut directory = Directory::new();
    directory.set_interface(link(BRIDGE, InterfaceKind::Bridge, "docker0"), at(0));
    let address = |interface, text, prefix| HostAddress {
        interface,
        address: ip(text),
        prefix,
        broadcast: None,
    };
    directory
        .set_host_addresses(vec![address(BRIDGE, "172.17.0.1", 16), address(1, "192.0.2.10", 24)]);
    directory
}

/// The same with an engine, its default network and no container.
pub(in crate::identity) fn docker_host() -> Directory {
    let mut directory = host();
    let up =
        EngineEvent::Up { version: String::new(), api: String::new(), endpoint: String::new() };
    directory.apply_engine(&up, at(0));
    directory.apply_engine(&EngineEvent::Networks(vec![bridge_network()]), at(0));
    directory.apply_engine(&EngineEvent::Containers(Vec::new()), at(0));
    directory
}

/// A veth and, in its namespace, a running container.
pub(in crate::identity) fn start(
    directory: &mut Directory,
    index: u32,
    namespace: i32,
    container: Container,
    now: u64,
) {
    let pid = container.pid;
    directory.set_interface(veth(index, namespace), at(now));
    directory.apply_engine(&EngineEvent::Container(container), at(now));
    directory.place(|asked| (Some(asked) == pid).then_some(namespace));
}

pub(in crate::identity) fn stop(directory: &mut Directory, index: u32, name: &str, now: u64) {
    directory.apply_engine(&EngineEvent::Gone { id: format!("id-of-{name}") }, at(now));
    directory.apply_link(&LinkEvent::Gone { index, name: String::new() }, at(now));
}

pub(in crate::identity) fn label(
    directory: &Directory,
    address: &str,
    observed: Option<u32>,
) -> String {
    match directory.name(ip(address), observed) {
        Lookup::Known(Name::Container(container)) => container.name.clone(),
        other => format!("{other:?}"),
    }
}
