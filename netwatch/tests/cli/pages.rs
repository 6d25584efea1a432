//! The pages of docs/ that are made from, or must agree with, the tables of the command line.

use std::{
    fs,
    path::{Path, PathBuf},
};

use netwatch::cli::{Exit, docs::configuration_page};

/// A page of docs/.
pub(crate) fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

#[test]
fn the_configuration_page_is_not_stale() {
    let path = page("configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, configuration_page()).expect("a page");
    }
    let have = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        have == configuration_page(),
        "docs/configuration.md is stale; run: UPDATE_DOCS=1 cargo test -p netwatch --test cli"
    );
}

#[test]
fn the_page_of_exit_codes_has_each_of_them() {
    let have = fs::read_to_string(page("exit-codes.md")).expect("docs/exit-codes.md");
    let rows: Vec<&str> = have.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), Exit::ALL.len());
    for (row, exit) in rows.iter().zip(Exit::ALL) {
        assert!(row.starts_with(&format!("| {} | {} | ", exit.code(), exit.name())), "{row}");
    }
}
