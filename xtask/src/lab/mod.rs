//! The lab: what a Docker host looks like to netwatch, without Docker.
//!
//! One bridge, four network namespaces called after the containers of a small shop, a veth pair for each (the host end a
//! port of the bridge, the other end `eth0` inside), and gentle traffic between them that ends by itself. Nothing of it
//! leaves the host: the bridge has no way out.

pub(crate) mod client;
mod marker;
mod passage;
mod ping;
pub(crate) mod server;
pub(crate) mod topology;
pub(crate) mod traffic;

use anyhow::Result;
use clap::Subcommand;

use crate::{command::find, refused::Refused, report::say, root::is_root};

/// The bridge all of them are on; its address is `172.30.77.1`.
pub(crate) const BRIDGE: &str = "br-netwatch-lab";

/// One namespace: its name and the last part of its addresses.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    number: u8,
}

/// The namespaces, as the brief of every example names them.
pub(crate) const NODES: [Node; 4] = [WEB, API, DB, CLI];
const WEB: Node = Node { name: "web", number: 2 };
const API: Node = Node { name: "api", number: 3 };
const DB: Node = Node { name: "db", number: 4 };
const CLI: Node = Node { name: "cli", number: 5 };

const HTTP_PORT: u16 = 80;
const DATABASE_PORT: u16 = 5432;
const UDP_PORT: u16 = 9000;

impl Node {
    fn ipv4(&self) -> String {
        ipv4(self.number)
    }

    fn ipv6(&self) -> String {
        ipv6(self.number)
    }

    /// The host's end of the veth pair.
    fn port(&self) -> String {
        format!("vethlab{}", self.number)
    }
}

fn ipv4(number: u8) -> String {
    format!("172.30.77.{number}")
}

/// In a private range of our own: `6e77` is "nw".
fn ipv6(number: u8) -> String {
    format!("fd00:6e77:1ab::{number}")
}

/// Made from the address, as Docker does.
fn mac(number: u8) -> String {
    format!("02:42:ac:1e:4d:{number:02x}")
}

/// `cargo xtask lab …`
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Bring the lab up (again: what is left of an earlier one is removed first)
    Up,
    /// Remove the lab, and stop the traffic in it
    Down,
    /// Send traffic in the lab: HTTP, a database port, ping, UDP
    #[command(after_help = "Example:\n  sudo -E cargo xtask lab traffic --seconds 60 --scale 10")]
    Traffic(traffic::Args),
}

/// Does one of the lab's tasks.
pub(crate) fn lab(task: &Task) -> Result<()> {
    require()?;
    match task {
        Task::Up => {
            let _ = topology::up()?;
            say(format_args!(
                "lab is up: web {}, api {}, db {}, cli {} on bridge {BRIDGE}; `ip netns exec web …` goes in",
                WEB.ipv4(),
                API.ipv4(),
                DB.ipv4(),
                CLI.ipv4()
            ));
        }
        Task::Down => match topology::down()?.as_slice() {
            [] => say("no lab was here; nothing removed"),
            removed => say(format_args!("removed {}", removed.join(", "))),
        },
        Task::Traffic(args) => traffic::run(args)?,
    }
    Ok(())
}

/// Says what keeps the lab from working here, before anything is touched.
pub(crate) fn require() -> Result<()> {
    if !is_root() {
        let remedy = "run it as root: `sudo -E env PATH=\"$PATH\" cargo xtask lab …`";
        return Err(
            Refused::new("the lab makes network namespaces, which needs root", remedy).into()
        );
    }
    if find("ip").is_none() {
        return Err(Refused::new(
            "the lab needs the command `ip`",
            "`cargo xtask setup` installs iproute2",
        )
        .into());
    }
    Ok(())
}
