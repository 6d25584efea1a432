//! The engine's answers → the model. What is missing or garbled is left out; nothing here fails.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
};

use bollard::models::{
    ContainerInspectResponse, ContainerSummary, EndpointResource, EndpointSettings, Ipam,
    Network as EngineNetwork, PortBinding, PortMap,
};

use crate::{
    identity::Network,
    model::{Attachment, Container, Mac, Protocol, PublishedPort, Socket, Source},
};

/// Bytes that are kept of a name, image or label that the engine hands out.
pub const MAX_NAME: usize = 255;

const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";

/// At most [`MAX_NAME`] bytes, cut between characters.
pub(super) fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_NAME)].to_owned()
}

/// A container that nothing is known of but its identifier and name.
pub(super) fn stub(id: &str, name: &str) -> Container {
    Container {
        id: bounded(id),
        name: bounded(name.trim_start_matches('/')),
        image: String::new(),
        project: None,
        service: None,
        attachments: Vec::new(),
        pid: None,
        namespace: None,
        host_network: false,
        shares_with: None,
        published: Vec::new(),
        shared_by: Vec::new(),
        source: Source::Engine,
    }
}

/// What the list of containers says: all but the process. `shares_with` holds the identifier still.
pub(super) fn from_summary(summary: &ContainerSummary) -> Option<Container> {
    let name = summary
        .names
        .as_ref()
        .and_then(|names| names.iter().min_by_key(|name| name.matches('/').count()));
    let mut container = stub(summary.id.as_deref()?, name.map_or("", String::as_str));
    container.image = bounded(summary.image.as_deref().unwrap_or_default());
    labels(&mut container, summary.labels.as_ref());
    let mode = summary.host_config.as_ref().and_then(|config| config.network_mode.as_deref());
    network_mode(&mut container, mode);
    container.attachments = attachments(
        summary.network_settings.as_ref().and_then(|settings| settings.networks.as_ref()),
    );
    Some(container)
}

/// What an inspection says. `shares_with` holds the identifier still.
pub(super) fn from_inspection(inspected: &ContainerInspectResponse) -> Option<Container> {
    let mut container =
        stub(inspected.id.as_deref()?, inspected.name.as_deref().unwrap_or_default());
    if let Some(config) = &inspected.config {
        container.image = bounded(config.image.as_deref().unwrap_or_default());
        labels(&mut container, config.labels.as_ref());
    }
    network_mode(
        &mut container,
        inspected.host_config.as_ref().and_then(|config| config.network_mode.as_deref()),
    );
    container.attachments = attachments(
        inspected.network_settings.as_ref().and_then(|settings| settings.networks.as_ref()),
    );
    container.published =
        published(inspected.network_settings.as_ref().and_then(|settings| settings.ports.as_ref()));
    container.pid = pid(inspected);
    let key =
        inspected.network_settings.as_ref().and_then(|settings| settings.sandbox_key.as_ref());
    // Empty in one that does not run.
    container.namespace = key.filter(|key| key.starts_with('/')).map(|key| bounded(key).into());
    Some(container)
}

/// The container's first process, while it runs.
pub(super) fn pid(inspected: &ContainerInspectResponse) -> Option<i32> {
    let state = inspected.state.as_ref()?;
    let pid = i32::try_from(state.pid?).ok()?;
    (state.running == Some(true) && pid > 0).then_some(pid)
}

/// A network of the engine.
pub(super) fn network(described: &EngineNetwork) -> Option<Network> {
    let id = described.id.clone()?;
    let driver = described.driver.clone().unwrap_or_default();
    let named = described
        .options
        .as_ref()
        .and_then(|options| options.get(BRIDGE_NAME))
        .filter(|name| !name.is_empty());
    let bridge = (driver == "bridge").then(|| match named {
        Some(name) => bounded(name),
        None => format!("br-{}", id.get(..12).unwrap_or(&id)),
    });
    let (subnets, gateways) = addressing(described.ipam.as_ref());
    let name = bounded(described.name.as_deref().unwrap_or_default());
    Some(Network { id, name, driver, bridge, subnets, gateways })
}

/// A container's place in a network as the network tells it.
pub(super) fn attachment(
    network: &str,
    network_id: &str,
    resource: &EndpointResource,
) -> Attachment {
    let texts = [&resource.ipv4_address, &resource.ipv6_address];
    Attachment {
        network: bounded(network),
        network_id: bounded(network_id),
        addresses: texts.into_iter().flatten().filter_map(|text| Some(subnet(text)?.0)).collect(),
        mac: mac(resource.mac_address.as_deref()),
    }
}

/// What an event says of its container: enough for a name where nothing better is to be had.
pub(super) fn from_event(id: &str, attributes: &HashMap<String, String>) -> Container {
    let mut container = stub(id, attributes.get("name").map_or("", String::as_str));
    container.image = attributes.get("image").map(|image| bounded(image)).unwrap_or_default();
    labels(&mut container, Some(attributes));
    container
}

/// The new name of a container that the event renames.
pub(super) fn rename(container: &mut Container, attributes: &HashMap<String, String>) {
    if let Some(name) = attributes.get("name").map(|name| name.trim_start_matches('/')) {
        container.name = bounded(name);
    }
}

fn labels(container: &mut Container, labels: Option<&HashMap<String, String>>) {
    let label = |name| Some(bounded(labels?.get(name)?)).filter(|value| !value.is_empty());
    container.project = label(PROJECT);
    container.service = label(SERVICE);
}

fn network_mode(container: &mut Container, mode: Option<&str>) {
    container.host_network = mode == Some("host");
    container.shares_with = mode.and_then(|mode| mode.strip_prefix("container:")).map(bounded);
}

fn attachments(networks: Option<&HashMap<String, EndpointSettings>>) -> Vec<Attachment> {
    let mut attachments: Vec<_> = networks
        .into_iter()
        .flatten()
        .map(|(name, endpoint)| Attachment {
            network: bounded(name),
            network_id: bounded(endpoint.network_id.as_deref().unwrap_or_default()),
            addresses: [&endpoint.ip_address, &endpoint.global_ipv6_address]
                .into_iter()
                .flatten()
                .filter_map(|text| text.parse().ok())
                .collect(),
            mac: mac(endpoint.mac_address.as_deref()),
        })
        .collect();
    attachments.sort_by(|one, other| one.network.cmp(&other.network));
    attachments
}

/// In one order, so that two inspections of the same container are equal.
fn published(ports: Option<&PortMap>) -> Vec<PublishedPort> {
    let mut published: Vec<_> = ports
        .into_iter()
        .flatten()
        .filter_map(|(port, bindings)| Some((port, bindings.as_ref()?)))
        .flat_map(|(port, bindings)| bindings.iter().filter_map(|one| binding(port, one)))
        .collect();
    published.sort_by_key(|port| (port.host, port.protocol));
    published
}

/// `80/tcp` and where the host takes connections for it. Some engines write no address for all of IPv4.
fn binding(port: &str, binding: &PortBinding) -> Option<PublishedPort> {
    let (port, protocol) = port.split_once('/')?;
    let protocol: Protocol = protocol.parse().ok().filter(|known: &Protocol| known.has_ports())?;
    let address = match binding.host_ip.as_deref().unwrap_or_default() {
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        text => text.parse().ok()?,
    };
    let host = Socket { address, port: binding.host_port.as_deref()?.parse().ok()? };
    let port = port.parse().ok()?;
    (host.port != 0 && port != 0).then_some(PublishedPort { host, port, protocol })
}

/// Engines write nothing, or zeros, for an address that there is not yet.
fn mac(text: Option<&str>) -> Option<Mac> {
    text?.parse().ok().filter(|mac| *mac != Mac::default())
}

fn addressing(ipam: Option<&Ipam>) -> (Vec<(IpAddr, u8)>, Vec<IpAddr>) {
    let configs = || ipam.and_then(|ipam| ipam.config.as_ref()).into_iter().flatten();
    let subnets = configs().filter_map(|config| subnet(config.subnet.as_deref()?)).collect();
    // Some engines write the gateway with its prefix.
    let gateways =
        configs().filter_map(|config| Some(subnet(config.gateway.as_deref()?)?.0)).collect();
    (subnets, gateways)
}

/// `address/prefix`, or an address alone.
fn subnet(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) =
        text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
    (prefix <= longest).then_some((address, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(bounded("web"), "web");
        let long = format!("{}é", "x".repeat(MAX_NAME - 1));
        assert_eq!(bounded(&long).len(), MAX_NAME - 1);
    }

    #[test]
    fn subnets_are_read_or_left_out() {
        assert_eq!(subnet("172.17.0.0/16"), Some(("172.17.0.0".parse().unwrap(), 16)));
        assert_eq!(subnet("fd00::1"), Some(("fd00::1".parse().unwrap(), 128)));
        for garbage in ["", "172.17.0.0/33", "172.17.0.0/", "/16", "x/8"] {
            assert_eq!(subnet(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn published_ports_are_read_or_left_out() {
        let bound = |address: Option<&str>, port: &str| PortBinding {
            host_ip: address.map(str::to_owned),
            host_port: Some(port.to_owned()),
        };
        let ports = PortMap::from([
            ("80/tcp".to_owned(), Some(vec![bound(Some("::"), "8080"), bound(Some(""), "8080")])),
            ("53/udp".to_owned(), Some(vec![bound(Some("127.0.0.1"), "5353")])),
            ("443/tcp".to_owned(), None),
            ("81/tcp".to_owned(), Some(vec![bound(None, ""), bound(None, "0")])),
            ("82/tcp".to_owned(), Some(vec![bound(Some("x"), "82"), bound(None, "65536")])),
            ("83/icmp".to_owned(), Some(vec![bound(None, "83")])),
            ("0/tcp".to_owned(), Some(vec![bound(None, "84")])),
            ("85".to_owned(), Some(vec![bound(None, "85")])),
        ]);
        let port = |address: &str, host, port, protocol| PublishedPort {
            host: Socket { address: address.parse().unwrap(), port: host },
            port,
            protocol,
        };
        assert_eq!(
            published(Some(&ports)),
            [
                port("0.0.0.0", 8080, 80, Protocol::TCP),
                port("127.0.0.1", 5353, 53, Protocol::UDP),
                port("::", 8080, 80, Protocol::TCP),
            ]
        );
        assert_eq!(published(None), []);
    }

    #[test]
    fn a_bridge_is_named_by_option_or_identifier() {
        let mut described = EngineNetwork {
            id: Some("799426d70aa2ffff".to_owned()),
            name: Some("shop_default".to_owned()),
            driver: Some("bridge".to_owned()),
            ..EngineNetwork::default()
        };
        assert_eq!(network(&described).unwrap().bridge.as_deref(), Some("br-799426d70aa2"));
        described.options = Some(HashMap::from([(BRIDGE_NAME.to_owned(), "docker0".to_owned())]));
        assert_eq!(network(&described).unwrap().bridge.as_deref(), Some("docker0"));
        described.driver = Some("macvlan".to_owned());
        assert_eq!(network(&described).unwrap().bridge, None);
    }
}
