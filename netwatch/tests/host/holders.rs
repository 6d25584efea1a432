//! Addresses that go from one container to the next: every line is named by who held the address then, by the engine's word.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    QUICK,
    support::{
        agent::Agent,
        docker::{Container, Network, docker, unique},
        serial::host,
        wait::until,
    },
};

/// How far the line's time may be from the engine's: the wall clock may be corrected in between.
const CLOCKS: i128 = 50_000_000;
const SECOND: i128 = 1_000_000_000;
/// When those die that still live.
const END_OF_TIME: i128 = i128::MAX / 2;
/// What a container does: it says something before anybody knows it, and stays.
const GREET: &str =
    "ping -c 1 -W 5 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'); exec sleep 600";

/// A container that held an address from the engine's `connect` to its `die`.
#[derive(Debug)]
struct Life {
    id: String,
    from: i128,
    until: i128,
}

/// Who held which address, noted while they lived, in their order.
#[derive(Default)]
struct Holders(BTreeMap<String, Vec<String>>);

impl Holders {
    /// Notes who it is, and has it talk to the gateway and `peer` to it.
    fn live(&mut self, container: &Container, network: &Network, peer: &Container) -> String {
        let address = container.address(&network.name);
        let id = docker(&["inspect", "--format", "{{.Id}}", &container.name]).trim().to_owned();
        self.0.entry(address.clone()).or_default().push(id);
        container.ping(&container.gateway(&network.name), 1);
        peer.ping(&address, 1);
        address
    }

    /// Their lives by the engine's events since then. One that was restarted has several.
    fn lives(&self, since: i128) -> BTreeMap<&str, Vec<Life>> {
        let events = engine_events(since);
        let of = |address: &String, ids: &Vec<String>| {
            let lives = ids.iter().enumerate().map(|(at, id)| {
                let before = ids[..at].iter().filter(|earlier| *earlier == id).count();
                let nth = |action| times(&events, id, action).into_iter().nth(before);
                let from = nth("connect").expect("the engine connected it");
                Life { id: id.clone(), from, until: nth("die").unwrap_or(END_OF_TIME) }
            });
            let lives: Vec<_> = lives.collect();
            let successive = lives.windows(2).all(|pair| pair[0].until < pair[1].from);
            assert!(successive, "{address}: {lives:?}");
            lives
        };
        self.0.iter().map(|(address, ids)| (address.as_str(), of(address, ids))).collect()
    }
}

/// What the engine says has happened since.
fn engine_events(since: i128) -> Vec<Value> {
    let text = |nanos: i128| format!("{}.{:09}", nanos / SECOND, nanos % SECOND);
    let (since, until) = (text(since), text(now()));
    let said = docker(&["events", "--since", &since, "--until", &until, "--format", "{{json .}}"]);
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// When something happened to a container.
fn times(events: &[Value], id: &str, action: &str) -> Vec<i128> {
    let is_it = |event: &&Value| {
        let whose = match event["Type"].as_str() {
            Some("network") => &event["Actor"]["Attributes"]["container"],
            _ => &event["Actor"]["ID"],
        };
        event["Action"] == action && whose == id
    };
    let time = |event: &Value| i128::from(event["timeNano"].as_i64().unwrap());
    events.iter().filter(is_it).map(time).collect()
}

fn now() -> i128 {
    jiff::Timestamp::now().as_nanosecond()
}

fn nanos(line: &Value, field: &str) -> i128 {
    let time: jiff::Timestamp = line[field].as_str().unwrap().parse().unwrap();
    time.as_nanosecond()
}

/// Each flow from or to one of the addresses is named by its holder, begins and ends in that one's life, and each life has
/// one of each.
fn assert_named_by_holders(told: &[Value], lives: &BTreeMap<&str, Vec<Life>>) {
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in told.iter().filter(|line| line["flow_id"].is_u64()) {
        for side in ["client", "server"] {
            let end = &line[side];
            let Some(its) = end["address"].as_str().and_then(|address| lives.get(address)) else {
                continue;
            };
            let (first, last) = (nanos(line, "first"), nanos(line, "last"));
            let holds = |life: &&Life| life.from - CLOCKS < first && first < life.until + CLOCKS;
            let named = end["container_id"].as_str();
            let Some(holder) = its.iter().rev().find(holds) else {
                // Nobody held it: whoever had it before may be meant, but nobody who came later.
                let later = its.iter().any(|life| Some(&*life.id) == named && life.from > first);
                assert!(!later, "{line}\n{its:?}");
                continue;
            };
            assert!(last < holder.until + CLOCKS, "beyond its life {holder:?}: {line}");
            // Until the engine tells who it is, 200 ms at most, a start has the interface's name.
            let is_early = line["event"] == "start" && end["kind"] == "interface";
            assert!(is_early || named == Some(&*holder.id), "{line}\n{its:?}");
            if line["event"] == "end" && line["protocol"] == "icmp" {
                *seen.entry((&holder.id, side)).or_default() += 1;
            }
        }
    }
    for life in lives.values().flatten() {
        for side in ["client", "server"] {
            assert!(seen.contains_key(&(&*life.id, side)), "no ping of {life:?} as {side}");
        }
    }
}

/// The lines, once so many pings from or to the addresses have ended.
fn until_ended(agent: &Agent, lives: &BTreeMap<&str, Vec<Life>>, pings: usize) -> Vec<Value> {
    until("all pings have ended", || {
        let told = agent.events().0;
        let is_its = |line: &&Value| {
            let has = |side: &str| {
                line[side]["address"].as_str().is_some_and(|address| lives.contains_key(address))
            };
            line["event"] == "end" && line["protocol"] == "icmp" && (has("client") || has("server"))
        };
        (told.iter().filter(is_its).count() >= pings).then_some(told)
    })
}

fn greeting(name: &str, network: &Network, labels: &[&str]) -> Container {
    let options = [&["--network", &network.name], labels].concat();
    Container::run(name, &options, &["/bin/sh", "-c", GREET])
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn restarts_and_heirs_are_named_by_who_held_the_address_then() {
    let _host = host();
    let network = Network::create("heirs");
    let agent = Agent::start(&QUICK);
    let since = now();
    let peer = Container::idle(&unique("peer"), &["--network", &network.name]);
    let mut holders = Holders::default();
    let (web, heir) = (unique("web"), unique("heir"));
    let mut addresses = Vec::new();
    let first = greeting(&web, &network, &[]);
    addresses.push(holders.live(&first, &network, &peer));
    docker(&["restart", "--time", "0", &web]);
    addresses.push(holders.live(&first, &network, &peer));
    // `rm -f`, and again under the same name.
    drop(first);
    let second = greeting(&web, &network, &[]);
    addresses.push(holders.live(&second, &network, &peer));
    // The address goes to another one, and back, each at once.
    drop(second);
    let third = greeting(&heir, &network, &[]);
    addresses.push(holders.live(&third, &network, &peer));
    drop(third);
    let fourth = greeting(&web, &network, &[]);
    addresses.push(holders.live(&fourth, &network, &peer));
    assert!(addresses.iter().all(|address| *address == addresses[0]), "{addresses:?}");

    let lives = holders.lives(since);
    let told = until_ended(&agent, &lives, 3 * addresses.len());
    assert_named_by_holders(&told, &lives);
    let between = |pair: &[Life]| pair[1].from - pair[0].until;
    let shortest = lives[&*addresses[0]].windows(2).map(between).min().unwrap();
    assert!(shortest < SECOND, "no address went on within a second: {shortest} ns");
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_service_that_is_scaled_is_named_by_who_held_the_address_then() {
    let _host = host();
    let network = Network::create("scaled");
    let agent = Agent::start(&QUICK);
    let since = now();
    let peer = Container::idle(&unique("peer"), &["--network", &network.name]);
    let project = format!("com.docker.compose.project={}", unique("shop"));
    let labels = ["--label", &project, "--label", "com.docker.compose.service=web"];
    let mut holders = Holders::default();
    let mut replicas: Vec<Container> = Vec::new();
    let mut pings = 0;
    // The second time the addresses of those that went are given out again, under other names.
    for (round, count) in [1, 5, 1, 4, 1].into_iter().enumerate() {
        replicas.truncate(count);
        while replicas.len() < count {
            let name = unique(&format!("web-{round}-{}", replicas.len()));
            let container = greeting(&name, &network, &labels);
            holders.live(&container, &network, &peer);
            replicas.push(container);
            pings += 3;
        }
    }
    let lives = holders.lives(since);
    assert!(lives.values().any(|lives| lives.len() > 1), "no address was used again: {lives:?}");
    let told = until_ended(&agent, &lives, pings);
    assert_named_by_holders(&told, &lives);
    let ended = told.iter().filter(|line| line["event"] == "end");
    let ids = lives.values().flatten().map(|life| life.id.as_str()).collect::<Vec<_>>();
    for line in ended.filter(|line| line["client"]["container_id"].as_str().is_some()) {
        let id = line["client"]["container_id"].as_str().unwrap();
        assert!(!ids.contains(&id) || line["client"]["service"] == "web", "{line}");
    }
    // What has come and gone is told with how many run, by the engine's time.
    let events = engine_events(since);
    for (word, action) in [("started", "start"), ("died", "die")] {
        for line in told.iter().filter(|line| line["change"] == word) {
            let id = line["container"]["id"].as_str().unwrap();
            if ids.contains(&id) {
                let said = times(&events, id, action)[0];
                assert!((nanos(line, "time") - said).abs() < CLOCKS, "{line} and {said}");
            }
        }
    }
}
