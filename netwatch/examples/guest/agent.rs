//! The whole agent, as it is shipped but for its name: `netwatch run`, scraped, stopped, its log read.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    exact::{PATIENCE, until},
    network::{BRIDGE, Family, Network},
    report::Report,
    traffic::{self, ROUNDS, SMALL},
};

/// This program under the name by which it is the agent: a link in the initramfs.
const PROGRAM: &str = "/netwatch";
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 19_733);
const FLOW_LOG: &str = "/tmp/flows.jsonl";
const MESSAGES: &str = "/tmp/netwatch.log";

/// A datagram of [`SMALL`] bytes over IPv4.
const BYTES: u64 = 14 + 20 + 8 + SMALL as u64;

/// Starts it, gives it something to see, asks it, stops it.
pub fn run(report: &mut Report, network: &Network) {
    let mut agent = None;
    report.check("agent-starts", || {
        agent = Some(start()?);
        until(|| Ok(get("/-/ready").map(drop).map_err(|error| format!("{error:#}"))))?;
        Ok("yes".into())
    });
    if let Some(mut agent) = agent {
        report.check("agent-metrics", || scrape(network));
        report.check("agent-stops", || stop(&mut agent));
        report.check("agent-flow-log", || flow_log(network));
    }
    if report.has_failed("agent") {
        let messages = fs::read_to_string(MESSAGES).unwrap_or_default();
        let _ = writeln!(std::io::stdout(), "the agent said:\n{messages}");
    }
}

fn start() -> Result<Child> {
    let child = Command::new(PROGRAM)
        .args(["run", "--interface", "veth-*", "--interface", BRIDGE, "--flow-log", FLOW_LOG])
        .args(["--flow-format", "json", "--web.listen-address", &LISTEN.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(MESSAGES).context(MESSAGES)?)
        .spawn()?;
    Ok(child)
}

/// One conversation is one edge, named by the namespaces, and the ledger in a scrape adds up.
fn scrape(network: &Network) -> Result<String> {
    traffic::udp(&network.cli, &network.web, Family::V4, SMALL)?;
    let edge = r#"client="cli",server="web",protocol="udp""#;
    let mut counted = 0;
    until(|| {
        let text = get("/metrics")?;
        let sum = |name: &str, labels: &str| {
            let lines = text.lines().filter(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                    && line.contains(labels)
            });
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
        };
        let seen = sum("netwatch_packets_seen_total", "");
        let outcomes = sum("netwatch_packet_outcomes_total", "");
        counted = sum("netwatch_packet_outcomes_total", r#"outcome="counted""#);
        let edges =
            (sum("netwatch_edge_packets_total", edge), sum("netwatch_edge_bytes_total", edge));
        let want = (2 * ROUNDS, 2 * ROUNDS * BYTES);
        let right = edges == want && seen == outcomes && counted >= 2 * want.0;
        Ok(if right {
            Ok(())
        } else {
            Err(format!("edge {edges:?}, not {want:?}; seen {seen}, outcomes {outcomes}\n{text}"))
        })
    })?;
    Ok(format!("exact; {counted} packets in flows"))
}

fn stop(agent: &mut Child) -> Result<String> {
    let pid = Pid::from_raw(i32::try_from(agent.id())?).context("no process")?;
    kill_process(pid, Signal::TERM)?;
    until(|| Ok(agent.try_wait()?.map(drop).ok_or_else(|| "it goes on".into())))?;
    let status = agent.wait()?;
    ensure!(status.success(), "it ended with {status}");
    Ok("yes".into())
}

/// The same conversation in the log.
fn flow_log(network: &Network) -> Result<String> {
    let address = network.cli.address(Family::V4).to_string();
    let text = fs::read_to_string(FLOW_LOG).context(FLOW_LOG)?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let end = lines.iter().find(|line| {
        (&line["event"], &line["protocol"], &line["client"]["address"])
            == (&"end".into(), &"udp".into(), &address.as_str().into())
    });
    let end = end.with_context(|| format!("no end of the conversation in\n{text}"))?;
    for direction in ["sent", "received"] {
        let tally = &end[direction];
        ensure!(
            tally["packets"] == ROUNDS && tally["bytes"] == ROUNDS * BYTES,
            "{direction}: {tally}"
        );
    }
    Ok("exact".into())
}

fn get(path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&LISTEN, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {LISTEN}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer of HTTP")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{path}: {head}");
    Ok(body.into())
}
