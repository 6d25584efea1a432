//! Something beyond the host: a namespace behind a veth of its own, which the host routes to.

use super::{
    docker::unique,
    shell::{attempt, run},
};

/// Removed when dropped. Its addresses are of TEST-NET-2 (RFC 5737).
pub struct Outside {
    pub namespace: String,
    pub address: String,
    /// The host's address on the way there.
    pub gateway: String,
}

impl Outside {
    pub fn create() -> Self {
        let outside = Self {
            namespace: unique("outside"),
            address: "198.51.100.2".into(),
            gateway: "198.51.100.1".into(),
        };
        run("ip", &["netns", "add", &outside.namespace]);
        let inside = ["-n", &outside.namespace];
        run(
            "ip",
            &[
                "link",
                "add",
                "nwt-out0",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                &outside.namespace,
            ],
        );
        for (at, arguments) in [
            (&[] as &[&str], ["address", "add", "198.51.100.1/24", "dev", "nwt-out0"]),
            (&[], ["link", "set", "dev", "nwt-out0", "up"]),
            (&inside, ["address", "add", "198.51.100.2/24", "dev", "eth0"]),
            (&inside, ["link", "set", "dev", "eth0", "up"]),
        ] {
            run("ip", &[at, &arguments].concat());
        }
        outside
    }
}

/// Its addresses of the other family, which are documentation's (RFC 3849): its own and the host's on the way there.
pub struct Outside6 {
    pub address: &'static str,
    pub gateway: &'static str,
}

impl Outside {
    /// Gives it IPv6 too.
    pub fn with_ipv6(&self) -> Outside6 {
        let inside = ["-n", &self.namespace];
        for (at, address, device) in [
            (&[] as &[&str], "2001:db8:51::1/64", "nwt-out0"),
            (&inside, "2001:db8:51::2/64", "eth0"),
        ] {
            run("ip", &[at, &["address", "add", address, "dev", device, "nodad"]].concat());
        }
        let route = ["route", "add", "default", "via", "2001:db8:51::1"];
        run("ip", &[&inside[..], &["-6"], &route].concat());
        Outside6 { address: "2001:db8:51::2", gateway: "2001:db8:51::1" }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // The veth goes with the namespace, a moment later; the next test must not meet it.
        let _ = attempt("ip", &["link", "delete", "nwt-out0"]);
        let _ = attempt("ip", &["netns", "delete", &self.namespace]);
    }
}
