//! What comes through the rings: samples and DNS messages.

use std::sync::Arc;

use super::{
    core::Core,
    flow_log::{FlowLog, Line},
    naming,
};
use crate::{
    datapath,
    dns::{self, Vantage},
    identity::{Directory, Domains},
    model::{Clock, Endpoint, InterfaceKind, Sample, SampleEvent, SampledPacket},
};

impl Core {
    /// Takes up the samples and messages that have come. Each belongs to an interface that the directory may soon forget.
    pub(super) fn read_rings(&mut self) {
        let Self { datapath, directory, sizes, flow_log, log_samples, clock, dns, domains, .. } =
            self;
        datapath.read_samples(|sample| {
            if is_veth(directory, sample.ifindex) {
                sizes.add(&sample);
            }
            if *log_samples {
                tell(directory, flow_log, *clock, sample);
            }
        });
        datapath.read_messages(|message| {
            let heard = dns.hear(&message, is_veth(directory, message.ifindex));
            // At once: the flow that goes to the address begins as soon as the container has it.
            if let Some(heard) = heard.filter(|heard| heard.vantage == Vantage::Client) {
                learn(domains, heard);
            }
        });
    }

    /// Counts the messages that need not wait any longer, and tells of the look-ups that they end.
    pub(super) fn settle_messages(&mut self) {
        let Self { directory, dns, asking, timing, flow_log, clock, .. } = self;
        let now = datapath::monotonic_now();
        let heard = dns.settle(now, &mut |heard| client(directory, heard));
        asking.tell(&heard, now, directory, timing, flow_log, *clock);
    }

    /// The same for all of them. What has no answer yet may have one later, and is not told.
    pub(super) fn finish_messages(&mut self) {
        let Self { directory, dns, asking, timing, flow_log, clock, .. } = self;
        let heard = dns.finish(&mut |heard| client(directory, heard));
        asking.tell(&heard, datapath::monotonic_now(), directory, timing, flow_log, *clock);
    }
}

fn learn(domains: &mut Domains, heard: &dns::Heard) {
    let (ifindex, exchange, time) = (heard.ifindex, heard.exchange(), heard.time);
    match heard.answer() {
        Some((question, answer)) => {
            let name = question.name.as_str().into();
            domains.learn(ifindex, exchange, &name, &answer.addresses, time);
        }
        None => domains.ask(ifindex, exchange, time),
    }
}

fn is_veth(directory: &Directory, ifindex: u32) -> bool {
    directory.interface(ifindex).is_some_and(|link| link.kind == InterfaceKind::Veth)
}

fn tell(directory: &Directory, flow_log: &mut FlowLog, clock: Clock, sample: Sample) {
    let packet = datapath::ends(&sample).map(|ends| {
        let (source, destination) =
            naming::packet(directory, sample.ifindex, sample.side, ends.source, ends.destination);
        SampledPacket {
            protocol: ends.protocol,
            source: Endpoint { socket: ends.source, name: source },
            destination: Endpoint { socket: ends.destination, name: destination },
        }
    });
    let interface = directory.interface(sample.ifindex).map(|link| link.name.clone());
    let network = directory.network_of_interface(sample.ifindex);
    let event = SampleEvent { sample, interface, network, packet };
    flow_log.write(Line::Sample(Box::new(event)), clock);
}

/// The bounded name of the one who asks. `None` where a bridge flooded an answer to a port that it is not for.
fn client(directory: &Directory, heard: &dns::Heard) -> Option<Arc<str>> {
    let behind = (heard.vantage == Vantage::Client).then_some(heard.ifindex);
    if let Some(behind) = behind
        && let Some(here) = directory.container_of_interface(behind)
        && let Some(owner) = directory.container_of_address(heard.exchange().client.address)
        && owner.id != here.id
    {
        return None;
    }
    let name = directory.name(heard.exchange().client.address, behind).into_name();
    Some(Endpoint { socket: heard.exchange().client, name }.label().into())
}
