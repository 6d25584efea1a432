//! Against the real kernel: namespaces, veths and bridges made with `ip`, on this host.

use std::{path::Path, process::Command, time::Duration};

use tokio::{sync::mpsc, time};

use super::*;
use crate::model::InterfaceKind;

/// One namespace, one bridge, and whatever else a test makes with names of this lab; gone with it.
struct Lab {
    name: &'static str,
}

impl Lab {
    fn new(name: &'static str) -> Self {
        let lab = Self { name };
        lab.clean();
        ip(&format!("netns add {name}-ns"));
        ip(&format!("link add {name}-br type bridge"));
        ip(&format!("link set {name}-br up"));
        lab
    }

    /// A veth from the bridge into the namespace, as Docker makes it: both ends here first.
    fn plug(&self) {
        let name = self.name;
        ip(&format!("link add {name}-v type veth peer name {name}-p"));
        ip(&format!("link set {name}-v master {name}-br up"));
        ip(&format!("link set {name}-p netns {name}-ns"));
    }

    fn clean(&self) {
        for command in ["netns del {}-ns", "link del {}-v", "link del {}-br"] {
            let command = command.replace("{}", self.name);
            let _ = Command::new("ip").args(command.split(' ')).output();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.clean();
    }
}

fn ip(command: &str) {
    let output = Command::new("ip").args(command.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {command}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn find<T>(
    events: &mut mpsc::Receiver<LinkEvent>,
    mut wanted: impl FnMut(&LinkEvent) -> Option<T>,
) -> T {
    let search = async {
        loop {
            let event = events.recv().await.expect("the monitor ended");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    time::timeout(Duration::from_secs(5), search).await.expect("the event does not come")
}

fn snapshot(event: &LinkEvent) -> Option<Vec<(Interface, LinkStats)>> {
    match event {
        LinkEvent::Snapshot(links) => Some(links.clone()),
        _ => None,
    }
}

fn changed(event: &LinkEvent, named: &str) -> Option<Interface> {
    match event {
        LinkEvent::Changed { interface, .. } if interface.name == named => Some(interface.clone()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: cargo xtask test"]
async fn a_veth_shows_the_namespace_that_its_file_and_process_have() {
    let lab = Lab::new("nwi1");
    let (sender, mut events) = mpsc::channel(64);
    let monitor = LinkMonitor::spawn(sender).unwrap();
    let links = find(&mut events, snapshot).await;
    let bridge = links.iter().find(|(link, _)| link.name == "nwi1-br").unwrap().0.clone();
    assert_eq!(bridge.kind, InterfaceKind::Bridge);
    assert!(links.iter().any(|(link, _)| link.name == "lo"));
    find(&mut events, |event| matches!(event, LinkEvent::Forwarding(_)).then_some(())).await;

    lab.plug();
    let veth = find(&mut events, |event| {
        changed(event, "nwi1-v").filter(|veth| veth.peer_namespace.is_some())
    })
    .await;
    assert_eq!((veth.kind, veth.master), (InterfaceKind::Veth, Some(bridge.index)));
    let path = Path::new("/run/netns/nwi1-ns");
    assert_eq!(namespace_id_of_path(path), veth.peer_namespace);
    let mut sleeper =
        Command::new("ip").args(["netns", "exec", "nwi1-ns", "sleep", "20"]).spawn().unwrap();
    time::sleep(Duration::from_millis(200)).await;
    assert_eq!(namespace_id_of_pid(i32::try_from(sleeper.id()).unwrap()), veth.peer_namespace);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(namespace_id_of_pid(i32::MAX), None);
    assert_eq!(namespace_id_of_path(Path::new("/nowhere")), None);
    let named = find(&mut events, |event| match event {
        LinkEvent::Namespaces(named) => Some(named.clone()),
        _ => None,
    })
    .await;
    assert!(
        named
            .iter()
            .any(|(container, id)| container.name == "nwi1-ns" && Some(*id) == veth.peer_namespace)
    );

    // The first packet teaches the bridge where the container's end is: neighbour discovery sends it.
    ip("-n nwi1-ns link set nwi1-p address 02:00:00:00:77:01");
    ip("-n nwi1-ns link set nwi1-p up");
    let port = find(&mut events, |event| match event {
        LinkEvent::Neighbour { port, mac, present: true }
            if mac.to_string() == "02:00:00:00:77:01" =>
        {
            Some(*port)
        }
        _ => None,
    })
    .await;
    assert_eq!(port, veth.index);
    assert_eq!(monitor.counters().malformed.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: cargo xtask test"]
async fn leaving_a_bridge_and_a_new_name_are_changes_and_deletion_is_an_end() {
    let lab = Lab::new("nwi2");
    lab.plug();
    let (sender, mut events) = mpsc::channel(64);
    let _monitor = LinkMonitor::spawn(sender).unwrap();
    let links = find(&mut events, snapshot).await;
    let veth = links.iter().find(|(link, _)| link.name == "nwi2-v").unwrap().0.clone();
    assert!(veth.master.is_some() && veth.peer_namespace.is_some());
    let gone = |event: &LinkEvent| match event {
        LinkEvent::Gone { index, name } if *index == veth.index => Some(name.clone()),
        _ => None,
    };

    ip("link set nwi2-v nomaster");
    let freed = find(&mut events, |event| {
        assert_eq!(gone(event), None, "leaving a bridge is no end");
        changed(event, "nwi2-v").filter(|veth| veth.master.is_none())
    })
    .await;
    assert_eq!((freed.kind, freed.peer_namespace), (InterfaceKind::Veth, veth.peer_namespace));
    ip("link set nwi2-v down");
    ip("link set nwi2-v name nwi2-w");
    let renamed = find(&mut events, |event| changed(event, "nwi2-w")).await;
    assert_eq!(renamed.index, veth.index);
    ip("address add 172.29.98.1/24 dev nwi2-br");
    let address = find(&mut events, |event| match event {
        LinkEvent::Addresses(all) => {
            all.iter().find(|host| host.address.to_string() == "172.29.98.1").copied()
        }
        _ => None,
    })
    .await;
    assert_eq!(address.prefix, 24);
    ip("link del nwi2-w");
    assert_eq!(find(&mut events, gone).await, "nwi2-w");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: cargo xtask test"]
async fn a_new_veth_is_reported_within_milliseconds() {
    let _lab = Lab::new("nwi3");
    let (sender, mut events) = mpsc::channel(64);
    let _monitor = LinkMonitor::spawn(sender).unwrap();
    find(&mut events, |event| matches!(event, LinkEvent::Forwarding(_)).then_some(())).await;
    let maker = std::thread::spawn(|| {
        ip("link add nwi3-v type veth peer name nwi3-p");
        Instant::now()
    });
    let seen = find(&mut events, |event| match event {
        LinkEvent::Changed { interface, seen_at, .. } if interface.name == "nwi3-v" => {
            Some(*seen_at)
        }
        _ => None,
    })
    .await;
    // The message was read about when `ip` itself learned that the link is there.
    let late = seen.saturating_duration_since(maker.join().unwrap());
    assert!(late < Duration::from_millis(5), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root: cargo xtask test"]
async fn lost_messages_lead_to_a_new_snapshot() {
    let _lab = Lab::new("nwi4");
    let (sender, mut events) = mpsc::channel(1);
    let monitor = LinkMonitor::with_buffer(sender, 4096).unwrap();
    find(&mut events, |event| matches!(event, LinkEvent::Forwarding(_)).then_some(())).await;
    // Nobody reads the channel meanwhile.
    for round in 0..40 {
        ip(&format!("link set nwi4-br mtu {}", 1400 + round));
        ip(&format!("address add 172.29.97.{round}/32 dev nwi4-br"));
        tokio::task::yield_now().await;
    }
    ip("link add nwi4-v type veth peer name nwi4-p");
    find(&mut events, |event| {
        let listed = snapshot(event)
            .is_some_and(|links| links.iter().any(|(link, _)| link.name == "nwi4-v"));
        (listed || changed(event, "nwi4-v").is_some()).then_some(())
    })
    .await;
    find(&mut events, |event| match event {
        LinkEvent::Addresses(all) => {
            all.iter().find(|host| host.address.to_string() == "172.29.97.39").copied()
        }
        _ => None,
    })
    .await;
    assert!(monitor.counters().overruns.load(std::sync::atomic::Ordering::Relaxed) > 0);
}
