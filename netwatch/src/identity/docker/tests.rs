//! Against a real engine, and against what only pretends to be one.

use std::path::Path;

use super::{testbed::Engine, *};
use crate::identity::{Directory, LinkEvent, LinkMonitor, namespace_id_of_pid};

async fn find<T>(
    events: &mut mpsc::Receiver<EngineEvent>,
    mut wanted: impl FnMut(&EngineEvent) -> Option<T>,
) -> T {
    let search = async {
        loop {
            let event = events.recv().await.expect("the watcher ended");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    time::timeout(Duration::from_secs(20), search).await.expect("the event does not come")
}

fn down(event: &EngineEvent) -> Option<String> {
    match event {
        EngineEvent::Down { reason } => Some(reason.clone()),
        _ => None,
    }
}

fn all(event: &EngineEvent) -> Option<Vec<Container>> {
    match event {
        EngineEvent::Containers(containers) => Some(containers.clone()),
        _ => None,
    }
}

fn running(event: &EngineEvent, name: &str) -> Option<Container> {
    match event {
        EngineEvent::Container(container) if container.name == name && container.pid.is_some() => {
            Some(container.clone())
        }
        _ => None,
    }
}

async fn refusal(host: String) -> String {
    let (sender, mut events) = mpsc::channel(8);
    let _watcher = DockerWatcher::spawn(Some(host), sender);
    find(&mut events, down).await
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_down_with_cause_and_remedy() {
    let absent = refusal("unix:///nowhere/docker.sock".to_owned()).await;
    assert!(
        absent.contains("no container engine's socket at unix:///nowhere")
            && absent.contains("--docker-host")
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let dead = refusal(format!("unix://{}", path.display())).await;
    assert!(dead.contains("nobody listens") && dead.contains("start the engine"), "{dead}");
    let alien = refusal("ssh://host".to_owned()).await;
    assert!(alien.contains("does not speak"), "{alien}");
}

#[tokio::test]
async fn a_hung_engine_and_garbage_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let hung = folder.path().join("hung.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&hung).unwrap();
    let garbage = folder.path().join("garbage.sock");
    let listener = tokio::net::UnixListener::bind(&garbage).unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut request).await;
            let _ = stream.try_write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"Ap\xff");
            open.push(stream);
        }
    });
    let of = |path: &Path| format!("unix://{}", path.display());
    let (hung, garbage) = tokio::join!(refusal(of(&hung)), refusal(of(&garbage)));
    assert!(hung.contains("does not answer within 5 seconds"), "{hung}");
    assert!(garbage.contains("does not speak the Docker API"), "{garbage}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and Docker: cargo xtask test"]
async fn containers_come_go_and_come_back_with_the_engine() {
    let mut engine = Engine::new("nwid8", "172.29.95.1/24");
    engine.import();
    engine.docker(
        "run -d --name web --label com.docker.compose.project=shop nw-test:1 busybox sleep 600",
    );
    let (sender, mut events) = mpsc::channel(8);
    let _watcher = DockerWatcher::spawn(Some(engine.host()), sender);
    find(&mut events, |event| matches!(event, EngineEvent::Up { .. }).then_some(())).await;
    let network = find(&mut events, |event| match event {
        EngineEvent::Networks(networks) => {
            networks.iter().find(|network| network.name == "bridge").cloned()
        }
        _ => None,
    })
    .await;
    assert_eq!(network.bridge.as_deref(), Some(engine.bridge));
    let listed = find(&mut events, all).await;
    assert_eq!(
        (listed.len(), listed[0].name.as_str(), listed[0].project.as_deref()),
        (1, "web", Some("shop"))
    );
    assert!(listed[0].pid.is_some() && !listed[0].attachments[0].addresses.is_empty());

    engine.docker("run -d --name side --network container:web nw-test:1 busybox sleep 600");
    let side = find(&mut events, |event| running(event, "side")).await;
    assert_eq!(side.shares_with.as_deref(), Some("web"));
    engine.docker("run -d --name onhost --network host nw-test:1 busybox sleep 600");
    assert!(find(&mut events, |event| running(event, "onhost")).await.host_network);
    engine.docker("rename web shop");
    find(&mut events, |event| running(event, "shop")).await;
    find(&mut events, |event| {
        running(event, "side").filter(|side| side.shares_with.as_deref() == Some("shop"))
    })
    .await;
    let id = side.id;
    engine.docker("rm -f side");
    find(&mut events, |event| {
        matches!(event, EngineEvent::Gone { id: gone } if *gone == id).then_some(())
    })
    .await;

    engine.stop();
    find(&mut events, down).await;
    engine.start();
    find(&mut events, |event| matches!(event, EngineEvent::Up { .. }).then_some(())).await;
    find(&mut events, all).await;
    engine.docker("start shop");
    find(&mut events, |event| running(event, "shop")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and Docker: cargo xtask test"]
async fn a_container_is_named_before_its_process_runs_and_its_veth_found_by_namespace() {
    let engine = Engine::new("nwid9", "172.29.96.1/24");
    engine.import();
    let (sender, mut events) = mpsc::channel(8);
    let _watcher = DockerWatcher::spawn(Some(engine.host()), sender);
    let (sender, mut links) = mpsc::channel(256);
    let _monitor = LinkMonitor::spawn(sender).unwrap();
    find(&mut events, all).await;

    let mut directory = Directory::new();
    let mut early = false;
    engine.docker("network create front");
    engine.docker("create --name cli nw-test:1 busybox sleep 600");
    engine.docker("network connect front cli");
    engine.docker("start cli");
    let mut names = Vec::new();
    let deadline = time::Instant::now() + Duration::from_secs(3);
    loop {
        tokio::select! {
            () = time::sleep_until(deadline) => break,
            Some(event) = events.recv() => {
                if let EngineEvent::Container(container) = &event {
                    early |= container.pid.is_none() && container.name == "cli" && !container.attachments.is_empty();
                }
                directory.apply_engine(&event, crate::model::Instant(1));
            }
            Some(event) = links.recv() => {
                if let LinkEvent::Changed { interface, .. } = &event {
                    names.push(interface.index);
                }
                directory.apply_link(&event, crate::model::Instant(1));
            }
        }
        directory.place(namespace_id_of_pid);
    }
    assert!(early, "the network's answer names the container before its process runs");
    let of_cli = |index: &u32| {
        directory.container_of_interface(*index).is_some_and(|found| found.name == "cli")
    };
    let mut veths: Vec<_> = directory.interfaces().map(|link| link.index).filter(of_cli).collect();
    veths.sort_unstable();
    assert_eq!(veths.len(), 2, "one veth in each network");
    let mut networks: Vec<_> =
        veths.iter().filter_map(|index| directory.network_of_interface(*index)).collect();
    networks.sort();
    assert_eq!(networks.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["bridge", "front"]);
    assert!(veths.iter().all(|index| names.contains(index)));
}
