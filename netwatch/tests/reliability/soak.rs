//! Load, churn and faults together, for as long as `NETWATCH_SOAK_SECONDS` says: a minute in the ordinary run, hours by
//! `cargo xtask soak`. At the end every packet is accounted for, and nothing has grown.

use std::{
    env, fs,
    io::Write as _,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    alone, assert_books_balance,
    churn::ip,
    datagram,
    engine::{Engine, empty},
    scarce::{free_descriptors, leave_descriptors},
    support::{
        agent::{Agent, send as signal},
        counters::Quiet,
        frames::Sender,
        held,
        shell::{attempt, run},
        user, veth,
    },
};

/// Of the ordinary run.
const SHORT: u64 = 60;
/// From here on memory has to be flat: the history is full, and all that is made once has been made.
const WARM: Duration = Duration::from_mins(5);
/// From one fault to the next, and from one look to the next.
const BETWEEN: Duration = Duration::from_secs(5);
/// Interfaces made and deleted each second, by ten: more than 500 a minute.
const AT_ONCE: u32 = 10;
/// How much more memory than when it was warm: a tenth.
const GROWTH: u64 = 10;

/// New flows all the time, and some that go on. Holds still while somebody has the lock.
struct Load {
    stop: Arc<AtomicBool>,
    still: Arc<RwLock<()>>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    fn through(index: u32) -> Self {
        let (stop, still) = (Arc::new(AtomicBool::new(false)), Arc::new(RwLock::new(())));
        let sent = Arc::new(AtomicU64::new(0));
        let (stopped, lock, count) = (stop.clone(), still.clone(), sent.clone());
        let mut sender = Sender::at(index);
        let thread = thread::spawn(move || {
            let mut number = 0u64;
            while !stopped.load(Ordering::Relaxed) {
                let held = lock.read().unwrap_or_else(PoisonError::into_inner);
                for _ in 0..5 {
                    let [.., source, high, low] = number.to_be_bytes();
                    let mut new = datagram(u16::from_be_bytes([high, low]).max(1));
                    new[29] = source;
                    for packet in [&new, &new, &datagram(7), &datagram(8), &datagram(9)] {
                        sender.send(packet);
                    }
                    number += 1;
                    count.fetch_add(5, Ordering::Relaxed);
                }
                drop(held);
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self { stop, still, sent, thread: Some(thread) }
    }

    fn pause<T>(&self, body: impl FnOnce() -> T) -> T {
        let _still = self.still.write().unwrap_or_else(PoisonError::into_inner);
        body()
    }

    fn finish(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

/// Faults one after the other, again and again.
struct Faults {
    engine: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    number: u32,
    running: Option<Engine>,
    readers: Vec<UnixStream>,
}

impl Faults {
    fn next(&mut self, agent: &Agent, load: &Load) -> &'static str {
        self.number += 1;
        match self.number % 8 {
            0 => {
                self.running = None;
                self.running = Some(Engine::that_hangs(&self.engine));
                "an engine that hangs"
            }
            1 => {
                load.pause(|| detach(agent));
                "programs detached"
            }
            2 => {
                signal(agent.pid(), libc::SIGSTOP);
                thread::sleep(Duration::from_secs(1));
                signal(agent.pid(), libc::SIGCONT);
                "stopped for a second"
            }
            3 => {
                self.running = None;
                self.running = Some(Engine::start(&self.engine, empty));
                "an engine that works"
            }
            4 => {
                fs::rename(&self.log, self.log.with_extension("old")).unwrap();
                signal(agent.pid(), libc::SIGHUP);
                "a log that was moved"
            }
            5 => {
                self.readers.clear();
                // One that asks for everything and reads nothing.
                if let Ok(mut reader) = UnixStream::connect(&self.socket) {
                    let _ = reader.write_all(b"{\"command\":\"flows\",\"follow\":true}\n");
                    self.readers.push(reader);
                }
                "a reader that does not read"
            }
            6 => {
                let _ = fs::remove_file(&self.socket);
                "a socket that was removed"
            }
            _ => {
                leave_descriptors(agent, 0);
                thread::sleep(Duration::from_secs(2));
                free_descriptors(agent);
                "no descriptors"
            }
        }
    }
}

/// Detaches all programs while the agent does not look, and waits until they are attached again.
fn detach(agent: &Agent) {
    const DETACHED: &str = "netwatch_detached_by_others_total";
    let before = agent.metrics().count(DETACHED, &[]);
    signal(agent.pid(), libc::SIGSTOP);
    for link in held::by(agent.pid()).links {
        // Those of an interface that has just gone cannot be detached.
        let _ = attempt("bpftool", &["link", "detach", "id", &link.to_string()]);
    }
    signal(agent.pid(), libc::SIGCONT);
    super::until_count(agent, DETACHED, before + 2);
}

/// Ten interfaces that live for a moment, with a few frames through each.
fn churn(number: u32) {
    let names: Vec<String> = (0..AT_ONCE).map(|each| format!("c{number}x{each}")).collect();
    let make = |name: &String| {
        [
            format!("link add {name} type veth peer name p{name}"),
            format!("link set {name} master bridge"),
            format!("link set p{name} up"),
            format!("link set {name} up"),
        ]
    };
    ip(&names.iter().flat_map(make).collect::<Vec<_>>());
    for name in &names {
        super::send(&mut Sender::at(veth::index(&format!("p{name}"))), 20);
    }
    ip(&names.iter().map(|name| format!("link delete {name}")).collect::<Vec<_>>());
}

/// One look at what must not grow.
#[derive(Clone, Copy, Debug)]
struct Look {
    resident: u64,
    descriptors: usize,
    maps: usize,
    programs: usize,
    series: usize,
}

impl Look {
    fn at(agent: &Agent) -> Self {
        let metrics = agent.metrics();
        let held = held::by(agent.pid());
        Self {
            resident: metrics.count("process_resident_memory_bytes", &[]) >> 10,
            descriptors: held.descriptors - held.links.len(),
            maps: held.maps,
            programs: held.programs,
            // Edges fill what `--metrics.max-series` allows, sooner or later.
            series: metrics.series.iter().filter(|it| !it.name.contains("_edge_")).count(),
        }
    }
}

fn seconds() -> u64 {
    let asked = env::var("NETWATCH_SOAK_SECONDS").ok();
    asked.map_or(SHORT, |text| text.parse().expect("NETWATCH_SOAK_SECONDS is a number"))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn load_churn_and_faults_leave_nothing_and_lose_nothing() {
    alone(|| {
        let limit = Duration::from_secs(seconds());
        let [one, _] = veth::pair(["one", "two"], 1_500);
        run("ip", &["link", "add", "bridge", "type", "bridge"]);
        let folder = user::folder();
        let engine = folder.path().join("docker.sock");
        let host = format!("unix://{}", engine.display());
        let all = ["one", "two", "c*"].map(|name| ["--interface", name]).concat();
        // Edges of interfaces that are gone stay for a quarter of an hour: their number is to be flat before.
        let quick = ["--flow-idle-timeout", "2s", "--metrics.max-series", "1000"];
        let agent = Agent::start(&[&all, &quick[..], &["--docker-host", &host]].concat());
        let mut faults = Faults {
            engine,
            socket: agent.socket(),
            log: agent.log(),
            number: 0,
            running: None,
            readers: Vec::new(),
        };
        let load = Load::through(one);
        let begin = Instant::now();
        let (mut made, mut looked, mut warm) = (0, begin, None);
        while begin.elapsed() < limit {
            let turn = Instant::now();
            churn(made);
            made += 1;
            if looked.elapsed() >= BETWEEN {
                let fault = faults.next(&agent, &load);
                let look = Look::at(&agent);
                println!("{:>5} s, after {fault}: {look:?}", begin.elapsed().as_secs());
                if warm.is_none() && begin.elapsed() >= WARM {
                    warm = Some(look);
                }
                looked = Instant::now();
            }
            thread::sleep(Duration::from_secs(1).saturating_sub(turn.elapsed()));
        }
        let seconds = begin.elapsed().as_secs();
        let sent = load.finish();
        drop((faults.running.take(), faults.readers.drain(..)));
        assert_all_is_well(&agent, sent);
        println!(
            "{} interfaces and {sent} packets in {seconds} s, {} faults",
            made * AT_ONCE,
            faults.number
        );
        if let Some(warm) = warm {
            assert_flat(&agent, warm);
        }
    });
}

/// What was sent has been counted, as the kernel has counted it; nothing is attached to that has gone.
fn assert_all_is_well(agent: &Agent, sent: u64) {
    agent.until_metrics("all that came has gone", |metrics| {
        (metrics.count("netwatch_attached_interfaces", &[]) == 2).then_some(())
    });
    let quiet = Quiet::wait_for(agent);
    assert_eq!(quiet.netwatch, quiet.kernel);
    assert_eq!(quiet.netwatch["one"].transmit_packets, sent);
    assert_books_balance(&quiet.metrics);
    assert_eq!(agent.get("/-/ready").status, 200);
    assert!(!agent.stderr().contains("panicked"), "{}", agent.stderr());
}

#[expect(clippy::print_stdout, reason = "for whoever wants to know")]
fn assert_flat(agent: &Agent, warm: Look) {
    let now = Look::at(agent);
    println!("when warm {warm:?}\nin the end {now:?}");
    assert!(now.resident <= warm.resident + warm.resident / GROWTH, "memory");
    assert!(now.descriptors <= warm.descriptors + 2, "descriptors");
    assert_eq!((now.maps, now.programs), (warm.maps, warm.programs));
    assert!(now.series <= warm.series + warm.series / 10, "series");
    let metrics = agent.metrics();
    let all = metrics.value("netwatch_attach_seconds_count", &[]);
    let soon = metrics.value("netwatch_attach_seconds_bucket", &[("le", "0.05")]);
    println!("attached within 50 ms: {:.2} % of {all}", soon * 100.0 / all);
}
