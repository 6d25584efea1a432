//! Bodies in gzip, for who takes them.

use std::io::{self, Write as _};

use axum::http::{HeaderMap, header};
use flate2::{Compression, write::GzEncoder};

/// Whether a client takes gzip (RFC 9110, 12.5.3).
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING);
    let codings =
        lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    // What names gzip counts before what stands for all.
    let mut others = None;
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| {
                weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
            })
        });
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return !is_refused;
        }
        if name == "*" {
            others = Some(!is_refused);
        }
    }
    others.unwrap_or(false)
}

/// Fast rather than small: names repeat so often that it is small all the same.
pub(super) fn compress(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_who_takes_gzip_gets_it() {
        for (text, expected) in [
            ("gzip", true),
            ("deflate, GZIP ;q=0.5", true),
            ("x-gzip", true),
            ("*", true),
            ("identity, *;q=0.1", true),
            ("", false),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("*, gzip;q=0", false),
            ("*;q=0", false),
            ("gzipped", false),
        ] {
            let headers =
                HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]);
            assert_eq!(is_accepted(&headers), expected, "{text:?}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }

    #[test]
    fn it_comes_out_as_it_went_in() {
        let text = "netwatch_x{a=\"ü\"} 1\n".repeat(1_000);
        let compressed = compress(&text).unwrap();
        assert!(compressed.len() < text.len() / 20);
        let mut out = String::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_string(&mut out).unwrap();
        assert_eq!(out, text);
    }
}
