//! A plan: for each target its segments in local time and UTC, the clock changes, and a picture of the week.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;

use super::table::{Column, Sign, figures, lines, words};
use super::text::{count, grouped};
use super::{Style, Tone, heat, zoned};
use crate::cli::plan::{Period, TargetPlan};
use crate::domain::fleet::Target;

const COLUMNS: [Column; 5] =
    [words("LOCAL TIME"), words("UTC"), figures("TARGET"), figures("ROUNDS"), figures("PINGS")];

/// The plans of targets. `zone` is that of all times and pictures; without it each target's own. Ends with a line feed.
pub fn plan(plans: &[TargetPlan<'_>], period: Period, zone: Option<Tz>, style: Style) -> String {
    let mut out = format!("plan from {} until {}\n", utc(period.from.instant()), utc(period.until.instant()));
    if plans.is_empty() {
        out.push_str("no targets\n");
    }
    for plan in plans {
        target(&mut out, plan, period, zone.unwrap_or_else(|| own_zone(plan.target)), style);
    }
    if plans.len() > 1 {
        let rounds = plans.iter().map(TargetPlan::rounds).sum();
        let pings = plans.iter().map(TargetPlan::pings).sum();
        let targets = count(plans.len() as u64, "target");
        let _ = writeln!(out, "\n{targets}: {}, {}", count(rounds, "round"), count(pings, "ping"));
    }
    out
}

/// The zone of the target's first window.
pub fn own_zone(target: &Target) -> Tz {
    target.windows.first().map_or(Tz::UTC, |window| window.zone)
}

fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn target(out: &mut String, plan: &TargetPlan<'_>, period: Period, zone: Tz, style: Style) {
    let target = plan.target;
    let _ = writeln!(
        out,
        "\n{} ({}), every {}, times in {zone}: {}, {}",
        target.label,
        target.region(),
        count(u64::from(target.interval_minutes), "minute"),
        count(plan.rounds(), "round"),
        count(plan.pings(), "ping")
    );
    if plan.segments.is_empty() {
        out.push_str("  no window is open in this time\n");
        return;
    }
    let (from, until) = (period.from.instant(), period.until.instant());
    let year = from.with_timezone(&zone).year();
    let rows: Vec<(Sign, Vec<String>)> = plan
        .segments
        .iter()
        .map(|segment| {
            let (from, until) = (segment.from.instant(), segment.until.instant());
            let cells = vec![
                zoned::stretch(from, until, zone, year),
                zoned::utc_stretch(from, until),
                segment.target.to_string(),
                grouped(segment.rounds),
                grouped(segment.pings()),
            ];
            ((' ', Tone::Quiet), cells)
        })
        .collect();
    let mut changes = zoned::changes(zone, from, until).into_iter().peekable();
    let mut lines = lines(&COLUMNS, 0, &rows, style).into_iter();
    out.extend(lines.next().map(|heading| heading + "\n"));
    for (segment, line) in plan.segments.iter().zip(lines) {
        // A change within a segment is told after it.
        while let Some(change) = changes.next_if(|change| change.at <= segment.from.instant()) {
            call_out(out, change, zone, year, style);
        }
        let _ = writeln!(out, "{line}");
    }
    for change in changes {
        call_out(out, change, zone, year, style);
    }
    out.push_str(&heat::week(&plan.segments, period.from, period.until, zone, style));
}

fn call_out(out: &mut String, change: zoned::Change, zone: Tz, year: i32, style: Style) {
    let _ = writeln!(out, "{} {}", style.paint(Tone::Warning, "!"), zoned::change(change, zone, year));
}
