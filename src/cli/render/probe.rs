//! Renders the result of a probe.

use std::fmt::Write as _;
use std::time::Duration;

use super::table::{Column, NO_SIGN, Sign, figures, table, words};
use super::text::{bytes, count, elapsed, grouped, millis, money, wrapped};
use super::{Style, Tone};
use crate::cli::probe::object::{
    CostObject, IdleObject, PingObject, ProbeObject, ResultObject, RoundObject, SpreadObject, StepObject,
    VersionObject,
};
use crate::domain::clean::clean;
use crate::domain::probe::{Estimate, Start};

/// The most columns of a bar.
const BAR: usize = 24;

const PINGS: [Column; 7] = [
    figures("AT"),
    figures("IDLE FOR"),
    words("START"),
    figures("INIT"),
    figures("RUN"),
    figures("TOTAL"),
    words(""),
];
const SPREAD: [Column; 3] = [figures("IDLE FOR"), figures("WARM"), words("")];
const STEPS: [Column; 10] = [
    figures("USERS"),
    figures("REQUESTS"),
    figures("COLD"),
    figures("ENVIRONMENTS"),
    figures("MIN"),
    figures("P50"),
    figures("P95"),
    figures("P99"),
    figures("MAX"),
    figures("PER SECOND"),
];
const HOLDS: [Column; 3] = [figures("HOLD"), figures("PROVEN"), words("")];
const VERSIONS: [Column; 10] = [
    words("VERSION"),
    figures("MEMORY"),
    words("FIRST"),
    figures("COLD"),
    figures("INIT"),
    figures("COST"),
    figures("WARM"),
    figures("COST"),
    figures("PER MILLION"),
    words(""),
];

/// Renders the line before a probe, without a line feed.
pub fn estimate(estimate: &Estimate, length: Duration) -> String {
    let dollars = |amount: Option<_>| amount.map_or_else(|| "price unknown".to_owned(), money);
    let mut line = format!("about {}, {}", count(estimate.pings, "ping"), dollars(estimate.lambda_usd));
    if estimate.s3_bytes > 0 {
        let _ = write!(line, "; {} from S3, {}", bytes(estimate.s3_bytes), dollars(estimate.s3_usd));
    }
    let _ = write!(line, "; takes about {}", elapsed(length));
    line
}

/// Renders a probe. Ends with a line feed.
pub fn probe(object: &ProbeObject, style: Style) -> String {
    let mut out = format!("{} in {}\n\n", clean(&object.function), object.region);
    match &object.result {
        ResultObject::Idle(idle) => out.push_str(&self::idle(idle, style)),
        ResultObject::Parallel { steps } => out.push_str(&parallel(steps, style)),
        ResultObject::FindHold { environments, hold_ms, rounds } => {
            out.push_str(&find_hold(*environments, *hold_ms, rounds, style));
        }
        ResultObject::Memory { versions } => out.push_str(&memory(versions, style)),
    }
    if object.partial {
        let text = "! interrupted: these are the measurements so far";
        let _ = writeln!(out, "  {}", style.paint(Tone::Warning, text));
    }
    let CostObject { pings, cost_usd, s3_bytes } = &object.actual;
    let cost = cost_usd.map_or_else(|| "cost unknown".to_owned(), money);
    let from_s3 = match s3_bytes {
        None => "; bytes from S3 unknown".to_owned(),
        Some(0) => String::new(),
        Some(number) => format!("; {} from S3", bytes(*number)),
    };
    let _ = writeln!(out, "  {}, {cost}{from_s3}", count(*pings, "ping"));
    out
}

/// Returns a bar for `value` where the longest is for `most`.
fn bar(value: f64, most: f64) -> String {
    let length = if most > 0.0 { (value / most * BAR as f64).ceil() as usize } else { 0 };
    "█".repeat(length.min(BAR))
}

fn highest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

fn ms(value: Option<f64>) -> String {
    value.map(millis).unwrap_or_default()
}

fn seconds(seconds: f64) -> String {
    elapsed(Duration::try_from_secs_f64(seconds.round()).unwrap_or_default())
}

fn sign(start: Option<Start>) -> Sign {
    match start {
        None => ('x', Tone::Bad),
        Some(Start::Warm) => ('+', Tone::Good),
        Some(_) => NO_SIGN,
    }
}

fn idle(idle: &IdleObject, style: Style) -> String {
    let most = highest(idle.pings.iter().map(|ping| ping.total_ms));
    let row = |ping: &PingObject| {
        let start = match (&ping.start, &ping.failure) {
            (Some(start), _) => start.name().to_owned(),
            (None, failure) => format!("failed: {}", failure.as_deref().unwrap_or_default()),
        };
        let mark = match ping {
            PingObject { disturbed: true, .. } => " disturbed",
            PingObject { gap: Some(_), counts: false, .. } => " not used",
            _ => "",
        };
        let cells = vec![
            seconds(ping.at),
            ping.gap.map(seconds).unwrap_or_default(),
            format!("{start}{mark}"),
            ms(ping.init_ms),
            ms(ping.duration_ms),
            millis(ping.total_ms),
            bar(ping.total_ms, most),
        ];
        (sign(ping.start), cells)
    };
    let rows: Vec<_> = idle.pings.iter().map(row).collect();
    let mut out = table(&PINGS, 2, &rows, style);
    if idle.spread.iter().any(|gap| gap.warm + gap.cold > 1) {
        out.push('\n');
        let row = |gap: &SpreadObject| {
            let all = gap.warm + gap.cold;
            let part = bar(gap.warm.into(), all.into());
            (NO_SIGN, vec![seconds(gap.gap), format!("{} of {all}", gap.warm), part])
        };
        let rows: Vec<_> = idle.spread.iter().map(row).collect();
        out.push_str(&table(&SPREAD, 2, &rows, style));
    }
    let gap = |gap: Option<f64>| gap.map(seconds);
    let (warm, cold) = (gap(idle.longest_warm_gap), gap(idle.shortest_cold_gap));
    let life = match (warm, cold) {
        (Some(warm), Some(cold)) if idle.varies => {
            format!("idle environments live for different times: warm after {warm}, gone after {cold}")
        }
        (Some(warm), Some(cold)) => format!("idle environments live between {warm} and {cold}"),
        (Some(warm), None) => format!("idle environments live longer than {warm}"),
        (None, Some(cold)) => format!("idle environments live shorter than {cold}"),
        (None, None) => "the life of idle environments is unknown".to_owned(),
    };
    let _ = writeln!(out, "\n  {life}");
    if let Some(threshold) = idle.semi_cold_below_ms {
        let _ = writeln!(out, "  starts below {} are semi-cold", millis(threshold));
    }
    if let Some(interval) = &idle.interval {
        let _ = writeln!(out, "  an interval of {interval} keeps them warm");
    }
    out
}

fn parallel(steps: &[StepObject], style: Style) -> String {
    let row = |step: &StepObject| {
        let tone = if step.errors > 0 { ('x', Tone::Bad) } else { NO_SIGN };
        let cells = vec![
            step.users.to_string(),
            grouped(step.requests as u64),
            step.cold_starts.to_string(),
            step.environments.map_or_else(|| "unknown".to_owned(), |number| number.to_string()),
            ms(step.min_ms),
            ms(step.p50_ms),
            ms(step.p95_ms),
            ms(step.p99_ms),
            ms(step.max_ms),
            format!("{:.1}", step.requests_per_second),
        ];
        (tone, cells)
    };
    let rows: Vec<_> = steps.iter().map(row).collect();
    let mut out = table(&STEPS, 0, &rows, style);
    out.push('\n');
    let most = highest(steps.iter().filter_map(|step| step.max_ms));
    for step in steps {
        let (p50, max) = (step.p50_ms.unwrap_or_default(), step.max_ms.unwrap_or_default());
        let solid = bar(p50, most);
        let rest = bar(max, most).chars().count().saturating_sub(solid.chars().count());
        let _ = writeln!(out, "  {:>6} users  {solid}{}", step.users, "░".repeat(rest));
        if step.errors > 0 {
            let failed = format!("! {} of {} users failed", count(step.errors as u64, "request"), step.users);
            let _ = writeln!(out, "  {}", style.paint(Tone::Bad, &failed));
        }
    }
    out.push_str("  █ median  ░ longest\n");
    out
}

fn find_hold(environments: u32, hold_ms: Option<u64>, rounds: &[RoundObject], style: Style) -> String {
    let mut holds: Vec<(u64, u32, u32)> = Vec::new();
    for round in rounds {
        let proven = u32::from(round.proven);
        match holds.iter_mut().find(|(hold, ..)| *hold == round.hold_ms) {
            Some((_, all, good)) => (*all, *good) = (*all + 1, *good + proven),
            None => holds.push((round.hold_ms, 1, proven)),
        }
    }
    holds.sort_unstable();
    let most = highest(holds.iter().map(|(hold, ..)| *hold as f64));
    let row = |(hold, all, good): &(u64, u32, u32)| {
        let tone = if all == good { ('+', Tone::Good) } else { ('x', Tone::Warning) };
        (tone, vec![format!("{hold} ms"), format!("{good} of {all}"), bar(*hold as f64, most)])
    };
    let rows: Vec<_> = holds.iter().map(row).collect();
    let mut out = table(&HOLDS, 2, &rows, style);
    let what = count(environments.into(), "environment");
    let _ = match hold_ms {
        Some(hold) => writeln!(out, "\n  a hold of {hold} ms proves {what} in 5 of 5 rounds"),
        None => writeln!(out, "\n  no hold was found that proves {what} in 5 of 5 rounds"),
    };
    out
}

fn memory(versions: &[VersionObject], style: Style) -> String {
    let most = highest(versions.iter().filter_map(|version| version.warm_billed_ms));
    let row = |version: &VersionObject| {
        let marks = match (version.best_value, version.fastest) {
            (true, true) => "best value, fastest",
            (true, false) => "best value",
            (false, true) => "fastest",
            (false, false) => "",
        };
        let first = match (&version.first, &version.failure) {
            (Some(Start::Warm), _) => "warm only".to_owned(),
            (Some(start), _) => start.name().to_owned(),
            (None, failure) => format!("failed: {}", failure.as_deref().unwrap_or_default()),
        };
        let cells = vec![
            version.qualifier.clone(),
            version.memory_mb.map(|memory| format!("{memory} MB")).unwrap_or_default(),
            first,
            ms(version.cold_total_ms),
            ms(version.cold_init_ms),
            version.cold_usd.map(|usd| format!("${usd}")).unwrap_or_default(),
            ms(version.warm_billed_ms),
            version.warm_usd.map(|usd| format!("${usd}")).unwrap_or_default(),
            version.usd_per_million.map(money).unwrap_or_default(),
            marks.to_owned(),
        ];
        (sign(version.first.filter(|start| start.is_new())), cells)
    };
    let rows: Vec<_> = versions.iter().map(row).collect();
    let mut out = table(&VERSIONS, 2, &rows, style);
    out.push('\n');
    let width = versions.iter().map(|version| version.qualifier.chars().count()).max().unwrap_or(0);
    for version in versions {
        let warm = version.warm_billed_ms.unwrap_or_default();
        let _ = writeln!(
            out,
            "  {:>width$}  {} {}",
            version.qualifier,
            bar(warm, most),
            ms(version.warm_billed_ms)
        );
    }
    let text = "a cold start cannot be forced: a version whose first ping was warm has no cold measurement. Pings do no \
                real work, so the times are those of the handler's check";
    for line in wrapped(text, style.width() - 2) {
        let _ = writeln!(out, "  {}", style.paint(Tone::Quiet, &line));
    }
    out
}
