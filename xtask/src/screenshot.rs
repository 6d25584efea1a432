//! A terminal's contents as a picture: what `tmux capture-pane -e -p` prints, as SVG.
//!
//! Promises: each letter stands in its column, whatever font the reader has.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _, stdin, stdout},
};

use anyhow::{Context as _, Result};

/// Of a letter and of a row, in pixels.
const LETTER: f64 = 7.8;
const ROW: f64 = 18.0;
const MARGIN: f64 = 14.0;
/// From the top of a row to the foot of its letters.
const BASE: f64 = 13.0;
const BACKGROUND: &str = "#16181d";
const PLAIN: &str = "#d6d9e0";
/// The eight colours of a terminal.
const COLOURS: [&str; 8] =
    ["#5b6270", "#ef6b73", "#8fcf7a", "#e7c664", "#6cb6ff", "#c792ea", "#5fd3c6", PLAIN];

/// Reads standard input, and prints the picture.
pub(crate) fn screenshot() -> Result<()> {
    let mut text = String::new();
    stdin().read_to_string(&mut text).context("reading what the terminal shows")?;
    stdout().write_all(svg(&text).as_bytes()).context("writing the picture")
}

fn svg(text: &str) -> String {
    let rows: Vec<Vec<Run>> = text.trim_end().lines().map(runs).collect();
    let columns = rows.iter().filter_map(|row| row.last()).map(|run| run.column + run.letters());
    let width = times(columns.max().unwrap_or(0), LETTER) + 2.0 * MARGIN;
    let height = times(rows.len(), ROW) + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-size=\"13\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for (row, runs) in rows.iter().enumerate() {
        let y = MARGIN + times(row, ROW) + BASE;
        for run in runs.iter().filter(|run| !run.text.trim().is_empty()) {
            let x = MARGIN + times(run.column, LETTER);
            let length = times(run.letters(), LETTER);
            let _ = writeln!(
                svg,
                "<text xml:space=\"preserve\" x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" \
                 fill=\"{}\">{}</text>",
                run.colour,
                escaped(&run.text)
            );
        }
    }
    svg + "</svg>\n"
}

fn times(count: usize, each: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) * each
}

/// Letters of one colour, in one row.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    column: usize,
    colour: &'static str,
    text: String,
}

impl Run {
    fn letters(&self) -> usize {
        self.text.chars().count()
    }
}

/// One row: colours begin with ESC `[`, end with `m`, and last until the next one.
fn runs(line: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let (mut column, mut colour) = (0, PLAIN);
    for (number, part) in line.split("\u{1b}[").enumerate() {
        let text = match part.split_once('m') {
            Some((codes, text)) if number > 0 => {
                colour = codes.split(';').fold(colour, coloured);
                text
            }
            _ => part,
        };
        if !text.is_empty() {
            runs.push(Run { column, colour, text: text.to_owned() });
            column += text.chars().count();
        }
    }
    runs
}

fn coloured(before: &'static str, code: &str) -> &'static str {
    match code.parse() {
        Ok(code @ 30..=37_usize) => COLOURS[code - 30],
        Ok(0 | 39) | Err(_) => PLAIN,
        Ok(_) => before,
    }
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_keep_their_columns_and_colours() {
        let run = |column, colour, text: &str| Run { column, colour, text: text.to_owned() };
        assert_eq!(
            runs("19:04 \u{1b}[33mend\u{1b}[39m   tcp  a -> b"),
            [run(0, PLAIN, "19:04 "), run(6, COLOURS[3], "end"), run(9, PLAIN, "   tcp  a -> b")]
        );
        assert_eq!(runs("\u{1b}[1;32mm\u{1b}[0m"), [run(0, COLOURS[2], "m")]);
        let drawn = svg("a -> b\n\n\u{1b}[31mé\u{1b}[0m\n");
        assert!(drawn.contains(">a -&gt; b</text>"), "{drawn}");
        assert!(drawn.contains("textLength=\"7.8\" fill=\"#ef6b73\">é</text>"), "{drawn}");
        assert!(drawn.contains("height=\"82\""), "three rows: {drawn}");
    }
}
