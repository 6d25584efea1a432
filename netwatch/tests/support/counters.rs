//! The kernel's own counters of interfaces, as `ip -s link` has them.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::{agent::Agent, metrics::Metrics, shell::run, wait::until};

/// What the kernel has counted, or netwatch: receive and transmit, packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub receive_packets: u64,
    pub receive_bytes: u64,
    pub transmit_packets: u64,
    pub transmit_bytes: u64,
}

impl Counters {
    pub fn since(self, earlier: Self) -> Self {
        Self {
            receive_packets: self.receive_packets - earlier.receive_packets,
            receive_bytes: self.receive_bytes - earlier.receive_bytes,
            transmit_packets: self.transmit_packets - earlier.transmit_packets,
            transmit_bytes: self.transmit_bytes - earlier.transmit_bytes,
        }
    }
}

/// By name of the interface.
pub type ByInterface = BTreeMap<String, Counters>;

/// What `ip -s link` shows.
pub fn of_kernel() -> ByInterface {
    let all: Vec<Value> =
        serde_json::from_str(&run("ip", &["-s", "-j", "link"])).expect("JSON from ip");
    let number = |link: &Value, way: &str, unit: &str| {
        link["stats64"][way][unit].as_u64().expect("a counter")
    };
    let counters = |link: &Value| Counters {
        receive_packets: number(link, "rx", "packets"),
        receive_bytes: number(link, "rx", "bytes"),
        transmit_packets: number(link, "tx", "packets"),
        transmit_bytes: number(link, "tx", "bytes"),
    };
    let name = |link: &Value| link["ifname"].as_str().expect("a name").to_owned();
    all.iter().map(|link| (name(link), counters(link))).collect()
}

/// What the kernel has counted of an interface, without waiting for whoever makes some just then, as `ip` would (proc_net_dev(5)).
pub fn of_kernel_now(name: &str) -> Counters {
    let all = fs::read_to_string("/proc/thread-self/net/dev").expect("the kernel's counters");
    let fields =
        all.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'));
    let fields: Vec<u64> = fields
        .into_iter()
        .flat_map(str::split_whitespace)
        .map(|field| field.parse().unwrap())
        .collect();
    let field = |at| fields.get(at).copied().unwrap_or_default();
    Counters {
        receive_bytes: field(0),
        receive_packets: field(1),
        transmit_bytes: field(8),
        transmit_packets: field(9),
    }
}

/// What netwatch has counted of the interfaces that it observes.
pub fn of_netwatch(metrics: &Metrics) -> ByInterface {
    let observed = metrics.find("netwatch_interface_info", &[]);
    observed
        .map(|series| {
            let name = &series.labels["interface"];
            let count = |what: &str| {
                let metric = format!("netwatch_interface_{what}_total");
                metrics.count(&metric, &[("interface", name)])
            };
            let counters = Counters {
                receive_packets: count("receive_packets"),
                receive_bytes: count("receive_bytes"),
                transmit_packets: count("transmit_packets"),
                transmit_bytes: count("transmit_bytes"),
            };
            (name.clone(), counters)
        })
        .collect()
}

/// A moment in which nothing moved: what both had counted then.
pub struct Quiet {
    pub kernel: ByInterface,
    pub netwatch: ByInterface,
    pub metrics: Metrics,
}

impl Quiet {
    /// Waits for such a moment: neither the kernel's counters nor netwatch's change around the scrape. A host is never
    /// quiet for long (IPv6 asks for routers), but long enough.
    pub fn wait_for(agent: &Agent) -> Self {
        until("a quiet moment", || {
            let before = (of_kernel(), of_netwatch(&agent.metrics()));
            std::thread::sleep(std::time::Duration::from_millis(100));
            let metrics = agent.metrics();
            let netwatch = of_netwatch(&metrics);
            let mut kernel = of_kernel();
            let mut earlier = before.0;
            kernel.retain(|name, _| netwatch.contains_key(name));
            earlier.retain(|name, _| netwatch.contains_key(name));
            (earlier == kernel && before.1 == netwatch).then_some(Self {
                kernel,
                netwatch,
                metrics,
            })
        })
    }
}
