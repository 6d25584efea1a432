//! The flow log's disk: full, and read-only. Lines that are missing are counted and told, and nothing else is hurt.

use std::{fs, os::unix::fs::symlink, path::Path};

use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::{
    assert_counts_exactly, datagram, doctor, observed, send,
    support::{
        agent::{Agent, send as signal},
        frames::Sender,
        shell::run,
        wait::until,
    },
    until_said,
};

/// Runs a test with the flow log on a disk of 256 kB of its own, which only it and the agent see.
fn on_a_small_disk(body: impl FnOnce(&Agent, &mut Sender, &Path) + Send + 'static) {
    observed(&[], |first, mut sender| {
        drop(first);
        #[expect(unsafe_code, reason = "a mount namespace of this thread's own")]
        // SAFETY: no descriptors are unshared, and the thread ends with the namespace.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.unwrap();
        run("mount", &["--make-rprivate", "/"]);
        // The log moves to where an agent that is confined may not write.
        let agent = Agent::start(&super::arguments(&["--sandbox", "off"]));
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().to_owned();
        let text = disk.to_str().unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=256k", "none", text]);
        fs::rename(agent.log(), agent.log().with_extension("before")).unwrap();
        symlink(disk.join("flows.jsonl"), agent.log()).unwrap();
        signal(agent.pid(), libc::SIGHUP);
        until("the log is on the small disk", || agent.log().exists().then_some(()));
        body(&agent, &mut sender, &disk);
        run("umount", &["--lazy", text]);
    });
}

fn up(agent: &Agent) -> u64 {
    agent.metrics().count("netwatch_flow_log_up", &[])
}

/// New flows until a line of them cannot be written.
fn until_down(agent: &Agent, sender: &mut Sender, source: u8) {
    let mut port = 0;
    until("the log is down", || {
        for _ in 0..1_000 {
            let mut frame = datagram(1_000 + port % 60_000);
            frame[29] = source;
            sender.send(&frame);
            port += 1;
        }
        (up(agent) == 0).then_some(())
    });
}

/// Lines written and lost make up all that there were, and the gap lines say which were lost.
fn assert_all_lines_accounted(agent: &Agent) {
    until("all lines are told of", || {
        let metrics = agent.metrics();
        let lost = metrics.count("netwatch_flow_log_lines_lost_total", &[]);
        let gaps: u64 = agent
            .events()
            .0
            .iter()
            .filter(|line| line["event"] == "gap")
            .map(|line| line["lines"].as_u64().unwrap())
            .sum();
        (lost > 0 && gaps == lost).then_some(())
    });
}

fn assert_heals(agent: &Agent, sender: &mut Sender) {
    until("the log is up again", || (up(agent) == 1).then_some(()));
    until_said(agent, "flow log lines can be written again");
    send(sender, 1);
    assert_all_lines_accounted(agent);
    assert_counts_exactly(agent, sender);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_full_disk_loses_lines_and_nothing_else() {
    on_a_small_disk(|agent, sender, disk| {
        fs::write(disk.join("ballast"), vec![0; 200 << 10]).unwrap();
        until_down(agent, sender, 1);
        until_said(agent, "flow log lines cannot be written");
        assert_counts_exactly(agent, sender);
        assert_eq!(agent.get("/-/ready").status, 200);
        assert!(doctor(agent).contains("lines of the flow log"), "{}", doctor(agent));
        fs::remove_file(disk.join("ballast")).unwrap();
        assert_heals(agent, sender);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_disk_that_becomes_read_only_loses_lines_and_nothing_else() {
    on_a_small_disk(|agent, sender, disk| {
        let text = disk.to_str().unwrap();
        // Nobody makes a file system read-only under an open file but an error of its disk; so the file goes, and no other can be made.
        fs::remove_file(disk.join("flows.jsonl")).unwrap();
        run("mount", &["-t", "tmpfs", "-o", "ro", "none", text]);
        signal(agent.pid(), libc::SIGHUP);
        until_down(agent, sender, 1);
        until_said(agent, "flow log lines cannot be written");
        assert_counts_exactly(agent, sender);
        assert_eq!(agent.get("/-/ready").status, 200);
        run("mount", &["-o", "remount,rw", text]);
        assert_heals(agent, sender);
    });
}
