//! The table kernel × what it has and what passed on it; every cell is a word of a guest's.

use std::fs;

use anyhow::{Context as _, Result};

use super::run::{Kind, Line, Outcome};
use crate::workspace::root;

/// The page with the table in it.
pub(super) const PAGE: &str = "docs/kernels.md";
/// Between these lines of the page.
const BEGIN: &str = "<!-- Written by `cargo xtask kernels` from here on: every cell is what a guest said of itself -->";
const END: &str = "<!-- Written by `cargo xtask kernels` up to here -->";

/// Puts the table into its page.
pub(super) fn write(outcomes: &[Outcome]) -> Result<()> {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("reading {PAGE}"))?;
    let page = replace(&page, &text(outcomes))
        .with_context(|| format!("{PAGE} has lost the marks of the written part"))?;
    fs::write(&path, page).with_context(|| format!("writing {PAGE}"))
}

fn replace(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

/// What the kernels have, then what passed on them; a column for each kernel.
pub(super) fn text(outcomes: &[Outcome]) -> String {
    let has = table("has", outcomes, |line| line.kind == Kind::Has);
    let passes = table("passes", outcomes, |line| line.kind != Kind::Has);
    format!("{has}\n{passes}")
}

fn table(head: &str, outcomes: &[Outcome], wanted: impl Fn(&Line) -> bool) -> String {
    let row = |first: &str, cells: Vec<String>| format!("| {first} | {} |\n", cells.join(" | "));
    let mut text = row(head, outcomes.iter().map(|outcome| outcome.series.clone()).collect());
    text += &row("---", vec!["---".into(); outcomes.len()]);
    for name in names(outcomes, &wanted) {
        let cell = |outcome: &Outcome| {
            let lines = outcome.lines.iter().filter(|line| wanted(line));
            lines.filter(|line| line.name == name).map(cell).next().unwrap_or_else(|| "–".into())
        };
        text += &row(&name.replace('-', " "), outcomes.iter().map(cell).collect());
    }
    text
}

/// In the order in which the guests came to them. One that got further than the others ends the list.
fn names(outcomes: &[Outcome], wanted: impl Fn(&Line) -> bool) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for line in outcomes.iter().flat_map(|outcome| &outcome.lines).filter(|line| wanted(line)) {
        if !names.contains(&line.name.as_str()) {
            names.push(&line.name);
        }
    }
    names
}

/// Without what differs from run to run.
fn cell(line: &Line) -> String {
    if line.kind == Kind::Failed {
        return "**FAILED**".into();
    }
    line.detail.split(';').next().unwrap_or_default().replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_part_is_replaced_and_nothing_else() {
        let page = format!("# Title\n\n{BEGIN}\n\nold\n{END}\n\nmore\n");
        let written = replace(&page, "| new |\n").unwrap();
        assert_eq!(written, format!("# Title\n\n{BEGIN}\n\n| new |\n\n{END}\n\nmore\n"));
        assert_eq!(replace(&written, "| new |\n").as_deref(), Some(written.as_str()));
        assert_eq!(replace("# Title\n", ""), None);
    }

    #[test]
    fn a_cell_is_what_a_guest_said() {
        let line = |kind, name: &str, detail: &str| Line {
            kind,
            name: name.into(),
            detail: detail.into(),
        };
        let one = line(Kind::Ok, "tcp-ipv4", "exact; 5 packets");
        assert_eq!(cell(&one), "exact");
        assert_eq!(cell(&line(Kind::Failed, "tcp-ipv4", "3, not 4")), "**FAILED**");
        assert_eq!(cell(&line(Kind::Has, "args", "a|b")), "a\\|b");
    }
}
