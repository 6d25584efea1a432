//! A report as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::failure::one_line;
use crate::doctor::{Finding, Report, Verdict};

/// Where messages begin.
const INDENT: usize = 24;
const RESET: &str = "\u{1b}[0m";

/// A line for each check, and more where there is more to be said.
pub(super) fn text(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let word = format!("{:<9}", finding.verdict().name());
        let word =
            if colour { format!("{}{word}{RESET}", colour_of(finding.verdict())) } else { word };
        let _ =
            writeln!(text, "{word} {:<13} {}", finding.check().name(), one_line(&finding.message));
        for detail in &finding.details {
            more(&mut text, &format!("- {detail}"));
        }
        let means = finding.case.means();
        if !means.is_empty() {
            more(&mut text, means);
        }
        if let Some(remedy) = &finding.remedy {
            more(&mut text, &format!("-> {remedy}"));
        }
    }
    text
}

fn more(text: &mut String, line: &str) {
    let _ = writeln!(text, "{:INDENT$}{}", "", one_line(line));
}

fn colour_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "\u{1b}[32m",
        Verdict::Degraded => "\u{1b}[33m",
        Verdict::Failed => "\u{1b}[31m",
    }
}

#[derive(Serialize)]
struct Document<'a> {
    verdict: &'a str,
    version: &'a str,
    checks: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    check: &'a str,
    result: &'a str,
    verdict: &'a str,
    message: &'a str,
    meaning: Option<&'a str>,
    remedy: Option<&'a str>,
    details: &'a [String],
}

impl<'a> Entry<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            check: finding.check().name(),
            result: finding.case.name(),
            verdict: finding.verdict().name(),
            message: &finding.message,
            meaning: Some(finding.case.means()).filter(|means| !means.is_empty()),
            remedy: finding.remedy.as_deref(),
            details: &finding.details,
        }
    }
}

/// One object.
pub(super) fn json(report: &Report) -> String {
    let document = Document {
        verdict: report.verdict().name(),
        version: env!("CARGO_PKG_VERSION"),
        checks: report.findings.iter().map(Entry::of).collect(),
    };
    // Texts always become JSON.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Case;

    fn report() -> Report {
        let finding = |case, message: &str| Finding {
            case,
            message: message.into(),
            remedy: None,
            details: Vec::new(),
        };
        Report {
            findings: vec![
                finding(Case::KernelSupported, "Linux 6.18"),
                Finding {
                    remedy: Some("turn it off".into()),
                    details: vec!["veth1: evil\u{1b}[2J".into()],
                    ..finding(Case::TcBehind, "TCX\nforged")
                },
            ],
        }
    }

    #[test]
    fn text_is_a_line_for_each_thing_whatever_others_call_themselves() {
        let expected = "\
ok        kernel        Linux 6.18
degraded  tc            TCX\\nforged
                        - veth1: evil\\u{1b}[2J
                        What it drops or redirects is not seen, and what it changes is seen changed.
                        -> turn it off
";
        assert_eq!(text(&report(), false), expected);
        let coloured = text(&report(), true);
        assert!(coloured.starts_with("\u{1b}[32mok       \u{1b}[0m kernel "), "{coloured}");
        assert_eq!(
            coloured.replace("\u{1b}[32m", "").replace("\u{1b}[33m", "").replace(RESET, ""),
            expected
        );
    }

    #[test]
    fn json_has_every_field() {
        let value: serde_json::Value = serde_json::from_str(&json(&report())).expect("JSON");
        assert_eq!(value["verdict"], "degraded");
        assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(
            value["checks"][0],
            serde_json::json!({
                "check": "kernel", "result": "supported", "verdict": "ok", "message": "Linux 6.18",
                "meaning": null, "remedy": null, "details": [],
            })
        );
        assert_eq!(value["checks"][1]["details"][0], "veth1: evil\u{1b}[2J");
        assert_eq!(value["checks"][1]["remedy"], "turn it off");
    }
}
