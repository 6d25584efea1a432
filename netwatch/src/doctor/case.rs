//! The table of checks and of the results that each can have. docs/doctor.md is made from it.

use super::{Verdict, advice::Advice};

macro_rules! checks {
    ($($check:ident $check_name:literal $looks:literal {
        $($case:ident $name:literal $verdict:ident $when:literal $means:literal [$($advice:ident)?];)+
    })+) => {
        /// Something that is looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check { $(#[doc = $looks] $check,)+ }

        impl Check {
            /// All checks, in the order of the report.
            pub const ALL: &'static [Self] = &[$(Self::$check),+];

            /// The word in text and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$check => $check_name),+ }
            }

            /// What it looks at.
            pub const fn looks_at(self) -> &'static str {
                match self { $(Self::$check => $looks),+ }
            }
        }

        /// A result that a check can have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Case { $($(#[doc = $when] $case,)+)+ }

        impl Case {
            /// All results, in the order of their checks.
            pub const ALL: &'static [Self] = &[$($(Self::$case),+),+];

            /// The word in JSON.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$case => $name),+),+ }
            }

            /// What was checked.
            pub const fn check(self) -> Check {
                match self { $($(Self::$case => Check::$check),+),+ }
            }

            /// How bad it is.
            pub const fn verdict(self) -> Verdict {
                match self { $($(Self::$case => Verdict::$verdict),+),+ }
            }

            /// When this is the result.
            pub const fn when(self) -> &'static str {
                match self { $($(Self::$case => $when),+),+ }
            }

            /// What it means for the user; empty where there is nothing to be said.
            pub const fn means(self) -> &'static str {
                match self { $($(Self::$case => $means),+),+ }
            }

            /// What helps on any host.
            pub(super) fn advice(self) -> Option<Advice> {
                match self { $($(Self::$case => checks!(@advice $($advice)?)),+),+ }
            }
        }
    };
    (@advice) => { None };
    (@advice $advice:ident) => { Some(Advice::$advice) };
}

checks! {
    Kernel "kernel" "The release of the running kernel." {
        KernelSupported "supported" Ok "5.10 or later" "" [];
        KernelUnknown "unknown" Degraded "The release does not begin with a version"
            "Whether netwatch can work shows when it loads its programs." [];
        KernelPatched "patched" Degraded "Before 5.10, and yet the kernel takes the programs"
            "A distribution has taken over what is needed; netwatch is not tested there." [Kernel];
        KernelOld "too-old" Failed "Before 5.10, and the kernel does not take the programs" "The kernel lacks what the programs are made of." [Kernel];
    }
    Config "config" "What the kernel was built with, in `/proc/config.gz`, `/boot/config-RELEASE` or `/lib/modules/RELEASE/config`." {
        ConfigComplete "complete" Ok "All that netwatch uses is built in or a module" "" [];
        ConfigUnreadable "not-readable" Ok "None of these files can be read"
            "Nothing is wrong with that: the other checks show what the kernel can do." [];
        ConfigPartial "partial" Degraded "`CONFIG_BPF_JIT` or `CONFIG_BPF_EVENTS` is missing"
            "Without the first each packet costs several times as much; without the second drops are not counted." [OwnKernel];
        ConfigLacking "lacking" Failed
            "`CONFIG_BPF_SYSCALL` or `CONFIG_DEBUG_INFO_BTF` is missing, or both `CONFIG_NET_XGRESS` (TCX) and `CONFIG_NET_CLS_BPF` with `CONFIG_NET_SCH_INGRESS` (clsact)"
            "The programs cannot be loaded, or not be attached." [Kernel];
    }
    Btf "btf" "The kernel's description of its types, `/sys/kernel/btf/vmlinux`." {
        BtfPresent "present" Ok "It can be read" "" [];
        BtfMissing "missing" Failed "It is not there, or cannot be read" "The programs cannot be loaded." [Kernel];
    }
    Capabilities "capabilities" "The effective capabilities of whoever runs `netwatch doctor`." {
        CapabilitiesComplete "complete" Ok "All that netwatch uses" "" [];
        CapabilitiesUnknown "unknown" Degraded "`/proc/self/status` does not tell"
            "Whether the rights are enough shows when the programs are loaded." [];
        CapabilitiesPartial "partial" Degraded "Those three, but neither root nor `CAP_DAC_OVERRIDE`"
            "The network namespaces of containers, which the engine keeps in a folder of root's, cannot be looked up: drops inside of containers are not counted." [Namespaces];
        CapabilitiesLacking "lacking" Failed "`CAP_NET_ADMIN`, `CAP_BPF` or `CAP_PERFMON` is missing"
            "The programs cannot be loaded or attached." [Rights];
    }
    Lockdown "lockdown" "The mode of lockdown, `/sys/kernel/security/lockdown`." {
        LockdownOpen "open" Ok "`none`, `integrity`, or the kernel has no lockdown" "" [];
        LockdownConfidential "confidentiality" Degraded "`confidentiality`"
            "Drops are not counted, and nobody tells why packets are lost." [Lockdown];
    }
    Memory "memory" "How much memory this process and its children may take: the limits of its control group; before Linux 5.11 `RLIMIT_MEMLOCK` too." {
        MemoryEnough "enough" Ok "No limit, or one that the agent does not reach" "" [];
        MemoryTight "tight" Degraded "The control group's limit is less than the agent may need"
            "The kernel may kill the agent when many flows are open." [Memory];
        MemoryLocked "memlock" Failed "Before Linux 5.11: `RLIMIT_MEMLOCK` is less than the maps need, and `CAP_SYS_RESOURCE` is missing"
            "The maps cannot be made." [Memlock];
    }
    Load "load" "Loads maps and programs as `netwatch run` does, attaches nothing, and lets go of them: the kernel's own verdict." {
        Loads "loads" Ok "The kernel takes all programs" "" [];
        LoadsPartly "partly" Degraded "The kernel takes the programs that count; something beyond them is lacking, named with its reason"
            "netwatch goes on without it, as `netwatch_feature_available` shows." [];
        LoadRefused "refused" Failed "The kernel refuses, or is not asked because something is missing"
            "`netwatch run` ends with the same message." [];
    }
    Tc "tc" "TCX or clsact, and who else is attached to the interfaces that netwatch observes, in the order in which the kernel runs them." {
        TcFirst "first" Ok "The kernel has TCX, and nobody else's program runs before netwatch's" "" [];
        TcClsact "clsact" Ok "The kernel has no TCX (before 6.6), or clsact was asked for; nobody else's filter runs before netwatch's"
            "What others attach with a smaller priority number runs first, and what they drop or redirect is not seen." [];
        TcBehind "behind" Degraded "A program of somebody else runs before netwatch's; each is named with its number"
            "What it drops or redirects is not seen, and what it changes is seen changed." [Order];
        TcUnknown "unknown" Degraded "The kernel does not let this user look; it takes `CAP_NET_ADMIN`, and `CAP_SYS_ADMIN` to see others' programs"
            "Others' programs may run before netwatch's." [Root];
        TcAbsent "absent" Failed "`--attach-mode tcx` on a kernel without TCX" "No interface can be attached to." [AttachMode];
    }
    Sandbox "sandbox" "What the kernel has to confine an agent by: Landlock for files and ports, seccomp for system calls." {
        SandboxWhole "whole" Ok "Both" "" [];
        SandboxPartly "partly" Ok "One is lacking, or both" "An agent gives up its capabilities all the same, and does without what is lacking." [];
    }
    Bpffs "bpffs" "Whether what counts can stay in the kernel when the agent ends (`--pin-dir`)." {
        BpffsUsable "usable" Ok "It can" "" [];
        BpffsUnused "unused" Ok "It is not to (`--ephemeral`)" "" [];
        BpffsAbsent "not-mounted" Degraded "The directory is in no BPF file system"
            "Counting ends with the agent: the next one begins anew." [Mount];
        BpffsForeign "foreign" Degraded "Others may write there"
            "Counting ends with the agent: the next one begins anew." [PinDir];
    }
    Engine "engine" "The container engine: `--docker-host`, `DOCKER_HOST`, Docker's socket, Podman's. Its version, and the version of the API that both sides speak." {
        EngineUp "up" Ok "It answers" "" [];
        EngineAbsent "absent" Degraded "There is no socket"
            "Interfaces and addresses are shown in place of names." [EngineAbsent];
        EngineForbidden "not-permitted" Degraded "The socket may not be opened"
            "Interfaces and addresses are shown in place of names." [EngineGroup];
        EngineDown "down" Degraded "Nobody listens there, or what answers is no engine"
            "Interfaces and addresses are shown in place of names." [EngineDown];
    }
    Conntrack "conntrack" "Whether the kernel tells this process of the connections that it tracks: by that, flows are followed through address translation." {
        ConntrackTold "told" Ok "It does" "" [];
        ConntrackLacking "lacking" Degraded "It does not"
            "A connection by a published port is two flows, one to the host and one to the container, where both are seen; a masqueraded client has the address that its packets have." [Conntrack];
    }
    Interfaces "interfaces" "The interfaces of this host: which are observed, which are not, and why not." {
        InterfacesAttached "attached" Ok "An agent runs and is attached to all that it should observe" "" [];
        InterfacesWaiting "waiting" Ok "No agent runs; those that one would observe are named" "" [];
        InterfacesNone "none" Ok "There is nothing to observe"
            "netwatch attaches to the interfaces of a container when it starts." [];
        InterfacesMissing "missing" Degraded "An agent runs and is not attached to some that it should observe"
            "Their traffic is not seen." [Interfaces];
        InterfacesUnknown "unknown" Failed "The kernel does not list them" "netwatch cannot find what to observe." [Netlink];
    }
    Agent "agent" "Whether an agent runs here: at its socket (`--socket`), and at its address (`--web.listen-address`)." {
        AgentRuns "running" Ok "One answers" "" [];
        AgentAbsent "not-running" Ok "None answers" "Nothing is observed at the moment; `netwatch run` starts one." [];
        AgentOther "other-version" Degraded "One answers that is of another version"
            "What this program says may not be true of it." [Restart];
        AgentNotReady "not-ready" Degraded "One answers that is not attached yet, or does not answer all of its pages" "" [AgentLog];
        AgentForbidden "not-permitted" Degraded "The socket is there and may not be opened, and nothing answers at the address"
            "What an agent has lost is not known." [SocketGroup];
    }
    Losses "losses" "What the running agent has lost since its start: packets in no flow, samples, DNS messages, details of drops, lines, interfaces. From its metrics." {
        LossesNone "none" Ok "Nothing" "" [];
        LossesNoAgent "no-agent" Ok "No agent runs" "" [];
        LossesSome "some" Degraded "Each kind with its number and what helps" "Figures are incomplete, by as much as is said." [];
        LossesUnknown "unknown" Degraded "An agent runs, and its metrics do not answer at `--web.listen-address`"
            "What it has lost is not known." [MetricsAddress];
    }
    Http "http" "Whether the agent can serve metrics at `--web.listen-address`." {
        HttpFree "free" Ok "Nobody listens there" "" [];
        HttpOurs "netwatch" Ok "netwatch answers there" "" [];
        HttpTaken "taken" Failed "Somebody else listens there, or the address cannot be had"
            "`netwatch run` ends with the same message." [];
    }
    Clock "clock" "`CLOCK_MONOTONIC`, by which flows are timed, and whether the wall clock is synchronised (adjtimex(2))." {
        ClockSane "sane" Ok "The first goes on, the second is synchronised" "" [];
        ClockUnknown "unknown" Ok "The first goes on; whether the second is synchronised is not told to this process" "" [];
        ClockUnsynchronised "not-synchronised" Degraded "The first goes on, the second is not synchronised"
            "Durations are right; the times of day in the flow log may be wrong." [Clock];
        ClockBroken "broken" Failed "The first stands still or goes back" "Flows cannot be timed." [ClockSource];
    }
}
