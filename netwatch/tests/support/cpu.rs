//! Which CPU a test runs on.

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// Keeps this thread on one CPU: what the programs keep per CPU is then one thing.
pub fn stay_on_one() {
    stay_on(sched_getcpu());
}

/// Keeps this thread, and those that it starts, on this CPU.
pub fn stay_on(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("one CPU");
}

/// Two CPUs that this thread may run on.
pub fn two() -> [usize; 2] {
    let allowed = sched_getaffinity(None).expect("our CPUs");
    let mut all = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    [(); 2].map(|()| all.next().expect("a machine with two CPUs"))
}
