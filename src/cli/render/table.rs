//! Plain tables: two spaces between columns, no lines, on a terminal never wider than [`WIDTH`].

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Row, Table};

use super::{Fit, Style, Tone, WIDTH};
use crate::cli::render::text;
use crate::domain::clean::clean;

/// The least that is left of a shortened name.
const NARROWEST: usize = 12;

/// A column: its heading, and on which side its cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    heading: &'static str,
    alignment: CellAlignment,
}

/// A column of words.
pub const fn words(heading: &'static str) -> Column {
    Column { heading, alignment: CellAlignment::Left }
}

/// A column of figures.
pub const fn figures(heading: &'static str) -> Column {
    Column { heading, alignment: CellAlignment::Right }
}

/// A sign in front of a row, and its tone.
pub type Sign = (char, Tone);

/// The lines of a table; the first is the heading. `name` is the column that is shortened when a terminal is too narrow.
/// Columns without a single filled cell are left out. Every cell is cleaned: it may hold text from outside.
pub fn lines(columns: &[Column], name: usize, rows: &[(Sign, Vec<String>)], style: Style) -> Vec<String> {
    let rows: Vec<(&Sign, Vec<String>)> = rows
        .iter()
        .map(|(sign, cells)| (sign, cells.iter().map(|cell| clean(cell).into_owned()).collect()))
        .collect();
    let shown: Vec<usize> = (0..columns.len())
        .filter(|&column| rows.iter().any(|(_, cells)| !cells[column].is_empty()))
        .collect();
    let width_of = |column: usize| {
        let cells = rows.iter().map(|(_, cells)| cells[column].chars().count());
        cells.max().unwrap_or(0).max(columns[column].heading.chars().count())
    };
    let others: usize =
        shown.iter().filter(|&&column| column != name).map(|&column| width_of(column) + 2).sum();
    let room = match style.fit {
        Fit::Whole => usize::MAX,
        Fit::Terminal => WIDTH.saturating_sub(others + 2).max(NARROWEST),
    };

    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let row = |cells: Vec<String>| {
        let cells = shown.iter().map(|&column| {
            let text =
                if column == name { text::shortened(&cells[column], room) } else { cells[column].clone() };
            Cell::new(text).set_alignment(columns[column].alignment)
        });
        Row::from(cells.collect::<Vec<_>>())
    };
    table.set_header(row(columns.iter().map(|column| column.heading.to_owned()).collect()));
    table.add_rows(rows.iter().map(|(_, cells)| row(cells.clone())));
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { 0 } else { 2 }, 0));
    }
    let signs = std::iter::once(None).chain(rows.iter().map(|(sign, _)| Some(*sign)));
    signs
        .zip(table.lines())
        .map(|(sign, line)| match sign {
            None => style.paint(Tone::Quiet, &format!("  {}", line.trim_end())),
            Some((sign, tone)) => format!("{} {}", style.paint(*tone, &sign.to_string()), line.trim_end()),
        })
        .collect()
}
