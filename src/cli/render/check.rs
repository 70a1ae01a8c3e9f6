//! Renders the result of `check` as a table and as workflow commands of GitHub Actions.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Style;
use super::table::{Column, NO_SIGN, figures, table, words};
use super::text::{bytes, count};
use crate::config::{Problem, Severity};
use crate::domain::clean::{clean, clean_lines};
use crate::domain::cost::Per;
use crate::domain::fleet::{Fleet, Target};

const COLUMNS: [Column; 8] = [
    words("FUNCTION"),
    words("REGION"),
    figures("UP TO"),
    figures("EVERY"),
    words("PROTOCOL"),
    words("STRATEGY"),
    figures("S3 PER COLD START"),
    figures("WINDOWS"),
];

/// Renders a table of the targets and the totals. Ends with a line feed.
pub fn summary(fleet: &Fleet, paths: &[&str], warnings: usize, style: Style) -> String {
    let rows: Vec<_> = fleet.targets.iter().map(|target| (NO_SIGN, cells(target))).collect();
    let mut out = table(&COLUMNS, 0, &rows, style);
    if !out.is_empty() {
        out.push('\n');
    }
    let functions: BTreeSet<_> = fleet.targets.iter().map(|target| &target.label).collect();
    let pipelines: BTreeSet<_> = fleet.pipelines.iter().map(|pipeline| &pipeline.name).collect();
    let _ = writeln!(
        out,
        "{} of {}{} in {}: valid, {}",
        count(rows.len() as u64, "target"),
        count(functions.len() as u64, "function"),
        match pipelines.len() {
            0 => String::new(),
            number => format!(" and {}", count(number as u64, "pipeline")),
        },
        count(paths.len() as u64, "file"),
        count(warnings as u64, "warning"),
    );
    out
}

fn cells(target: &Target) -> Vec<String> {
    let per_cold_start = target.downloads.iter().filter(|download| download.per == Per::ColdStart);
    let size = per_cold_start.fold(0_u64, |sum, download| sum.saturating_add(download.size_bytes));
    vec![
        target.id.shown(),
        target.region().to_string(),
        target.highest().to_string(),
        format!("{}m", target.interval_minutes),
        target.protocol.name().to_owned(),
        // The default is not shown.
        if target.strategy.is_capacity() { target.strategy.name().to_owned() } else { String::new() },
        if size == 0 { String::new() } else { bytes(size) },
        target.windows.len().to_string(),
    ]
}

/// Renders problems as workflow commands of GitHub Actions, one per line.
pub fn github(problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let command = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = write!(out, "::{command} file={}", property(&problem.position.path));
        if problem.position.line > 0 {
            let (line, column, end) = (problem.position.line, problem.position.column, problem.end_column);
            let _ = write!(out, ",line={line},col={column},endColumn={end}");
        }
        let message = match &problem.hint {
            Some(hint) => format!("{}\nhint: {hint}", problem.message),
            None => problem.message.clone(),
        };
        let _ = writeln!(out, ",title=warmd::{}", data(&message));
    }
    out
}

/// Escapes the message of a workflow command.
pub(super) fn data(text: &str) -> String {
    clean_lines(text).replace('%', "%25").replace('\n', "%0A")
}

/// Escapes a property of a workflow command, including colons and commas.
fn property(text: &str) -> String {
    data(&clean(text)).replace(':', "%3A").replace(',', "%2C")
}
