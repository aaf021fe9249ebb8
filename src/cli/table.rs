//! Tables for people: columns that fit, and nothing in them that could steer a terminal.

use std::borrow::Cow;
use std::io::IsTerminal;

use serde_json::Value;

/// Lines of cells, below a head. On a terminal cells are cut, see [`fit`]; a program gets them whole.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    fit(terminal_width(), head, rows)
}

/// A column is as wide as its widest cell. On a terminal of so many columns it is at most [`WIDEST`], but for the last one,
/// which may take what is left of the line.
fn fit(terminal: Option<usize>, head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|name| name.len()).collect();
    let (last, mut used) = (widths.len().saturating_sub(1), 0_usize);
    for (column, width) in widths.iter_mut().enumerate() {
        let widest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let most = match terminal {
            None => usize::MAX,
            Some(columns) if column == last => columns.saturating_sub(used).max(WIDEST),
            Some(_) => WIDEST,
        };
        *width = (*width).max(widest.unwrap_or_default().min(most));
        used += *width + GAP.len();
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, &width)| format!("{:width$}", cut(cell, width)));
        format!("{}\n", padded.collect::<Vec<_>>().join(GAP).trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// The columns of the terminal that standard output is; `None` = it is none.
fn terminal_width() -> Option<usize> {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
    Some(if columns == 0 { COLUMNS } else { columns })
}

/// One line, at most as long as the terminal is wide; whole where standard output is none.
pub(super) fn cut_for_terminal(line: &str) -> Cow<'_, str> {
    cut(line, terminal_width().unwrap_or(usize::MAX))
}

/// A value of an answer as text on one line; what is not printable is escaped.
pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars()
        .map(|letter| if is_plain(letter) { letter.to_string() } else { letter.escape_default().to_string() })
        .collect()
}

/// Look-alikes and letters that turn the line around are shown by number: names here are ASCII.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_graphic() || letter == ' '
}

fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().count() <= width {
        return text.into();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect::<String>().into()
}

/// `3d4h`, `4h5m`, `5m6s`, `6s`.
pub(super) fn age(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

/// A time of an answer, seconds since 1970, as RFC 3339 writes it.
pub(super) fn utc(then: &Value) -> String {
    let then = then.as_u64().map(|seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
    then.map_or("-".to_owned(), crate::directory::utc)
}

/// How long ago a time of an answer is, seconds since 1970.
pub(super) fn ago(then: &Value) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    then.as_u64().map_or_else(|| "-".to_owned(), |then| age(now.saturating_sub(then)))
}

/// `12`, `3.4k`, `5.6M`.
pub(super) fn bytes(value: &Value) -> String {
    let mut size = value.as_u64().unwrap_or_default() as f64;
    for unit in ["", "k", "M", "G"] {
        if size < 1000.0 {
            return if unit.is_empty() { format!("{size}") } else { format!("{size:.1}{unit}") };
        }
        size /= 1000.0;
    }
    format!("{size:.1}T")
}

/// A name of 255 letters is nobody's whom one has to read.
const WIDEST: usize = 48;
const GAP: &str = "  ";
/// Of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_in_a_cell_steers_the_terminal() {
        for (text, expected) in [
            ("alice@example.com", "alice@example.com"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("\u{202e}evil", "\\u{202e}evil"),
        ] {
            assert_eq!(shown(&json!(text)), expected);
        }
    }

    #[test]
    fn columns_line_up_and_have_an_end() {
        let rows = [vec!["a".repeat(255), "x".into()], vec!["b".into(), "y".into()]];
        let text = fit(Some(80), &["USER", "AT"], &rows);
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [WIDEST + 4, WIDEST + 3, WIDEST + 3]);
        assert_eq!((lines[1][WIDEST - 1], lines[1][WIDEST + 2], lines[2][WIDEST + 2]), ('…', 'x', 'y'));
    }

    #[test]
    fn a_terminal_cuts_the_last_column_at_its_edge_and_a_pipe_cuts_nothing() {
        let reason = "r".repeat(300);
        let rows = [vec!["a".repeat(60), reason.clone()]];
        let second = |terminal| fit(terminal, &["USER", "REASON"], &rows).lines().nth(1).unwrap_or_default().to_owned();
        assert_eq!(second(None), format!("{}  {reason}", "a".repeat(60)));
        assert_eq!(second(Some(200)).chars().count(), 200);
        assert!(second(Some(200)).ends_with("r…"));
        assert_eq!(second(Some(40)).chars().count(), WIDEST + 2 + WIDEST, "there is an end to what is cut");
        assert_eq!((cut("four", 4), cut("fives", 4)), ("four".into(), "fiv…".into()));
    }

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!([5, 65, 3700, 90_000].map(age), ["5s", "1m5s", "1h1m", "1d1h"]);
        assert_eq!([12, 3400, 5_600_000].map(|size| bytes(&json!(size))), ["12", "3.4k", "5.6M"]);
    }

    #[test]
    fn five_thousand_sessions_are_a_table_in_well_under_a_second() {
        let row: Vec<String> = (0..10).map(|column| "x".repeat(10 + column)).collect();
        let begun = std::time::Instant::now();
        assert_eq!(table(&["A"; 10], &vec![row; 5000]).lines().count(), 5001);
        assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
    }
}
