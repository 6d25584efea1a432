//! Lives of containers, told as stories. Times are in seconds.

use super::*;
use crate::{
    identity::{EngineEvent, Network, directory::testbed::*},
    model::{Attachment, Unseen, WallTime},
};

/// A directory and the chronicle, told of everything in the order in which the agent is.
#[derive(Default)]
struct Story {
    directory: Directory,
    chronicle: Chronicle,
}

impl Story {
    fn new() -> Self {
        let mut story = Self { directory: docker_host(), chronicle: Chronicle::default() };
        assert_eq!(story.list(&[], 0), [""; 0]);
        story
    }

    fn list(&mut self, containers: &[Container], now: u64) -> Vec<String> {
        self.directory.apply_engine(&EngineEvent::Containers(containers.to_vec()), at(now));
        self.chronicle.list(containers, at(now));
        self.settle(now)
    }

    fn happened(&mut self, container: &Container, what: What, now: u64) -> Vec<String> {
        let container = container.clone();
        let happening = Happening { at: Some(WallTime(0)), before: None, container, what };
        self.chronicle.happened(&happening, &self.directory, at(now), at(now));
        self.settle(now)
    }

    /// Process, veth and addresses of one that has started.
    fn placed(&mut self, container: &Container, veth: u32, now: u64) -> Vec<String> {
        start(&mut self.directory, veth, i32::try_from(veth).unwrap(), container.clone(), now);
        self.settle(now)
    }

    fn stopped(&mut self, container: &Container, veth: u32, exit: i64, now: u64) -> Vec<String> {
        let told = self.happened(container, What::Died(Some(exit)), now);
        stop(&mut self.directory, veth, &container.name, now);
        told
    }

    fn settle(&mut self, now: u64) -> Vec<String> {
        self.chronicle.settle(&self.directory, at(now)).iter().map(told).collect()
    }
}

fn seen(one: &Appearance) -> String {
    let places = one.container.attachments.iter().flat_map(|place| &place.addresses);
    let addresses: Vec<_> = places.map(ToString::to_string).collect();
    format!("{}/{}/{}", one.container.id, one.veths.join("+"), addresses.join("+"))
}

/// `1s web restarted id/veth/address<id/veth/address`, and what else there is.
fn told(event: &LifeEvent) -> String {
    let mut text = format!(
        "{}s {} {} {}",
        event.time.0 / 1_000_000_000,
        event.now.container.name,
        event.change.name(),
        seen(&event.now)
    );
    let before = event.before.as_ref().map(|before| format!("<{}", seen(before)));
    let network = event.network.as_ref().map(|network| format!(" net={network}"));
    let unseen = event.unseen.map(|unseen| format!(" reason={}", unseen.name()));
    let exit = event.exit.map(|exit| format!(" exit={exit}"));
    let replicas = event.replicas.map(|replicas| format!(" replicas={replicas}"));
    text.extend([before, network, unseen, exit, replicas].into_iter().flatten());
    text
}

/// As an event knows it.
fn stub(container: &Container) -> Container {
    Container { pid: None, attachments: Vec::new(), ..container.clone() }
}

fn web() -> Container {
    container("web", 70, "172.17.0.2", 2)
}

#[test]
fn a_start_waits_for_veth_and_address_and_a_death_for_nothing() {
    let mut story = Story::new();
    assert_eq!(story.happened(&stub(&web()), What::Started, 1), [""; 0]);
    assert_eq!(story.placed(&web(), 7, 1), ["1s web started id-of-web/veth7/172.17.0.2"]);
    assert_eq!(
        story.stopped(&web(), 7, 137, 2),
        ["2s web died id-of-web/veth7/172.17.0.2 exit=137"]
    );
    assert_eq!(story.happened(&web(), What::Removed, 3), [""; 0], "it had died");
}

#[test]
fn a_restart_tells_old_and_new() {
    let mut story = Story::new();
    story.happened(&stub(&web()), What::Started, 1);
    story.placed(&web(), 7, 1);
    story.stopped(&web(), 7, 0, 2);
    assert_eq!(story.happened(&stub(&web()), What::Started, 3), [""; 0]);
    let again = container("web", 71, "172.17.0.5", 5);
    let expected = "3s web restarted id-of-web/veth9/172.17.0.5<id-of-web/veth7/172.17.0.2";
    assert_eq!(story.placed(&again, 9, 3), [expected]);
}

#[test]
fn another_under_the_same_name_is_a_recreation() {
    let mut story = Story::new();
    story.happened(&stub(&web()), What::Started, 1);
    story.placed(&web(), 7, 1);
    story.stopped(&web(), 7, 137, 2);
    story.happened(&web(), What::Removed, 2);
    let other = Container { id: "other".to_owned(), pid: Some(80), ..web() };
    story.happened(&stub(&other), What::Started, 2);
    let expected = "2s web recreated other/veth9/172.17.0.2<id-of-web/veth7/172.17.0.2";
    assert_eq!(story.placed(&other, 9, 2), [expected]);
}

#[test]
fn one_that_dies_before_anything_is_known_has_both_lines() {
    let mut story = Story::new();
    story.happened(&stub(&web()), What::Started, 1);
    let expected = ["1s web started id-of-web//", "2s web died id-of-web// exit=0"];
    assert_eq!(story.happened(&stub(&web()), What::Died(Some(0)), 2), expected);
}

#[test]
fn patience_has_an_end() {
    let mut story = Story::new();
    story.happened(&stub(&web()), What::Started, 1);
    assert_eq!(story.settle(2), ["1s web started id-of-web//"]);
}

#[test]
fn a_rename_has_both_names_and_a_pause_both_ends() {
    let mut story = Story::new();
    story.happened(&stub(&web()), What::Started, 1);
    story.placed(&web(), 7, 1);
    let shop = Container { name: "shop".to_owned(), ..web() };
    let now = "id-of-web/veth7/172.17.0.2";
    assert_eq!(story.happened(&shop, What::Renamed, 2), [format!("2s shop renamed {now}<{now}")]);
    assert_eq!(story.happened(&shop, What::Renamed, 2), [""; 0]);
    assert_eq!(story.happened(&shop, What::Paused, 3), [format!("3s shop paused {now}")]);
    assert_eq!(story.happened(&shop, What::Unpaused, 4), [format!("4s shop unpaused {now}")]);
}

#[test]
fn networks_count_while_it_runs() {
    let mut story = Story::new();
    let front = || What::Connected("f00d".to_owned());
    assert_eq!(story.happened(&stub(&web()), front(), 1), [""; 0], "part of the start");
    story.happened(&stub(&web()), What::Started, 1);
    story.placed(&web(), 7, 1);
    assert_eq!(story.happened(&web(), front(), 2), [""; 0]);
    let mut both = web();
    both.attachments.push(Attachment {
        network: "front".to_owned(),
        network_id: "f00d".to_owned(),
        addresses: vec![ip("172.18.0.2")],
        mac: None,
    });
    let mut second = veth(8, 7);
    second.master = None;
    story.directory.set_interface(second, at(2));
    story.directory.apply_engine(&EngineEvent::Container(both.clone()), at(2));
    let seen = "id-of-web/veth7+veth8/172.17.0.2+172.18.0.2";
    assert_eq!(story.settle(2), [format!("2s web connected {seen} net=front")]);
    let told = story.happened(&both, What::Disconnected("bridge".to_owned()), 3);
    assert_eq!(told, [format!("3s web disconnected {seen} net=bridge")]);
    let told = story.happened(&both, What::Disconnected("bridge".to_owned()), 3);
    assert_eq!(told, [""; 0], "Docker says it twice");
    for (what, word) in [
        (What::Connected("bridge".to_owned()), "connected"),
        (What::Disconnected("bridge".to_owned()), "disconnected"),
    ] {
        let told = story.happened(&both, what, 3);
        assert_eq!(told, [format!("3s web {word} {seen} net=bridge")]);
    }
    story.stopped(&web(), 7, 0, 4);
    assert_eq!(story.happened(&web(), What::Disconnected("front".to_owned()), 4), [""; 0]);
}

#[test]
fn a_scaled_service_says_how_many_run() {
    let mut story = Story::new();
    let replica = |number: u8| Container {
        project: Some("shop".to_owned()),
        service: Some("web".to_owned()),
        ..container(
            &format!("web-{number}"),
            i32::from(number),
            &format!("172.17.0.{number}"),
            number,
        )
    };
    for number in 2..=3 {
        story.happened(&stub(&replica(number)), What::Started, 1);
        let told = story.placed(&replica(number), number.into(), 1);
        assert!(told[0].ends_with(&format!(" replicas={}", number - 1)), "{told:?}");
    }
    let told = story.stopped(&replica(2), 2, 0, 2);
    assert!(told[0].ends_with(" exit=0 replicas=1"), "{told:?}");
}

#[test]
fn what_runs_already_is_silent_and_what_came_while_the_engine_was_away_is_not() {
    let mut story = Story { directory: docker_host(), ..Story::default() };
    story.directory.set_interface(veth(7, 7), at(0));
    assert_eq!(story.list(&[web()], 0), [""; 0]);
    story.directory.place(|_| Some(7));
    assert_eq!(story.settle(0), [""; 0]);
    let cli = container("cli", 90, "172.17.0.3", 3);
    story.directory.remove_interface(7, at(4));
    let told = story.list(std::slice::from_ref(&cli), 5);
    assert_eq!(told, ["5s web died id-of-web/veth7/172.17.0.2"]);
    assert_eq!(story.placed(&cli, 9, 5), ["5s cli started id-of-cli/veth9/172.17.0.3"]);
    assert_eq!(story.list(&[cli], 6), [""; 0]);
    let again = Container { pid: Some(71), ..web() };
    let both = [container("cli", 90, "172.17.0.3", 3), again.clone()];
    assert_eq!(story.list(&both, 7), [""; 0]);
    let told = story.placed(&again, 11, 7);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("7s web restarted id-of-web/"), "{told:?}");
}

#[test]
fn what_ended_and_was_removed_while_the_engine_was_away_has_its_successor() {
    let mut story = Story::new();
    story.happened(&stub(&web()), What::Started, 1);
    story.placed(&web(), 7, 1);
    story.stopped(&web(), 7, 137, 2);
    assert_eq!(story.list(&[], 3), [""; 0]);
    assert!(story.chronicle.lives.is_empty());
    let second = Container { id: "second".to_owned(), pid: Some(80), ..web() };
    story.happened(&stub(&second), What::Started, 4);
    let expected = "4s web recreated second/veth9/172.17.0.2<id-of-web/veth7/172.17.0.2";
    assert_eq!(story.placed(&second, 9, 4), [expected]);
    // One that is only stopped is the same one when it starts again.
    stop(&mut story.directory, 9, "web", 5);
    story.happened(&second, What::Died(Some(0)), 5);
    story.list(&[], 6);
    story.happened(&stub(&second), What::Started, 7);
    let told = story.placed(&second, 11, 7);
    assert!(told[0].starts_with("7s web restarted second/"), "{told:?}");
}

#[test]
fn of_two_that_a_list_misses_under_one_name_the_one_that_ran_is_the_latest() {
    let mut story = Story::new();
    for (id, veth) in [("zz-first", 7), ("aa-second", 9)] {
        let one = Container { id: id.to_owned(), ..web() };
        story.happened(&stub(&one), What::Started, 1);
        story.placed(&one, veth, 1);
        if id == "zz-first" {
            story.happened(&one, What::Died(Some(0)), 1);
        }
    }
    story.list(&[], 2);
    let gone = story.chronicle.gone.iter().map(|gone| gone.container.id.as_str());
    assert_eq!(gone.collect::<Vec<_>>(), ["zz-first", "aa-second"]);
}

#[test]
fn what_cannot_be_seen_is_told_once_with_the_reason() {
    let mut story = Story::new();
    let network = |name: &str, driver: &str| Network {
        id: format!("id-{name}"),
        name: name.to_owned(),
        driver: driver.to_owned(),
        ..Network::default()
    };
    story.directory.set_networks(vec![
        bridge_network(),
        network("lan", "macvlan"),
        network("vlan", "ipvlan"),
        network("swarm", "overlay"),
        network("none", "null"),
    ]);
    let on = |name: &str, networks: &[&str]| Container {
        attachments: networks
            .iter()
            .map(|network| Attachment { network: (*network).to_owned(), ..Attachment::default() })
            .collect(),
        ..container(name, 70, "0.0.0.0", 0)
    };
    let host = Container { host_network: true, ..on("host", &["host"]) };
    for (container, told) in [
        (host, vec!["host out-of-sight id-of-host// reason=host-network"]),
        (on("alone", &["none"]), vec!["alone out-of-sight id-of-alone// reason=no-network"]),
        (on("bare", &[]), vec!["bare out-of-sight id-of-bare// reason=no-network"]),
        (
            on("wide", &["lan", "swarm", "vlan"]),
            vec![
                "wide out-of-sight id-of-wide// net=lan reason=macvlan",
                "wide out-of-sight id-of-wide// net=swarm reason=overlay",
                "wide out-of-sight id-of-wide// net=vlan reason=ipvlan",
            ],
        ),
    ] {
        story.happened(&stub(&container), What::Started, 1);
        story.directory.apply_engine(&EngineEvent::Container(container.clone()), at(1));
        let mut expected = vec![format!("1s {0} started id-of-{0}//", container.name)];
        expected.extend(told.into_iter().map(|told| format!("1s {told}")));
        assert_eq!(story.settle(1), expected);
        assert_eq!(story.settle(9), [""; 0]);
    }
    let sharer = Container { shares_with: Some("wide".to_owned()), ..on("sharer", &[]) };
    assert!(story.directory.out_of_sight(&sharer).is_empty(), "as visible as the other");
    assert!(story.directory.out_of_sight(&web()).is_empty());
    let host = story.directory.container("id-of-host").unwrap();
    assert_eq!(story.directory.out_of_sight(host)[0].reason, Unseen::HostNetwork);
}

#[test]
fn what_has_gone_is_bounded() {
    let mut story = Story::new();
    for number in 0..=MOST_GONE {
        let one = stub(&container(&format!("c{number}"), 1, "0.0.0.0", 0));
        story.happened(&one, What::Started, 1);
        story.happened(&one, What::Removed, 1);
    }
    assert_eq!((story.chronicle.gone.len(), story.chronicle.lives.len()), (MOST_GONE, 0));
    assert_eq!(story.chronicle.gone[0].container.name, "c1");
}
