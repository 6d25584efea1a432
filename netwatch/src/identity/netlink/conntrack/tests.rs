//! Messages about connections, as the kernel writes them.

use proptest::prelude::*;

use super::{super::wire::written::attribute, *};

fn written((source, destination): (Socket, Socket)) -> Vec<u8> {
    let address = |kinds: [u16; 2], address: IpAddr| match address {
        IpAddr::V4(address) => attribute(kinds[0], &address.octets()),
        IpAddr::V6(address) => attribute(kinds[1], &address.octets()),
    };
    let ip = [address(SOURCES, source.address), address(DESTINATIONS, destination.address)];
    let protocol = [
        attribute(CTA_PROTO_NUM, &[6]),
        attribute(CTA_PROTO_SRC_PORT, &source.port.to_be_bytes()),
        attribute(CTA_PROTO_DST_PORT, &destination.port.to_be_bytes()),
    ];
    let parts = [attribute(CTA_TUPLE_IP | 0x8000, &ip.concat())];
    [parts.concat(), attribute(CTA_TUPLE_PROTO | 0x8000, &protocol.concat())].concat()
}

fn payload(connection: &Connection) -> Vec<u8> {
    [
        vec![2, 0, 0, 0],
        attribute(CTA_TUPLE_ORIG | 0x8000, &written(connection.original)),
        attribute(CTA_TUPLE_REPLY | 0x8000, &written(connection.reply)),
        attribute(0x3ffe, b"from a kernel to come"),
    ]
    .concat()
}

fn socket() -> impl Strategy<Value = Socket> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(address, port)| Socket { address, port })
}

proptest! {
    #[test]
    fn what_was_written_is_read_and_what_is_cut_off_is_no_panic(
        original in (socket(), socket()),
        reply in (socket(), socket()),
    ) {
        let known = Connection { protocol: Protocol::TCP, original, reply };
        let bytes = payload(&known);
        prop_assert_eq!(connection(&bytes), Some(known));
        for end in 0..bytes.len() {
            let _ = connection(&bytes[..end]);
        }
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = connection(&bytes);
    }
}

#[test]
fn only_what_differs_is_a_translation() {
    let socket = |text: &str, port| Socket { address: text.parse().unwrap(), port };
    let (client, web) = (socket("172.17.0.3", 40_000), socket("172.17.0.2", 80));
    let plain =
        Connection { protocol: Protocol::TCP, original: (client, web), reply: (web, client) };
    assert_eq!(plain.translation(), None);
    let host = socket("172.17.0.1", 8080);
    let published = Connection { original: (client, host), ..plain };
    let found = published.translation().unwrap();
    assert_eq!(
        (found.client, found.via(), found.server, found.mask()),
        (client, Some(host), web, None)
    );
}
