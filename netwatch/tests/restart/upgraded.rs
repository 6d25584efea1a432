//! An agent takes over from another program: `NETWATCH_PREVIOUS` is the path of an earlier release. Without it that is this program
//! under another path, so that the ordinary run tests the way of it; what another version may have left is then brought about.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use aya::maps::{Array, Map, MapData};
use netwatch_common::header::Header;
use serde_json::Value;

use super::{
    Bed, Load, WHAT, balance,
    support::{
        agent::Agent,
        frames::{DATAGRAM, Sender, datagram},
        metrics::Metrics,
        wait::until,
    },
    with_bed,
};

const FLOWS: u16 = 300;
/// The version, in the file of an agent: behind `netwatch`.
const VERSION: u64 = 8;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_agent_replaced_by_this_program_under_load_leaves_it_everything() {
    with_bed(|bed| take_over(bed, libc::SIGUSR2));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_killed_agent_of_another_program_leaves_everything_to_this_one() {
    with_bed(|bed| take_over(bed, libc::SIGKILL));
}

/// The way from the one to the other, whatever versions they are of.
#[expect(clippy::print_stdout, reason = "for whoever wants to know")]
fn take_over(bed: Bed, signal: i32) {
    let folder = tempfile::tempdir().unwrap();
    let asked = env::var("NETWATCH_PREVIOUS").ok();
    let previous = asked.as_ref().map_or_else(|| copied_to(folder.path()), PathBuf::from);
    let before = bed.places.start_by(previous.to_str().unwrap(), &WHAT);
    let load = Load::begin(bed.ends[0], FLOWS, Duration::from_millis(5));
    thread::sleep(Duration::from_millis(2_500));
    let known = bytes(&before.metrics()) / DATAGRAM;
    before.stop(signal);
    thread::sleep(Duration::from_millis(400));
    let agent = bed.start(&[]);
    let said = agent.stderr();
    thread::sleep(Duration::from_millis(500));
    let sent = load.end();
    let gap = gap(&agent);
    assert!(gap["away_ns"].as_u64().unwrap() > 0, "{gap}");
    let metrics = balance(&agent);
    if said.contains("goes on with") {
        println!("gone on with: {sent} frames sent, all of them counted");
        assert_eq!(gap["uncounted"], Value::Null);
        bed.quiet(&agent);
        until("the edges have all", || (bytes(&agent.metrics()) == sent * DATAGRAM).then_some(()));
    } else {
        assert!(asked.is_some(), "it is this program: {said}");
        assert_eq!(gap["uncounted"], true);
        let new = received(&metrics);
        let kept = bytes(&metrics) / DATAGRAM - new;
        println!("begun anew: of {sent} frames {kept} were kept, {new} counted since; {said}");
        if said.contains("is not used") {
            assert_eq!(kept, 0);
        } else {
            // One that is killed had no time for a last word.
            let least = if signal == libc::SIGKILL { 1 } else { known };
            assert!(least <= kept && kept + new < sent, "{known} known");
        }
    }
    assert_eq!(connections(&agent.metrics()), u64::from(FLOWS));
    drop(agent);
    bed.expect_nothing();
}

/// This program.
fn copied_to(folder: &Path) -> PathBuf {
    let path = folder.join("netwatch-previous");
    fs::copy(env!("CARGO_BIN_EXE_netwatch"), &path).unwrap();
    path
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_another_version_left_is_removed_and_told() {
    with_bed(|bed| {
        let agent = bed.start(&[]);
        let mut sender = bed.send_ten();
        bed.quiet(&agent);
        agent.stop(libc::SIGUSR2);
        let pins = fs::read_dir(&bed.places.pins).unwrap().next().unwrap().unwrap().path();
        let map = MapData::from_pin(pins.join("HEADER")).unwrap();
        let mut map = Array::<_, [u8; size_of::<Header>()]>::try_from(Map::Array(map)).unwrap();
        let mut header = map.get(&0, 0).unwrap();
        header[0] += 1;
        map.set(0, header, 0).unwrap();
        drop(map);
        send(&mut sender, 3);
        let agent = begins_anew(&bed, "it is of another version, or was never completed");
        send(&mut sender, 5);
        until("the edges go on", || (bytes(&agent.metrics()) == (10 + 5) * DATAGRAM).then_some(()));
        let metrics = balance(&agent);
        assert_eq!((received(&metrics), connections(&metrics)), (5, 1));
        assert!(metrics.value("netwatch_agent_away_seconds_total", &[]) > 0.0);

        agent.stop(libc::SIGUSR2);
        let file = bed.places.file();
        File::options().write(true).open(&file).unwrap().write_all_at(&[99], VERSION).unwrap();
        let agent = begins_anew(&bed, "it is of version 99, and this netwatch reads");
        send(&mut sender, 7);
        until("they begin anew", || (bytes(&agent.metrics()) == 7 * DATAGRAM).then_some(()));
        let metrics = balance(&agent);
        assert_eq!((received(&metrics), connections(&metrics)), (7, 1));
        // And the next one goes on again.
        agent.stop(libc::SIGUSR2);
        let agent = bed.start(&[]);
        assert_eq!(received(&balance(&agent)), 7);
        assert_eq!(gap(&agent)["uncounted"], Value::Null);
        drop(agent);
        bed.expect_nothing();
    });
}

/// An agent that says why it does not go on, and marks that in its flow log.
fn begins_anew(bed: &Bed, why: &str) -> Agent {
    let agent = bed.start(&[]);
    assert!(agent.stderr().contains(why), "{}", agent.stderr());
    let gap = gap(&agent);
    assert!(gap["uncounted"] == true && gap["away_ns"].as_u64() > Some(0), "{gap}");
    assert_eq!(received(&agent.metrics()), 0);
    agent
}

fn gap(agent: &Agent) -> Value {
    agent.until_event("the gap", |event| event["event"] == "gap")
}

fn send(sender: &mut Sender, count: u32) {
    (0..count).for_each(|_| sender.send(&datagram(1)));
}

fn bytes(metrics: &Metrics) -> u64 {
    metrics.sum("netwatch_edge_bytes_total", &[])
}

fn connections(metrics: &Metrics) -> u64 {
    metrics.sum("netwatch_edge_connections_total", &[])
}

/// Frames at the receiving end, by this agent's counters.
fn received(metrics: &Metrics) -> u64 {
    metrics.count("netwatch_interface_receive_packets_total", &[("interface", "two")])
}
