//! Clients, a proxy, and what can be told of them.

use super::{super::directory::testbed, *};
use crate::model::{Container, PublishedPort};

fn socket(address: &str, port: u16) -> Socket {
    Socket { address: testbed::ip(address), port }
}

/// `web` at 172.17.0.2, whose port 80 is published at 8080 and 8081 of all addresses.
fn host() -> Directory {
    let mut directory = testbed::docker_host();
    let published = |address, host| PublishedPort {
        host: socket(address, host),
        port: 80,
        protocol: Protocol::TCP,
    };
    let web = Container {
        published: vec![
            published("0.0.0.0", 8080),
            published("0.0.0.0", 8081),
            published("::", 8080),
        ],
        ..testbed::container("web", 1, "172.17.0.2", 2)
    };
    testbed::start(&mut directory, 7, 1, web, 1);
    directory
}

fn connection(client: Socket, called: Socket) -> Connection {
    Connection { protocol: Protocol::TCP, original: (client, called), reply: (called, client) }
}

/// The proxy's own connection to `web`.
fn passes(proxies: &mut Proxies, directory: &Directory, port: u16) -> Option<Translation> {
    let passed = connection(socket("172.17.0.1", port), socket("172.17.0.2", 80));
    proxies.hear(&passed, directory, testbed::at(2), |_| Some(Calls::new()))
}

fn calls(proxies: &mut Proxies, directory: &Directory, client: Socket, port: u16) {
    let call = connection(client, socket("127.0.0.1", port));
    assert_eq!(proxies.hear(&call, directory, testbed::at(2), |_| Some(Calls::new())), None);
}

#[test]
fn who_waits_alone_is_passed_on() {
    let (directory, mut proxies) = (host(), Proxies::default());
    for port in 40_000..40_100 {
        let client = socket("127.0.0.1", port);
        calls(&mut proxies, &directory, client, 8080);
        let found = passes(&mut proxies, &directory, port + 1000).unwrap();
        assert_eq!((found.client, found.via()), (client, Some(socket("127.0.0.1", 8080))));
        assert_eq!(found.mask(), Some(socket("172.17.0.1", port + 1000)));
        assert_eq!((found.server, found.by), (socket("172.17.0.2", 80), Translator::Proxy));
    }
    assert_eq!(passes(&mut proxies, &directory, 1), None, "nobody waits");
    assert!(proxies.waiting.is_empty());
}

#[test]
fn of_several_nobody_is_named_until_all_are_passed_on() {
    let (directory, mut proxies) = (host(), Proxies::default());
    for port in [1, 2] {
        calls(&mut proxies, &directory, socket("127.0.0.1", port), 8080);
    }
    for port in [11, 12] {
        let found = passes(&mut proxies, &directory, port).unwrap();
        assert_eq!((found.client, found.mask()), (socket("172.17.0.1", port), None));
        assert_eq!(found.via(), Some(socket("127.0.0.1", 8080)));
    }
    let next = socket("127.0.0.1", 3);
    calls(&mut proxies, &directory, next, 8080);
    assert_eq!(passes(&mut proxies, &directory, 13).unwrap().client, next);
    // By two ports, not even that can be told by which.
    calls(&mut proxies, &directory, socket("127.0.0.1", 4), 8080);
    calls(&mut proxies, &directory, socket("127.0.0.1", 5), 8081);
    assert_eq!(passes(&mut proxies, &directory, 14), None);
}

#[test]
fn whoever_is_not_passed_on_at_once_never_is() {
    let (directory, mut proxies) = (host(), Proxies::default());
    calls(&mut proxies, &directory, socket("127.0.0.1", 1), 8080);
    let late = connection(socket("172.17.0.1", 9), socket("172.17.0.2", 80));
    assert_eq!(proxies.hear(&late, &directory, testbed::at(4), |_| Some(Calls::new())), None);
}

#[test]
fn others_are_no_clients_and_no_proxies() {
    let (directory, mut proxies) = (host(), Proxies::default());
    let mut hear = |client, called| {
        let heard = connection(client, called);
        proxies.hear(&heard, &directory, testbed::at(2), |_| Some(Calls::new()))
    };
    let (cli, web) = (socket("172.17.0.3", 1), socket("172.17.0.2", 80));
    hear(cli, socket("198.51.100.9", 8080));
    hear(cli, socket("172.17.0.1", 8082));
    assert_eq!(hear(socket("172.17.0.1", 2), web), None, "nobody called the port");
    hear(cli, socket("172.17.0.1", 8080));
    assert_eq!(hear(cli, web), None, "no address of the host");
    assert_eq!(hear(socket("172.17.0.1", 3), web).unwrap().client, cli);
}

#[test]
fn clients_that_conntrack_does_not_tell_of_are_looked_for() {
    let (directory, mut proxies) = (host(), Proxies::default());
    let mut there = Calls::new();
    let passed = |port| connection(socket("172.17.0.1", port), socket("172.17.0.2", 80));
    for port in 1..4 {
        let call = (socket("::1", port), socket("::1", 8080));
        there.insert(call);
        let look_up = |port: u16| Some(if port == 8080 { there.clone() } else { Calls::new() });
        let found = proxies.hear(&passed(port), &directory, testbed::at(2), look_up).unwrap();
        assert_eq!((found.client, found.called), call);
    }
    let again = proxies.hear(&passed(9), &directory, testbed::at(2), |_| Some(there.clone()));
    assert_eq!(again, None, "all have been passed on");
    let mut asked = 0;
    for port in 10..1000 {
        proxies.hear(&passed(port), &directory, testbed::at(3), |_| {
            asked += 1;
            Some(there.clone())
        });
    }
    assert_eq!(asked, LOOK_UPS);
}

#[test]
fn whoever_waits_in_vain_is_forgotten() {
    let (directory, mut proxies) = (host(), Proxies::default());
    calls(&mut proxies, &directory, socket("127.0.0.1", 1), 8080);
    assert_eq!(proxies.waiting.len(), 1);
    let of_others = connection(socket("172.17.0.3", 1), socket("198.51.100.9", 443));
    proxies.hear(&of_others, &directory, testbed::at(4), |_| None);
    assert!(proxies.waiting.is_empty());
}

/// Where looking through the host's sockets would take too long, nobody is looked for, and the next time all are.
#[test]
fn nobody_is_looked_for_when_it_is_not_the_time() {
    let (directory, mut proxies) = (host(), Proxies::default());
    let passed = |port| connection(socket("172.17.0.1", port), socket("172.17.0.2", 80));
    let call = (socket("::1", 1), socket("::1", 8080));
    assert_eq!(proxies.hear(&passed(1), &directory, testbed::at(2), |_| None), None);
    assert!(proxies.known.is_empty());
    let there = |_| Some(Calls::from([call]));
    let found = proxies.hear(&passed(2), &directory, testbed::at(2), there).unwrap();
    assert_eq!((found.client, found.called), call);
}

#[test]
fn what_is_remembered_of_ports_is_bounded() {
    let (directory, mut proxies) = (host(), Proxies::default());
    let many = |port: u16| {
        let ends = |client| (socket("::1", client), socket("::1", port));
        Some((1..4_000).map(ends).collect::<Calls>())
    };
    for port in 0..10 {
        let ports = HashSet::from([port]);
        proxies.look_for_calls(&ports, &directory, testbed::at(2), many);
        assert!(proxies.known.values().map(HashSet::len).sum::<usize>() <= MOST_KNOWN);
    }
    assert!(proxies.known.contains_key(&9));
}
