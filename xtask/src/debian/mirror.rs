//! Where Debian's archive is, and by which keys it is known.

use std::path::Path;

use anyhow::Result;

use crate::{
    command::{capture, command},
    refused::Refused,
};

/// The package debian-archive-keyring. Debian has it; Ubuntu has it to install.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The archive, by its two places.
pub(crate) struct Mirror {
    pub(crate) main: String,
    security: String,
}

impl Mirror {
    /// The one that the user names, or else the one that apt here is configured with. `remedy` is for who has neither.
    pub(crate) fn find(named: Option<&str>, remedy: &str) -> Result<Self> {
        if !Path::new(KEYRING).exists() {
            let why = format!("the keys of Debian's archive are not here ({KEYRING})");
            return Err(Refused::new(why, "install the package debian-archive-keyring").into());
        }
        let (main, security) = match named {
            Some(main) => (main.to_string(), None),
            None => configured(&capture(command("apt-get").args([
                "indextargets",
                "--format",
                "$(REPO_URI)",
                "Created-By: Packages",
            ]))?)
            .ok_or_else(|| {
                Refused::new("apt here is configured with no mirror of Debian", remedy)
            })?,
        };
        let main = main.trim_end_matches('/').to_string();
        let security = security.unwrap_or_else(|| format!("{main}-security"));
        Ok(Self { main, security })
    }

    /// Some suites, as sources.list(5) has them.
    pub(crate) fn suites(&self, suites: &str) -> String {
        sources(&self.main, suites)
    }

    /// Some suites of the security archive.
    pub(crate) fn security(&self, suites: &str) -> String {
        sources(&self.security, suites)
    }
}

fn sources(uri: &str, suites: &str) -> String {
    format!("Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {KEYRING}\n\n")
}

/// The archive and, where it is known too, the security archive, among the places that apt reads from.
fn configured(places: &str) -> Option<(String, Option<String>)> {
    let with_end = |end: &str| {
        let mut places = places.lines().map(|place| place.trim_end_matches('/'));
        places.find(|place| place.ends_with(end)).map(String::from)
    };
    Some((with_end("/debian")?, with_end("/debian-security")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_of_debian_is_known_by_its_path() {
        let debian = "http://one.example/debian/\nhttp://one.example/debian/\nhttp://two.example/debian-security/\n";
        let (main, security) = configured(debian).unwrap();
        assert_eq!(main, "http://one.example/debian");
        assert_eq!(security.as_deref(), Some("http://two.example/debian-security"));
        assert_eq!(configured("http://one.example/ubuntu/\n"), None);
        assert_eq!(configured(""), None);
    }
}
