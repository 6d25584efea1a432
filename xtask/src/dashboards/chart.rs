//! Panels as SVG.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{query::Series, unit::shown};
use crate::screenshot::escaped;

/// A column and a row of Grafana's grid, in pixels.
const COLUMN: f64 = 50.0;
const ROW: f64 = 30.0;
const GAP: f64 = 6.0;
const HEAD: f64 = 44.0;
const PADDING: f64 = 12.0;
/// A line of text, and a letter of it.
const LINE: f64 = 17.0;
const LETTER: f64 = 6.4;
/// Room for the figures beside a chart.
const AXIS: f64 = 76.0;
const COLOURS: [&str; 10] = [
    "#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d",
    "#ffee52", "#ca95e5",
];

pub(super) struct Panel {
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) unit: String,
    /// Words for some figures.
    pub(super) words: BTreeMap<String, String>,
    /// Each step of the scale is ten times the one below.
    pub(super) is_log: bool,
    /// Column, row, width and height in the grid.
    pub(super) place: [f64; 4],
    pub(super) series: Vec<Series>,
}

/// A dashboard.
pub(super) fn board(title: &str, panels: &[Panel]) -> String {
    let bottom = panels.iter().map(|panel| panel.place[1] + panel.place[3]).fold(0.0, f64::max);
    let (width, height) = (24.0 * COLUMN + GAP, HEAD + bottom * ROW + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"Inter, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#d5d7de\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#111217\"/>\n"
    );
    text(&mut svg, [GAP + PADDING, 28.0], title, "font-size=\"17\"");
    for panel in panels {
        let [x, y, w, h] = panel.place;
        let area = [x * COLUMN + GAP, HEAD + y * ROW, w * COLUMN - GAP, h * ROW - GAP];
        let [left, top, wide, high] = area;
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{high}\" rx=\"3\" fill=\"#181b1f\" stroke=\"#2c3038\"/>"
        );
        text(&mut svg, [left + PADDING, top + 20.0], &panel.title, "font-weight=\"600\"");
        let inner = [left + PADDING, top + 30.0, wide - 2.0 * PADDING, high - 30.0 - PADDING];
        match panel.kind.as_str() {
            _ if panel.series.is_empty() => nothing(&mut svg, inner),
            "stat" => stat(&mut svg, panel, inner),
            "table" => table(&mut svg, panel, inner),
            _ => lines(&mut svg, panel, inner),
        }
    }
    svg + "</svg>\n"
}

fn nothing(svg: &mut String, [x, y, width, height]: [f64; 4]) {
    let middle = [x + width / 2.0, y + height / 2.0];
    text(svg, middle, "no data", "text-anchor=\"middle\" fill=\"#7b8087\"");
}

fn stat(svg: &mut String, panel: &Panel, [x, y, width, height]: [f64; 4]) {
    let Some(first) = panel.series.first() else { return };
    let figure = match panel.words.get(&first.last().to_string()) {
        Some(word) => word.clone(),
        None if first.legend.is_empty() => shown(first.last(), &panel.unit),
        None => first.legend.clone(),
    };
    let how = "text-anchor=\"middle\" font-size=\"26\" fill=\"#73bf69\"";
    text(svg, [x + width / 2.0, y + height / 2.0 + 10.0], &figure, how);
}

/// Who calls in rows, who is called in columns.
fn table(svg: &mut String, panel: &Panel, [x, y, width, height]: [f64; 4]) {
    let names = |label: &str| -> BTreeSet<&str> {
        panel.series.iter().filter_map(|one| one.labels.get(label)).map(String::as_str).collect()
    };
    let (rows, columns) = (names("client"), names("server"));
    let step = width / (f64::from(count(columns.len())) + 1.0);
    let column = |number: usize| x + step * f64::from(count(number));
    let faint = "fill=\"#8e9199\"";
    text(svg, [x, y + 12.0], &cut("client \\ server", step), faint);
    for (number, name) in columns.iter().enumerate() {
        text(svg, [column(number + 1), y + 12.0], &cut(name, step), faint);
    }
    for (number, row) in rows.iter().enumerate() {
        let top = y + 12.0 + (LINE + 4.0) * (f64::from(count(number)) + 1.0);
        if top > y + height {
            break;
        }
        text(svg, [x, top], &cut(row, step), faint);
        for (number, name) in columns.iter().enumerate() {
            let is_it = |one: &&Series| {
                one.labels.get("client").is_some_and(|client| client == row)
                    && one.labels.get("server").is_some_and(|server| server == name)
            };
            if let Some(cell) = panel.series.iter().find(is_it) {
                text(svg, [column(number + 1), top], &shown(cell.last(), &panel.unit), "");
            }
        }
    }
}

fn lines(svg: &mut String, panel: &Panel, [x, y, width, height]: [f64; 4]) {
    let legend = legend(&panel.series, width);
    let rows = f64::from(count(legend.iter().map(|place| place.2).max().unwrap_or(0))) + 1.0;
    let (left, wide, high) = (x + AXIS, width - AXIS, height - rows * LINE - 8.0);
    let values = || panel.series.iter().flat_map(|one| &one.points).map(|(_, value)| *value);
    let is_log = panel.is_log && values().all(|value| value > 0.0);
    let scale = |value: f64| if is_log { value.log10() } else { value };
    let scaled = || values().map(scale);
    let least = if is_log { f64::INFINITY } else { 0.0 };
    let (low, top) = (scaled().fold(least, f64::min), scaled().fold(-least, f64::max));
    let (low, top) = if is_log { (low.floor(), top.ceil()) } else { (low, top) };
    let top = if top - low > 0.0 { top } else { low + 1.0 };
    let at = |value: f64| y + high * (top - scale(value)) / (top - low);
    for part in 0..=4 {
        let place = low + (top - low) * f64::from(part) / 4.0;
        let value = if is_log { 10_f64.powf(place) } else { place };
        let height = at(value);
        let _ = writeln!(
            svg,
            "<path d=\"M{left:.0} {height:.1}h{wide:.0}\" stroke=\"#2c3038\" fill=\"none\"/>"
        );
        let how = "text-anchor=\"end\" font-size=\"11\" fill=\"#8e9199\"";
        text(svg, [left - 6.0, height + 4.0], &shown(value, &panel.unit), how);
    }
    for (number, one) in panel.series.iter().enumerate() {
        let mut path = String::new();
        let mut before = None;
        for (time, value) in &one.points {
            // A gap is a gap.
            let joins = before.is_some_and(|before| time - before < 0.02);
            let step = if joins { 'L' } else { 'M' };
            let _ = write!(path, "{step}{:.1} {:.1}", left + wide * time, at(*value));
            before = Some(*time);
        }
        let colour = COLOURS[number % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-linejoin=\"round\" fill=\"none\"/>"
        );
    }
    for ((at, name, row), number) in legend.into_iter().zip(0..) {
        let top = y + height - (rows - f64::from(count(row)) - 1.0) * LINE;
        let colour = COLOURS[number % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"12\" height=\"3\" fill=\"{colour}\"/>",
            x + at,
            top - 5.0
        );
        text(svg, [x + at + 16.0, top], &name, "font-size=\"11\"");
    }
}

/// Where each name stands: from the left, what it is, and in which row.
fn legend(series: &[Series], width: f64) -> Vec<(f64, String, usize)> {
    let (mut at, mut row) = (0.0, 0);
    let place = |one: &Series| {
        let name = if one.legend.is_empty() { "value" } else { &one.legend };
        let name = cut(name, width - 30.0);
        let long = LETTER * f64::from(count(name.chars().count())) + 30.0;
        if at > 0.0 && at + long > width {
            (at, row) = (0.0, row + 1);
        }
        let place = (at, name, row);
        at += long;
        place
    };
    series.iter().map(place).collect()
}

/// As much of a text as fits.
fn cut(text: &str, width: f64) -> String {
    let mut all = text.chars();
    let mut short = String::new();
    let mut left = width - LETTER;
    for letter in all.by_ref() {
        left -= LETTER;
        if left < LETTER {
            short.push('…');
            return short;
        }
        short.push(letter);
    }
    short
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn text(svg: &mut String, [x, y]: [f64; 2], words: &str, how: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {how}>{}</text>", escaped(words));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(legend: &str, points: &[(f64, f64)]) -> Series {
        let labels = [("client", "web"), ("server", "a<b")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Series { labels: labels.into(), legend: legend.to_owned(), points: points.to_vec() }
    }

    fn drawn(kind: &str, series: Vec<Series>) -> String {
        let (title, unit) = ("Traffic".to_owned(), "Bps".to_owned());
        let words = BTreeMap::from([("1".to_owned(), "up".to_owned())]);
        let place = [0.0, 0.0, 12.0, 8.0];
        let kind = kind.to_owned();
        board("all", &[Panel { kind, title, unit, words, is_log: false, place, series }])
    }

    #[test]
    fn each_kind_shows_its_figures() {
        assert!(drawn("timeseries", vec![]).contains(">no data</text>"));
        let lines =
            drawn("timeseries", vec![series("web", &[(0.0, 0.0), (0.01, 2e3), (1.0, 1e3)])]);
        assert!(lines.contains(">2 kB/s</text>") && lines.contains(">web</text>"), "{lines}");
        // From nothing at the bottom to the top, and a gap.
        let [x, top] = [GAP + PADDING + AXIS, HEAD + 30.0];
        assert!(lines.contains(&format!("<path d=\"M{x:.1} ")), "{lines}");
        assert!(lines.contains(&format!(" {top:.1}M")), "{lines}");
        let table = drawn("table", vec![series("", &[(1.0, 1e6)])]);
        assert!(
            table.contains(">1 MB/s<") && table.contains(">a&lt;b<") && table.contains(">web<")
        );
        assert!(drawn("stat", vec![series("", &[(1.0, 7.0)])]).contains(">7 B/s</text>"));
        assert!(drawn("stat", vec![series("", &[(1.0, 1.0)])]).contains(">up</text>"));
    }

    #[test]
    fn names_are_cut_where_there_is_no_room() {
        assert_eq!(cut("short", 100.0), "short");
        assert_eq!(cut("a very long name", 50.0), "a ver…");
        let places = legend(&[series("one", &[]), series("two", &[]), series("three", &[])], 110.0);
        let rows: Vec<_> = places.iter().map(|place| place.2).collect();
        assert_eq!(rows, [0, 0, 1]);
    }
}
