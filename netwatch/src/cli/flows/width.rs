//! Lines in the columns of a terminal: folded between words, or cut.

use unicode_width::UnicodeWidthChar as _;

/// Where a folded line goes on: below the event's kind.
const INDENT: usize = 13;
/// A narrower terminal has no room for that.
const WIDE_ENOUGH: usize = 40;

/// The line without its end, folded so that no word is broken that fits into a line of its own.
pub(super) fn folded(line: &str, columns: usize) -> String {
    let indent = if columns < WIDE_ENOUGH { 0 } else { INDENT };
    let mut folded = String::with_capacity(line.len() + 32);
    let mut at = 0;
    let mut is_first = true;
    for word in line.split_inclusive(' ') {
        let visible = width(word.trim_end_matches(' '));
        // An empty word is padding.
        if visible > 0 && !is_first && at + visible > columns {
            folded.truncate(folded.trim_end_matches(' ').len());
            folded.push('\n');
            folded.extend(std::iter::repeat_n(' ', indent));
            at = indent;
        }
        is_first &= visible == 0;
        folded.push_str(word);
        at += width(word);
    }
    folded.truncate(folded.trim_end_matches(' ').len());
    folded
}

/// As much of the line as fits. Colours are kept, so that one that began also ends.
pub(super) fn cut(line: &str, columns: usize) -> String {
    let mut at = 0;
    let mut cut = String::with_capacity(line.len());
    for (part, columns_of_it) in parts(line) {
        at += columns_of_it;
        if columns_of_it == 0 || at <= columns {
            cut.push_str(part);
        }
    }
    cut
}

fn width(text: &str) -> usize {
    parts(text).map(|(_, columns)| columns).sum()
}

/// Letters, each with its columns; and the sequences that set a colour, which have none.
fn parts(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let letter = rest.chars().next()?;
        let (length, columns) = if letter == '\u{1b}' {
            (rest.find('m').map_or(rest.len(), |end| end + 1), 0)
        } else {
            (letter.len_utf8(), letter.width().unwrap_or(0))
        };
        let (part, more) = rest.split_at(length);
        rest = more;
        Some((part, columns))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "19:04:05.123 \u{1b}[33mend\u{1b}[0m   tcp  shop-web-1:40112 -> db:80    net=shop dur=1s";

    #[test]
    fn a_line_that_fits_stays_as_it_is() {
        assert_eq!(folded(LINE, 200), LINE);
        assert_eq!(cut(LINE, 200), LINE);
        // Seventy-one columns and the nine letters of colours.
        let exact = width(LINE);
        assert_eq!(exact, LINE.len() - 9);
        assert_eq!(folded(LINE, exact), LINE);
        assert_eq!(cut(LINE, exact), LINE);
    }

    #[test]
    fn no_word_is_broken_that_need_not_be() {
        let lines = |columns| -> Vec<String> {
            let folded = folded(LINE, columns).replace("\u{1b}[33m", "").replace("\u{1b}[0m", "");
            folded.lines().map(str::to_owned).collect()
        };
        assert_eq!(
            lines(60),
            ["19:04:05.123 end   tcp  shop-web-1:40112 -> db:80", "             net=shop dur=1s"]
        );
        assert_eq!(
            lines(40),
            [
                "19:04:05.123 end   tcp  shop-web-1:40112",
                "             -> db:80    net=shop dur=1s"
            ]
        );
        assert_eq!(
            lines(16),
            ["19:04:05.123 end", "tcp", "shop-web-1:40112", "-> db:80", "net=shop dur=1s"]
        );
        // A word longer than a line is the terminal's business.
        assert_eq!(lines(10)[2], "shop-web-1:40112");
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        for columns in 1..100 {
            assert_eq!(words(&folded(LINE, columns)), words(LINE), "{columns}");
        }
    }

    #[test]
    fn wide_letters_count_as_two_and_colours_end() {
        assert_eq!(cut("数据库", 5), "数据");
        assert_eq!(folded("net=数据库 x=1", 10), "net=数据库\nx=1");
        assert_eq!(cut("\u{1b}[33mend\u{1b}[0m x", 2), "\u{1b}[33men\u{1b}[0m");
    }
}
