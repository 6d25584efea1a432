//! What happens to containers: told in the flow log, by the engine's own times, and every flow named by who was there.

use std::time::Duration;

use serde_json::Value;

use super::{
    QUICK,
    support::{
        agent::{Agent, netwatch},
        docker::{Container, Network, docker, label, socket, unique},
        events::end,
        proxy::Proxy,
        serial::host,
        user,
    },
};

/// How far the line's time may be from the engine's: the wall clock may be corrected in between.
const CLOCKS: i128 = 50_000_000;

/// Lines of changes of the containers with such a name, now or before.
fn changes(agent: &Agent, name: &str) -> Vec<Value> {
    let is_its = |line: &Value| {
        line["event"] == "event"
            && (line["container"]["name"] == name || line["before"]["name"] == name)
    };
    agent.events().0.into_iter().filter(is_its).collect()
}

/// Waits until so many changes have been told, and checks the words.
pub fn until_changed(agent: &Agent, name: &str, words: &[&str]) -> Vec<Value> {
    super::support::wait::until(&format!("{name}: {words:?}"), || {
        let lines = changes(agent, name);
        (lines.len() >= words.len()).then(|| {
            let told: Vec<_> = lines.iter().map(|line| line["change"].as_str().unwrap()).collect();
            assert_eq!(told, words, "{name}");
            lines.clone()
        })
    })
}

fn nanos(line: &Value) -> i128 {
    let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
    time.as_nanosecond()
}

/// When the engine says that something happened to a container, by its identifier.
fn engines_times(id: &str, action: &str) -> Vec<i128> {
    let now = jiff::Timestamp::now();
    // `0s` would be the beginning of this second.
    let until = format!("{}.{:09}", now.as_second(), now.subsec_nanosecond());
    let filters = [format!("container={id}"), format!("event={action}")];
    let said = docker(&[
        "events",
        "--since",
        "10m",
        "--until",
        &until,
        "--filter",
        &filters[0],
        "--filter",
        &filters[1],
        "--format",
        "{{.TimeNano}}",
    ]);
    said.lines().map(|line| line.parse().unwrap()).collect()
}

#[track_caller]
fn assert_engines_time(line: &Value, action: &str, nth: usize) {
    let id = line["container"]["id"].as_str().unwrap();
    let said = engines_times(id, action)[nth];
    assert!((nanos(line) - said).abs() < CLOCKS, "{action}: {line} and {said}");
}

fn id(name: &str) -> String {
    docker(&["inspect", "--format", "{{.Id}}", name]).trim().to_owned()
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_life_is_told_by_the_engines_times() {
    let _host = host();
    let front = Network::create("front");
    let agent = Agent::start(&QUICK);
    let (name, other) = (unique("web"), unique("renamed"));
    let first = Container::idle(&name, &[]);
    let first_id = id(&name);
    let lines = until_changed(&agent, &name, &["started"]);
    let address = first.address("bridge");
    assert_eq!(lines[0]["container"]["id"], first_id);
    assert_eq!(lines[0]["container"]["networks"][0]["addresses"][0], address);
    assert_eq!(lines[0]["container"]["interfaces"].as_array().unwrap().len(), 1);
    assert_engines_time(&lines[0], "start", 0);

    docker(&["restart", "--time", "0", &name]);
    let lines = until_changed(&agent, &name, &["started", "died", "restarted"]);
    assert_eq!(lines[1]["exit_code"], 137);
    assert_engines_time(&lines[1], "die", 0);
    assert_eq!(lines[2]["before"], lines[0]["container"]);
    assert_ne!(lines[2]["container"]["interfaces"], lines[0]["container"]["interfaces"]);
    assert_engines_time(&lines[2], "start", 1);

    drop(first);
    let second = Container::idle(&name, &[]);
    let words = ["started", "died", "restarted", "died", "recreated"];
    let lines = until_changed(&agent, &name, &words);
    assert_eq!(lines[4]["before"]["id"], first_id);
    assert_eq!(lines[4]["container"]["id"], id(&name));
    assert_engines_time(&lines[4], "start", 0);

    docker(&["network", "connect", &front.name, &name]);
    let words = [&words[..], &["connected"]].concat();
    let lines = until_changed(&agent, &name, &words);
    assert_eq!(lines[5]["network"], front.name);
    let networks: Vec<_> = lines[5]["container"]["networks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|network| network["name"].as_str().unwrap())
        .collect();
    assert_eq!(networks, ["bridge", front.name.as_str()]);
    assert_eq!(lines[5]["container"]["interfaces"].as_array().unwrap().len(), 2);
    docker(&["network", "disconnect", &front.name, &name]);
    docker(&["pause", &name]);
    docker(&["unpause", &name]);
    docker(&["rename", &name, &other]);
    let words = [&words[..], &["disconnected", "paused", "unpaused", "renamed"]].concat();
    let lines = until_changed(&agent, &name, &words);
    assert_eq!(lines[6]["network"], front.name);
    assert_eq!(lines[9]["before"]["name"], name.as_str());
    assert_eq!(lines[9]["container"]["name"], other.as_str());
    for (line, action) in [(7, "pause"), (8, "unpause"), (9, "rename")] {
        assert_engines_time(&lines[line], action, 0);
    }
    // Where a test's container is called otherwise than at its beginning, it is for the test to remove.
    let _renamed = Container { name: other };
    drop(second);

    let socket = agent.socket();
    let socket = socket.to_str().unwrap();
    let said = |arguments: &[&str]| {
        let mut command = netwatch();
        command.args(["flows", "--socket", socket, "-o", "json", "--since", "10m"]).args(arguments);
        String::from_utf8(command.output().unwrap().stdout).unwrap().lines().count()
    };
    assert_eq!(said(&["--container", &name, "--events", "event"]), 10);
    assert_eq!(said(&["--container", &name, "--events", "restart"]), 3);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn who_is_followed_by_name_is_followed_under_the_next_one() {
    let _host = host();
    let agent = Agent::start(&QUICK);
    let (name, other) = (unique("named"), unique("otherwise"));
    let first = Container::idle(&name, &[]);
    agent.until_named(&name);
    let folder = user::folder();
    let shown = folder.path().join("shown");
    let mut follower = netwatch()
        .args(["flows", "-f", "-n", "0", "-o", "json", "--container", &name, "--socket"])
        .arg(agent.socket())
        .stdout(std::fs::File::create(&shown).unwrap())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until_it_shows = |what: &str, client: &str| {
        super::support::wait::until(what, || {
            let text = std::fs::read_to_string(&shown).unwrap();
            let mut lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            lines.find(|line: &Value| line["event"] == what && line["client"]["name"] == client)
        })
    };
    let gateway = first.gateway("bridge");
    agent.until_metrics("it follows", |metrics| {
        (metrics.get("netwatch_flow_readers", &[]) == Some(1.0)).then_some(())
    });
    first.ping(&gateway, 1);
    until_it_shows("end", &name);
    docker(&["rename", &name, &other]);
    let renamed = Container { name: other.clone() };
    until_changed(&agent, &other, &["renamed"]);
    renamed.ping(&gateway, 1);
    until_it_shows("start", &other);
    until_it_shows("end", &other);
    docker(&["restart", "--time", "0", &other]);
    until_changed(&agent, &other, &["renamed", "died", "restarted"]);
    renamed.ping(&gateway, 2);
    super::support::wait::until("two pings of the other name have been shown", || {
        let text = std::fs::read_to_string(&shown).unwrap();
        let ends = text.lines().filter(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            line["event"] == "end" && line["protocol"] == "icmp" && line["client"]["name"] == *other
        });
        (ends.count() == 2).then_some(())
    });
    // Whoever comes afterwards asks for those who are called so.
    let said = netwatch()
        .args(["flows", "--container", &name, "-n", "1", "-o", "json", "--socket"])
        .arg(agent.socket())
        .output()
        .unwrap();
    let last: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(last["change"], "renamed", "{last}");
    follower.kill().unwrap();
    follower.wait().unwrap();
}

/// Pings the gateway once.
const PING: &str = "ping -c 1 -W 5 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')";

/// Whether the engine told of a container's address while it lived: its `started` line has it then.
fn was_told(started: &Value) -> bool {
    let networks = started["container"]["networks"].as_array().unwrap();
    networks.iter().any(|network| !network["addresses"].as_array().unwrap().is_empty())
}

/// Promised, however slow the engine is: a start waits 200 ms for a name, and has the veth's if there is none; no line has
/// the name of another container; and one that the engine told of while it lived has its name at the end of its flows and in
/// metrics. Of how many it tells in time is its own affair.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn what_lives_for_one_ping_is_named_if_the_engine_tells_of_it_at_all() {
    let _host = host();
    let agent = Agent::start(&QUICK);
    let names: Vec<_> = (0..10).map(|number| unique(&format!("ping{number}"))).collect();
    for name in &names {
        let label = label();
        let run = ["run", "--rm", "--name", name, "--label", &label, "netwatch-test:latest"];
        docker(&[&run[..], &["/bin/sh", "-c", PING]].concat());
    }
    let pings = |event: &str| {
        let is_ping = |line: &Value| line["protocol"] == "icmp" && line["event"] == event;
        let mut pings: Vec<_> = agent.events().0.into_iter().filter(is_ping).collect();
        // One after the other: in the order of the names.
        pings.sort_by_key(|line| line["first"].as_str().unwrap().to_owned());
        (pings.len() >= names.len()).then_some(pings)
    };
    let ends = super::support::wait::until("all pings have ended", || pings("end"));
    let starts = pings("start").expect("all have started");
    assert_eq!((starts.len(), ends.len()), (names.len(), names.len()), "{starts:?} {ends:?}");
    let metrics = agent.metrics();
    for (name, (start, end_line)) in names.iter().zip(starts.iter().zip(&ends)) {
        let lines = until_changed(&agent, name, &["started", "died"]);
        assert_eq!(lines[1]["exit_code"], 0);
        for line in [start, end_line] {
            let (given, kind) = end(line, "client");
            assert!(given == name.as_str() || kind == "interface", "{name}: {line}");
            assert_eq!(line["network"], "bridge", "{line}");
        }
        let of = |network| [("container", name.as_str()), ("network", network)];
        assert!(!metrics.has("netwatch_container_transmit_bytes_total", &of("")), "{name}");
        if was_told(&lines[0]) {
            assert_eq!(end(end_line, "client").0, name.as_str(), "{end_line}");
            assert!(
                metrics.has("netwatch_container_transmit_bytes_total", &of("bridge")),
                "{name}"
            );
        }
    }
}

/// Runs containers that ping once and are gone, and checks that each of these flows has its container's name and image.
fn assert_all_named(agent: &Agent, names: &[String], at_once: usize) {
    let label = label();
    std::thread::scope(|scope| {
        for some in names.chunks(names.len() / at_once) {
            let label = &label;
            scope.spawn(move || {
                for name in some {
                    let run = ["run", "--rm", "--name", name, "--label", label];
                    let command = ["netwatch-test:latest", "/bin/sh", "-c", PING];
                    docker(&[&run[..], &command].concat());
                }
            });
        }
    });
    let ends = super::support::wait::until("all pings have ended", || {
        let is_end = |line: &Value| line["protocol"] == "icmp" && line["event"] == "end";
        let ends: Vec<_> = agent.events().0.into_iter().filter(is_end).collect();
        (ends.len() == names.len()).then_some(ends)
    });
    let mut found: Vec<_> = ends.iter().map(|line| end(line, "client").0.to_owned()).collect();
    let mut expected = names.to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    for line in &ends {
        assert_eq!(line["client"]["image"], "netwatch-test:latest", "{line}");
    }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn twenty_that_send_a_little_and_die_at_once_are_all_named() {
    let _host = host();
    let agent = Agent::start(&QUICK);
    let names: Vec<_> = (0..20).map(|number| unique(&format!("brief{number}"))).collect();
    assert_all_named(&agent, &names, 4);
}

/// Each has gone, and the next has its address, when the engine answers the first question about it.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn twenty_that_an_engine_is_asked_about_too_late_are_all_named() {
    let _host = host();
    let folder = user::folder();
    let path = folder.path().join("docker.sock");
    let present = Container::idle(&unique("present"), &[]);
    let _proxy = Proxy::slow(&path, &socket(), Duration::from_secs(2));
    let engine = format!("unix://{}", path.display());
    let agent = Agent::start(&[&QUICK[..], &["--docker-host", &engine]].concat());
    // The engine's first list has been taken in.
    agent.until_named(&present.name);
    let names: Vec<_> = (0..20).map(|number| unique(&format!("late{number}"))).collect();
    assert_all_named(&agent, &names, 1);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn an_address_that_goes_from_one_to_the_next_is_each_ones_in_its_time() {
    let _host = host();
    let agent = Agent::start(&QUICK);
    let names: Vec<_> = (0..4).map(|number| unique(&format!("heir{}", number % 2))).collect();
    let mut holders = Vec::new();
    let mut addresses = Vec::new();
    for name in &names {
        let container = Container::idle(name, &[]);
        addresses.push(container.address("bridge"));
        holders.push((name, id(name)));
        container.ping(&container.gateway("bridge"), 1);
    }
    assert!(addresses.iter().all(|address| *address == addresses[0]), "{addresses:?}");
    let lines = super::support::wait::until("all have ended", || {
        let events = agent.events();
        let of = |line: &Value| {
            line["client"]["address"] == addresses[0].as_str() && line["protocol"] == "icmp"
        };
        let lines: Vec<_> = events.0.into_iter().filter(of).collect();
        (lines.iter().filter(|line| line["event"] == "end").count() == 4).then_some(lines)
    });
    for line in &lines {
        let holder = holders.iter().find(|(_, id)| line["client"]["container_id"] == id.as_str());
        let (name, id) = holder.expect("one of them");
        assert_eq!(end(line, "client").0, name.as_str());
        // Its address from the creation of the veth, before the engine says `start`, until `die`.
        let (start, die) = (engines_times(id, "create")[0], engines_times(id, "die")[0]);
        let time = nanos(line);
        assert!(start - CLOCKS < time && time < die + CLOCKS, "{start} {time} {die}: {line}");
    }
    for (_, id) in &holders {
        let its = lines.iter().filter(|line| line["client"]["container_id"] == id.as_str());
        assert_eq!(its.count(), 2, "a start and an end of {id}");
    }
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_service_that_is_scaled_says_how_many_run() {
    let _host = host();
    let agent = Agent::start(&QUICK);
    let project = unique("shop");
    let labels = [
        format!("com.docker.compose.project={project}"),
        "com.docker.compose.service=web".to_owned(),
    ];
    let options = ["--label", &labels[0], "--label", &labels[1]];
    let name = |number: usize| unique(&format!("scaled-{number}"));
    let mut containers = Vec::new();
    for number in 1..=5 {
        let container = Container::idle(&name(number), &options);
        let lines = until_changed(&agent, &name(number), &["started"]);
        assert_eq!(lines[0]["replicas"], number);
        assert_eq!(lines[0]["container"]["service"], "web");
        container.ping(&container.gateway("bridge"), 1);
        containers.push(container);
    }
    for number in (2..=5).rev() {
        drop(containers.pop());
        let lines = until_changed(&agent, &name(number), &["started", "died"]);
        assert_eq!(lines[1]["replicas"], number - 1);
    }
    for number in 1..=5 {
        agent.until_event("its ping", |line| {
            line["event"] == "end" && line["client"]["name"] == name(number).as_str()
        });
    }
}
