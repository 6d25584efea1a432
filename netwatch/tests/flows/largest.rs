//! The largest flows: once, and on a terminal again and again.

use std::{
    ffi::CString,
    fs::File,
    io::Read as _,
    os::fd::{AsFd as _, OwnedFd},
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::{
    datagram, flows, observed, send,
    support::{
        agent::{Agent, end_of, netwatch, send as signal},
        frames::Sender,
        wait::until,
    },
};

/// From port 1,000 on one packet, from the next one two, and so on.
fn send_more_and_more(agent: &Agent, sender: &mut Sender, flows: u16) {
    send(agent, sender, 1_000..1_000 + flows);
    for more in 1..flows {
        for _ in 0..more {
            sender.send(&datagram(1_000 + more));
        }
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn running_flows_are_ranked_by_what_they_have_counted_until_now() {
    observed(|agent, mut sender| {
        send_more_and_more(&agent, &mut sender, 30);
        let ranked = |arguments: &[&str]| flows(&agent, &[&["-o", "csv"], arguments].concat());
        // Event, client's port, packets sent.
        let rows = |arguments: &[&str]| -> Vec<[String; 3]> {
            let lines = ranked(arguments);
            let names: Vec<&str> = lines[0].split(',').collect();
            let column = |name: &str| names.iter().position(|one| *one == name).unwrap();
            let wanted = ["event", "client_port", "sent_packets"].map(column);
            let row = |line: &String| {
                let cells: Vec<&str> = line.split(',').collect();
                wanted.map(|at| cells[at].to_owned())
            };
            lines[1..].iter().map(row).collect()
        };
        let row = |port: u16| ["update".to_owned(), port.to_string(), (port - 999).to_string()];
        assert_eq!(rows(&["--top", "3"]), [row(1_029), row(1_028), row(1_027)]);
        assert_eq!(rows(&["--sort", "packets"]).len(), 20, "a screenful");
        let all = rows(&["--sort", "packets", "--top", "1000"]);
        assert_eq!(all, (1_000..1_030).rev().map(row).collect::<Vec<_>>());
        let some = ["--top", "2", "--port", "1003", "--port", "1004", "--port", "1001"];
        assert_eq!(rows(&some), [row(1_004), row(1_003)]);
        // What was told of them before.
        let started = rows(&["--top", "100", "--events", "start"]);
        assert_eq!(started.len(), 30);
        assert!(started.iter().all(|[event, ..]| event == "start"), "{started:?}");
        assert_eq!(ranked(&["--top", "9", "--sort", "drops"]).len(), 1, "a header");
        assert_eq!(ranked(&["--top", "9", "--until", "1h"]).len(), 1);
    });
}

/// A terminal of this size, from both sides.
pub(super) fn terminal(columns: u16, rows: u16) -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name: CString = ptsname(&ours, Vec::new()).unwrap();
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(ours.as_fd(), size).unwrap();
    let theirs = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    (File::from(ours), theirs)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_watched_ones_are_refreshed_in_their_place_and_the_terminal_is_given_back() {
    observed(|agent, mut sender| {
        send_more_and_more(&agent, &mut sender, 30);
        for ending in [libc::SIGINT, libc::SIGTERM] {
            let (mut ours, theirs) = terminal(120, 8);
            let mut watcher = netwatch()
                .args(["flows", "--watch", "--sort", "packets", "--socket"])
                .arg(agent.socket())
                .stdin(Stdio::null())
                .stdout(Stdio::from(theirs))
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let drawn = Arc::new(Mutex::new(Vec::new()));
            let kept = Arc::clone(&drawn);
            let reader = thread::spawn(move || {
                let mut bytes = [0; 4096];
                // Ends with an error when nobody has the other side any more.
                while let Ok(count @ 1..) = ours.read(&mut bytes) {
                    kept.lock().unwrap().extend_from_slice(&bytes[..count]);
                }
            });
            let text = || String::from_utf8_lossy(&drawn.lock().unwrap()).into_owned();
            let pages = |text: &str| text.matches("\u{1b}[H").count();
            until("two pages", || (pages(&text()) >= 2).then_some(()));
            signal(watcher.id(), ending);
            assert_eq!(end_of(&mut watcher).code(), Some(0));
            reader.join().unwrap();
            let text = text();
            assert!(text.starts_with("\u{1b}[?1049h"), "{text:?}");
            assert!(text.ends_with("\u{1b}[?1049l"), "{text:?}");
            let page = text.split("\u{1b}[H").nth(2).unwrap();
            let lines: Vec<&str> = page.lines().collect();
            assert!(lines[0].contains(" largest flows by packets; Ctrl-C ends"), "{page:?}");
            assert!(lines[2].contains("update") && lines[2].contains(":1029 -> "), "{page:?}");
            assert!(lines[6].contains(":1025 -> "), "{page:?}");
            assert!(!page.contains(":1024 -> "), "more than the screen has room for: {page:?}");
            let mut said = String::new();
            watcher.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            assert!(
                said.starts_with("netwatch: ") && said.ends_with(" pages, 0 events missed\n"),
                "{said}"
            );
        }
    });
}
