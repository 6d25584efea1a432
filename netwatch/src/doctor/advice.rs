//! What to do, in the words of `netwatch run` where it says the same, with the commands of this distribution.

use super::distribution::Distribution;
use crate::{datapath::DatapathError, serve::flows::NOT_PERMITTED};

/// A remedy. The table of results names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    Kernel,
    OwnKernel,
    Rights,
    Namespaces,
    Root,
    Lockdown,
    Memory,
    Memlock,
    Order,
    AttachMode,
    Mount,
    PinDir,
    EngineAbsent,
    EngineGroup,
    EngineDown,
    Conntrack,
    Interfaces,
    Netlink,
    Restart,
    AgentLog,
    SocketGroup,
    MetricsAddress,
    Clock,
    ClockSource,
}

impl Advice {
    /// What holds everywhere.
    pub(super) fn text(self) -> &'static str {
        let of_run = |error: DatapathError| error.remedy().unwrap_or_default();
        match self {
            Self::Kernel => of_run(DatapathError::Unsupported { what: "" }),
            Self::Rights => of_run(DatapathError::lacking(&[])),
            Self::OwnKernel => "use the distribution's own kernel, which has both",
            Self::Namespaces => {
                "run netwatch as root, which it is only with those three capabilities, or do without"
            }
            Self::Root => "look as root",
            Self::Lockdown => {
                "boot without lockdown=confidentiality, if the host's security allows it"
            }
            Self::Memory => {
                "raise the limit (MemoryMax= of the unit, --memory of the container), or lower --max-flows"
            }
            Self::Memlock => {
                "raise the limit (LimitMEMLOCK=infinity of the unit, --ulimit memlock=-1 of the container), or run netwatch as root"
            }
            Self::Order => {
                "restart netwatch, which then takes the first place; or tell the other program to attach behind it"
            }
            Self::AttachMode => "leave out --attach-mode, or use a kernel of 6.6 or later",
            Self::Mount => {
                "mount -t bpf bpf /sys/fs/bpf, which netwatch does itself where it may; into a container, mount the host's"
            }
            Self::PinDir => {
                "remove it if no agent runs as its owner, or name another one with --pin-dir"
            }
            Self::EngineAbsent => {
                "start the engine, mount its socket, or name it with --docker-host"
            }
            Self::EngineGroup => "run netwatch as root or in the socket's group (usually docker)",
            Self::EngineDown => "start the engine, or name another one with --docker-host",
            Self::Interfaces => {
                "see the agent's log for 'cannot attach', and whether its --interface and --exclude are those given here"
            }
            Self::Conntrack => {
                "run it as root, on a kernel with CONFIG_NF_CT_NETLINK (module nf_conntrack_netlink)"
            }
            Self::Netlink => {
                "let netwatch have netlink sockets (RestrictAddressFamilies= of the unit, the container's seccomp profile)"
            }
            Self::Restart => "restart the agent",
            Self::AgentLog => "try again in a moment; then see the agent's log",
            Self::SocketGroup => NOT_PERMITTED,
            Self::MetricsAddress => {
                "give the agent's own --web.listen-address and --web.telemetry-path"
            }
            Self::Clock => "let the host's clock be set by NTP",
            Self::ClockSource => {
                "see 'dmesg | grep -i clocksource', and let the host or its hypervisor offer a sound one"
            }
        }
    }

    /// What to type here; `None` where no command does it.
    pub(super) fn command(self, distribution: Distribution) -> Option<&'static str> {
        use Distribution::{Alpine, Debian, Fedora, Other, Ubuntu};
        Some(match (self, distribution) {
            (Self::Kernel | Self::OwnKernel, Debian) => {
                "apt-get install linux-image-$(dpkg --print-architecture) && reboot"
            }
            (Self::Kernel | Self::OwnKernel, Ubuntu) => "apt-get install linux-generic && reboot",
            (Self::Kernel | Self::OwnKernel, Fedora) => "dnf upgrade kernel && reboot",
            (Self::Kernel | Self::OwnKernel, Alpine) => "apk add --upgrade linux-lts && reboot",
            (Self::Root, Debian | Ubuntu | Fedora) => "sudo netwatch doctor",
            (Self::Root, Alpine) => "doas netwatch doctor",
            (Self::Lockdown, Debian | Ubuntu) => {
                "take it out of GRUB_CMDLINE_LINUX in /etc/default/grub, then: update-grub && reboot"
            }
            (Self::Lockdown, Fedora) => {
                "grubby --update-kernel=ALL --remove-args=lockdown=confidentiality && reboot"
            }
            (Self::Lockdown, Alpine) => {
                "take it out of default_kernel_opts in /etc/update-extlinux.conf, then: update-extlinux && reboot"
            }
            (Self::EngineAbsent, Debian | Ubuntu) => {
                "apt-get install docker.io && systemctl enable --now docker"
            }
            (Self::EngineAbsent, Fedora) => {
                "dnf install moby-engine && systemctl enable --now docker"
            }
            (Self::EngineAbsent, Alpine) => {
                "apk add docker && rc-update add docker && rc-service docker start"
            }
            (Self::EngineGroup, Debian | Ubuntu | Fedora) => "usermod -aG docker USER",
            (Self::EngineGroup, Alpine) => "addgroup USER docker",
            (Self::EngineDown, Debian | Ubuntu | Fedora) => "systemctl start docker",
            (Self::EngineDown, Alpine) => "rc-service docker start",
            (Self::Clock, Debian | Ubuntu) => "apt-get install chrony",
            (Self::Clock, Fedora) => "dnf install chrony && systemctl enable --now chronyd",
            (Self::Clock, Alpine) => {
                "apk add chrony && rc-update add chronyd && rc-service chronyd start"
            }
            (_, Debian | Ubuntu | Fedora | Alpine | Other) => return None,
        })
    }

    /// Both in one line.
    pub(super) fn on(self, distribution: Distribution) -> String {
        match self.command(distribution) {
            Some(command) => format!("{}: {command}", self.text()),
            None => self.text().to_owned(),
        }
    }
}
