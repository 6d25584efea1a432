//! The flow log's file under the real agent: rotated, renamed under it, and on a device that is always full.

use std::{fs, os::unix::fs::symlink, path::Path, process::Stdio};

use serde_json::Value;

use super::{
    datagram, observed, observed_with, signal,
    support::{
        agent::{Agent, end_of, netwatch},
        frames::Sender,
        http::free_address,
        kept::{self, files, is_compressed},
        netns::in_new_namespace,
        serial,
        shell::run,
        user,
        wait::until,
    },
};

/// As [`super::observed`] has it, with files of 64 kB.
fn with_small_files(body: impl FnOnce(Agent, Sender) + Send + 'static) {
    observed_with(&["--flow-log-max-size", "64kB"], body);
}

/// Sends a UDP packet from each of these ports, and waits until the agent has written or lost a line for each.
fn send(agent: &Agent, sender: &mut Sender, ports: std::ops::Range<u16>) {
    let told = || {
        let metrics = agent.metrics();
        metrics.count("netwatch_flow_log_lines_total", &[])
            + metrics.count("netwatch_flow_log_lines_lost_total", &[])
    };
    let all = told() + u64::try_from(ports.len()).unwrap();
    for port in ports {
        sender.send(&datagram(port));
    }
    until("all lines told of", || (told() == all).then_some(()));
}

fn lines(path: &Path) -> Vec<String> {
    kept::lines(path).collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn rotated_files_have_every_line_once_and_in_order() {
    with_small_files(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..2_000);
        let log = agent.log();
        let all = until("all rotated files are compressed", || {
            let all = files(&log);
            all[..all.len() - 1].iter().all(|path| is_compressed(path)).then_some(all)
        });
        let rotations = agent.metrics().count("netwatch_flow_log_rotations_total", &[]);
        assert_eq!(u64::try_from(all.len()).unwrap(), rotations + 1);
        assert!(rotations >= 5, "{rotations}");
        assert!(fs::metadata(&log).unwrap().len() <= 64_000);
        let written: Vec<_> = all.iter().flat_map(|path| lines(path)).collect();
        assert_eq!(written, super::flows(&agent, &["-o", "json", "--since", "1h"]));
        assert_eq!(written.len(), 1_000);
        assert_eq!(agent.metrics().count("netwatch_flow_log_lines_total", &[]), 1_000);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_renamed_file_is_let_go_at_sighup() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..1_100);
        let log = agent.log();
        let old = log.with_extension("old");
        fs::rename(&log, &old).unwrap();
        send(&agent, &mut sender, 1_100..1_101);
        signal(agent.pid(), libc::SIGHUP);
        until("a new file", || log.exists().then_some(()));
        send(&agent, &mut sender, 1_101..1_200);
        let new = lines(&log);
        assert!((99..=100).contains(&new.len()), "{}", new.len());
        assert_eq!(
            [lines(&old), new].concat(),
            super::flows(&agent, &["-o", "json", "--since", "1h"])
        );
        let stopped = agent.stop(libc::SIGTERM);
        assert_eq!(stopped.status.code(), Some(0));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_a_full_disk_takes_is_counted_and_told_where_it_is_missing() {
    // A device is nothing that an agent may write to that is confined.
    observed_with(&["--sandbox", "off"], |agent, mut sender| {
        let log = agent.log();
        send(&agent, &mut sender, 1_000..1_100);
        let lost = || agent.metrics().count("netwatch_flow_log_lines_lost_total", &[]);
        let up = || agent.metrics().count("netwatch_flow_log_up", &[]);
        assert_eq!((lost(), up()), (0, 1));

        fs::rename(&log, log.with_extension("old")).unwrap();
        symlink("/dev/full", &log).unwrap();
        signal(agent.pid(), libc::SIGHUP);
        until("it has heard", || agent.stderr().contains("SIGHUP").then_some(()));
        let before = lines(&log.with_extension("old")).len();
        // The signal is heard before the file is opened.
        let mut port = 1_100;
        until("the device is in use", || {
            send(&agent, &mut sender, port..port + 1);
            port += 1;
            (up() == 0).then_some(())
        });
        let late = lines(&log.with_extension("old")).len() - before;
        send(&agent, &mut sender, port..port + 500);
        port += 500;
        let missing = u64::from(port) - 1_100 - u64::try_from(late).unwrap();
        assert_eq!((lost(), up()), (missing, 0));

        fs::remove_file(&log).unwrap();
        // Without another event.
        until("it goes on", || (up() == 1).then_some(()));
        send(&agent, &mut sender, port..port + 1);
        let new: Vec<Value> =
            lines(&log).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [gap, start] = new.as_slice() else { panic!("{new:?}") };
        assert_eq!((&gap["event"], &gap["lines"]), (&"gap".into(), &missing.into()));
        assert_eq!((&start["event"], &start["client"]["port"]), (&"start".into(), &port.into()));
        assert_eq!(lost(), missing);
        let said = agent.stderr();
        assert_eq!(said.matches("flow log lines cannot be written").count(), 1, "{said}");
        assert_eq!(said.matches("flow log lines can be written again").count(), 1, "{said}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_open_flow_is_ended_however_many_there_are() {
    observed(|agent, mut sender| {
        send(&agent, &mut sender, 1_000..21_000);
        assert_eq!(agent.metrics().count("netwatch_flow_log_lines_lost_total", &[]), 0);
        let stopped = agent.stop(libc::SIGTERM);
        assert_eq!(stopped.status.code(), Some(0));
        let ends = stopped.log.lines().filter(|line| line.contains("\"event\":\"end\""));
        assert_eq!(ends.count(), 20_000);
        assert!(!stopped.log.contains("\"event\":\"gap\""));
    });
}

/// The signal then comes from a terminal that is gone.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_a_file_sighup_stops_the_agent() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let folder = user::folder();
        let socket = folder.path().join("socket");
        let mut agent = netwatch()
            .args(["run", "--flow-log", "-", "--web.listen-address"])
            .args([&free_address().to_string(), "--socket"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("it listens", || socket.exists().then_some(()));
        signal(agent.id(), libc::SIGHUP);
        assert_eq!(end_of(&mut agent).code(), Some(0));
        assert!(!socket.exists());
    });
}
