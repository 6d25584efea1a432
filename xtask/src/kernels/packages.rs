//! Kernels, fetched and unpacked: of each its image and the few modules that the guest needs.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::{Context as _, Result, anyhow};
use object::{Object as _, ObjectSection as _};

use super::{
    folder,
    release::{Release, Series},
};
use crate::{
    command::{capture, command},
    debian::{apt::Apt, mirror::Mirror},
    refused::Refused,
};

/// What the guest's network is made of. One that is built in is no module, and needs none.
const MODULES: [&str; 5] = ["veth", "bridge", "8021q", "sch_ingress", "cls_bpf"];

/// Suites with small indices: 5.10 is in the first, 6.1 and 6.12 in the second, what is newer in the last.
const SECURITY: &str = "bullseye-security bookworm-security";
const BACKPORTS: &str = "trixie-backports";

/// All kernels that can be had.
pub(super) struct Shelf {
    /// One at a time: it writes its own cache.
    apt: Mutex<Apt>,
    packages: Vec<String>,
    may_fetch: bool,
}

/// One of them, on this host.
pub(super) struct Kernel {
    pub(super) release: Release,
    folder: PathBuf,
}

impl Shelf {
    /// Looks into the archive, or into what an earlier run has kept of its index.
    pub(super) fn open(mirror: Option<&str>, may_fetch: bool) -> Result<Self> {
        let mirror = Mirror::find(mirror, "name one with --mirror (Ubuntu's has other kernels)")?;
        let sources = mirror.security(SECURITY) + &mirror.suites(BACKPORTS);
        let apt = Apt::with_sources(folder("apt")?, &sources, "amd64")?;
        if !apt.update(may_fetch)? {
            let why = "the index of the kernels has never been fetched";
            return Err(Refused::new(why, "run it without --no-install").into());
        }
        let packages = apt.names("linux-")?;
        Ok(Self { apt: Mutex::new(apt), packages, may_fetch })
    }

    /// The newest kernel of each series, none twice.
    pub(super) fn newest(&self, series: &[Series]) -> Result<Vec<Release>> {
        let mut releases = Vec::new();
        for series in series {
            let release = series.newest(&self.packages).with_context(|| {
                format!("the archive has no kernel {series} for cloud machines (any more)")
            })?;
            if !releases.contains(&release) {
                releases.push(release);
            }
        }
        Ok(releases)
    }

    /// A kernel, from here or from the archive.
    pub(super) fn take(&self, release: &Release) -> Result<Kernel> {
        let kernel =
            Kernel { folder: folder("")?.join(release.to_string()), release: release.clone() };
        if kernel.folder.exists() {
            return Ok(kernel);
        }
        if !self.may_fetch {
            let why = format!("the kernel {} has not been fetched", kernel.release);
            return Err(Refused::new(why, "run it without --no-install").into());
        }
        // Whole or not at all: it has its name when it is complete.
        let unpacked = tempfile::tempdir_in(folder("")?).context("a folder for a kernel")?;
        let kept = tempfile::tempdir_in(folder("")?).context("a folder for a kernel")?;
        let packages = kernel.release.packages(&self.packages);
        self.apt
            .lock()
            .map_err(|_| anyhow!("fetching another kernel panicked"))?
            .unpack(&packages, unpacked.path())?;
        keep(unpacked.path(), kept.path())
            .with_context(|| format!("unpacking {}", packages.join(" ")))?;
        fs::rename(kept.keep(), &kernel.folder).context("keeping a kernel")?;
        Ok(kernel)
    }
}

impl Kernel {
    pub(super) fn image(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// In the order of their dependencies.
    pub(super) fn modules(&self) -> Result<Vec<PathBuf>> {
        let mut modules = files(&self.folder.join("modules"))?;
        modules.sort();
        Ok(modules)
    }
}

/// Takes the image and the modules out of unpacked packages.
fn keep(unpacked: &Path, kept: &Path) -> Result<()> {
    let files = files(unpacked)?;
    let is_image = |file: &&PathBuf| name(file).starts_with("vmlinuz");
    let image = files.iter().find(is_image).context("there is no image in it")?;
    fs::copy(image, kept.join("vmlinuz"))?;
    let modules: HashMap<String, &PathBuf> =
        files.iter().filter_map(|file| Some((module_name(&name(file))?, file))).collect();
    let mut order = Vec::new();
    for module in MODULES {
        take_module(module, &modules, &mut order)?;
    }
    let folder = kept.join("modules");
    fs::create_dir(&folder)?;
    for (number, (module, bytes)) in order.iter().enumerate() {
        fs::write(folder.join(format!("{number:02}-{module}.ko")), bytes)?;
    }
    Ok(())
}

/// A module behind those that it depends on.
fn take_module(
    module: &str,
    all: &HashMap<String, &PathBuf>,
    order: &mut Vec<(String, Vec<u8>)>,
) -> Result<()> {
    let Some(file) = all.get(module).filter(|_| order.iter().all(|(name, _)| name != module))
    else {
        return Ok(());
    };
    let bytes = if file.extension().is_some_and(|extension| extension == "xz") {
        let plain = file.with_extension("");
        capture(command("xz").args(["--decompress", "--keep"]).arg(file))?;
        fs::read(plain)
    } else {
        fs::read(file)
    }
    .with_context(|| file.display().to_string())?;
    for dependency in depends(&bytes).with_context(|| format!("reading the module {module}"))? {
        take_module(&dependency, all, order)?;
    }
    order.push((module.into(), bytes));
    Ok(())
}

/// The modules that a module says it needs (`depends=` of `.modinfo`).
fn depends(module: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(module)?;
    let section = file.section_by_name(".modinfo").context("it has no .modinfo")?;
    let text = String::from_utf8_lossy(section.data()?).into_owned();
    let names = text.split('\0').find_map(|line| line.strip_prefix("depends="));
    let names = names.unwrap_or_default().split(',').filter(|name| !name.is_empty());
    Ok(names.map(canonical).collect())
}

/// `net/sched/sch_ingress.ko.xz` is `sch_ingress`.
fn module_name(file: &str) -> Option<String> {
    let (name, rest) = file.split_once(".ko")?;
    matches!(rest, "" | ".xz").then(|| canonical(name))
}

/// The kernel makes no difference between the two marks.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => found.extend(files(&entry.path())?),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_known_by_their_files() {
        assert_eq!(module_name("sch_ingress.ko.xz").as_deref(), Some("sch_ingress"));
        assert_eq!(module_name("xt-mark.ko").as_deref(), Some("xt_mark"));
        assert_eq!(module_name("modules.order"), None);
        assert_eq!(module_name("veth.ko.sig"), None);
    }

    #[test]
    fn what_is_no_module_is_an_error() {
        assert!(depends(b"no ELF file").is_err());
    }
}
