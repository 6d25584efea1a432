//! The alternative names in a certificate, for `client_allowed_sans`.
//!
//! Reads certificates that have been verified, so nothing but the way to the names is looked at (RFC 5280, 4.1 and
//! 4.2.1.6). What cannot be read has no names.

use std::net::{Ipv4Addr, Ipv6Addr};

const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;
const OCTETS: u8 = 0x04;
const EXTENSIONS: u8 = 0xa3;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const ADDRESS: u8 = 0x87;
/// id-ce-subjectAltName, 2.5.29.17.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Names for hosts, mail, addresses and URIs, as texts.
pub(super) fn names(certificate: &[u8]) -> Vec<String> {
    extension(certificate)
        .map(|names| elements(names).filter_map(name).collect())
        .unwrap_or_default()
}

/// What is inside the extension.
fn extension(certificate: &[u8]) -> Option<&[u8]> {
    let whole = element_of(certificate, SEQUENCE)?;
    let signed = element_of(whole, SEQUENCE)?;
    let (_, extensions) = elements(signed).find(|(tag, _)| *tag == EXTENSIONS)?;
    let extensions = element_of(extensions, SEQUENCE)?;
    elements(extensions).find_map(|(_, extension)| {
        (element_of(extension, OBJECT)? == ALTERNATIVE_NAMES).then_some(())?;
        let (_, value) = elements(extension).find(|(tag, _)| *tag == OCTETS)?;
        element_of(value, SEQUENCE)
    })
}

fn name((tag, value): (u8, &[u8])) -> Option<String> {
    match tag {
        EMAIL | DNS | URI => String::from_utf8(value.to_vec()).ok(),
        ADDRESS => match value.len() {
            4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).to_string()),
            16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// The first element, if it is of this kind.
fn element_of(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    elements(bytes).next().filter(|(tag, _)| *tag == wanted).map(|(_, value)| value)
}

/// Elements in DER: a tag, a length in one to five bytes, a value.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let (long, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let fits = (1..=4).contains(&long.len());
            length = long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = after;
            fits.then_some(())?;
        }
        let (value, after) = rest.split_at_checked(length)?;
        bytes = after;
        Some((tag, value))
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["scraper.example".to_owned()]).unwrap();
        params.subject_alt_names.extend([
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
            SanType::Rfc822Name("me@example.org".try_into().unwrap()),
            SanType::URI("spiffe://example/scraper".try_into().unwrap()),
        ]);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn every_kind_of_name_is_read() {
        assert_eq!(
            names(&certificate()),
            [
                "scraper.example",
                "192.0.2.7",
                "2001:db8::7",
                "me@example.org",
                "spiffe://example/scraper"
            ]
        );
    }

    #[test]
    fn no_part_of_a_certificate_does_harm() {
        let whole = certificate();
        for end in 0..whole.len() {
            assert_eq!(names(&whole[..end]), Vec::<String>::new(), "{end}");
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x80;
            names(&broken);
        }
        assert!(names(&[0x30, 0x85, 0, 0, 0, 0, 0]).is_empty());
    }
}
