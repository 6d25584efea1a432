//! Why packets did not arrive, and where: the words are those of the kernel that the tests run on (seen on 6.18).

use std::{net::UdpSocket, thread, time::Duration};

use serde_json::{Value, json};

use super::{
    QUICK,
    support::{
        agent::Agent,
        docker::{Container, Network, unique},
        netns::in_namespace_of,
        serial::host,
        shell::{attempt, run},
        user::Root,
    },
};

/// A rule of iptables; removed when dropped.
pub struct Rule {
    chain: &'static str,
    words: Vec<String>,
}

impl Rule {
    /// In front of the chain FORWARD, as a user would add it.
    pub fn add(rule: &[&str]) -> Self {
        Self::add_to("FORWARD", rule)
    }

    pub fn add_to(chain: &'static str, rule: &[&str]) -> Self {
        let words = rule.iter().map(|&word| word.to_owned()).collect();
        let rule = Self { chain, words };
        run("iptables", &rule.command("-I"));
        rule
    }

    fn command(&self, action: &'static str) -> Vec<&str> {
        ["-w", action, self.chain]
            .into_iter()
            .chain(self.words.iter().map(String::as_str))
            .collect()
    }

    /// Packets that it has matched, as long as it is the first.
    fn count(&self) -> u64 {
        let text = run("iptables", &["-w", "-nvxL", self.chain, "1"]);
        assert!(
            self.words.iter().all(|word| word.starts_with('-') || text.contains(word)),
            "{text}"
        );
        text.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        let _ = attempt("iptables", &self.command("-D"));
    }
}

/// Two containers that are observed and named: who asks, and who should answer.
fn pair(network: &str) -> (Container, Container, Agent) {
    let options = ["--network", network];
    let mysql = Container::idle(&unique("mysql01"), &options);
    let centos = Container::idle(&unique("centos01"), &options);
    let agent = Agent::start_as_root(Root::DropsInContainers, &QUICK);
    agent.until_named(&mysql.name);
    agent.until_named(&centos.name);
    (centos, mysql, agent)
}

/// Waits for the flow's end, which has to tell of these drops and no others.
fn expect_told(agent: &Agent, from: &str, to: &str, protocol: &str, drops: &Value) -> Value {
    let lines = agent.until_ended(protocol, from, to);
    let ended = lines.iter().find(|line| line["event"] == "end").unwrap().clone();
    let mut told = ended["drops"].clone();
    for drop in told.as_array_mut().into_iter().flatten() {
        assert_eq!(drop["from"], "client", "{ended}");
        let drop = drop.as_object_mut().unwrap();
        assert!(drop.remove("ifindex").unwrap().as_u64() > Some(0), "{ended}");
        drop.remove("from");
    }
    assert_eq!(&told, drops, "{ended}");
    ended
}

/// Waits until this many are in the metric, and no more.
fn expect_counted(agent: &Agent, container: &str, reason: &str, place: &str, packets: u64) {
    let labels = [("container", container), ("reason", reason), ("place", place)];
    let what = format!("{packets} {reason} {place} of {container}");
    agent.until_metrics(&what, |metrics| {
        let counted = metrics.sum("netwatch_dropped_packets_total", &labels);
        assert!(counted <= packets, "{counted}, {what}");
        (counted == packets).then_some(())
    });
}

fn drops(packets: u64, reason: &str, place: &str) -> Value {
    json!([{ "packets": packets, "reason": reason, "place": place }])
}

/// iptables between two ports of a bridge drops at the one that the packet would have left by.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_rule_of_iptables_is_told() {
    let _host = host();
    let (centos, mysql, agent) = pair("bridge");
    let veth = agent.until_named(&mysql.name);
    let (from, to) = (centos.address("bridge"), mysql.address("bridge"));
    let rule = Rule::add(&["-s", &from, "-d", &to, "-p", "tcp", "--dport", "3306", "-j", "DROP"]);
    centos.try_exec(&["/bin/nc", "-w", "3", &to, "3306"]).unwrap_err();
    let ended = agent.until_ended("tcp", &from, &to).pop().unwrap();
    let packets = rule.count();
    assert!(packets >= 2, "a SYN and one again: {packets}");
    assert_eq!(ended["reason"], "no-answer");
    expect_told(&agent, &from, &to, "tcp", &drops(packets, "netfilter-drop", &veth));
    expect_counted(&agent, &mysql.name, "netfilter-drop", "veth", packets);
    let missing = json!({ "from_client": packets, "from_server": 0, "place": "docker0" });
    assert_eq!(ended["undelivered"], missing, "{ended}");
    let labels = [("container", mysql.name.as_str()), ("place", "docker0")];
    let counted = agent.metrics().sum("netwatch_undelivered_packets_total", &labels);
    assert_eq!(counted, packets);

    // What arrives is not missing, whatever becomes of it.
    drop(rule);
    centos.try_exec(&["/bin/nc", "-w", "3", &to, "3307"]).unwrap_err();
    let refused = agent.until_event("a refusal", |line| line["reason"] == "refused");
    assert_eq!(refused.get("undelivered"), None, "{refused}");
    assert_eq!(agent.metrics().sum("netwatch_undelivered_packets_total", &[]), packets);
}

/// `icc=false` is a rule that Docker makes.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn icc_false_is_told() {
    let _host = host();
    let options = ["--opt", "com.docker.network.bridge.enable_icc=false"];
    let network = Network::create_with("quiet", &options);
    let (centos, mysql, agent) = pair(&network.name);
    let veth = agent.until_named(&mysql.name);
    let (from, to) = (centos.address(&network.name), mysql.address(&network.name));
    centos.try_exec(&["/bin/nc", "-w", "3", &to, "3306"]).unwrap_err();
    let ended = agent.until_ended("tcp", &from, &to).pop().unwrap();
    let sent = ended["sent"]["packets"].as_u64().unwrap();
    assert_eq!(ended["reason"], "no-answer");
    expect_told(&agent, &from, &to, "tcp", &drops(sent, "netfilter-drop", &veth));
    expect_counted(&agent, &mysql.name, "netfilter-drop", "veth", sent);
}

/// The packet arrives in the container, and finds nobody there.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_closed_port_is_told() {
    let _host = host();
    let (centos, mysql, agent) = pair("bridge");
    let (from, to) = (centos.address("bridge"), mysql.address("bridge"));
    let inside = format!("in:{}", mysql.name);
    centos.try_exec(&["/bin/nc", "-w", "3", &to, "3306"]).unwrap_err();
    let ended = expect_told(&agent, &from, &to, "tcp", &drops(1, "no-socket", &inside));
    assert_eq!(ended["reason"], "refused");
    expect_counted(&agent, &mysql.name, "no-socket", "inside", 1);

    let target = (to.clone(), 3306);
    in_namespace_of(centos.pid(), move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..3 {
            socket.send_to(b"x", &target).unwrap();
        }
    });
    expect_told(&agent, &from, &to, "udp", &drops(3, "no-socket", &inside));
    expect_counted(&agent, &mysql.name, "no-socket", "inside", 4);
}

#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_full_socket_buffer_is_told() {
    let _host = host();
    let (centos, mysql, agent) = pair("bridge");
    let (from, to) = (centos.address("bridge"), mysql.address("bridge"));
    let receiver = in_namespace_of(mysql.pid(), || UdpSocket::bind("0.0.0.0:3306").unwrap());
    let target = (to.clone(), 3306);
    in_namespace_of(centos.pid(), move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..900 {
            socket.send_to(&[0; 1000], &target).unwrap();
        }
    });
    let script = "sed -n 's/^Udp: [0-9]//p' /proc/net/snmp";
    let values = mysql.exec(&["/bin/sh", "-c", script]);
    // InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors, without the first digit.
    let dropped: u64 = values.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!((1..900).contains(&dropped), "{values}");
    let inside = format!("in:{}", mysql.name);
    expect_told(&agent, &from, &to, "udp", &drops(dropped, "socket-rcvbuff", &inside));
    expect_counted(&agent, &mysql.name, "socket-rcvbuff", "inside", dropped);
    drop(receiver);
}

/// 200,000 packets that a rule drops: the metric is iptables' own count, the flow has as many as were told.
#[test]
#[ignore = "needs root and Docker: cargo xtask test"]
fn a_storm_of_drops_is_counted_exactly() {
    const STORM: u64 = 200_000;
    let _host = host();
    let (centos, mysql, agent) = pair("bridge");
    let (from, to) = (centos.address("bridge"), mysql.address("bridge"));
    let rule = Rule::add(&["-s", &from, "-d", &to, "-p", "udp", "--dport", "3306", "-j", "DROP"]);
    let target = (to.clone(), 3306);
    in_namespace_of(centos.pid(), move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for packet in 0..STORM {
            socket.send_to(b"x", &target).unwrap();
            // A queue of the way that overflows would be another reason.
            if packet % 1_000 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    assert_eq!(rule.count(), STORM);
    let ended = agent.until_ended("udp", &from, &to).pop().unwrap();
    assert_eq!(ended["sent"]["packets"], STORM);
    let metrics = agent.metrics();
    let missed = metrics.count("netwatch_drops_missed_total", &[]);
    let counted = metrics.sum(
        "netwatch_dropped_packets_total",
        &[("container", &mysql.name), ("reason", "netfilter-drop"), ("place", "veth")],
    );
    assert!(counted <= STORM && counted + missed >= STORM, "{counted}, {missed} missed");
    let lost = metrics.count("netwatch_drop_details_lost_total", &[]);
    let told = ended["drops"][0]["packets"].as_u64().unwrap();
    assert!(told < STORM / 2, "{told}");
    assert!(told + lost >= counted, "{told} told, {lost} lost, {counted} counted");
}
