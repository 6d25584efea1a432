//! The crates that the program is linked with, by Cargo.lock, and under which terms.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{command::capture, workspace::cargo};

/// A crate that is not one of ours.
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licence: String,
    folder: PathBuf,
}

/// What `cargo metadata` says of the program's dependencies, without those that only build or test it.
pub(super) fn linked() -> Result<Vec<Crate>> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments = ["metadata", "--locked", "--format-version", "1", "--filter-platform", &triple];
    let text = capture(&mut cargo(&arguments))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata")?;
    let nodes = array(&metadata["resolve"]["nodes"]);
    let packages = array(&metadata["packages"]);
    let ours = packages.iter().find(|package| package["name"] == "netwatch");
    let mut waiting = vec![ours.context("no package netwatch")?["id"].clone()];
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !found.insert(id.as_str().unwrap_or_default().to_owned()) {
            continue;
        }
        let Some(node) = nodes.iter().find(|node| node["id"] == id) else { continue };
        let needed = array(&node["deps"]).iter().filter(|dependency| {
            array(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
        });
        waiting.extend(needed.map(|dependency| dependency["pkg"].clone()));
    }
    let mut crates: Vec<Crate> = packages
        .iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| found.contains(id)))
        .filter(|package| package["source"].is_string())
        .map(read)
        .collect::<Result<_>>()?;
    crates.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(crates)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn read(package: &Value) -> Result<Crate> {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let name = text("name");
    let licence = text("license");
    if licence.is_empty() {
        bail!("the crate {name} names no licence");
    }
    let source = text("source");
    if !source.starts_with("registry+") {
        bail!("the crate {name} does not come from the registry, but from {source}");
    }
    let manifest = PathBuf::from(text("manifest_path"));
    let folder = manifest.parent().context("a manifest without a folder")?.to_owned();
    // An old way to say OR.
    let licence = licence.replace('/', " OR ");
    Ok(Crate { name, version: text("version"), licence, folder })
}

/// The texts of all licences, each text once with the crates that carry it.
pub(super) fn licences(crates: &[Crate]) -> Result<String> {
    let mut texts: Vec<(String, Vec<String>)> = Vec::new();
    for one in crates {
        let entries = fs::read_dir(&one.folder)
            .with_context(|| format!("reading {}", one.folder.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let title = format!("{} {} ({})", one.name, one.version, one.licence);
        for file in files.iter().filter(|file| is_licence(file)) {
            let text = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            match texts.iter_mut().find(|(known, _)| *known == text) {
                Some((_, titles)) => titles.push(title.clone()),
                None => texts.push((text, vec![title.clone()])),
            }
        }
    }
    let rule = "-".repeat(80);
    let parts = texts.iter().map(|(text, titles)| {
        [&rule, &titles.join("\n"), &rule, "", text, ""].map(str::to_owned).join("\n")
    });
    Ok(parts.collect::<Vec<_>>().join("\n"))
}

fn is_licence(file: &std::path::Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
    file.is_file()
        && ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"]
            .iter()
            .any(|word| name.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_there_with_its_licence_and_what_only_tests_is_not() {
        let crates = linked().unwrap();
        let has = |name: &str| crates.iter().any(|one| one.name == name);
        assert!(has("aya") && has("tokio") && has("ring"));
        assert!(!has("proptest") && !has("tempfile") && !has("netwatch-common"));
        assert!(licences(&crates).unwrap().contains("tokio "));
    }
}
