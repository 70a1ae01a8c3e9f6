//! Renders plans: segments in local time and UTC, clock changes, a picture of the week, and costs.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;

use super::cost::{self, dollars, starred};
use super::table::{Column, NO_SIGN, figures, lines, table, words};
use super::text::{binary_bytes, count, grouped};
use super::{Style, Tone, heat, zoned};
use crate::domain::cost::{Bill, FleetCost};
use crate::domain::fleet::Target;
use crate::domain::guard::Capped;
use crate::domain::plan::{Period, TargetPlan};
use crate::domain::schedule::Segment;

const COLUMNS: [Column; 5] =
    [words("LOCAL TIME"), words("UTC"), figures("DESIRED"), figures("ROUNDS"), figures("PINGS")];

const OWNERS: [Column; 6] = [
    words("OWNER"),
    figures("TARGETS"),
    figures("PINGS"),
    figures("COLD STARTS"),
    figures("FROM S3"),
    figures("COST"),
];

/// Renders plans and their cost. Times are in `zone`, or in the zone of each target without it. Ends with a line feed.
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
        target(&mut out, plan, period, zone.unwrap_or_else(|| first_zone(plan.target)), style);
    }
    if plans.len() > 1 || cost.warmd.is_some() {
        fleet(&mut out, plans, cost, style);
    }
    out
}

/// Renders the totals by owner and by item.
fn fleet(out: &mut String, plans: &[TargetPlan<'_>], cost: &FleetCost, style: Style) {
    let rounds = plans.iter().map(TargetPlan::rounds).sum();
    let pings = plans.iter().map(TargetPlan::pings).sum();
    let targets = count(plans.len() as u64, "target");
    let _ = writeln!(out, "\n{targets}: {}, {}", count(rounds, "round"), count(pings, "ping"));
    let mut rows: Vec<_> =
        cost.by_owner.iter().map(|(owner, bill)| (NO_SIGN, owner_cells(owner, bill, plans))).collect();
    let mut add_cost = |name: String, cost: String| {
        let mut cells = vec![String::new(); OWNERS.len()];
        if let [first, .., last] = cells.as_mut_slice() {
            (*first, *last) = (name, cost);
        }
        rows.push((NO_SIGN, cells));
    };
    if let Some(warmd) = &cost.warmd {
        let place = warmd.lines.first().map_or_else(String::new, |line| format!(", in {}", line.region));
        add_cost(format!("warmd itself{place}"), starred(dollars(warmd.total()), true));
    }
    let is_assumed = cost.warmd.is_some() || plans.iter().any(TargetPlan::is_assumed);
    add_cost("total".to_owned(), starred(dollars(cost.total()), is_assumed));
    out.push_str(&table(&OWNERS, 0, &rows, style));
    out.push('\n');
    out.push_str(&cost::sums(&cost.bill, style));
    out.push_str(&cost::unknown(&cost.bill, style));
    out.push_str("  estimates at list prices, without free tiers; * depends on assumptions\n");
}

fn owner_cells(owner: &str, bill: &Bill, plans: &[TargetPlan<'_>]) -> Vec<String> {
    let own = || plans.iter().filter(|plan| plan.owner() == owner);
    let sum = |of: fn(&TargetPlan<'_>) -> u64| own().map(of).fold(0, u64::saturating_add);
    vec![
        if owner.is_empty() { "no owner".to_owned() } else { owner.to_owned() },
        grouped(own().count() as u64),
        grouped(sum(|plan| plan.pings())),
        grouped(sum(|plan| plan.cost.cold_starts)),
        binary_bytes(sum(|plan| plan.cost.s3.bytes())),
        starred(dollars(bill.total()), own().any(TargetPlan::is_assumed)),
    ]
}

/// Returns the zone of the target's first window, UTC without windows.
pub fn first_zone(target: &Target) -> Tz {
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
        target.id.shown(),
        target.region(),
        count(u64::from(target.interval_minutes), "minute"),
        count(plan.rounds(), "round"),
        count(plan.pings(), "ping")
    );
    if let Some(Capped { from, to, by }) = plan.capped {
        let (from, to) = (grouped(from.into()), grouped(to.into()));
        let sign = style.paint(Tone::Warning, "!");
        let _ = writeln!(out, "{sign} lowered from {from} to {to} by `{by}`");
    }
    if let Some(reason) = plan.skipped {
        let rounds = if plan.segments.is_empty() { "skipped" } else { "some rounds are skipped" };
        let sign = style.paint(Tone::Warning, "!");
        let _ = writeln!(out, "{sign} {rounds} ({}): {}", reason.name(), reason.explanation());
    }
    if plan.segments.is_empty() {
        if plan.skipped.is_none() {
            out.push_str("  no window is open in this period\n");
        }
        return;
    }
    segments(out, &plan.segments, period, zone, style);
    out.push_str(&heat::week(&plan.segments, period.from, period.until, zone, style));
    let cost = &plan.cost;
    let _ = writeln!(
        out,
        "  cost {}: {}, {} from S3",
        starred(dollars(cost.bill.total()), plan.is_assumed()),
        count(cost.cold_starts, "cold start"),
        binary_bytes(cost.s3.bytes()),
    );
    out.push_str(&cost::bill(&cost.bill, style));
    out.push_str(&cost::unknown(&cost.bill, style));
    out.push_str(&cost::assumed(&cost.assumed, &target.assume));
}

/// Renders segments and the clock changes between them.
fn segments(out: &mut String, segments: &[Segment], period: Period, zone: Tz, style: Style) {
    let (from, until) = (period.from.instant(), period.until.instant());
    let year = from.with_timezone(&zone).year();
    let row = |segment: &Segment| {
        let (from, until) = (segment.from.instant(), segment.until.instant());
        let cells = vec![
            zoned::range(from, until, zone, year),
            zoned::utc_range(from, until),
            segment.desired.to_string(),
            grouped(segment.rounds),
            grouped(segment.pings()),
        ];
        (NO_SIGN, cells)
    };
    let mut lines = lines(&COLUMNS, 0, &segments.iter().map(row).collect::<Vec<_>>(), style).into_iter();
    out.extend(lines.next().map(|heading| heading + "\n"));
    let mut changes = zoned::changes(zone, from, until).into_iter().peekable();
    let sign = style.paint(Tone::Warning, "!");
    for (segment, line) in segments.iter().zip(lines) {
        // A change within a segment follows it.
        while let Some(change) = changes.next_if(|change| change.at <= segment.from.instant()) {
            let _ = writeln!(out, "{sign} {}", zoned::change(change, zone, year));
        }
        let _ = writeln!(out, "{line}");
    }
    for change in changes {
        let _ = writeln!(out, "{sign} {}", zoned::change(change, zone, year));
    }
}
