//! Two containers' worth of network: namespaces `from` and `to`, each behind a veth that is a port of one bridge.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};

use super::{
    receiver::Receiver,
    room::{Room, ip, received, tool},
};
use crate::cpu::Cpus;

/// Ethernet address of the one that sends.
pub const MAC_FROM: [u8; 6] = [2, 0x6e, 0x77, 0, 0, 1];
/// Ethernet address of the one that receives.
pub const MAC_TO: [u8; 6] = [2, 0x6e, 0x77, 0, 0, 2];
/// Address of the one that sends.
pub const FROM: Ipv4Addr = Ipv4Addr::new(10, 111, 0, 1);
/// Address of the one that receives.
pub const TO: Ipv4Addr = Ipv4Addr::new(10, 111, 0, 2);
/// Where it takes datagrams.
pub const PORT: u16 = 9000;
/// Ports of the bridge: to the one that sends, and to the one that receives.
pub const PORTS: [&str; 2] = ["veth-from", "veth-to"];
/// The device in each namespace.
pub const DEVICE: &str = "eth0";

/// The network. It lives in the namespace of the thread that made it, which has to be one of its own.
pub struct Network {
    /// Who sends.
    pub from: Room,
    /// Who receives.
    pub to: Room,
    /// Who takes the datagrams there.
    pub receiver: Receiver,
}

impl Network {
    /// Makes it, beside the devices of the calling thread's namespace.
    pub fn new(cpus: Cpus) -> Result<Self> {
        ip("link set lo up")?;
        ip("link add br-bench type bridge")?;
        ip("link set br-bench up")?;
        let [from_port, to_port] = PORTS;
        let from = attach(from_port, MAC_FROM, FROM)?;
        let to = attach(to_port, MAC_TO, TO)?;
        // The bridge knows both from the start and floods nothing.
        for (port, mac) in [(from_port, MAC_FROM), (to_port, MAC_TO)] {
            tool("bridge", &format!("fdb replace {} dev {port} master static", text(mac)))?;
        }
        let receiver = to.run(move || Receiver::start(cpus))??;
        Ok(Self { from, to, receiver })
    }

    /// Packets that have arrived.
    pub fn arrived(&self) -> Result<u64> {
        self.to.run(|| received(DEVICE))?.context("reading the device's counters")
    }
}

fn attach(port: &str, mac: [u8; 6], address: Ipv4Addr) -> Result<Room> {
    let room = Room::new()?;
    let (mac, inside) = (text(mac), room.thread_id);
    ip(&format!("link add {port} type veth peer name {DEVICE} address {mac} netns {inside}"))?;
    ip(&format!("link set {port} master br-bench up"))?;
    room.run(move || -> Result<()> {
        ip(&format!("addr add {address}/16 dev {DEVICE}"))?;
        ip(&format!("link set {DEVICE} up"))?;
        // The many senders of the flood are behind the same port: without a way back their packets are refused early.
        ip(&format!("route add default dev {DEVICE}"))
    })??;
    Ok(room)
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
