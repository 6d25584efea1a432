//! Kernels, and what they let us do.

use super::*;

#[test]
fn an_old_kernel() {
    let old = |release: &str| {
        let report = found(|facts| {
            facts.kernel.release = release.into();
            facts.load = Err(refused(&DatapathError::NO_BTF));
        });
        assert_eq!(report.verdict(), Verdict::Failed);
        report.findings[0].clone()
    };
    let finding = old("5.4.0-216-generic");
    assert_eq!(finding.case, Case::KernelOld);
    assert_eq!(finding.message, "Linux 5.4.0-216-generic is older than 5.10");
    let command = "apt-get install linux-image-$(dpkg --print-architecture) && reboot";
    assert_eq!(finding.remedy, Some(format!("{KERNEL}: {command}")));
    assert_eq!(old("5.9.16").case, Case::KernelOld);
    for (release, case) in [
        ("5.9.16", Case::KernelPatched),
        ("5.10.0", Case::KernelSupported),
        ("10.0-rc1", Case::KernelSupported),
        ("", Case::KernelUnknown),
        ("generic", Case::KernelUnknown),
    ] {
        assert_eq!(only(|facts| facts.kernel.release = release.into()).case, case, "{release}");
    }
}

#[test]
fn options_that_are_not_set() {
    let of = |options: &[&str]| told(|facts| without(facts, options));
    for options in
        [&["CONFIG_BPF_SYSCALL"] as &[&str], &["CONFIG_DEBUG_INFO_BTF", "CONFIG_BPF_JIT"]]
    {
        let (case, message, _) = of(options);
        assert_eq!(case, Case::ConfigLacking);
        assert_eq!(
            message,
            format!("the kernel was built without {} (/proc/config.gz)", options[0])
        );
    }
    assert_eq!(of(&["CONFIG_NET_XGRESS", "CONFIG_NET_CLS_BPF"]).0, Case::ConfigLacking);
    assert_eq!(of(&["CONFIG_BPF_EVENTS"]).0, Case::ConfigPartial);
    // Either way of attaching will do.
    for options in
        [&["CONFIG_NET_XGRESS"] as &[&str], &["CONFIG_NET_CLS_BPF", "CONFIG_NET_SCH_INGRESS"]]
    {
        assert_eq!(found(|facts| without(facts, options)), judge(&healthy()));
    }
    assert_eq!(only(|facts| facts.kernel.config = None).case, Case::ConfigUnreadable);
}

#[test]
fn no_btf_is_said_as_run_says_it() {
    let (case, message, remedy) =
        told(|facts| facts.kernel.btf = Err("/sys/kernel/btf/vmlinux: not found".into()));
    assert_eq!(case, Case::BtfMissing);
    assert_eq!(
        message,
        "this kernel has no BPF type format (BTF) (/sys/kernel/btf/vmlinux: not found)"
    );
    assert!(remedy.expect("a remedy").starts_with(KERNEL));
    let (case, message, remedy) = told(|facts| facts.load = Err(refused(&DatapathError::NO_BTF)));
    assert_eq!((case, &*message), (Case::LoadRefused, "this kernel has no BPF type format (BTF)"));
    assert_eq!(remedy.as_deref(), Some(KERNEL));
}

#[test]
fn rights() {
    let rights = |mask: u64| told(|facts| facts.capabilities = Some(mask));
    let (bpf, net_admin, perfmon, files, resource) = (1 << 39, 1 << 12, 1 << 38, 1 << 1, 1 << 24);
    let (case, message, remedy) = rights(net_admin | perfmon | files);
    assert_eq!((case, &*message), (Case::CapabilitiesLacking, "not permitted: CAP_BPF is missing"));
    assert_eq!(
        remedy.as_deref(),
        Some(
            "run netwatch as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (Linux 5.8 and later)"
        )
    );
    let (case, message, remedy) = rights(net_admin | perfmon | bpf);
    assert_eq!(case, Case::CapabilitiesPartial);
    assert!(message.contains("not root"), "{message}");
    assert!(remedy.is_some_and(|remedy| remedy.contains("as root")));
    let as_root = |facts: &mut Facts| {
        (facts.capabilities, facts.is_root) = (Some(net_admin | perfmon | bpf), true);
    };
    assert_eq!(found(as_root), judge(&healthy()));
    assert_eq!(
        found(|facts| facts.capabilities = Some(net_admin | perfmon | bpf | files)),
        judge(&healthy())
    );
    assert_eq!(only(|facts| facts.capabilities = None).case, Case::CapabilitiesUnknown);
    // An old kernel counts maps to a limit that only one of the capabilities lifts.
    let old = |mask: u64| {
        let report = found(|facts| {
            facts.kernel.release = "5.10.0".into();
            facts.capabilities = Some(mask);
        });
        report.checks(Verdict::Failed).contains(&"memory")
    };
    assert!(old(net_admin | perfmon | bpf | files));
    assert!(!old(net_admin | perfmon | bpf | files | resource));
}

#[test]
fn lockdown() {
    assert_eq!(
        only(|facts| facts.kernel.lockdown = Some("integrity".into())).case,
        Case::LockdownOpen
    );
    let lacking = crate::datapath::LOCKED;
    let report = found(|facts| {
        facts.kernel.lockdown = Some("confidentiality".into());
        facts.load =
            Ok(Trial { features: vec![Feature::lacking("drops", lacking)], map_bytes: 30 << 20 });
    });
    assert_eq!(report.verdict(), Verdict::Degraded);
    assert_eq!(report.checks(Verdict::Degraded), ["lockdown", "load"]);
    let load = report.findings.iter().find(|finding| finding.check() == Check::Load);
    assert_eq!(load.expect("load").details, [format!("drops: {lacking}")]);
}

#[test]
fn limits_of_memory() {
    let group = |limit: u64| told(|facts| facts.memory.group = Some(limit));
    assert_eq!(
        group(64 << 20).1,
        "the control group's limit is 64 MiB, the agent may need 136 MiB"
    );
    assert_eq!(group(64 << 20).0, Case::MemoryTight);
    assert_eq!(group(136 << 20).0, Case::MemoryEnough);
}
