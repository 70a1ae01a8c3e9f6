//! A plan: for each target its segments in local time and UTC, the clock changes, and a picture of the week.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;

use super::cost::{self, STAR, dollars};
use super::table::{Column, Sign, figures, lines, words};
use super::text::{bytes, count, grouped};
use super::{Style, Tone, heat, zoned};
use crate::cli::plan::{Period, TargetPlan};
use crate::domain::cost::FleetCost;
use crate::domain::fleet::Target;

const COLUMNS: [Column; 5] =
    [words("LOCAL TIME"), words("UTC"), figures("TARGET"), figures("ROUNDS"), figures("PINGS")];

const OWNERS: [Column; 6] = [
    words("OWNER"),
    figures("TARGETS"),
    figures("PINGS"),
    figures("COLD STARTS"),
    figures("FROM S3"),
    figures("COST"),
];

/// The plans of targets, and what they cost. `zone` is that of all times and pictures; without it each target's own.
/// Ends with a line feed.
pub fn plan(
    plans: &[TargetPlan<'_>],
    cost: &FleetCost,
    period: Period,
    zone: Option<Tz>,
    style: Style,
) -> String {
    let mut out = format!("plan from {} until {}\n", utc(period.from.instant()), utc(period.until.instant()));
    if plans.is_empty() {
        out.push_str("no targets\n");
    }
    for plan in plans {
        target(&mut out, plan, period, zone.unwrap_or_else(|| own_zone(plan.target)), style);
    }
    if plans.len() > 1 || cost.own.is_some() {
        fleet(&mut out, plans, cost, style);
    }
    out
}

/// The sums: by owner, and line by line.
fn fleet(out: &mut String, plans: &[TargetPlan<'_>], cost: &FleetCost, style: Style) {
    let rounds = plans.iter().map(TargetPlan::rounds).sum();
    let pings = plans.iter().map(TargetPlan::pings).sum();
    let targets = count(plans.len() as u64, "target");
    let _ = writeln!(out, "\n{targets}: {}, {}", count(rounds, "round"), count(pings, "ping"));
    let star = |assumed: bool| if assumed { STAR } else { "" };
    let rests = |plan: &TargetPlan<'_>| !plan.cost.assumed.is_empty();
    let quiet = (' ', Tone::Quiet);
    let mut rows: Vec<(Sign, Vec<String>)> = Vec::new();
    for (owner, bill) in &cost.by_owner {
        let own = || plans.iter().filter(|plan| plan.target.owner.as_deref().unwrap_or_default() == owner);
        let sum = |of: fn(&TargetPlan<'_>) -> u64| own().map(of).fold(0, u64::saturating_add);
        let name = if owner.is_empty() { "nobody" } else { owner };
        let mut cells = vec![name.to_owned(), grouped(own().count() as u64)];
        cells.push(grouped(sum(|plan| plan.cost.pings)));
        cells.push(grouped(sum(|plan| plan.cost.cold_starts)));
        cells.push(bytes(sum(|plan| plan.cost.s3.bytes())));
        cells.push(dollars(bill.total()) + star(own().any(rests)));
        rows.push((quiet, cells));
    }
    let only_cost = |name: String, cost: String| {
        let mut cells = vec![String::new(); OWNERS.len()];
        if let [first, .., last] = cells.as_mut_slice() {
            (*first, *last) = (name, cost);
        }
        (quiet, cells)
    };
    if let Some(own) = &cost.own {
        let place = own.lines.first().map_or_else(String::new, |line| format!(", in {}", line.region));
        rows.push(only_cost(format!("warmd itself{place}"), dollars(own.total()) + STAR));
    }
    let any = cost.own.is_some() || plans.iter().any(rests);
    rows.push(only_cost("total".to_owned(), dollars(cost.total()) + star(any)));
    for line in lines(&OWNERS, 0, &rows, style) {
        let _ = writeln!(out, "{line}");
    }
    out.push('\n');
    out.push_str(&cost::sums(&cost.bill, style));
    out.push_str(&cost::unknown(&cost.bill, style));
    out.push_str("  estimates at list prices, without free tiers; * rests on what is assumed\n");
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
    let cost = &plan.cost;
    let _ = writeln!(
        out,
        "  cost {}{}: {}, {} from S3",
        dollars(cost.bill.total()),
        if cost.assumed.is_empty() { "" } else { STAR },
        count(cost.cold_starts, "cold start"),
        bytes(cost.s3.bytes()),
    );
    out.push_str(&cost::bill(&cost.bill, style));
    out.push_str(&cost::unknown(&cost.bill, style));
    out.push_str(&cost::assumed(&cost.assumed, &target.assume));
}

fn call_out(out: &mut String, change: zoned::Change, zone: Tz, year: i32, style: Style) {
    let _ = writeln!(out, "{} {}", style.paint(Tone::Warning, "!"), zoned::change(change, zone, year));
}
