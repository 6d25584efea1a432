//! docs/performance.md: what a whole run found, and what that means.

use std::fmt::Write as _;

use crate::{
    lab::{Flood, Lab, Pairs, Taken},
    path::{Cost, Path},
    report::{Report, megabytes},
    table,
};

const HEAD: &str = "\
<!-- Written by `cargo xtask bench -- --write-docs` from one run. Do not edit: run it again. -->
# What netwatch costs

Measured, not estimated: `cargo xtask bench` does what this page describes, on your machine, and shows its tables; it takes
about half an hour, and needs root and a machine that has nothing else to do. `--part path` and `--part lab` do one half of it,
`--json FILE` keeps all figures, `--check` exits with 1 if a goal is missed. `cargo xtask bench -- --write-docs` writes this page.

";

const PATH: &str = "\
## The packet path

netwatch's two programs run in the kernel for every packet at every observed interface. Here the kernel runs them on packets in
memory (`BPF_PROG_TEST_RUN`), next to a yardstick: what an ordinary eBPF flow counter does, and nothing besides. That is one
array counter, IPv4 or IPv6, the ports of TCP and UDP, the coarse clock, and one look-up in a per-CPU hash map of 131,072
entries by the directed 5-tuple; a flow that is not there is inserted. It keeps packets, bytes and the time of the last packet
of each flow; no TCP state, no segments of GSO packets, no word of what it did not count. It stands in
`netwatch-ebpf/bench/yardstick.rs` and is compiled as netwatch is; the same counter in C (clang 14 and 22, `-O2`) took as long,
within a nanosecond.

A small program makes each packet one of the next flow (source address and port, and the TCP sequence number, so that each flow
is data in order) and calls the program under test. The column `empty` is what this takes with a program that does nothing;
**all others are net of it**. Programs take turns, round after round, on one CPU; a round is 50,000 packets after one turn through
all flows. Time is CPU time of the thread. Whatever else a machine does only ever adds to it, above all by taking caches away,
so a figure is **what the tenth of the rounds that was disturbed least stayed below**, in nanoseconds a packet; in brackets the
median, which on a quiet machine is almost the same. `ratio` is the dearer one of netwatch's two programs in parts of the yardstick.

netwatch runs as it is shipped: default table sizes, one packet in 1,000 sampled where nothing else is said.

";

const PATH_NOTES: &str = "
- *100,000 flows* are more than the table has places for on one CPU: the share of packets that send another flow out of the
  table, through the ring to the agent, stands beside the figure. The ring is read in between, as the agent does.
- *New flow*: each packet belongs to a flow that was never seen. *Table full*: and each sends another one out. The yardstick
  inserts into a map with room; a full one would refuse.
- *least* finds a flow and nothing else: the yardstick without clock and map, with one multiplication a word and one cache line
  for key, packets and bytes (`netwatch-ebpf/bench/least.rs`). Places that collide are overwritten, so it counts nothing that
  could be used. It shows what finding a flow costs on this machine; with very many flows netwatch's table is cheaper than its, because
  entries in use stand close together.
- Each flow is met again only after all others, which is the worst order for caches.
";

const LAB: &str = "
## The lab

Two network namespaces, each behind a veth that is a port of one bridge. One sends as fast as one CPU can, through a packet
socket: UDP datagrams of 60 bytes, the smallest frame, of so many flows in turn. Each passes two of netwatch's hooks; sender,
bridge, both programs and all of the network stack run on that one CPU. A thread on another CPU takes the datagrams out of their
socket; *each dropped* is without it, where the socket is full and the kernel drops every packet behind the hooks. The agent is
the program that `cargo xtask dist` hands out, with default flags, and observes both veths. A pair is a run without and a run
with it, one right after the other, in alternating order; the ratio is the geometric mean over the pairs with its 95 %
confidence interval (Student's t).

`packets/s` is what arrived, by the counters of the receiver's device. `packets a CPU second` are those that the sender got
rid of per second of CPU time: it says the same, but does not count what others took from the CPU.

*empty* and *least* are two of the bench's own programs, at the same four hooks, with no agent: one does nothing, the other finds
a flow and does no more (see above). What *empty* costs, any observer there costs.

";

/// The page of a whole run.
pub fn page(report: &Report) -> String {
    let mut page = HEAD.to_owned();
    let machine = &report.machine;
    let _ = writeln!(page, "Machine: {machine}.\n");
    goals(&mut page, report);
    if let Some(path) = &report.path {
        page.push_str(PATH);
        self::path(&mut page, path);
    }
    if let Some(lab) = &report.lab {
        page.push_str(LAB);
        self::lab(&mut page, lab);
    }
    page
}

fn goals(page: &mut String, report: &Report) {
    let goals = report.goals();
    let missed: Vec<_> = goals.iter().filter(|goal| !goal.is_met()).collect();
    let _ = write!(page, "Of {} goals {} were met.", goals.len(), goals.len() - missed.len());
    if missed.is_empty() {
        page.push('\n');
    } else {
        page.push_str(" Missed:\n\n");
        for goal in missed {
            let _ = writeln!(page, "- {}", table::goal(goal));
        }
    }
    page.push('\n');
}

fn path(page: &mut String, path: &Path) {
    page.push_str(
        "| packets | flows | empty | yardstick | least | ingress | egress | ratio | goal |\n",
    );
    page.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---|\n");
    for cost in &path.costs {
        let _ = writeln!(page, "{}", cost_line(cost));
    }
    page.push_str(PATH_NOTES);
    page.push_str(
        "\n| program | instructions verified | left after that | machine code | stack |\n",
    );
    page.push_str("|---|---:|---:|---:|---:|\n");
    for program in &path.programs {
        let verified = program.verified_instructions.map_or("–".into(), |count| grouped(&count));
        let _ = writeln!(
            page,
            "| {} | {verified} | {} | {} B | {} B |",
            program.name,
            grouped(&program.instructions),
            grouped(&program.machine_code_bytes),
            program.stack_bytes,
        );
    }
}

fn cost_line(cost: &Cost) -> String {
    let flows = cost.flows.map_or("new".into(), |flows| grouped(&flows));
    let goal = match (cost.goal, cost.meets_goal()) {
        (Some(goal), Some(true)) => format!("≤ {goal}"),
        (Some(goal), _) => format!("≤ {goal}, **missed**"),
        _ => String::new(),
    };
    format!(
        "| {} | {flows} | {:.1} | {} | {} | {} | {} | {:.2} | {goal}{} |",
        cost.name,
        cost.empty.decile,
        table::net_of_empty(cost.yardstick),
        table::net_of_empty(cost.least),
        table::net_of_empty(cost.ingress),
        table::net_of_empty(cost.egress),
        cost.ratio,
        table::remarks(cost),
    )
}

fn lab(page: &mut String, lab: &Lab) {
    page.push_str("| | flows | without | with | with / without |\n|---|---:|---:|---:|---|\n");
    for flood in &lab.floods {
        let flows = grouped(&flood.flows);
        let _ = writeln!(page, "| packets/s | {flows} {}", rate(&flood.arrived, 1.0));
        let _ =
            writeln!(page, "| packets a CPU second | {flows} {}", rate(&flood.per_cpu_second, 1.0));
    }
    let Flood { flows, arrived, per_cpu_second, .. } = &lab.dropped;
    let flows = grouped(flows);
    let _ = writeln!(page, "| packets/s, each dropped | {flows} {}", rate(arrived, 1.0));
    let _ = writeln!(
        page,
        "| packets a CPU second, each dropped | {flows} {}",
        rate(per_cpu_second, 1.0)
    );
    for flood in &lab.plain {
        let (flows, name) = (grouped(&flood.flows), flood.program);
        let _ = writeln!(page, "| packets/s, *{name}* | {flows} {}", rate(&flood.arrived, 1.0));
        let _ = writeln!(
            page,
            "| packets a CPU second, *{name}* | {flows} {}",
            rate(&flood.per_cpu_second, 1.0)
        );
    }
    let _ = writeln!(page, "| iperf3, one TCP stream, Mb/s | 1 {}", rate(&lab.stream, 1e6));
    let received = lab.floods.iter().map(|flood| flood.received).fold(1.0, f64::min);
    let _ = writeln!(
        page,
        "\nOf the datagrams that arrived, the receiver took at least {:.1} % in each run without *dropped*.",
        received * 100.0
    );
    page.push_str("\nMeanwhile the agent took, at the end of the last run of each kind:\n\n");
    page.push_str(
        "| flows | CPU, of a core | private memory | resident | eBPF maps | packets in a flow |\n",
    );
    page.push_str("|---:|---:|---:|---:|---:|---:|\n");
    for flood in &lab.floods {
        let _ = writeln!(page, "| {} {}", grouped(&flood.flows), taken(&flood.agent));
    }
    let steady = &lab.steady;
    let _ = writeln!(
        page,
        "| {} for {} s {}",
        grouped(&steady.flows),
        steady.seconds,
        taken(&steady.agent)
    );
    page.push_str(
        "
The last line is longer than the active timeout of 60 s, so every flow was reported in it. Private memory is what no other
process has mapped, without the eBPF maps, which the agent reads where the kernel keeps them; resident memory is with them.
What is in no flow is counted under an outcome that says why, see [outcomes.md](outcomes.md).
",
    );
}

fn rate(pairs: &Pairs, scale: f64) -> String {
    let ratio = pairs.ratio;
    format!(
        "| {} | {} | {:.3} ({:.3} to {:.3}, {} pairs) |",
        grouped(&format!("{:.0}", pairs.without / scale)),
        grouped(&format!("{:.0}", pairs.with / scale)),
        ratio.mean,
        ratio.low,
        ratio.high,
        ratio.pairs,
    )
}

fn taken(agent: &Taken) -> String {
    format!(
        "| {:.1} % | {:.1} MB | {:.1} MB | {:.1} MB | {:.1} % |",
        agent.cores * 100.0,
        megabytes(agent.private_bytes),
        megabytes(agent.resident_bytes),
        agent.map_bytes / 1e6,
        agent.counted * 100.0,
    )
}

/// A whole number with commas between thousands.
fn grouped(number: &impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let all = [7, 999, 1000, 123_456, 1_234_567].map(|number| grouped(&number));
        assert_eq!(all, ["7", "999", "1,000", "123,456", "1,234,567"]);
    }
}
