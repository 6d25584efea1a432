//! The pages of docs/ that are made from, or must agree with, the tables of the command line.

use std::{
    fs,
    path::{Path, PathBuf},
};

use netwatch::cli::{
    Exit,
    docs::{configuration_page, doctor_page},
};

/// A page of docs/.
pub(crate) fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

#[test]
fn made_pages_are_not_stale() {
    for (name, expected) in
        [("configuration.md", configuration_page()), ("doctor.md", doctor_page())]
    {
        let path = page(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &expected).expect("a page");
        }
        let have = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            have == expected,
            "docs/{name} is stale; run: UPDATE_DOCS=1 cargo test -p netwatch --test cli"
        );
    }
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
