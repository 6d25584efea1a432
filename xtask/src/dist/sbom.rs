//! What the program is made of, as CycloneDX 1.5 has it.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Release, crates::Crate};

/// The list as JSON. Nothing of it depends on when or where it was made.
pub(super) fn text(release: &Release, crates: &[Crate]) -> Result<String> {
    let url = |name: &str, version: &str| format!("pkg:cargo/{name}@{version}");
    let ours = url("netwatch", &release.version);
    let components: Vec<Value> = crates
        .iter()
        .map(|one| {
            let place = url(&one.name, &one.version);
            json!({
                "type": "library",
                "bom-ref": place,
                "name": one.name,
                "version": one.version,
                "purl": place,
                "licenses": [{ "expression": one.licence }],
            })
        })
        .collect();
    let all: Vec<&Value> = components.iter().map(|component| &component["bom-ref"]).collect();
    let list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": "netwatch",
                "version": release.version,
                "purl": ours,
                "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
            },
        },
        "dependencies": [{ "ref": ours, "dependsOn": all }],
        "components": components,
    });
    let text = serde_json::to_string_pretty(&list).context("the list as JSON")?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::super::crates::linked;
    use super::*;

    #[test]
    fn each_crate_is_in_it_once() {
        let crates = linked().unwrap();
        let release =
            Release { version: "1.2.3".into(), architecture: "amd64", time: 0, folder: "/".into() };
        let list: Value = serde_json::from_str(&text(&release, &crates).unwrap()).unwrap();
        assert_eq!(list["components"].as_array().unwrap().len(), crates.len());
        assert_eq!(list["metadata"]["component"]["purl"], "pkg:cargo/netwatch@1.2.3");
    }
}
