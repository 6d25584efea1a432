//! Compiles the kernel side with whichever toolchain can. The build scripts of netwatch and netwatch-bench share it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

/// The packaged compiler that `cargo xtask setup` links into rustup under this name.
const PACKAGED: &str = "netwatch-ebpf";
const PACKAGE: &str = "netwatch-ebpf";
const TARGET: &str = "bpfel-unknown-none";

/// A toolchain that can compile for the kernel's target.
struct Toolchain {
    name: String,
    /// It has a compiled `core` for the target; else it is nightly and compiles its own.
    has_core: bool,
}

/// What compiles netwatch-ebpf.
pub struct Compiler {
    toolchain: Toolchain,
    source: PathBuf,
    /// Where the objects go.
    out: PathBuf,
}

impl Compiler {
    /// Looks for a toolchain and the linker.
    pub fn find() -> Result<Self> {
        println!("cargo:rerun-if-env-changed=NETWATCH_EBPF_TOOLCHAIN");
        println!("cargo:rerun-if-changed=../netwatch-common/src");
        println!("cargo:rerun-if-changed=../netwatch-ebpf");
        // Where this checkout is now, not where the build script was compiled: a `target` may have been copied.
        let here =
            env::var("CARGO_MANIFEST_DIR").context("cargo did not set CARGO_MANIFEST_DIR")?;
        let out = env::var_os("OUT_DIR").context("cargo did not set OUT_DIR")?;
        Self::at(&Path::new(&here).join("../netwatch-ebpf"), Path::new(&out))
    }

    /// For a source and a folder of the caller's.
    pub fn at(source: &Path, out: &Path) -> Result<Self> {
        let toolchain = toolchain()?;
        if !runs(Command::new("bpf-linker").arg("--version")) {
            bail!(
                "cannot compile the eBPF programs: no bpf-linker in PATH; run `cargo xtask setup`"
            );
        }
        // Its path goes into the object, where a link or `..` would not be found by what is remapped.
        let source = fs::canonicalize(source)
            .with_context(|| format!("looking for {}", source.display()))?;
        Ok(Self { toolchain, source, out: out.to_owned() })
    }

    /// Compiles one of the package's binaries into an object of this name.
    pub fn build(&self, binary: &str, features: &str, object: &str) -> Result<()> {
        let compiled = build(&self.source, &self.toolchain, binary, features, &self.out)?;
        let named = || format!("without what is for debuggers: {}", compiled.display());
        let bytes = fs::read(&compiled).with_context(named)?;
        let bytes = stripped(&bytes).with_context(named)?;
        fs::write(self.out.join(object), bytes).with_context(named)
    }
}

/// Answers with the object.
fn build(
    ebpf: &Path,
    toolchain: &Toolchain,
    binary: &str,
    features: &str,
    out: &Path,
) -> Result<PathBuf> {
    let target_dir = out.join("ebpf");
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_else(|_| "x86_64".into());
    let flags = [
        &format!("--cfg=bpf_target_arch=\"{architecture}\""),
        // 32-bit operations and jumps, which every kernel from 5.1 on knows: a sixth fewer instructions for a packet.
        // aya-build has no way to say so, hence cargo is called by hand.
        "-Ctarget-cpu=v3",
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
        // The same object wherever it is built.
        &remapped(ebpf.parent().unwrap_or(ebpf), "netwatch"),
        &remapped(&home(), "cargo"),
    ];
    let mut cargo = Command::new("rustup");
    cargo.args(["run", &toolchain.name, "cargo", "build", "--quiet", "--package", PACKAGE]);
    cargo.args(["--bin", binary, "--release", "--target", TARGET, "--features", features]);
    cargo.arg("--target-dir").arg(&target_dir).current_dir(ebpf);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    if toolchain.has_core {
        // aya-ebpf and our programs want an unstable feature each; the value names the crates that may use one.
        cargo.env("RUSTC_BOOTSTRAP", "aya_ebpf,netwatch_ebpf");
    } else {
        cargo.args(["-Z", "build-std=core"]);
    }
    // Those of the compiler that runs us.
    for name in ["RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO"] {
        cargo.env_remove(name);
    }
    let output = cargo.output().context("starting rustup")?;
    if !output.status.success() {
        bail!("compiling the eBPF programs failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        println!("cargo:warning={line}");
    }
    Ok(target_dir.join(TARGET).join("release").join(binary))
}

/// The object without DWARF, from which the linker has made BTF, and which is four fifths of it: the agent carries two of them.
fn stripped(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object)?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        let name = name.strip_prefix(b".rel").unwrap_or(name);
        // The other one is for linkers, and by numbers of symbols.
        section.delete = name.starts_with(b".debug_") || name == b".llvm_addrsig";
    }
    builder.delete_orphans();
    // LLVM has names of sections and of symbols in one table; the builder makes two.
    let names = builder.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut bytes = Vec::new();
    builder.write(&mut bytes)?;
    Ok(bytes)
}

/// Has the compiler write another path in place of one of this machine's.
fn remapped(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// Cargo's folder, where the sources of other crates are.
fn home() -> PathBuf {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| Some(env::home_dir()?.join(".cargo"))).unwrap_or_default()
}

/// The first toolchain that has `core` for the kernel's target.
fn toolchain() -> Result<Toolchain> {
    let compiled = format!("lib/rustlib/{TARGET}");
    if let Ok(name) = env::var("NETWATCH_EBPF_TOOLCHAIN") {
        let has_core = sysroot_has(&name, &compiled);
        return Ok(Toolchain { name, has_core });
    }
    if sysroot_has(PACKAGED, &compiled) {
        return Ok(Toolchain { name: PACKAGED.into(), has_core: true });
    }
    if sysroot_has("nightly", "lib/rustlib/src/rust/library/core") {
        return Ok(Toolchain { name: "nightly".into(), has_core: false });
    }
    bail!(
        "cannot compile the eBPF programs: neither the packaged toolchain `{PACKAGED}` nor rustup's nightly with \
         rust-src is here; run `cargo xtask setup`"
    )
}

fn sysroot_has(toolchain: &str, path: &str) -> bool {
    let output =
        Command::new("rustup").args(["run", toolchain, "rustc", "--print", "sysroot"]).output();
    let Ok(output) = output else { return false };
    output.status.success()
        && Path::new(String::from_utf8_lossy(&output.stdout).trim()).join(path).exists()
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
