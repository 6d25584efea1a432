//! What goes wrong most often, made on purpose: the line that a person reads first names the cause or the place. The lines
//! of docs/debugging.md are held against what is told here.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use super::{
    QUICK,
    drops::Rule,
    support::{
        agent::{Agent, netwatch_of_root},
        dns::{MISSING, Server},
        docker::{Container, Network, unique},
        netns::{in_namespace, in_namespace_of},
        outside::Outside,
        serial::host,
        shell::run,
        user::Root,
        wait::until,
    },
};

const PAGE: &str = include_str!("../../../docs/debugging.md");

/// What nobody can foresee is `#`: times, numbers, what the engine made up.
fn masked(line: &str) -> String {
    let own = format!("{MISSING}-nwt-{0}-|nwt-{0}-", std::process::id());
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let mut word = word.to_owned();
        for prefix in own.split('|') {
            word = word.replace(prefix, "");
        }
        // Whether a SYN was sent again within the patience of `nc` is a matter of chance.
        if word.starts_with("retrans=") {
            continue;
        }
        if let Some((key @ ("dur" | "rtt" | "sent" | "recv"), _)) = word.split_once('=') {
            words.push(format!("{key}=#"));
            continue;
        }
        let mut out = String::new();
        let mut rest = word.as_str();
        while let Some(first) = rest.chars().next() {
            let hidden = ["br-", "veth"].iter().find(|prefix| rest.starts_with(**prefix));
            let len = match hidden {
                Some(prefix) => {
                    out.push_str(prefix);
                    rest = &rest[prefix.len()..];
                    rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len())
                }
                None if first.is_ascii_digit() => {
                    rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len())
                }
                None => {
                    out.push(first);
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
            };
            out.push('#');
            rest = &rest[len..];
        }
        words.push(out);
    }
    words.join(" ")
}

/// The lines of the page that netwatch has written, masked.
fn lines_of_the_page() -> Vec<String> {
    let is_time = |line: &&str| line.get(2..3) == Some(":") && line.get(12..13) == Some(" ");
    PAGE.lines().filter(is_time).map(masked).collect()
}

/// What `netwatch flows` tells, masked.
fn told(agent: &Agent) -> BTreeSet<String> {
    let mut command = netwatch_of_root(Root::Asks);
    command.args(["flows", "--since", "1h", "--socket"]).arg(agent.socket());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Who is outside has a kernel of its own elsewhere, whose drops nobody here would know of.
    let elsewhere = ",#/tcp-reset@in:outside";
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| masked(line).replace(elsewhere, "")).collect()
}

/// Fails, as it should, after this many seconds at most.
fn connect(from: &Container, to: &str, port: &str, seconds: &str) {
    from.try_exec(&["/bin/nc", "-w", seconds, to, port]).unwrap_err();
}

/// Sends more than fits into a packet to somebody behind a link that takes less, while the message that says so is lost.
fn black_hole(from: &Container, outside: &Outside) -> Rule {
    run("ip", &["link", "set", "dev", "nwt-out0", "mtu", "1400"]);
    let rule = Rule::add_to("OUTPUT", &["-p", "icmp", "--icmp-type", "3/4", "-j", "DROP"]);
    let address = format!("{}:9000", outside.address);
    let namespace = File::open(Path::new("/var/run/netns").join(&outside.namespace)).unwrap();
    let target = address.clone();
    let listener = in_namespace(&namespace, move || TcpListener::bind(target).unwrap());
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        // Whoever closes without having read it resets the connection.
        stream.write_all(&[0]).unwrap();
        let nothing = stream.read(&mut [0; 1]).unwrap_err();
        (nothing, stream)
    });
    in_namespace_of(from.pid(), move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&vec![0; 20_000]).unwrap();
        let (nothing, other) = receiver.join().unwrap();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        // Before the other side ends it in its way.
        drop(stream);
        drop(other);
    });
    rule
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn the_first_line_names_the_cause() {
    let _host = host();
    let outside = Outside::create();
    let (shop, back) = (Network::create("shop"), Network::create("back"));
    let web = Container::web(&unique("web"), &["--network", &shop.name]);
    let db = Container::idle(&unique("db"), &["--network", &back.name]);
    let cli = Container::idle(&unique("cli"), &["--network", &shop.name]);
    let other = Container::idle(&format!("{MISSING}-{}", unique("api")), &[]);
    let lonely = Container::idle(&unique("lonely"), &[]);
    // As a network card would be: what goes on there is joined with the container's flow, and tells who the other end is.
    let arguments = [&QUICK[..], &["--exclude", "nwt-out0"]].concat();
    let agent = Agent::start_as_root(Root::DropsInContainers, &arguments);
    for container in [&web, &db, &cli, &other, &lonely] {
        agent.until_named(&container.name);
    }
    let address = web.address(&shop.name);

    connect(&cli, &address, "81", "2");
    let rule = Rule::add(&["-d", &address, "-p", "tcp", "--dport", "8080", "-j", "DROP"]);
    connect(&cli, &address, "8080", "3");
    drop(rule);
    let (subnet, _) = address.rsplit_once('.').unwrap();
    connect(&cli, &format!("{subnet}.200"), "80", "4");
    connect(&cli, &db.address(&back.name), "5432", "3");
    let gateways = [(&cli, cli.gateway(&shop.name)), (&lonely, lonely.gateway("bridge"))];
    for (container, gateway) in &gateways {
        let server = Server::at(gateway);
        let name = if container.name == cli.name {
            format!("{MISSING}.example")
        } else {
            other.name.clone()
        };
        let _ = container.try_exec(&["/bin/nslookup", &name, gateway]);
        drop(server);
    }
    let _rule = black_hole(&cli, &outside);

    let expected = lines_of_the_page();
    assert!(expected.len() >= 7, "{expected:?}");
    for line in expected {
        until(&format!("a line like {line:?}, of {:#?}", told(&agent)), || {
            told(&agent).contains(&line).then_some(())
        });
    }
}

#[test]
fn what_cannot_be_foreseen_is_masked() {
    assert_eq!(
        masked(
            "19:04:05.123 end   tcp  cli:51234 -> web:80  dur=3.2s dropped=2/netfilter-drop@vethf59798f undelivered=2@br-c91c127700ee"
        ),
        "#:#:# end tcp cli:# -> web:# dur=# dropped=#/netfilter-drop@veth# undelivered=#@br-#"
    );
}
