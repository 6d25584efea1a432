//! One message, read.

use std::net::IpAddr;

use domain::{
    base::{Message as Dns, iana::Rtype},
    rdata::{A, Aaaa},
};

use crate::model::{Answer, Exchange, Message, Protocol, Question};

/// The port that answers come from and questions go to.
const PORT: u16 = 53;
/// Addresses that are read of one answer.
const MOST_ADDRESSES: usize = 8;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) exchange: Exchange,
    /// What is asked for.
    pub(super) question: Option<Question>,
    /// `None` for a query.
    pub(super) answer: Option<Answer>,
}

/// Reads a message of which the first bytes are there. `None`: this is no DNS message, or not the beginning of one.
pub(super) fn read(message: &Message) -> Option<Content> {
    let bytes = match message.protocol {
        Protocol::TCP => only_message(message)?,
        _ => &message.bytes,
    };
    let dns = Dns::from_slice(bytes).ok()?;
    // Whatever else runs over this port rarely looks like a question.
    if dns.question().any(|question| question.is_err()) {
        return None;
    }
    let is_response = dns.header().qr();
    let (client, server) = if is_response {
        (message.destination, message.source)
    } else {
        (message.source, message.destination)
    };
    if server.port != PORT {
        return None;
    }
    let question = dns.first_question().map(|question| Question {
        name: question.qname().to_string().trim_end_matches('.').to_owned(),
        kind: question.qtype().to_string(),
    });
    // The extended code is in a record at the very end (RFC 6891, section 6.1.3); where that was cut off, the code of
    // the header remains. Codes that have no name yet share one, or hostile answers could make up label values.
    let answer = is_response.then(|| Answer {
        rcode: dns.opt_rcode().to_mnemonic_str().unwrap_or("other").into(),
        addresses: addresses(dns),
    });
    let exchange = Exchange { protocol: message.protocol, client, server, id: dns.header().id() };
    Some(Content { exchange, question, answer })
}

/// The addresses in an answer, up to where it was cut off or is damaged.
fn addresses(dns: &Dns<[u8]>) -> Vec<IpAddr> {
    let Ok(section) = dns.answer() else { return Vec::new() };
    let address = |record: domain::base::ParsedRecord<'_, [u8]>| match record.rtype() {
        Rtype::A => Some(IpAddr::V4(record.to_record::<A>().ok()??.data().addr())),
        Rtype::AAAA => Some(IpAddr::V6(record.to_record::<Aaaa>().ok()??.data().addr())),
        _ => None,
    };
    section.map_while(Result::ok).filter_map(address).take(MOST_ADDRESSES).collect()
}

/// The message in a segment of TCP that carries exactly one. A longer message goes on in the next segment, where
/// nothing says that it does: no segment of it can be told from one without a message.
fn only_message(message: &Message) -> Option<&[u8]> {
    // Two bytes with its length stand in front of it (RFC 1035, section 4.2.2).
    let (prefix, rest) = message.bytes.split_first_chunk()?;
    (message.len == 2 + u32::from(u16::from_be_bytes(*prefix))).then_some(rest)
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use std::borrow::Cow;

    use super::*;
    use crate::model::{EntrySide, Instant, Socket};

    /// `web.example. IN A?` (RFC 2606), as a resolver writes it.
    const QUESTION: &[u8] = b"\x03web\x07example\0\0\x01\0\x01";

    /// A message from 172.17.0.2 to 9.9.9.9, or back where it is an answer. `flags`: the third and fourth byte.
    pub(in super::super) fn message(protocol: Protocol, flags: u16, rest: &[u8]) -> Message {
        let mut bytes = vec![0x12, 0x34];
        bytes.extend(flags.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend(QUESTION);
        bytes.extend(rest);
        if protocol == Protocol::TCP {
            let len = u16::try_from(bytes.len()).unwrap();
            bytes.splice(0..0, len.to_be_bytes());
        }
        let client = Socket { address: [172, 17, 0, 2].into(), port: 40_000 };
        let server = Socket { address: [9, 9, 9, 9].into(), port: 53 };
        let (source, destination) =
            if flags & 0x8000 == 0 { (client, server) } else { (server, client) };
        Message {
            time: Instant(0),
            ifindex: 5,
            side: EntrySide::Ingress,
            source,
            destination,
            protocol,
            len: u32::try_from(bytes.len()).unwrap(),
            bytes: bytes.into(),
        }
    }

    /// The code of an answer, or what else it is.
    fn rcode(message: &Message) -> Cow<'static, str> {
        read(message).map_or("none".into(), |content| {
            content.answer.map_or("query".into(), |answer| answer.rcode)
        })
    }

    #[test]
    fn queries_and_answers_know_their_client() {
        for protocol in [Protocol::UDP, Protocol::TCP] {
            let query = read(&message(protocol, 0x0100, &[])).unwrap();
            assert_eq!((query.answer, query.exchange.client.port), (None, 40_000));
            for (flags, name) in [
                (0x8180, "NOERROR"),
                (0x8183, "NXDOMAIN"),
                (0x8182, "SERVFAIL"),
                (0x8185, "REFUSED"),
                (0x818f, "other"),
            ] {
                let answer = read(&message(protocol, flags, &[])).unwrap();
                assert_eq!(
                    (&*answer.answer.unwrap().rcode, answer.exchange.client.port),
                    (name, 40_000)
                );
            }
        }
    }

    #[test]
    fn an_extended_code_is_read_where_it_is_there() {
        let mut answer = message(Protocol::UDP, 0x8180, &[0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]);
        let mut bytes = answer.bytes.to_vec();
        bytes[11] = 1;
        answer.bytes = bytes.into();
        assert_eq!(rcode(&answer), "BADVERS");
        answer.bytes.truncate(answer.bytes.len() - 1);
        assert_eq!(rcode(&answer), "NOERROR", "cut off, as a long message is");
    }

    #[test]
    fn what_is_no_message_is_none() {
        let query = message(Protocol::UDP, 0x0100, &[]);
        for end in 0..query.bytes.len() {
            let cut = Message { bytes: query.bytes.slice(..end), ..query.clone() };
            assert_eq!(rcode(&cut), "none", "cut at {end}");
        }
        let swapped = Message { source: query.destination, destination: query.source, ..query };
        assert_eq!(rcode(&swapped), "none", "a query from the server's port");
    }

    #[test]
    fn over_tcp_a_segment_has_to_be_the_message() {
        let whole = message(Protocol::TCP, 0x0100, &[]);
        assert_eq!(rcode(&whole), "query");
        let more = Message { len: whole.len + 1, ..whole.clone() };
        assert_eq!(rcode(&more), "none");
        let cut = Message { len: whole.len - 1, ..whole.clone() };
        assert_eq!(rcode(&cut), "none");
        for len in 0..3 {
            let bytes = Bytes::from_static(&[0, 0, 0]).slice(..len as usize);
            assert_eq!(rcode(&Message { len, bytes, ..whole.clone() }), "none");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..512),
            len in 0..2048_u32,
            tcp: bool,
        ) {
            let protocol = if tcp { Protocol::TCP } else { Protocol::UDP };
            let _ = read(&Message { bytes: bytes.into(), len, ..message(protocol, 0, &[]) });
        }

        /// Counts that promise more than there is, pointers to anywhere.
        #[test]
        fn a_damaged_message_is_read_or_refused(
            at in 2..40_usize,
            value: u8,
            rest in prop::collection::vec(prop_oneof![Just(0xc0_u8), Just(12), any::<u8>()], 0..64),
        ) {
            let mut damaged = message(Protocol::UDP, 0x8180, &rest);
            let mut bytes = damaged.bytes.to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            damaged.bytes = bytes.into();
            let _ = read(&damaged);
        }
    }
}
