//! Renders plans: segments in local time and UTC, clock changes, a picture of the week, and costs.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::cost::{self, dollars, starred};
use super::table::{Column, NO_SIGN, figures, lines, table, words};
use super::text::{binary_bytes, count, elapsed, grouped, wrapped};
use super::{Style, Tone, heat, zoned};
use crate::domain::backlog::not_planned;
use crate::domain::capacity::{Finding, REQUESTS_PER_ENVIRONMENT, Strategy};
use crate::domain::chain::Chain;
use crate::domain::clean::clean;
use crate::domain::cost::{Bill, FleetCost};
use crate::domain::fleet::Target;
use crate::domain::guard::Capped;
use crate::domain::plan::{Period, TargetPlan};
use crate::domain::schedule::Segment;

const COLUMNS: [Column; 5] =
    [words("LOCAL TIME"), words("UTC"), figures("DESIRED"), figures("ROUNDS"), figures("PINGS")];

/// The columns of capacity, which has steps instead of rounds.
const STEPS: [Column; 4] = [words("LOCAL TIME"), words("UTC"), figures("DESIRED"), words("STRATEGY")];

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
    chains: &[Chain<'_>],
    cost: &FleetCost,
    period: Period,
    zone: Option<Tz>,
    style: Style,
) -> String {
    let mut out = format!("plan from {} until {}\n", utc(period.from.instant()), utc(period.until.instant()));
    if plans.is_empty() {
        out.push_str("no targets\n");
    }
    for chain in chains {
        out.push_str(&super::chain::plan(chain, style));
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
    if cost.warmd.is_some() {
        out.push_str(&cost::observing(cost.total(), cost.observing()));
    }
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
    let name = format!("{} ({})", target.id.shown(), target.region());
    let _ = match target.strategy {
        Strategy::Pings => writeln!(
            out,
            "\n{name}, every {}, times in {zone}: {}, {}",
            count(u64::from(target.interval_minutes), "minute"),
            count(plan.rounds(), "round"),
            count(plan.pings(), "ping")
        ),
        capacity => writeln!(out, "\n{name}, times in {zone}: {capacity}"),
    };
    for text in not_planned(target) {
        let _ = writeln!(out, "  {text}");
    }
    if let Some(Capped { from, to, by }) = &plan.capped {
        let (from, to) = (grouped((*from).into()), grouped((*to).into()));
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
    segments(out, plan, period, zone, style);
    out.push_str(&heat::week(&plan.segments, period.from, period.until, zone, style));
    let cost = &plan.cost;
    for finding in &plan.findings {
        out.push_str(&self::finding(finding, zone, style));
    }
    let what = match &cost.held {
        None => count(cost.cold_starts, "cold start"),
        Some(held) => {
            let hours = cost::quantity(Decimal::from(held.seconds) / Decimal::from(3_600));
            let created = match held.created {
                0 => String::new(),
                created => format!(", {} created in advance", grouped(created)),
            };
            format!("{hours} environment-hours{created}")
        }
    };
    let total = starred(dollars(cost.bill.total()), plan.is_assumed());
    let _ = writeln!(out, "  cost {total}: {what}, {} from S3", binary_bytes(cost.s3.bytes()));
    if target.strategy.is_capacity() && target.is_pinged() {
        out.push_str("  without pings that replace it while it is not available\n");
    }
    out.push_str(&cost::bill(&cost.bill, style));
    out.push_str(&cost::unknown(&cost.bill, style));
    out.push_str(&cost::assumed(&cost.assumed, &target.assume, style));
}

/// Renders a finding about load. Each line ends with a line feed.
pub fn finding(finding: &Finding, zone: Tz, style: Style) -> String {
    let number = |number: u32| count(number.into(), "environment");
    let rate = u64::from(REQUESTS_PER_ENVIRONMENT);
    let text = match finding {
        Finding::RateDecides { window, environments, load_needs } => format!(
            "{window}: up to {} requests/s need {} at {rate} a second; the load alone needs {}",
            grouped(u64::from(*environments).saturating_mul(rate)),
            number(*environments),
            grouped((*load_needs).into())
        ),
        Finding::Spillover { window, requests_per_second, environments } => format!(
            "{window}: {} serve up to {} requests/s; of the assumed {} the rest runs on demand, with cold starts",
            number(*environments),
            grouped(u64::from(*environments).saturating_mul(rate)),
            requests_per_second.normalize()
        ),
        Finding::Doubles { at, before, environments, ramp_up_minutes, times } => {
            let more = match times {
                1 => String::new(),
                times => format!(" (and {} more)", count(u64::from(times - 1), "time")),
            };
            let hint = match ramp_up_minutes {
                Some(minutes) => {
                    let ramp = Duration::from_secs(u64::from(*minutes) * 60);
                    format!("add `ramp_up: {}`", elapsed(ramp))
                }
                None if *before == 0 => "no ramp from 0 avoids it: raise `floor`".to_owned(),
                None => "no ramp of a day or less avoids it: raise `floor`".to_owned(),
            };
            let at = zoned::instant(at.instant(), zone, at.instant().with_timezone(&zone).year());
            format!(
                "from {before} to {} at {at}{more}: load that more than doubles within five minutes is throttled; {hint}",
                number(*environments)
            )
        }
    };
    let text = format!("{} {}", if finding.is_warning() { '!' } else { '-' }, clean(&text));
    let tone = if finding.is_warning() { Tone::Warning } else { Tone::Quiet };
    let lines = wrapped(&text, style.width() - 2).into_iter();
    lines.map(|line| format!("  {}\n", style.paint(tone, &line))).collect()
}

/// Renders segments and the clock changes between them.
fn segments(out: &mut String, plan: &TargetPlan<'_>, period: Period, zone: Tz, style: Style) {
    let (segments, strategy) = (&plan.segments, plan.target.strategy);
    let (from, until) = (period.from.instant(), period.until.instant());
    let year = from.with_timezone(&zone).year();
    let row = |segment: &Segment| {
        let (from, until) = (segment.from.instant(), segment.until.instant());
        let mut cells = vec![
            zoned::range(from, until, zone, year),
            zoned::utc_range(from, until),
            segment.desired.to_string(),
        ];
        match strategy {
            Strategy::Pings => cells.extend([grouped(segment.rounds), grouped(segment.pings())]),
            capacity => cells.push(capacity.name().to_owned()),
        }
        (NO_SIGN, cells)
    };
    let columns = if strategy.is_capacity() { &STEPS[..] } else { &COLUMNS[..] };
    let mut lines = lines(columns, 0, &segments.iter().map(row).collect::<Vec<_>>(), style).into_iter();
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

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
