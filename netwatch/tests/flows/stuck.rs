//! Whoever does not read holds up nobody: standard error, a terminal that was stopped, a pipe for the flow log.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt as _, net::UnixStream},
    },
    process::Stdio,
};

use rustix::termios::{Action, tcflow};

use super::{
    largest::terminal,
    support::{
        agent::{end_of, netwatch, send as signal},
        http::{self, free_address},
        metrics::Metrics,
        netns::in_new_namespace,
        serial,
        shell::run,
        user,
        wait::until,
    },
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_standard_error_that_nobody_empties_does_not_hold_up_the_agent() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let (_unread, full) = UnixStream::pair().unwrap();
        full.set_nonblocking(true).unwrap();
        while (&full).write(&[b'x'; 4_096]).is_ok() {}
        full.set_nonblocking(false).unwrap();
        let address = free_address();
        let mut agent = netwatch()
            .args(["run", "--socket", "none", "--web.listen-address", &address.to_string()])
            .args(["--log.level", "debug"])
            .stdin(Stdio::null())
            .stderr(Stdio::from(OwnedFd::from(full)))
            .spawn()
            .unwrap();
        let metrics = || http::get(address, "/metrics").ok().filter(|it| it.status == 200);
        let lost = || {
            let metrics = Metrics::parse(&until("metrics", metrics).body);
            metrics.count("netwatch_log_lines_lost_total", &[])
        };
        assert_eq!(lost(), 0, "they wait");
        until("more lines than may wait", || {
            // Each is a line.
            for _ in 0..200 {
                TcpStream::connect(address).unwrap().write_all(b"nonsense\r\n\r\n").unwrap();
            }
            (lost() > 0).then_some(())
        });
        signal(agent.id(), libc::SIGTERM);
        assert_eq!(end_of(&mut agent).code(), Some(0));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_second_ctrl_c_ends_the_watching_at_once() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let (_ours, theirs) = terminal(60, 8);
        tcflow(&theirs, Action::OOff).unwrap();
        let mut watcher = netwatch()
            .args(["flows", "--watch"])
            .env("NETWATCH_SOCKET", "/nonexistent/socket")
            .stdin(Stdio::null())
            .stdout(Stdio::from(theirs))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut remarks = BufReader::new(watcher.stderr.take().unwrap()).lines();
        let said = remarks.next().unwrap().unwrap();
        assert!(said.ends_with("; observing by itself until Ctrl-C"), "{said}");
        signal(watcher.id(), libc::SIGINT);
        let status = until("its end", || {
            signal(watcher.id(), libc::SIGINT);
            watcher.try_wait().unwrap()
        });
        assert_eq!(status.code(), Some(1));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_pipe_for_the_flow_log_needs_a_reader_and_is_not_waited_for() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        let folder = user::folder();
        let pipe = folder.path().join("pipe");
        run("mkfifo", &[pipe.to_str().unwrap()]);
        user::give(&pipe);
        let start = || {
            let mut command = netwatch();
            command
                .args(["run", "--socket", "none", "--flow-format", "json"])
                .args(["--web.listen-address", &free_address().to_string()])
                .args(["--flow-idle-timeout", "1s", "--interface", "*", "--flow-log"])
                .arg(&pipe)
                .stdin(Stdio::null());
            command
        };
        let refused = start().output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot open the flow log ") && said.contains("/pipe: "), "{said}");
        assert!(said.contains("nobody reads this pipe\nhint: start its reader first"), "{said}");

        let reader: File =
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).unwrap();
        let mut agent = start().stderr(Stdio::piped()).spawn().unwrap();
        let mut remarks = BufReader::new(agent.stderr.take().unwrap()).lines();
        until("it observes", || {
            remarks.next().unwrap().unwrap().contains("attached").then_some(())
        });
        drop(reader);
        signal(agent.id(), libc::SIGTERM);
        assert_eq!(end_of(&mut agent).code(), Some(0));
    });
}
