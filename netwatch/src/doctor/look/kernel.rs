//! The kernel, as it describes itself.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;

use super::super::facts::Kernel;
use crate::datapath;

const RELEASE: &str = "/proc/sys/kernel/osrelease";
const BTF: &str = "/sys/kernel/btf/vmlinux";
const COMPRESSED: &str = "/proc/config.gz";
/// A configuration is a tenth of this.
const MOST_BYTES: u64 = 4 << 20;

pub(super) fn look() -> Kernel {
    let release = fs::read_to_string(RELEASE).unwrap_or_default().trim().to_owned();
    Kernel {
        config: config(&release),
        btf: File::open(BTF).map(|_| ()).map_err(|error| format!("{BTF}: {error}")),
        lockdown: datapath::lockdown(),
        release,
    }
}

fn config(release: &str) -> Option<(PathBuf, HashMap<String, String>)> {
    let plain = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
    let compressed = File::open(COMPRESSED).and_then(|file| text(GzDecoder::new(file)));
    if let Ok(text) = compressed {
        return Some((COMPRESSED.into(), options(&text)));
    }
    plain.into_iter().find_map(|path| {
        let text = File::open(Path::new(&path)).and_then(text).ok()?;
        Some((path.into(), options(&text)))
    })
}

fn text(reader: impl Read) -> io::Result<String> {
    let mut text = String::new();
    reader.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// What is set: `CONFIG_X=y`. What is not is a comment.
fn options(text: &str) -> HashMap<String, String> {
    text.lines()
        .filter(|line| line.starts_with("CONFIG_"))
        .filter_map(|line| line.split_once('='))
        .map(|(option, value)| (option.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_not_there() {
        let options = options("# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=m\nCONFIG_D=\"x=y\"\n");
        assert_eq!(options.len(), 3);
        assert_eq!(options["CONFIG_D"], "\"x=y\"");
    }
}
