//! Plain tables with two spaces between columns, at most as wide as a terminal.

use super::{Fit, Style, Tone};
use crate::domain::clean::clean;
use crate::domain::text::shortened;

/// The minimum width of a shortened name.
const MIN_NAME_WIDTH: usize = 12;

/// A column with its heading and alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    heading: &'static str,
    right: bool,
}

/// Creates a left-aligned column.
pub const fn words(heading: &'static str) -> Column {
    Column { heading, right: false }
}

/// Creates a right-aligned column.
pub const fn figures(heading: &'static str) -> Column {
    Column { heading, right: true }
}

/// A sign in front of a row, with its tone.
pub type Sign = (char, Tone);

/// The sign of a row without one.
pub const NO_SIGN: Sign = (' ', Tone::Quiet);

/// Formats a table with a heading, as lines with line feeds. Returns an empty string without rows. See [`lines`].
pub fn table(columns: &[Column], name: usize, rows: &[(Sign, Vec<String>)], style: Style) -> String {
    if rows.is_empty() {
        return String::new();
    }
    lines(columns, name, rows, style).into_iter().map(|line| line + "\n").collect()
}

/// Formats the lines of a table. The first line is the heading.
///
/// The column `name` is shortened to fit a terminal. Columns without any content are left out. Every cell is escaped,
/// because it may contain untrusted text.
pub fn lines(columns: &[Column], name: usize, rows: &[(Sign, Vec<String>)], style: Style) -> Vec<String> {
    let mut rows: Vec<(&Sign, Vec<String>)> = rows
        .iter()
        .map(|(sign, cells)| (sign, cells.iter().map(|cell| clean(cell).into_owned()).collect()))
        .collect();
    let width = |rows: &[(&Sign, Vec<String>)], column: usize| {
        let cells = rows.iter().map(|(_, cells)| cells[column].chars().count()).max().unwrap_or(0);
        if cells == 0 { 0 } else { cells.max(columns[column].heading.chars().count()) }
    };
    if let Fit::Terminal(across) = style.fit {
        let others = (0..columns.len()).filter(|column| *column != name).map(|column| width(&rows, column));
        let others: usize = others.filter(|width| *width > 0).map(|width| width + 2).sum();
        let room = across.saturating_sub(others + 2).max(MIN_NAME_WIDTH);
        for (_, cells) in &mut rows {
            cells[name] = shortened(&cells[name], room);
        }
    }
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(&rows, column)).collect();
    let line = |cells: &[&str]| {
        let shown = columns.iter().zip(&widths).zip(cells).filter(|((_, width), _)| **width > 0);
        let padded = shown.map(|((column, &width), cell)| match column.right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
    let heading = style.paint(Tone::Quiet, &format!("  {}", line(&headings)));
    let rows = rows.iter().map(|((sign, tone), cells)| {
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        format!("{} {}", style.paint(*tone, &sign.to_string()), line(&cells))
    });
    std::iter::once(heading).chain(rows).collect()
}
