//! What happened to a container, from its line.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use serde::Deserialize;

use super::{Record, clock, parts};
use crate::model::{
    Appearance, Attachment, Change, Clock, Container, Instant, LifeEvent, Source, Unseen,
};

#[derive(Deserialize)]
pub(super) struct LifeLine {
    #[serde(deserialize_with = "parts::time")]
    time: Timestamp,
    change: String,
    container: ContainerRecord,
    before: Option<ContainerRecord>,
    network: Option<String>,
    reason: Option<String>,
    exit_code: Option<i64>,
    replicas: Option<usize>,
}

#[derive(Deserialize)]
struct ContainerRecord {
    name: String,
    id: String,
    #[serde(default)]
    image: String,
    project: Option<String>,
    service: Option<String>,
    #[serde(default)]
    networks: Vec<PlaceRecord>,
    #[serde(default)]
    interfaces: Vec<String>,
    shares_with: Option<String>,
    #[serde(default)]
    shared_by: Vec<String>,
}

#[derive(Deserialize)]
struct PlaceRecord {
    name: String,
    #[serde(default)]
    addresses: Vec<IpAddr>,
}

impl LifeLine {
    pub(super) fn event(self) -> Result<(Record, Clock), String> {
        let change = Change::ALL.into_iter().find(|change| change.name() == self.change);
        let unseen = self
            .reason
            .as_deref()
            .and_then(|word| Unseen::ALL.into_iter().find(|reason| reason.name() == word));
        let event = LifeEvent {
            time: Instant(0),
            change: change
                .ok_or_else(|| format!("'{}' is no known change", self.change.escape_debug()))?,
            now: self.container.appearance(),
            before: self.before.map(ContainerRecord::appearance),
            network: self.network.map(Into::into),
            exit: self.exit_code,
            replicas: self.replicas,
            unseen,
        };
        Ok((Record::Life(Box::new(event)), clock(self.time)))
    }
}

impl ContainerRecord {
    fn appearance(self) -> Appearance {
        let place = |place: PlaceRecord| Attachment {
            network: place.name,
            addresses: place.addresses,
            ..Attachment::default()
        };
        let container = Container {
            id: self.id,
            name: self.name,
            image: self.image,
            project: self.project,
            service: self.service,
            attachments: self.networks.into_iter().map(place).collect(),
            pid: None,
            namespace: None,
            host_network: false,
            shares_with: self.shares_with,
            published: Vec::new(),
            shared_by: self.shared_by,
            source: Source::Engine,
        };
        Appearance { container: Arc::new(container), veths: self.interfaces }
    }
}
