//! The web configuration: the examples of docs/web.md as netwatch and Prometheus's own tool see them, and what is wrong.

use std::{fs, path::Path, process::Command};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::{netwatch, pages::page, stderr, stdout};

/// A folder with the files that the examples name.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    for name in ["netwatch.pem", "clients.pem"] {
        fs::write(folder.path().join(name), &certificate).expect("written");
    }
    fs::write(folder.path().join("netwatch.key"), key.serialize_pem()).expect("written");
    folder
}

/// The examples of the page.
fn examples() -> Vec<String> {
    let page = fs::read_to_string(page("web.md")).expect("docs/web.md");
    let blocks = page.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default().to_owned()).collect()
}

fn check(path: &Path) -> std::process::Output {
    let path = path.to_string_lossy();
    netwatch(&["run", "--check", "--web.config.file", &path]).output().expect("netwatch runs")
}

#[test]
fn the_examples_of_the_page_are_valid() {
    let folder = folder();
    let path = folder.path().join("web.yml");
    let examples = examples();
    assert_eq!(examples.len(), 2);
    for example in examples {
        fs::write(&path, &example).expect("written");
        let output = check(&path);
        assert!(output.status.success(), "{example}\n{}", stderr(&output));
        let line = format!("file = \"{}\"", path.display());
        assert!(stdout(&output).contains(&line), "{}", stdout(&output));
    }
}

#[test]
#[ignore = "needs promtool: cargo xtask test"]
fn prometheus_takes_the_examples_too() {
    let folder = folder();
    let path = folder.path().join("web.yml");
    for example in examples() {
        fs::write(&path, &example).expect("written");
        let promtool = Command::new("promtool").args(["check", "web-config"]).arg(&path).output();
        let promtool = promtool.expect("Debian's prometheus");
        assert!(promtool.status.success(), "{example}\n{}", stderr(&promtool));
    }
}

#[test]
fn the_password_of_the_page_is_the_one_that_it_says() {
    let hash = examples().iter().find_map(|example| {
        let at = example.find("$2y$")?;
        Some(example[at..].lines().next()?.to_owned())
    });
    assert_eq!(bcrypt::verify("secret", &hash.expect("a hash")).ok(), Some(true));
}

#[test]
fn a_broken_web_configuration_is_a_usage_error_with_its_line() {
    let folder = folder();
    let path = folder.path().join("web.yml");
    fs::write(&path, "basic_auth_users:\n  me: secret\n").expect("written");
    let output = check(&path);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.starts_with(&format!("netwatch: {}:2: the password of \"me\"", path.display())),
        "{said}"
    );
    assert!(said.lines().nth(1).is_some_and(|hint| hint.starts_with("hint: ")), "{said}");
    let missing = check(&folder.path().join("none.yml"));
    assert_eq!(missing.status.code(), Some(1), "{}", stderr(&missing));
}
