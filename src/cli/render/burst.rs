//! Renders the plan of a burst.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::cost::{STAR, quantity, starred, unknown};
use super::heat::BLOCKS;
use super::table::{Column, NO_SIGN, figures, table, words};
use super::text::{count, elapsed, grouped, money, wrapped};
use super::{Style, Tone};
use crate::domain::burst::{Burst, By, LettingGo, Plan, Pricing, Warning};

/// A plan with what is shown beside it.
#[derive(Debug)]
pub struct View<'v> {
    /// The burst.
    pub burst: &'v Burst,
    /// The plans of all policies.
    pub plans: &'v [Plan],
    /// The plan that is shown second by second.
    pub chosen: &'v Plan,
    /// The prices.
    pub pricing: &'v Pricing<'v>,
    /// The steps in which its environments are let go.
    pub letting_go: &'v LettingGo,
    /// The limits that it exceeds.
    pub warnings: &'v [Warning],
    /// The names of the settings that have their default and change the price.
    pub assumed: Vec<&'static str>,
}

const POLICIES: [Column; 6] = [
    words("POLICY"),
    figures("STARTED"),
    figures("LONGEST WAIT"),
    figures("P99 WAIT"),
    figures("EMPTY AT"),
    figures("COST"),
];
const SECONDS: [Column; 5] =
    [figures("SECOND"), figures("ARRIVALS"), figures("WAITING"), figures("IN USE"), figures("KEPT")];

/// The most rows of seconds.
const MOST_ROWS: usize = 30;
/// The most columns of the chart.
const CHART_WIDTH: usize = 72;
/// The lines of each part of the chart.
const CHART_HEIGHT: usize = 3;
/// The most steps of letting go.
const MOST_STEPS: usize = 6;

/// Renders the policies, the chosen plan as a chart and second by second, and its limits. Ends with a line feed.
pub fn burst(view: &View<'_>, style: Style) -> String {
    let View { burst, chosen, pricing, .. } = view;
    let mut out = format!(
        "{} in {}, {} a second served by an environment, launch {}, by {}\n\n",
        count(burst.arrivals.total(), "request"),
        seconds(burst.arrivals.seconds()),
        burst.rate,
        seconds(burst.launch),
        match pricing.by {
            By::Pings => "pings",
            By::Provisioned => "provisioned concurrency",
        }
    );
    out.push_str(&policies(view, style));
    let _ = writeln!(out, "\n{}", chosen.policy.name());
    out.push_str(&chart(burst, chosen, style));
    out.push('\n');
    out.push_str(&rows(burst, chosen, style));
    out.push_str("\nletting go\n");
    let paragraph = |out: &mut String, tone: Tone, text: &str| {
        for line in wrapped(text, style.width() - 2) {
            let _ = writeln!(out, "  {}", style.paint(tone, &line));
        }
    };
    if pricing.by == By::Provisioned && !view.letting_go.amounts.is_empty() {
        paragraph(&mut out, Tone::Good, &steps(view.letting_go));
    }
    for sentence in view.letting_go.sentences(chosen, burst) {
        paragraph(&mut out, Tone::Good, &sentence);
    }
    if !view.warnings.is_empty() {
        out.push_str("\nlimits\n");
    }
    for Warning { message, .. } in view.warnings {
        paragraph(&mut out, Tone::Warning, &format!("! {message}"));
    }
    out
}

fn seconds(seconds: usize) -> String {
    elapsed(std::time::Duration::from_secs(seconds as u64))
}

fn policies(view: &View<'_>, style: Style) -> String {
    let is_assumed = !view.assumed.is_empty();
    let row = |plan: &Plan| {
        let time = |time: Option<usize>| time.map_or_else(|| "never".to_owned(), seconds);
        let cost = plan.money();
        let cells = vec![
            plan.policy.name().to_owned(),
            grouped(plan.started),
            time(plan.waits.map(|waits| waits.longest)),
            time(plan.waits.map(|waits| waits.p99)),
            plan.course
                .empty_at()
                .map_or_else(|| "never".to_owned(), |second| format!("{} s", grouped(second as u64))),
            starred(cost.map_or_else(|| "unknown".to_owned(), money), cost.is_some() && is_assumed),
        ];
        let sign = if plan.policy == view.chosen.policy { ('>', Tone::Good) } else { NO_SIGN };
        (sign, cells)
    };
    let rows: Vec<_> = view.plans.iter().map(row).collect();
    let mut out = table(&POLICIES, 0, &rows, style);
    for plan in view.plans {
        if let Some(shortfall) = plan.shortfall {
            let text = format!("! {}: {shortfall}", plan.policy.name());
            for line in wrapped(&text, style.width() - 2) {
                let _ = writeln!(out, "  {}", style.paint(Tone::Warning, &line));
            }
        }
    }
    if is_assumed {
        let Pricing { region, architecture, memory_mb, .. } = view.pricing;
        let value = |name: &&str| match *name {
            "memory" => format!("memory {memory_mb}MB"),
            "architecture" => format!("architecture {}", architecture.as_str()),
            _ => format!("region {region}"),
        };
        let values: Vec<String> = view.assumed.iter().map(value).collect();
        let _ = writeln!(out, "  {STAR} assumed: {}", values.join(", "));
    }
    if let Some(bill) = view.chosen.bill.as_ref() {
        out.push_str(&unknown(bill, style));
    }
    out
}

/// Renders arrivals, queue and environments over time, as long as any is above zero.
fn chart(burst: &Burst, plan: &Plan, style: Style) -> String {
    let until = plan.course.seconds().max(1);
    let each = until.div_ceil(CHART_WIDTH);
    let cells = until.div_ceil(each);
    let width = (CHART_WIDTH / 2 / cells).clamp(1, 6);
    let arrivals = |second: usize| Decimal::from(burst.arrivals.at(second));
    let waiting = |second: usize| plan.course.waiting(second);
    let in_use = |second: usize| Decimal::from(plan.course.environments(second));
    let series: [(&str, &dyn Fn(usize) -> Decimal); 3] =
        [("arrivals", &arrivals), ("waiting", &waiting), ("environments", &in_use)];
    let mut out = String::new();
    for (name, value) in series {
        let most = |cell: usize| (cell * each + 1..=(cell + 1) * each).map(value).max().unwrap_or_default();
        let values: Vec<Decimal> = (0..cells).map(most).collect();
        let highest = values.iter().copied().max().unwrap_or_default();
        for line in (0..CHART_HEIGHT).rev() {
            let strip: String =
                values.iter().map(|value| block(*value, highest, line).repeat(width)).collect();
            let label = if line + 1 == CHART_HEIGHT { name } else { "" };
            let scale = if line + 1 == CHART_HEIGHT { quantity(highest) } else { String::new() };
            let strip = format!("{strip:<0$}", cells * width);
            let _ = writeln!(
                out,
                "{}",
                format!("  {label:<12}  {}  {scale}", style.paint(Tone::Good, &strip)).trim_end()
            );
        }
    }
    let last = until.to_string();
    let room = (cells * width).saturating_sub(1);
    let _ = writeln!(out, "  second        1{last:>room$}");
    if each > 1 {
        let note = format!("each column is {}, with the highest number in it", seconds(each));
        let _ = writeln!(out, "  {}", style.paint(Tone::Quiet, &note));
    }
    out
}

/// Returns the part of a bar that is in `line`, counted from the bottom.
fn block(value: Decimal, highest: Decimal, line: usize) -> String {
    if value.is_zero() {
        return if line == 0 { "·" } else { " " }.to_owned();
    }
    let levels = CHART_HEIGHT * BLOCKS.len();
    let share = value.checked_mul(Decimal::from(levels as u64)).and_then(|value| value.checked_div(highest));
    let level = share.and_then(|share| share.ceil().to_usize()).unwrap_or(levels).clamp(1, levels);
    match level.saturating_sub(line * BLOCKS.len()) {
        0 => " ".to_owned(),
        eighths => BLOCKS[eighths.min(BLOCKS.len()) - 1].to_string(),
    }
}

fn rows(burst: &Burst, plan: &Plan, style: Style) -> String {
    let last = plan.course.seconds();
    let each = last.div_ceil(MOST_ROWS);
    let row = |second: usize| {
        let cells = vec![
            grouped(second as u64),
            grouped(burst.arrivals.at(second)),
            quantity(plan.course.waiting(second)),
            grouped(plan.course.environments(second)),
            grouped(plan.kept_at(second)),
        ];
        (NO_SIGN, cells)
    };
    let mut out = table(&SECONDS, 0, &(1..=last).step_by(each.max(1)).map(row).collect::<Vec<_>>(), style);
    if each > 1 {
        let note = format!("one row for each {} of {}; --json has all", seconds(each), seconds(last));
        let _ = writeln!(out, "  {}", style.paint(Tone::Quiet, &note));
    }
    out
}

fn steps(letting_go: &LettingGo) -> String {
    let shown = letting_go.steps.iter().take(MOST_STEPS);
    let shown: Vec<String> =
        shown.map(|(second, kept)| format!("{} at second {second}", grouped(*kept))).collect();
    let more = letting_go.steps.len().saturating_sub(MOST_STEPS);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("environments kept: {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_a_height_in_proportion() {
        let bar = |value: u64| -> String {
            (0..CHART_HEIGHT).rev().map(|line| block(value.into(), 24.into(), line)).collect()
        };
        assert_eq!([0, 1, 8, 9, 20, 24].map(bar), ["  ·", "  ▁", "  █", " ▁█", "▄██", "███"]);
    }
}
