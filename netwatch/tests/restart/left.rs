//! What an agent leaves, to whom, and who takes it away.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    thread,
    time::Duration,
};

use super::{
    attached, balance, outcome,
    support::{
        agent::Agent,
        cpu,
        frames::{DATAGRAM, Sender, datagram},
        shell::run,
        veth,
        wait::until,
    },
    until_nothing_is_attached, with_bed,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_cannot_be_gone_on_with_is_removed_and_the_sums_go_on() {
    with_bed(|bed| {
        let agent = bed.start(&[]);
        let mut sender = bed.send_ten();
        bed.quiet(&agent);
        agent.stop(libc::SIGUSR2);
        // Another table needs other maps.
        let agent = bed.start(&["--max-flows", "2048"]);
        assert!(agent.stderr().contains("it has other sizes (--max-flows)"), "{}", agent.stderr());
        let edges = |agent: &Agent| agent.metrics().sum("netwatch_edge_bytes_total", &[]);
        until("ten", || (edges(&agent) == 10 * DATAGRAM).then_some(()));
        let seen = |agent: &Agent| agent.metrics().count("netwatch_packets_seen_total", &[]);
        assert_eq!(seen(&agent), 0, "its interfaces begin anew");
        (0..5).for_each(|_| sender.send(&datagram(1)));
        until("five more", || (edges(&agent) == 15 * DATAGRAM).then_some(()));
        agent.stop(libc::SIGKILL);
        // What is written is not to be trusted any more.
        let file = bed.places.file();
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        let agent = bed.start(&["--max-flows", "2048"]);
        let said = agent.stderr();
        assert!(said.contains("its checksum is wrong"), "{said}");
        assert!(said.contains("what had been read of it is not known"), "{said}");
        assert_eq!((edges(&agent), seen(&agent)), (0, 0));
        drop(agent);
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn notes_do_not_pile_up_where_nothing_can_be_written() {
    with_bed(|bed| {
        let agent = bed.start(&[]);
        // Where the next file is made, before it takes the place of the one before.
        let in_the_way = bed.places.file().with_extension("new");
        until("it is in the way", || fs::create_dir(&in_the_way).ok());
        until("cannot be written (--state-dir)", || {
            agent.stderr().contains("cannot be written (--state-dir)").then_some(())
        });
        thread::sleep(Duration::from_secs(4));
        let notes = bed.places.notes();
        assert!(notes.len() <= 2, "{notes:?}");
        fs::remove_dir(&in_the_way).unwrap();
        until("has to know is written again", || {
            agent.stderr().contains("has to know is written again").then_some(())
        });
        until("only the last ones", || (bed.places.notes().len() == 1).then_some(()));
        assert_eq!(agent.stop(libc::SIGTERM).status.code(), Some(0));
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn interfaces_that_went_while_nobody_was_there_do_not_come_back() {
    with_bed(|bed| {
        let agent = bed.start(&[]);
        let mut sender = bed.send_ten();
        bed.quiet(&agent);
        agent.stop(libc::SIGKILL);
        (0..3).for_each(|_| sender.send(&datagram(1)));
        run("ip", &["link", "delete", "one"]);
        // Of the same names, one with the same index.
        let index = bed.ends[0].to_string();
        run("ip", &["link", "add", "one", "index", &index, "type", "veth", "peer", "name", "two"]);
        run("ip", &["link", "set", "two", "up"]);
        run("ip", &["link", "set", "one", "up"]);
        let agent = bed.start(&[]);
        let mut sender = Sender::at(veth::index("one"));
        (0..7).for_each(|_| sender.send(&datagram(2)));
        let metrics = until("seven more", || {
            let metrics = agent.metrics();
            let at = |name| metrics.count(name, &[("interface", "two")]);
            (at("netwatch_interface_receive_packets_total") == 7).then_some(metrics)
        });
        let at = |name| metrics.count(name, &[("interface", "one")]);
        assert_eq!(at("netwatch_interface_transmit_packets_total"), 7);
        assert_eq!(metrics.count("netwatch_packets_seen_total", &[]), 2 * (10 + 3 + 7));
        until("all in flows", || {
            let metrics = agent.metrics();
            (outcome(&metrics, "counted") == 40).then_some(())
        });
        drop(agent);
        bed.expect_nothing();
    });
}

/// The programs ask for no network of a flow that they know, and this one was known when nothing was excluded.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_flow_of_a_network_that_is_excluded_now_is_counted_no_further() {
    with_bed(|bed| {
        // Each CPU knows flows of its own.
        cpu::stay_on_one();
        let agent = bed.start(&[]);
        let mut sender = bed.send_ten();
        bed.quiet(&agent);
        assert_eq!(agent.stop(libc::SIGUSR2).status.code(), Some(0));
        let agent = bed.start(&["--exclude-net", "192.0.2.0/24"]);
        let mut sent = 10;
        until("it is excluded at both ends", || {
            sender.send(&datagram(1));
            sent += 1;
            (outcome(&agent.metrics(), "filtered") > 2).then_some(())
        });
        let before = bed.quiet(&agent);
        (0..10).for_each(|_| sender.send(&datagram(1)));
        bed.quiet(&agent);
        let after = balance(&agent);
        assert_eq!(outcome(&after, "counted"), outcome(&before, "counted"));
        assert_eq!(outcome(&after, "filtered"), outcome(&before, "filtered") + 20);
        assert_eq!(outcome(&after, "counted") + outcome(&after, "filtered"), 2 * (sent + 10));
        drop(agent);
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_agent_beside_another_leaves_and_takes_nothing() {
    with_bed(|bed| {
        let first = bed.start(&[]);
        let second = bed.start(&[]);
        let feature = [("feature", "pinning")];
        let has = |agent: &Agent| agent.metrics().count("netwatch_feature_available", &feature);
        assert_eq!((has(&first), has(&second)), (1, 0));
        assert!(second.stderr().contains("another agent runs here"), "{}", second.stderr());
        bed.send_ten();
        bed.quiet(&first);
        bed.quiet(&second);
        second.stop(libc::SIGUSR2);
        first.stop(libc::SIGKILL);
        let third = bed.start(&[]);
        bed.quiet(&third);
        drop(third);
        bed.expect_nothing();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn stop_ends_the_agent_and_what_counts_when_it_is_told_to() {
    with_bed(|bed| {
        let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
        let nobody = bed.places.stop(&["--socket", "/nowhere"]);
        assert_eq!(nobody.status.code(), Some(1));
        assert!(said(&nobody).contains("no agent answers at /nowhere"), "{}", said(&nobody));
        let nothing = bed.places.stop(&["--detach"]);
        assert_eq!(nothing.status.code(), Some(0));
        assert!(said(&nothing).contains("there is nothing to remove"), "{}", said(&nothing));

        let agent = bed.start(&[]);
        let socket = agent.socket().to_str().unwrap().to_owned();
        let mut sender = bed.send_ten();
        let left = bed.places.stop(&["--socket", &socket]);
        assert_eq!(left.status.code(), Some(0), "{}", said(&left));
        assert!(said(&left).contains("counts on for the next one"), "{}", said(&left));
        assert!(agent.stderr().contains("counting goes on"), "{}", agent.stderr());
        (0..10).for_each(|_| sender.send(&datagram(1)));
        drop(agent);

        let agent = bed.start(&[]);
        let socket = agent.socket().to_str().unwrap().to_owned();
        assert_eq!(bed.quiet(&agent).count("netwatch_packets_seen_total", &[]), 40);
        let detached = bed.places.stop(&["--detach", "--socket", &socket]);
        assert_eq!(detached.status.code(), Some(0));
        assert!(said(&detached).contains("nothing counts any more"), "{}", said(&detached));
        drop(agent);
        until_nothing_is_attached();

        bed.start(&[]).stop(libc::SIGKILL);
        assert_eq!(attached(), 4, "it counts on");
        let removed = bed.places.stop(&["--detach"]);
        assert!(said(&removed).contains("is removed"), "{}", said(&removed));
        bed.expect_nothing();
    });
}

/// A directory that others own would keep an agent from pinning for ever.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn who_may_not_observe_leaves_nothing_in_the_way() {
    with_bed(|bed| {
        let mut refused = Command::new("setpriv");
        refused.args(["--bounding-set", "-all", "--inh-caps", "-all"]);
        refused.arg(env!("CARGO_BIN_EXE_netwatch"));
        refused.args(["run", "--socket", "none", "--web.listen-address", "127.0.0.1:0"]);
        let output = refused.args(["--pin-dir", &bed.places.pins]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(!Path::new(&bed.places.pins).exists());

        let agent = bed.start(&[]);
        let said = bed.places.stop(&["--detach", "--socket", "/nowhere"]);
        assert_eq!(said.status.code(), Some(1));
        let text = String::from_utf8_lossy(&said.stderr);
        assert!(text.contains("an agent runs in this network namespace"), "{text}");
        assert!(Path::new(&bed.places.pins).exists(), "nor does who asks the wrong one");
        drop(agent);

        fs::create_dir(&bed.places.pins).unwrap();
        fs::set_permissions(&bed.places.pins, fs::Permissions::from_mode(0o777)).unwrap();
        let agent = bed.start(&[]);
        let warning =
            format!("goes on without: {}: somebody else may write there", bed.places.pins);
        assert!(agent.stderr().contains(&warning), "{}", agent.stderr());
        drop(agent);
        fs::remove_dir(&bed.places.pins).unwrap();
        bed.expect_nothing();
    });
}
