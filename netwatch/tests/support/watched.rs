//! What a process takes: CPU time and memory.

use std::{
    fs,
    time::{Duration, Instant},
};

/// CPU time of a process in ticks of 10 ms, and its memory in kB: all that is there, and what is its own and no eBPF map.
fn taken(pid: u32) -> [u64; 3] {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let memory = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    [ticks, memory("VmRSS:"), memory("RssAnon:")]
}

/// A process, looked at every five seconds.
pub struct Watched {
    pid: u32,
    begin: Instant,
    since: Instant,
    ticks: u64,
    /// Memory of its own each time, in kB.
    memory: Vec<u64>,
}

/// How many looks make a long run: the history is full long before half of it.
const LONG: usize = 6;

impl Watched {
    pub fn new(pid: u32) -> Self {
        let begin = Instant::now();
        Self { pid, begin, since: begin, ticks: taken(pid)[0], memory: Vec::new() }
    }

    #[expect(clippy::print_stdout, reason = "for whoever wants to know")]
    pub fn look(&mut self) {
        if self.since.elapsed() < Duration::from_secs(5) {
            return;
        }
        let [ticks, resident, anonymous] = taken(self.pid);
        println!(
            "{:>3} s: {} % of a core, {} MB resident, {} MB of its own",
            self.begin.elapsed().as_secs(),
            u128::from(ticks - self.ticks) * 1_000 / self.since.elapsed().as_millis(),
            resident / 1024,
            anonymous / 1024
        );
        self.memory.push(anonymous);
        self.ticks = ticks;
        self.since = Instant::now();
    }

    /// In the second half of a long run it takes no more than in the first.
    pub fn assert_flat(&self) {
        let (first, second) = self.memory.split_at(self.memory.len() / 2);
        let [Some(first), Some(second)] = [first, second].map(|half| half.iter().max()) else {
            return;
        };
        let is_long = self.memory.len() >= LONG;
        assert!(!is_long || *second <= first + first / 10, "it grows: {:?} kB", self.memory);
    }
}
