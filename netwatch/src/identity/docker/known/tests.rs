//! Events that come while the list is being made, and starts that fail.

use super::*;

const PLACE: &str =
    r#"{"ID":"f00d","Attributes":{"container":"c1","name":"front","type":"bridge"}}"#;

fn tell(known: &mut Known, kind: &str, action: &str, actor: &str) {
    let event = format!(r#"{{"Type":"{kind}","Action":"{action}","Actor":{actor},"time":1}}"#);
    known.event(&serde_json::from_str(&event).unwrap());
}

fn container(known: &mut Known, action: &str, name: &str) {
    let actor = format!(r#"{{"ID":"c1","Attributes":{{"image":"nginx","name":"{name}"}}}}"#);
    tell(known, "container", action, &actor);
}

fn at_front(address: &str) -> Attachment {
    Attachment {
        network: "front".to_owned(),
        network_id: "f00d".to_owned(),
        addresses: vec![address.parse().unwrap()],
        mac: None,
    }
}

/// As the list has one that runs.
fn web() -> Container {
    let attachments = vec![at_front("172.18.0.2")];
    Container { pid: Some(70), attachments, ..convert::stub("c1", "web") }
}

/// The answers that follow.
fn inspected(known: &mut Known, pid: i32) {
    let answer =
        format!(r#"{{"Id":"c1","Name":"/web","State":{{"Running":{},"Pid":{pid}}}}}"#, pid > 0);
    let answer = serde_json::from_str(&answer).unwrap();
    for question in std::mem::take(&mut known.questions) {
        if let Question::Container { life, .. } = question {
            known.inspected(life, &answer);
        }
    }
}

fn placed(known: &mut Known) {
    let answer = r#"{"Id":"f00d","Name":"front","Containers":{"c1":{"Name":"web","IPv4Address":"172.18.0.2/16"}}}"#;
    let life = known.containers["c1"].life;
    known.placed("c1", life, &serde_json::from_str(answer).unwrap());
}

/// What has been said, without what merely happened: `name pid address…`.
fn said(known: &mut Known) -> Vec<String> {
    let one = |container: &Container| {
        let addresses = container.attachments.iter().flat_map(|place| &place.addresses);
        let mut words = vec![container.name.clone(), container.pid.unwrap_or(0).to_string()];
        words.extend(addresses.map(ToString::to_string));
        words.join(" ")
    };
    let said = known.out.drain(..).filter_map(|event| match event {
        EngineEvent::Containers(all) => {
            Some(format!("all: {}", all.iter().map(one).collect::<Vec<_>>().join(", ")))
        }
        EngineEvent::Container(container) => Some(one(&container)),
        EngineEvent::Gone { id } => Some(format!("{id} gone")),
        _ => None,
    });
    said.collect()
}

#[test]
fn one_that_starts_while_the_list_is_made_is_in_it() {
    let mut known = Known::new();
    container(&mut known, "start", "web");
    known.listed(vec![(Container { pid: None, ..convert::stub("c1", "web") }, false)], vec![]);
    assert_eq!(said(&mut known), ["all: web 0"], "it may have been listed before it ran");
    inspected(&mut known, 70);
    assert_eq!(said(&mut known), ["web 70"]);
}

#[test]
fn what_runs_and_is_spoken_of_while_the_list_is_made_is_in_it() {
    for (action, name) in [("rename", "shop"), ("update", "web")] {
        let mut known = Known::new();
        container(&mut known, action, name);
        known.listed(vec![(web(), true)], vec![]);
        let expected = format!("all: {name} 70 172.18.0.2");
        assert_eq!(
            said(&mut known),
            [expected],
            "{action}: the name is the event's, which is newer"
        );
        inspected(&mut known, 70);
        assert_eq!(said(&mut known), ["web 70"], "{action}: the answer is still awaited");
    }
}

#[test]
fn one_that_runs_and_is_connected_while_the_list_is_made_keeps_its_process() {
    let mut known = Known::new();
    tell(&mut known, "network", "connect", PLACE);
    known.listed(vec![(web(), true)], vec![]);
    assert_eq!(said(&mut known), ["all: web 70 172.18.0.2"]);
    // The list may be older than the connection.
    assert!(known.questions.contains(&Question::Container { id: "c1".to_owned(), life: 1 }));
    // An answer that came before the list is newer.
    let mut known = Known::new();
    tell(&mut known, "network", "connect", PLACE);
    inspected(&mut known, 71);
    known.listed(vec![(web(), true)], vec![]);
    assert_eq!(said(&mut known), ["web 71", "all: web 71"]);
}

#[test]
fn one_that_stops_while_the_list_is_made_is_not_in_it() {
    let mut known = Known::new();
    container(&mut known, "die", "web");
    known.listed(vec![(web(), true)], vec![]);
    assert_eq!(said(&mut known), ["all: "]);
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let mut known = Known::new();
    known.listed(vec![], vec![]);
    container(&mut known, "create", "web");
    tell(&mut known, "network", "connect", PLACE);
    placed(&mut known);
    assert_eq!(said(&mut known), ["all: ", "web 0 172.18.0.2"]);
    known.questions.clear();
    tell(&mut known, "network", "disconnect", PLACE);
    assert_eq!(said(&mut known), ["c1 gone"]);
    inspected(&mut known, 0);
    tell(&mut known, "network", "disconnect", PLACE);
    assert_eq!(said(&mut known), [""; 0], "told once");
}

#[test]
fn one_that_leaves_a_network_before_its_process_is_known_stays() {
    let mut known = Known::new();
    known.listed(vec![], vec![]);
    for action in ["create", "start"] {
        container(&mut known, action, "web");
    }
    tell(&mut known, "network", "connect", PLACE);
    placed(&mut known);
    let back = Attachment {
        network: "back".to_owned(),
        network_id: "beef".to_owned(),
        ..at_front("172.19.0.2")
    };
    known.containers.get_mut("c1").unwrap().container.attachments.push(back);
    said(&mut known);
    tell(&mut known, "network", "disconnect", PLACE);
    assert_eq!(said(&mut known), ["web 0 172.19.0.2"]);
    // As Podman says it, by the network's name.
    tell(&mut known, "network", "disconnect", r#"{"ID":"c1","Attributes":{"network":"back"}}"#);
    assert_eq!(said(&mut known), ["c1 gone"]);
    inspected(&mut known, 70);
    assert_eq!(said(&mut known), ["web 70"], "it runs all the same");
}
