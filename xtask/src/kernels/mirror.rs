//! Where Debian's archive is, and by which keys it is known.

use std::path::Path;

use anyhow::Result;

use crate::{
    command::{capture, command},
    refused::Refused,
};

/// The package debian-archive-keyring. Debian has it; Ubuntu has it to install.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Suites with small indices: 5.10 is in the first, 6.1 and 6.12 in the second, what is newer in the last.
const SECURITY: &str = "bullseye-security bookworm-security";
const BACKPORTS: &str = "trixie-backports";

/// The sources of the kernels, from a mirror that the user names, or else the one that apt here is configured with.
pub(super) fn sources(mirror: Option<&str>) -> Result<String> {
    if !Path::new(KEYRING).exists() {
        let why = format!("the keys of Debian's archive are not here ({KEYRING})");
        return Err(Refused::new(why, "install the package debian-archive-keyring").into());
    }
    let (main, security) = match mirror {
        Some(main) => (main.to_string(), None),
        None => configured(&capture(command("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
        ]))?)
        .ok_or_else(|| {
            let why =
                "apt here is configured with no mirror of Debian (Ubuntu's has other kernels)";
            Refused::new(why, "name one with --mirror")
        })?,
    };
    let main = main.trim_end_matches('/').to_string();
    let security = security.unwrap_or_else(|| format!("{main}-security"));
    Ok([(security.as_str(), SECURITY), (&main, BACKPORTS)]
        .map(|(uri, suites)| {
            format!("Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {KEYRING}\n")
        })
        .join("\n"))
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
