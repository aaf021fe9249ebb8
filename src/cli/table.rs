//! Tables for people: columns that fit, and nothing in them that could steer a terminal.

use serde_json::Value;

/// Lines of cells, below a head; a column is as wide as its widest cell, and a cell at most [`WIDEST`].
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| cut(cell)).collect()).collect();
    let mut widths: Vec<usize> = head.iter().map(|name| name.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in &rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
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

fn cut(cell: &str) -> String {
    if cell.chars().count() <= WIDEST {
        return cell.to_owned();
    }
    cell.chars().take(WIDEST - 1).chain(['…']).collect()
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
        let text = table(&["USER", "AT"], &rows);
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [WIDEST + 4, WIDEST + 3, WIDEST + 3]);
        assert_eq!((lines[1][WIDEST - 1], lines[1][WIDEST + 2], lines[2][WIDEST + 2]), ('…', 'x', 'y'));
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
