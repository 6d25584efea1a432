//! What is excluded from flows: networks, ports, protocols.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Protocol;

use super::Wrong;

/// `ADDRESS/BITS`, or an address by itself.
pub(crate) fn network(text: &str) -> Result<IpNet, Wrong> {
    const HINT: &str = "give a network such as 10.0.0.0/8 or 2001:db8::/32, or an address";
    let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
    let address: IpAddr =
        address.parse().map_err(|_| Wrong::new("does not begin with an IP address", HINT))?;
    // In packets it does not occur, and of the IPv4 network it would not say so.
    if matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        return Err(Wrong::new("is an IPv4 address written as IPv6", HINT));
    }
    let Some(bits) = bits else { return Ok(address.into()) };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = super::number(bits, 0, most)
        .map_err(|_| Wrong::new("has no valid number of bits", format!("give 0 to {most} bits")))?;
    let network = u8::try_from(bits).ok().and_then(|bits| IpNet::new(address, bits).ok());
    match network {
        Some(network) if network.trunc() == network => Ok(network),
        Some(network) => Err(Wrong::new(
            format!("is an address in the network {}", network.trunc()),
            format!("give {}, or {address} for the address alone", network.trunc()),
        )),
        None => Err(Wrong::new("is not a network", HINT)),
    }
}

/// `PORT`, or `PROTOCOL/PORT`.
pub(crate) fn port(text: &str) -> Result<(Option<Protocol>, u16), Wrong> {
    const HINT: &str = "give a port such as 443, or a protocol and a port such as udp/53";
    let (protocol, port) = text.split_once('/').map_or((None, text), |(a, b)| (Some(a), b));
    if let Some(first) = protocol
        && named(port).is_some()
    {
        return Err(Wrong::new(
            "has the protocol behind the port",
            format!("write {port}/{first}"),
        ));
    }
    let protocol = protocol
        .map(|name| {
            named(name)
                .filter(|protocol| Protocol::WITH_PORTS.contains(protocol))
                .ok_or_else(|| Wrong::new("names no protocol that has ports", HINT))
        })
        .transpose()?;
    let number = super::number(port, 1, u16::MAX.into())
        .map_err(|Wrong { what, hint }| Wrong::new(format!("has a port that {what}"), hint))?;
    Ok((protocol, u16::try_from(number).unwrap_or(u16::MAX)))
}

/// A name as the flow log writes it, or a number.
pub(crate) fn protocol(text: &str) -> Result<Protocol, Wrong> {
    const HINT: &str = "give a name such as icmp, or a number from 0 to 255";
    named(text)
        .or_else(|| {
            super::number(text, 0, 255).ok().and_then(|n| u16::try_from(n).ok()).map(Protocol)
        })
        .ok_or_else(|| Wrong::new("is not a known protocol", HINT))
}

/// The flow log's table of names, backwards.
fn named(text: &str) -> Option<Protocol> {
    (0..=u8::MAX.into())
        .map(Protocol)
        .find(|protocol| protocol.to_string().eq_ignore_ascii_case(text))
}

/// As [`port`] reads it.
pub(crate) fn show_port((protocol, port): (Option<Protocol>, u16)) -> String {
    protocol.map_or_else(|| port.to_string(), |protocol| format!("{protocol}/{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("fe80::1", "fe80::1/128"),
        ] {
            assert_eq!(network(text).map(|net| net.to_string()), Ok(shown.to_owned()), "{text}");
            assert_eq!(network(shown), network(text), "what is shown can be given");
        }
        for (text, what) in [
            ("", "does not begin with an IP address"),
            ("10.0.0/8", "does not begin with an IP address"),
            ("example/8", "does not begin with an IP address"),
            ("10.0.0.0/33", "has no valid number of bits"),
            ("10.0.0.0/", "has no valid number of bits"),
            ("10.0.0.0/-1", "has no valid number of bits"),
            ("10.0.0.0/255.0.0.0", "has no valid number of bits"),
            ("::/129", "has no valid number of bits"),
            ("10.1.2.3/8", "is an address in the network 10.0.0.0/8"),
            ("::ffff:10.0.0.0/104", "is an IPv4 address written as IPv6"),
        ] {
            assert_eq!(network(text).map_err(|wrong| wrong.what), Err(what.to_owned()), "{text}");
        }
        let hint = network("10.1.2.3/8").unwrap_err().hint;
        assert_eq!(hint, "give 10.0.0.0/8, or 10.1.2.3 for the address alone");
    }

    #[test]
    fn ports() {
        assert_eq!(port("443"), Ok((None, 443)));
        assert_eq!(port("udp/53"), Ok((Some(Protocol::UDP), 53)));
        assert_eq!(port("SCTP/65535").map(show_port), Ok("sctp/65535".to_owned()));
        for (text, what) in [
            ("53/udp", "has the protocol behind the port"),
            ("icmp/1", "names no protocol that has ports"),
            ("upd/53", "names no protocol that has ports"),
            ("0", "has a port that is too small"),
            ("65536", "has a port that is too large"),
            ("tcp/https", "has a port that is not a whole number"),
            ("", "has a port that is not a whole number"),
        ] {
            assert_eq!(port(text).map_err(|wrong| wrong.what), Err(what.to_owned()), "{text}");
        }
        assert_eq!(port("53/udp").unwrap_err().hint, "write udp/53");
    }

    #[test]
    fn protocols() {
        assert_eq!(protocol("icmp"), Ok(Protocol::ICMP));
        assert_eq!(protocol("ICMPv6"), Ok(Protocol::ICMPV6));
        for number in 0..=u16::from(u8::MAX) {
            assert_eq!(protocol(&number.to_string()), Ok(Protocol(number)));
            let name = Protocol(number).to_string();
            assert_eq!(protocol(&name), Ok(Protocol(number)), "{name}: what is shown can be given");
        }
        for text in ["", "256", "-1", "tpc", "proto-300"] {
            assert!(protocol(text).is_err(), "{text}");
        }
    }
}
