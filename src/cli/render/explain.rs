//! Renders the explanation of a target.

use std::fmt::Write as _;

use chrono::Datelike;

use super::plan::first_zone;
use super::table::{Column, Sign, figures, table, words};
use super::text::count;
use super::windows::{sign, state};
use super::{Style, zoned};
use crate::domain::backlog::not_planned;
use crate::domain::capacity::{Bounds, Outlook, findings};
use crate::domain::fleet::Target;
use crate::domain::schedule::{DueReason, Explanation, Minute};

const COLUMNS: [Column; 5] =
    [words("WINDOW"), words("STATE"), words("OPENS"), words("CLOSES"), figures("DESIRED")];

/// Renders the explanation of a target at a minute, with times in the zone of each window. Ends with a line feed.
/// `outlook` is that of capacity.
pub fn explain(
    target: &Target,
    minute: Minute,
    explanation: &Explanation<'_>,
    outlook: Option<&Outlook>,
    style: Style,
) -> String {
    let zone = first_zone(target);
    let now = minute.instant();
    let year = now.with_timezone(&zone).year();
    let local = zoned::instant(now, zone, 0);
    let mut out =
        format!("{} ({}) at {local} ({})\n", target.id.shown(), target.region(), now.format("%H:%M UTC"));
    match outlook {
        None => {
            let _ = writeln!(out, "desired: {}; {}", explanation.desired, due(target, explanation));
        }
        Some(outlook) => out.push_str(&capacity(target, outlook, year, style)),
    }
    for text in not_planned(target) {
        let _ = writeln!(out, "{text}");
    }
    if explanation.windows.is_empty() {
        if target.backlogs.is_empty() {
            out.push_str("no window is enabled in this region\n");
        }
        return out;
    }
    let rows: Vec<(Sign, Vec<String>)> = target
        .windows
        .iter()
        .zip(&explanation.windows)
        .map(|(window, view)| {
            let at = |at| zoned::instant(at, window.zone, year);
            let cells = vec![
                view.label.to_owned(),
                state(view).to_owned(),
                view.opens.map(at).unwrap_or_default(),
                view.closes.map(at).unwrap_or_default(),
                view.desired.to_string(),
            ];
            (sign(view), cells)
        })
        .collect();
    out.push('\n');
    out.push_str(&table(&COLUMNS, 0, &rows, style));
    if explanation.desired > 0 && target.spare > 0 {
        let _ = writeln!(out, "  the highest number, plus {} spare", target.spare);
    }
    out.push('\n');
    let next_change = outlook.map_or(explanation.next_change, |outlook| outlook.next);
    let _ = match next_change {
        Some((at, target)) => {
            writeln!(out, "next change: to {target} at {}", zoned::instant(at.instant(), zone, year))
        }
        None => writeln!(out, "next change: none in the next year"),
    };
    out
}

/// Renders the capacity of a target. Each line ends with a line feed.
fn capacity(target: &Target, outlook: &Outlook, year: i32, style: Style) -> String {
    let zone = first_zone(target);
    let Outlook { desired, bounds: Bounds { min, max }, actions, next: _ } = outlook;
    let mut out =
        format!("desired: {desired}, at least {min} and at most {max}\nstrategy: {}\n", target.strategy);
    let action = |(at, Bounds { min, max }): &(Minute, Bounds)| {
        format!("{min} to {max} at {}", zoned::instant(at.instant(), zone, year))
    };
    if let (Some(next), Some(last)) = (actions.first(), actions.last()) {
        let number = actions.len();
        let _ = writeln!(out, "scheduled actions: {number}, next {}, last {}", action(next), action(last));
    }
    for finding in findings(target, &[], Minute::from_epoch(0)) {
        out.push_str(&super::plan::finding(&finding, zone, style));
    }
    out
}

/// Renders the next change of a target. Ends with a line feed.
pub fn next(target: &Target, at: Minute, number: u32) -> String {
    let at = zoned::instant(at.instant(), first_zone(target), 0);
    format!("next: {} ({}) to {number} at {at}\n", target.id.shown(), target.region())
}

fn due(target: &Target, explanation: &Explanation<'_>) -> String {
    let every = count(u64::from(target.interval_minutes), "minute");
    match explanation.due {
        Some(DueReason::Rise) => "a round is due in this minute, because the number has risen".to_owned(),
        Some(DueReason::Deployment) => "a round is due in this minute, because it was deployed".to_owned(),
        Some(DueReason::Interval | DueReason::Open) => {
            format!("a round is due in this minute, as it is every {every}")
        }
        None if explanation.desired > 0 => {
            format!("no round is due in this minute; rounds are every {every}")
        }
        None => "nothing to keep warm".to_owned(),
    }
}
