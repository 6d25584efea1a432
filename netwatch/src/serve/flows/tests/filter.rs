//! Each word of the vocabulary, alone and together.

use std::{net::IpAddr, sync::Arc};

use serde_json::{Value, json};

use crate::{
    model::{Attachment, Container, Endpoint, Name, Protocol, Socket, Source, WallTime},
    serve::flows::{Facts, Filter, Kind, Request},
};

fn container(name: &str, address: &str, port: u16) -> Endpoint {
    let container = Container {
        id: "1f0c".into(),
        name: name.into(),
        image: String::new(),
        project: Some("shop".into()),
        service: Some("web".into()),
        attachments: Vec::new(),
        pid: None,
        namespace: None,
        host_network: false,
        shares_with: None,
        published: Vec::new(),
        shared_by: Vec::new(),
        source: Source::Engine,
    };
    named(Name::Container(Arc::new(container)), address, port)
}

fn named(name: Name, address: &str, port: u16) -> Endpoint {
    let address: IpAddr = address.parse().expect("an address");
    Endpoint { socket: Socket { address, port }, name }
}

/// Whether a filter admits the end of a TCP connection from web-1 to the outside.
fn admits(terms: Value) -> bool {
    let ends = [
        container("web-1", "172.17.0.2", 40_000),
        named(Name::Domain("db.example.com".into()), "2001:db8::7", 443),
    ];
    let facts = Facts {
        kind: Kind::End,
        time: WallTime(0),
        protocol: Some(Protocol::TCP),
        ends: Some((&ends[0], &ends[1])),
        via: None,
        containers: [None; 2],
        network: Some("shop"),
        drops: true,
        flow: None,
    };
    filter(terms).admits(&facts)
}

fn filter(terms: Value) -> Filter {
    serde_json::from_value(terms).expect("a filter")
}

#[test]
fn each_word() {
    for (criterion, expected) in [
        (json!({"container": "web-*"}), true),
        (json!({"container": "web-1"}), true),
        (json!({"container": "web"}), false),
        (json!({"container": "{db,web-?}"}), true),
        // Not a container.
        (json!({"container": "external"}), false),
        (json!({"container": "172.17.0.2"}), false),
        (json!({"from": "web-*"}), true),
        (json!({"from": "172.17.*"}), true),
        (json!({"from": "external"}), false),
        (json!({"to": "external"}), true),
        (json!({"to": "*.example.com"}), true),
        (json!({"to": "2001:db8::7"}), true),
        (json!({"to": "web-*"}), false),
        (json!({"network": "sh*"}), true),
        (json!({"network": "bridge"}), false),
        (json!({"service": "web"}), true),
        (json!({"service": "shop/w*"}), true),
        (json!({"service": "web-1"}), false),
        (json!({"service": "shop"}), false),
        (json!({"protocol": 6}), true),
        (json!({"protocol": 17}), false),
        (json!({"port": [null, 443]}), true),
        (json!({"port": [6, 40000]}), true),
        (json!({"port": [17, 443]}), false),
        (json!({"port": [null, 80]}), false),
        (json!({"ip": "172.17.0.0/16"}), true),
        (json!({"ip": "2001:db8::/32"}), true),
        (json!({"ip": "10.0.0.0/8"}), false),
        (json!({"events": ["start", "end"]}), true),
        (json!({"events": ["drop"]}), true),
        (json!({"events": ["update", "lost", "dns", "sample"]}), false),
    ] {
        assert_eq!(admits(json!([{"is": criterion}])), expected, "{criterion}");
        assert_eq!(admits(json!([{"is": criterion, "not": true}])), !expected, "not {criterion}");
    }
}

#[test]
fn kinds_are_alternatives_and_all_have_to_hold() {
    let yes = json!({"is": {"container": "web-1"}});
    let no = json!({"is": {"container": "db"}});
    let other_yes = json!({"is": {"protocol": 6}});
    let other_no = json!({"is": {"protocol": 17}});
    let never = json!({"is": {"container": "web-1"}, "not": true});
    let fine = json!({"is": {"container": "db"}, "not": true});
    assert!(admits(json!([])));
    assert!(admits(json!([no, yes])));
    assert!(admits(json!([yes, other_yes])));
    assert!(!admits(json!([yes, other_no])));
    assert!(admits(json!([no, other_no, yes, other_yes])));
    assert!(!admits(json!([yes, never])));
    assert!(!admits(json!([fine, never])), "none of those that are negated may hold");
    assert!(admits(json!([fine, yes])));
    assert!(!admits(json!([fine, no])), "a negated one is no alternative");
    assert!(admits(json!([yes, no, other_yes, other_no])), "one that holds is enough");
    assert!(!admits(json!([yes, no, never])), "also behind others");
}

#[test]
fn what_an_event_has_not_fits_nothing() {
    let lost = Facts {
        kind: Kind::Lost,
        time: WallTime(0),
        protocol: None,
        ends: None,
        via: None,
        containers: [None; 2],
        network: None,
        drops: false,
        flow: None,
    };
    for criterion in [
        json!({"container": "*"}),
        json!({"from": "*"}),
        json!({"to": "*"}),
        json!({"network": "*"}),
        json!({"service": "*"}),
        json!({"protocol": 6}),
        json!({"port": [null, 0]}),
        json!({"ip": "0.0.0.0/0"}),
    ] {
        assert!(!filter(json!([{"is": criterion}])).admits(&lost), "{criterion}");
    }
    assert!(filter(json!([{"is": {"events": ["lost"]}}])).admits(&lost));
    assert!(!filter(json!([{"is": {"events": ["drop"]}}])).admits(&lost));
    let echo = [container("a", "10.0.0.1", 7), container("b", "10.0.0.2", 7)];
    let echo = Facts {
        kind: Kind::Start,
        protocol: Some(Protocol::ICMP),
        ends: Some((&echo[0], &echo[1])),
        via: None,
        ..lost
    };
    assert!(
        !filter(json!([{"is": {"port": [null, 7]}}])).admits(&echo),
        "an identifier is no port"
    );
}

#[test]
fn a_request_comes_back_as_it_was() {
    let text = r#"{"command":"flows","follow":true,"last":5,"rank":{"sort":"bytes","top":3},"since_ns":-1,"until_ns":2,"style":{"format":"json","colour":true},"filter":[{"is":{"container":"web*"},"not":true},{"is":{"port":[17,53]},"not":false},{"is":{"ip":"10.0.0.0/8"},"not":false},{"is":{"events":["end"]},"not":false}]}"#;
    let request: Request = serde_json::from_str(text).expect("a request");
    assert_eq!(serde_json::to_string(&request).expect("JSON"), text);
    let shortest: Request = serde_json::from_str(r#"{"command":"flows"}"#).expect("a request");
    assert!(!shortest.follow && shortest.last.is_none() && shortest.filter.0.is_empty());
}

#[test]
fn an_event_of_containers_fits_by_either_name_its_networks_and_addresses() {
    let place = Attachment {
        network: "shop".to_owned(),
        addresses: vec!["172.18.0.2".parse().unwrap()],
        ..Attachment::default()
    };
    let named = |name: &str| Container {
        name: name.to_owned(),
        attachments: vec![place.clone()],
        shared_by: vec!["sidecar".to_owned()],
        ..container("web", "172.18.0.2", 80).container().map(|one| (**one).clone()).unwrap()
    };
    let (before, now) = (named("web"), named("till"));
    let facts = Facts {
        kind: Kind::Restart,
        time: WallTime(0),
        protocol: None,
        ends: None,
        via: None,
        containers: [Some(&now), Some(&before)],
        network: None,
        drops: false,
        flow: None,
    };
    for (criterion, fits) in [
        (json!({"container": "web"}), true),
        (json!({"container": "till"}), true),
        (json!({"container": "sidecar"}), true),
        (json!({"container": "db"}), false),
        (json!({"network": "shop"}), true),
        (json!({"network": "bridge"}), false),
        (json!({"ip": "172.18.0.0/16"}), true),
        (json!({"ip": "172.17.0.0/16"}), false),
        (json!({"from": "web"}), false),
        (json!({"events": ["restart"]}), true),
        (json!({"events": ["event"]}), true),
        (json!({"events": ["end"]}), false),
    ] {
        assert_eq!(filter(json!([{"is": criterion}])).admits(&facts), fits, "{criterion}");
    }
    let other = Facts { kind: Kind::Event, network: Some("front"), ..facts };
    let admits = |criterion| filter(json!([{"is": criterion}])).admits(&other);
    assert!(!admits(json!({"events": ["restart"]})) && admits(json!({"network": "front"})));
    assert!(!admits(json!({"network": "shop"})), "it is about another network");
}

#[test]
fn which_kinds_there_can_be() {
    for (terms, expected) in [
        (json!([]), true),
        (json!([{"is": {"port": [null, 80]}}]), true),
        (json!([{"is": {"events": ["end"]}}]), false),
        (json!([{"is": {"events": ["end"]}}, {"is": {"events": ["drop", "start"]}}]), true),
        (json!([{"is": {"events": ["drop"]}}]), false),
        (json!([{"is": {"events": ["start"]}, "not": true}]), false),
        (json!([{"is": {"events": ["end"]}, "not": true}]), true),
    ] {
        assert_eq!(filter(terms.clone()).admits_kind(Kind::Start), expected, "{terms}");
    }
}

#[test]
fn a_renamed_container_is_still_the_one_that_was_meant() {
    let [web, other] = ["web-1", "other"].map(|name| container(name, "172.17.0.2", 40_000));
    let renamed = |id: &str| {
        let mut end = container("old", "172.17.0.2", 40_000);
        if let Name::Container(container) = &mut end.name {
            Arc::make_mut(container).id = id.into();
        }
        end
    };
    let about = |ends: [&Endpoint; 2]| -> [bool; 4] {
        let terms = [
            json!([{"is": {"container": "web-*"}}]),
            json!([{"is": {"from": "web-1"}}]),
            json!([{"is": {"to": "web-1"}}]),
            json!([{"is": {"container": "web-1"}, "not": true}]),
        ];
        terms.map(|terms| {
            let mut filter = filter(terms);
            let event = |now, before| Facts {
                kind: Kind::Event,
                time: WallTime(0),
                protocol: None,
                ends: None,
                containers: [Some(now), Some(before)],
                flow: None,
                via: None,
                network: None,
                drops: false,
            };
            let old = renamed("1f0c");
            let [old, web, other] =
                [&old, &web, &other].map(|end| end.container().expect("a container"));
            filter.follow(&event(other, web));
            // It has taken another name again; and what was recreated is another one.
            filter.follow(&event(old, other));
            let recreated = renamed("2e1d");
            filter.follow(&event(recreated.container().expect("a container"), web));
            let ends = Some((ends[0], ends[1]));
            let facts = Facts { kind: Kind::End, ends, containers: [None; 2], ..event(old, old) };
            filter.admits(&facts)
        })
    };
    let elsewhere = named(Name::External, "192.0.2.1", 80);
    let (it, no_more) = (renamed("1f0c"), renamed("2e1d"));
    assert_eq!(about([&it, &elsewhere]), [true, true, false, false]);
    assert_eq!(about([&elsewhere, &it]), [true, false, true, false]);
    assert_eq!(about([&no_more, &elsewhere]), [false, false, false, true]);
    assert_eq!(about([&web, &elsewhere]), [true, true, false, false], "by name as ever");
}
