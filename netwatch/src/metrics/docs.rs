//! docs/metrics.md, made from the catalogue.

use std::fmt::Write as _;

use netwatch_common::outcome::Outcome;

use super::catalogue::{Group, Metric};
use crate::model::Shares;

const HEAD: &str = "# Metrics

<!-- Made from netwatch/src/metrics/catalogue.rs: change that, then UPDATE_DOCS=1 cargo test -p netwatch --lib metrics -->

What `netwatch run` serves at `/metrics`. A scrape reads the flows first and the totals right after: the
figures agree with each other and with the flow log but for the packets that pass in between. Nothing is added up twice. Counters start at 0 with the agent. Names
come from containers: control characters in them become U+FFFD, and what is longer than 200 characters is cut.

What `series` says is how many a metric can have: one, a few for words that netwatch or the kernel has, or some by container,
interface or edge, of which there are never more than `--metrics.max-series` allows: see [below](#how-many-series).

Where `labels` has `container` with a +, something of a container is counted, and `--metrics.labels` adds what netwatch_container_info has, for
those who do not want to join with it: `id`, `image`, `project`, `service`. They are those of the container that has the name now, or
had it last: a name has one set of them at a time, and no series is there twice. The counter is the name's. When the next container under
it has another image, it goes on in new series, with all that there was before; what came between the two scrapes around that is in no
rate, since for Prometheus the new series begin there. With `id` that is so for each container that is made anew. A label is empty where the
container has no such thing, and where no container is meant or known, as with `other` and `host`.

`--metrics.labels no-network` leaves `network` out of the same metrics, and adds up. All others stay as they are, those of edges too: join them by
`client` or `server`.

Figures of containers and interfaces that have gone stay for `--metrics.linger`, which is 15 minutes unless told otherwise, and of at most 1,000
that have gone; then their series disappear. An agent that goes on where another one stopped waits anew.

Three units, never mixed: **packets as the kernel counts them** (socket buffers, where a GSO packet counts once; only in the
interface metrics, to compare with `ip -s link`), **packets on the wire** and **bytes on the wire** (Ethernet header
included) everywhere else.
";

const SHARES: &str = "
## How many series

A scrape has at most `--metrics.max-series` series (10,000 unless told otherwise), however many containers, interfaces and edges there
are. 400 are for netwatch itself; the others are shared out as this table says for 10,000, and in proportion for another number. What
is beyond is not lost: it is added up under the name `other`, so that sums are complete. The first that come have series of their
own; of edges, containers and interfaces, every ten seconds one that has become more than twice as large, in bytes, gets the place of the smallest,
which is folded into `other` with all that it has counted and gets no place for a quarter of an hour. What gets a place later begins at 0:
what it had counted before stays in `other`. So no series ever decreases. `netwatch_names_folded` and `netwatch_edges_folded_total` tell
whether there are any; then raise `--metrics.max-series`.

| what | have series of their own | series of each |
|---|---|---|
";

impl Group {
    fn title(self) -> &'static str {
        match self {
            Self::Identity => "Who is who",
            Self::Interfaces => "Interfaces",
            Self::Containers => "Containers",
            Self::Edges => "Who talks to whom",
            Self::Dns => "DNS",
            Self::Flows => "Flows",
            Self::Ledger => "The ledger",
            Self::Drops => "Drops",
            Self::Agent => "The agent",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Identity => {
                "Identity lives here and is joined where it is wanted, so that the other metrics stay small."
            }
            Self::Interfaces => {
                "From the interface's side, as `ip -s link`: what a host veth *receives* is what its container sends."
            }
            Self::Containers => {
                "From the container's side, over all its interfaces in a network and over restarts. `network` is empty \
                 where it is unknown."
            }
            Self::Edges => {
                "A packet from one container to another is counted once, however many interfaces it crosses. `client` \
                 is who sent first. The ends are names, never addresses: a container, `host`, `external`, `multicast`, \
                 `broadcast`, or an interface whose container is unknown. `port` is the server's; it is empty where the \
                 protocol has none or the port is ephemeral. What is beyond the budget is in the edge \
                 `client=\"other\", server=\"other\", protocol=\"other\"`, so sums are always complete."
            }
            Self::Dns => {
                "Each message counts once, for the one who asks, at its veth: `container` is a container, or `host`, \
                 `external` or an interface where no container asks. What Docker's embedded server (127.0.0.11) answers \
                 by itself never leaves the container's namespace and is not seen; what it asks on behalf of the container \
                 is. Multicast DNS is not counted."
            }
            Self::Flows => "A flow is both directions of a conversation between two sockets.",
            Self::Ledger => {
                "Every packet is accounted for: `netwatch_packets_seen_total == sum(netwatch_packet_outcomes_total)`, and \
                 the same for bytes."
            }
            Self::Drops => {
                "Packets that the kernel gave up at an observed interface of the host, or at any interface in the network \
                 namespace of a container, and why. Not part of the ledger: a dropped packet has passed hooks before, \
                 or none. Not counted is what arrived: packets that a socket had queued when it was closed."
            }
            Self::Agent => "How well netwatch itself is doing.",
        }
    }
}

/// What is shared out, and how.
fn shares(page: &mut String) {
    let series = 10_000;
    let Shares { edges, interfaces, containers, infos, sizes, times, dns, drops, undelivered } =
        Shares::of(series);
    page.push_str(SHARES);
    let [of_containers, of_interfaces, of_unseen] = infos;
    for (what, most, each) in [
        ("edges: client, server, protocol, port", edges, "6"),
        ("interfaces, their counters", interfaces, "8"),
        ("containers in each network, their counters", containers, "4"),
        ("containers in each network, sizes of their packets", sizes, "28"),
        ("names with times: handshakes, echoes, look-ups, of each", times, "22"),
        ("`netwatch_container_info`", of_containers, "1"),
        ("`netwatch_interface_info`", of_interfaces, "1"),
        ("`netwatch_container_out_of_sight`", of_unseen, "1"),
        ("counts of DNS queries, and of answers by code", dns, "1"),
        ("drops by container, reason and place", drops, "1"),
        ("undelivered packets by container and place", undelivered, "1"),
    ] {
        let _ = writeln!(page, "| {what} | {most} | {each} |");
    }
}

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for group in Group::ALL {
        // Writing to a String does not fail.
        let _ = write!(page, "\n## {}\n\n{}\n\n", group.title(), group.text());
        page.push_str("| metric | type | labels | series | meaning |\n|---|---|---|---|---|\n");
        for entry in
            Metric::ALL.iter().map(|metric| metric.entry()).filter(|entry| entry.group == group)
        {
            let mark = |label| if label == "container" && entry.has_choice() { " +" } else { "" };
            let labels = entry.labels.iter().map(|label| format!("`{label}`{}", mark(*label)));
            let labels: Vec<_> = labels.collect();
            let meaning = [entry.help, entry.docs].join(" ");
            let (kind, labels, meaning) =
                (entry.kind.name(), labels.join(", "), meaning.trim_end());
            let series = entry.budget().name();
            let _ =
                writeln!(page, "| `{}` | {kind} | {labels} | {series} | {meaning} |", entry.name);
        }
        if group == Group::Ledger {
            page.push_str("\n| `outcome` | why the packet is in no flow |\n|---|---|\n");
            for outcome in Outcome::ALL {
                let _ = writeln!(page, "| `{}` | {} |", outcome.name(), outcome.help().trim());
            }
        }
    }
    shares(&mut page);
    page
}
