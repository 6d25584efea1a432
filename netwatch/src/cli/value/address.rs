//! Addresses to listen at. Names are not resolved: what netwatch listens at must not depend on a name server.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use super::{Wrong, socket::path};
use crate::{
    agent::config::{Place, SocketPlace},
    serve::UNIX,
};

const HINT: &str = "give host:port, [v6]:port, :port for all addresses, or unix:/path; for example 127.0.0.1:19733";

/// An address, or `unix:PATH` for a socket of this group.
pub(crate) fn place(text: &str, all: IpAddr, group: Option<u32>) -> Result<Place, Wrong> {
    match text.strip_prefix(UNIX) {
        Some(text) => Ok(Place::Unix(SocketPlace { path: path(text)?, group })),
        None => address(text, all).map(Place::Address),
    }
}

/// `host:port`, `[v6]:port`, `:port`; `all` is what stands for all addresses.
fn address(text: &str, all: IpAddr) -> Result<SocketAddr, Wrong> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(Wrong::new("has no port", HINT));
    };
    if host.contains(':') && !host.starts_with('[') {
        return Err(Wrong::new("is an IPv6 address without brackets, or has no port", HINT));
    }
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Wrong::new("has no port", HINT));
    }
    let port: u16 = port.parse().map_err(|_| Wrong::new("has a port above 65535", HINT))?;
    match host {
        "" => Ok(SocketAddr::new(all, port)),
        "localhost" => Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
        _ => text.parse().map_err(|_| {
            Wrong::new(
                "has no address before the port",
                format!("names other than localhost are not resolved; {HINT}"),
            )
        }),
    }
}

/// What `:port` means here: all IPv4 and IPv6 addresses, or those of IPv4 where the kernel runs without IPv6 and
/// could not bind the other.
pub(crate) fn all_addresses() -> IpAddr {
    if Path::new("/proc/net/if_inet6").exists() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets() {
        let all = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        for text in ["unix:/run/web.sock", "unix:web.sock", "[::1]:1"] {
            let place = place(text, all, Some(7)).expect("a place");
            assert_eq!(place.to_string(), text);
            let group = matches!(place, Place::Unix(SocketPlace { group: Some(7), .. }));
            assert_eq!(group, text.starts_with("unix"));
        }
        for text in ["unix:".to_owned(), "unix:/".to_owned() + &"x".repeat(107), "unix".to_owned()]
        {
            assert!(place(&text, all, None).is_err(), "{text}");
        }
    }

    #[test]
    fn forms() {
        let all = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        for (text, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            (":80", "[::]:80"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            assert_eq!(
                address(text, all).map(|address| address.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
        for text in [
            "",
            "80",
            "127.0.0.1",
            "::1:80",
            "::1",
            "[::1]",
            "web:80",
            "1.2.3:80",
            ":",
            ":x",
            ":65536",
            "[x]:1",
        ] {
            assert!(address(text, all).is_err(), "{text:?}");
        }
    }
}
