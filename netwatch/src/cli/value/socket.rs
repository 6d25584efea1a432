//! The socket of `netwatch flows`: where it is, and whose.

use std::{fs, path::PathBuf};

use super::Wrong;

/// What the kernel takes for a socket's name (`sun_path`, unix(7)), without the zero at its end.
const MOST_BYTES: usize = 107;

/// A path, or `none`.
pub(crate) fn socket(text: &str) -> Result<Option<PathBuf>, Wrong> {
    match text {
        "none" => Ok(None),
        text => path(text)
            .map(Some)
            .map_err(|Wrong { what, hint }| Wrong::new(what, format!("{hint}, or none"))),
    }
}

/// The path of a socket.
pub(super) fn path(text: &str) -> Result<PathBuf, Wrong> {
    match text {
        "" => Err(Wrong::new("is empty", "give the path of a socket")),
        path if path.len() > MOST_BYTES => Err(Wrong::new(
            format!("is longer than {MOST_BYTES} bytes, the most that a socket's path may have"),
            "give a shorter one",
        )),
        path => Ok(path.into()),
    }
}

/// A group of this host, or a number.
pub(crate) fn group(text: &str) -> Result<u32, Wrong> {
    in_file(text, &fs::read_to_string("/etc/group").unwrap_or_default())
}

/// As group(5) has it: `name:password:number:members`.
fn in_file(text: &str, file: &str) -> Result<u32, Wrong> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    file.lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(text)).then(|| fields.nth(1)?.parse().ok()).flatten()
        })
        .ok_or_else(|| {
            Wrong::new("is no group of this host", "give a name of /etc/group, or a number")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets() {
        assert_eq!(socket("none"), Ok(None));
        assert_eq!(socket("/run/x.sock"), Ok(Some("/run/x.sock".into())));
        assert_eq!(socket(&"x".repeat(107)), Ok(Some("x".repeat(107).into())));
        assert!(socket(&"x".repeat(108)).is_err());
        assert!(socket("").is_err());
    }

    #[test]
    fn groups() {
        let file = "root:x:0:\nadm:x:4:syslog,me\nbroken\nodd:x:y:\n";
        for (text, expected) in [("root", 0), ("adm", 4), ("4", 4), ("4711", 4711)] {
            assert_eq!(in_file(text, file), Ok(expected), "{text}");
        }
        for text in ["", "ad", "syslog", "broken", "odd", "-1", "4294967296"] {
            assert!(in_file(text, file).is_err(), "{text}");
        }
    }
}
