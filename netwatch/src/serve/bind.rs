//! Listening sockets, and messages for those that cannot be had.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};

use tokio::net::TcpListener;

use super::ServeError;

/// Listens on all addresses, or on none.
pub async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ServeError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for &address in addresses {
        listeners.push(TcpListener::bind(address).await.map_err(|error| explain(address, &error))?);
    }
    Ok(listeners)
}

fn explain(address: SocketAddr, error: &io::Error) -> ServeError {
    let port = address.port();
    let (cause, remedy) = match error.kind() {
        ErrorKind::AddrInUse => (
            "the port is in use".to_owned(),
            format!(
                "choose another port with --web.listen-address, or stop who has it (`ss -ltnp sport = :{port}` \
                 names it)"
            ),
        ),
        ErrorKind::AddrNotAvailable => (
            format!("this host has no address {}", address.ip()),
            "give one that `ip address` shows to --web.listen-address, or 0.0.0.0 for all"
                .to_owned(),
        ),
        ErrorKind::PermissionDenied => (
            "not permitted".to_owned(),
            "give a port from 1024 on to --web.listen-address, or run with CAP_NET_BIND_SERVICE"
                .to_owned(),
        ),
        _ => (error.to_string(), "give another address to --web.listen-address".to_owned()),
    };
    ServeError::Bind { address, cause, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_address_cause_and_remedy() {
        let address = "[::1]:80".parse().unwrap();
        for (kind, cause) in [
            (ErrorKind::AddrInUse, "the port is in use"),
            (ErrorKind::AddrNotAvailable, "this host has no address ::1"),
            (ErrorKind::PermissionDenied, "not permitted"),
            (ErrorKind::Other, "other error"),
        ] {
            let message = explain(address, &kind.into()).to_string();
            assert!(
                message.starts_with(&format!("cannot listen on [::1]:80: {cause}; ")),
                "{message}"
            );
            assert!(
                message.contains("--web.listen-address") && !message.contains('\n'),
                "{message}"
            );
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let first = bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap();
        let taken = first[0].local_addr().unwrap();
        let message = bind(&["127.0.0.1:0".parse().unwrap(), taken]).await.unwrap_err().to_string();
        assert!(message.contains(&taken.to_string()) && message.contains("in use"), "{message}");
    }

    #[tokio::test]
    async fn an_address_of_another_host_is_named() {
        let message = bind(&["192.0.2.1:9100".parse().unwrap()]).await.unwrap_err().to_string();
        assert!(message.contains("this host has no address 192.0.2.1"), "{message}");
    }
}
