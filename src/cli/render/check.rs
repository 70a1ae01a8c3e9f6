//! What `check` says when all is well, and in the words of GitHub Actions.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::table::{Column, Sign, figures, lines, words};
use super::text::{bytes, count};
use super::{Style, Tone};
use crate::config::{Problem, Severity};
use crate::domain::clean::{clean, clean_lines};
use crate::domain::cost::Per;
use crate::domain::fleet::{Fleet, Target};

const COLUMNS: [Column; 7] = [
    words("FUNCTION"),
    words("REGION"),
    figures("UP TO"),
    figures("EVERY"),
    words("PROTOCOL"),
    figures("S3 PER COLD START"),
    figures("WINDOWS"),
];

/// One line per target, and the sums. Ends with a line feed.
pub fn summary(fleet: &Fleet, paths: &[&str], warnings: usize, style: Style) -> String {
    let rows: Vec<(Sign, Vec<String>)> =
        fleet.targets.iter().map(|target| ((' ', Tone::Quiet), cells(target))).collect();
    let mut out = String::new();
    if !rows.is_empty() {
        for line in lines(&COLUMNS, 0, &rows, style) {
            let _ = writeln!(out, "{line}");
        }
        out.push('\n');
    }
    let functions: BTreeSet<_> = fleet.targets.iter().map(|target| &target.label).collect();
    let _ = writeln!(
        out,
        "{} of {} in {}: sound, {}",
        count(rows.len() as u64, "target"),
        count(functions.len() as u64, "function"),
        count(paths.len() as u64, "file"),
        count(warnings as u64, "warning"),
    );
    out
}

fn cells(target: &Target) -> Vec<String> {
    let per_cold_start = target.downloads.iter().filter(|download| download.per == Per::ColdStart);
    let size = per_cold_start.fold(0_u64, |sum, download| sum.saturating_add(download.size_bytes));
    vec![
        target.label.clone(),
        target.region().to_string(),
        target.highest().to_string(),
        format!("{}m", target.interval_minutes),
        target.protocol.name().to_owned(),
        if size == 0 { String::new() } else { bytes(size) },
        target.windows.len().to_string(),
    ]
}

/// Problems as workflow commands of GitHub Actions, one a line.
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

/// A command's message: cleaned, with percent signs and its own line ends escaped.
pub(super) fn data(text: &str) -> String {
    clean_lines(text).replace('%', "%25").replace('\n', "%0A")
}

/// A command's property: colons and commas as well.
fn property(text: &str) -> String {
    data(&clean(text)).replace(':', "%3A").replace(',', "%2C")
}
