//! Which distribution this is, for the names of its packages and tools.

/// A family of distributions with the same commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distribution {
    Debian,
    Ubuntu,
    Fedora,
    Alpine,
    /// Any other: words in place of commands.
    Other,
}

impl Distribution {
    pub(super) const ALL: [Self; 5] =
        [Self::Debian, Self::Ubuntu, Self::Fedora, Self::Alpine, Self::Other];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Debian => "Debian",
            Self::Ubuntu => "Ubuntu",
            Self::Fedora => "Fedora",
            Self::Alpine => "Alpine",
            Self::Other => "others",
        }
    }

    /// By the contents of /etc/os-release (os-release(5)): its own name, else what it says that it is like.
    pub(super) fn of(os_release: &str) -> Self {
        let value = |key: &str| {
            let line = os_release.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim_matches(['"', '\''])
        };
        let mut names = value("ID=").split_whitespace().chain(value("ID_LIKE=").split_whitespace());
        names
            .find_map(|name| match name {
                "debian" => Some(Self::Debian),
                "ubuntu" => Some(Self::Ubuntu),
                "fedora" | "rhel" | "centos" => Some(Self::Fedora),
                "alpine" => Some(Self::Alpine),
                _ => None,
            })
            .unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_name_and_then_its_relatives() {
        for (text, expected) in [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\n",
                Distribution::Debian,
            ),
            ("ID=ubuntu\nID_LIKE=debian\n", Distribution::Ubuntu),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Distribution::Ubuntu),
            ("ID=raspbian\nID_LIKE=debian\n", Distribution::Debian),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Distribution::Fedora),
            ("ID='alpine'\n", Distribution::Alpine),
            ("ID=arch\n", Distribution::Other),
            ("VARIANT_ID=debian\n", Distribution::Other),
            ("", Distribution::Other),
        ] {
            assert_eq!(Distribution::of(text), expected, "{text:?}");
        }
    }
}
