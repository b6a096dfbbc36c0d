//! How results look to people: words, sizes, tables. Colours are taken out again where they do not belong, by `anstream`.

use std::io::IsTerminal;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use dbrewind_sqlite::{Lsn, Target, Timestamp};

pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

/// Whether a person looks at the result.
pub(crate) fn on_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A text from outside, which may not move the cursor or colour the terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// A path as a shell takes it.
pub(crate) fn word(path: &std::path::Path) -> String {
    let path = path.display().to_string();
    let safe = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    // What begins like an option, or reads as a URL, is no path to the command.
    let other = path.starts_with('-') || path.starts_with("file:") || path.contains("://");
    let path = if other && !path.starts_with(['/', '.']) { format!("./{path}") } else { path };
    if !path.is_empty() && path.chars().all(safe) {
        return path;
    }
    format!("'{}'", path.replace('\'', "'\\''"))
}

pub(crate) fn note(text: &str) -> String {
    format!("{WARNING}note{WARNING:#}: {}", plain(text))
}

/// A time, exactly, as a rewind takes it.
pub(crate) fn time(time: Timestamp) -> String {
    Target::Time(time).to_string()
}

/// How long ago a time was.
pub(crate) fn age(time: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(Duration::from_nanos(now.get().saturating_sub(time.get()))))
}

/// A span of time in its two largest units.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 10 => format!("{:.1} s", span.as_secs_f64()),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A duration of a call.
pub(crate) fn took(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.2} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

pub(crate) fn bytes(count: u64) -> String {
    let mut size = count as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "bytes" { format!("{count} bytes") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

pub(crate) fn pages(count: u64) -> String {
    if count == 1 { "1 page".to_owned() } else { format!("{count} pages") }
}

pub(crate) fn lsn(lsn: Lsn) -> String {
    format!("LSN {lsn}")
}

/// One cell of a table.
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: plain(&text.into()), style: Style::new() }
    }

    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { style, ..Self::new(text) }
    }
}

/// Columns in line, below a header.
pub(crate) fn table(header: &[&str], rows: &[Vec<Cell>]) -> String {
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
            cells.max().unwrap_or(0).max(title.chars().count())
        })
        .collect();
    let title = |title: &&str| Cell::styled(*title, DIM);
    let header: Vec<Cell> = header.iter().map(title).collect();
    let line = |row: &Vec<Cell>| {
        let mut line = String::new();
        let last = row.len().saturating_sub(1);
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let Cell { text, style } = cell;
            let blanks = if column == last { 0 } else { width.saturating_sub(text.chars().count()) + 2 };
            line.push_str(&format!("{style}{text}{style:#}{:blanks$}", ""));
        }
        line
    };
    std::iter::once(&header).chain(rows).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans() {
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(16 << 30), "16.0 GiB");
        assert_eq!(bytes(3 << 41), "6.0 TiB");
        assert_eq!(span(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(span(Duration::from_secs(59)), "59 s");
        assert_eq!(span(Duration::from_secs(3_725)), "1 h 2 min");
        assert_eq!(span(Duration::from_secs(72 * 3_600)), "3 d 0 h");
        assert_eq!(took(0.000_17), "0.17 ms");
    }

    #[test]
    fn a_path_can_be_pasted_into_a_shell() {
        for (path, word) in [
            ("/srv/app.db", "/srv/app.db"),
            ("my app.db", "'my app.db'"),
            ("it's.db", "'it'\\''s.db'"),
            ("$(rm x).db", "'$(rm x).db'"),
            ("-v.db", "./-v.db"),
            ("", "''"),
        ] {
            assert_eq!(super::word(std::path::Path::new(path)), word);
        }
    }

    #[test]
    fn a_name_cannot_write_to_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
        let rows = [vec![Cell::new("ä\u{7}"), Cell::new("x")]];
        assert_eq!(
            anstream::adapter::strip_str(&table(&["N", "M"], &rows)).to_string(),
            "N       M\nä\\u{7}  x"
        );
    }
}
