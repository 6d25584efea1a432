//! Figures that are 0 as long as all is well, made to move by what they tell of.

use std::{
    net::{Ipv4Addr, UdpSocket},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use aya::sys::{Stats, enable_stats};

use super::{
    datagram, observed, observed_with,
    support::{
        agent::{Agent, send as signal},
        cpu,
        frames::Sender,
        metrics::Metrics,
        mounts,
        netns::{in_new_namespace, own},
        serial,
        shell::run,
        veth,
        wait::until,
    },
};

/// More than there is room for until an agent that stands still goes on.
const TOO_MANY: u16 = 60_000;

fn until_moved(agent: &Agent, metrics: &[&str]) -> Metrics {
    until(&format!("{metrics:?}"), || {
        let scrape = agent.try_metrics()?;
        metrics.iter().all(|name| scrape.sum(name, &[]) > 0).then_some(scrape)
    })
}

/// The kernel tells of samples, messages and connections whether the agent takes them or not.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_an_agent_was_too_slow_for_is_counted() {
    observed_with(&["--sample-rate", "1", "--dns-rate", "1000000"], |agent, mut sender| {
        // The kernel tracks connections where a rule wants to know of them.
        let states = ["-m", "conntrack", "--ctstate", "INVALID"];
        run("iptables", &[&["-w", "-A", "OUTPUT"], &states[..], &["-j", "ACCEPT"]].concat());
        signal(agent.pid(), libc::SIGSTOP);
        let caller = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut query = datagram(1_000);
        // The port of the server.
        query[36..38].copy_from_slice(&53_u16.to_be_bytes());
        for port in 1..TOO_MANY {
            let _ = caller.send_to(b"", (Ipv4Addr::LOCALHOST, port));
            sender.send(&query);
        }
        signal(agent.pid(), libc::SIGCONT);
        let scrape = until_moved(
            &agent,
            &["netwatch_samples_lost_total", "netwatch_conntrack_overruns_total"],
        );
        let full = [("reason", "ring-full")];
        assert!(scrape.count("netwatch_dns_messages_lost_total", &full) > 0);
        assert_eq!(
            scrape.count("netwatch_interface_transmit_packets_total", &[("interface", "one")]),
            u64::from(TOO_MANY) - 1,
            "samples and messages are no part of the counters"
        );
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_that_cannot_be_observed_is_counted() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        run("ip", &["link", "set", "lo", "up"]);
        veth::pair(["one", "two"], 1_500);
        let observe = ["--interface", "one", "--interface", "two", "--attach-mode", "clsact"];
        // Where clsact would be there is something else already.
        run("tc", &["qdisc", "add", "dev", "one", "ingress"]);
        let agent = Agent::start_protected(&observe);
        until_moved(&agent, &["netwatch_attach_failures_total"]);
        let answer = agent.get("/-/ready");
        assert!(answer.status == 503 && answer.body.contains("one"), "{answer:?}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_a_device_had_carried_before_is_counted() {
    let _alone = serial::alone();
    in_new_namespace(|| {
        // Where the agent reads a device's counters, which are those of this namespace then.
        mounts::own();
        mounts::mount("sysfs", "/sys");
        run("ip", &["link", "set", "lo", "up"]);
        let agent = Agent::start(&["--interface", "used*"]);
        let here = own();
        let path = format!("/proc/{}/fd/{}", std::process::id(), here.as_raw_fd());
        let _there = in_new_namespace(move || {
            let [used, _] = veth::pair(["used", "other"], 1_500);
            let mut sender = Sender::at(used);
            for port in 0..7 {
                sender.send(&datagram(port));
            }
            run("ip", &["link", "set", "used", "netns", &path]);
            own()
        });
        let scrape = until_moved(&agent, &["netwatch_attach_gap_packets_total"]);
        assert_eq!(scrape.count("netwatch_attach_gap_packets_total", &[]), 7);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn runs_of_the_programs_are_counted_where_the_kernel_counts_them() {
    observed(|agent, mut sender| {
        let counting = enable_stats(Stats::RunTime).unwrap();
        for port in 0..100 {
            sender.send(&datagram(port));
        }
        let name = "netwatch_bpf_program_runs_total";
        let scrape = until_moved(&agent, &[name]);
        drop(counting);
        assert!(scrape.sum(name, &[]) >= 100);
        let seconds = scrape.find("netwatch_bpf_program_run_seconds_total", &[]);
        assert!(seconds.map(|series| series.value).sum::<f64>() > 0.0);
    });
}

/// One drop comes while the kernel is about to tell of another one on that CPU: in an interrupt, for packets that a queue
/// lets out when their time has come, and that nobody takes. Not so fast that a thread takes over from the interrupts.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn drops_that_the_kernel_did_not_show_are_counted() {
    observed(|agent, mut sender| {
        let slowly = ["tbf", "rate", "4mbit", "burst", "1600", "limit", "100mb"];
        run("tc", &[&["qdisc", "add", "dev", "one", "root"], &slowly[..]].concat());
        let drop = ["-d", "127.0.0.2", "-j", "DROP"];
        run("iptables", &[&["-w", "-A", "OUTPUT"], &drop[..]].concat());
        let [cpu, _] = cpu::two();
        cpu::stay_on(cpu);
        let caller = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        until("a drop within a drop", || {
            for port in 0..5_000 {
                sender.send(&datagram(port));
            }
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(500) {
                let _ = caller.send_to(b"", (Ipv4Addr::new(127, 0, 0, 2), 9));
            }
            (agent.metrics().count("netwatch_drops_missed_total", &[]) > 0).then_some(())
        });
    });
}
