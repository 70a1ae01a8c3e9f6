//! Renders the chains of pipelines.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::Datelike;
use rust_decimal::Decimal;

use super::cost::{STAR, dollars, price, quantity, starred};
use super::table::{Column, NO_SIGN, Sign, figures, table, words};
use super::text::{bytes, count, grouped};
use super::windows::{sign, state};
use super::{Style, Tone, zoned};
use crate::domain::calendar::Window;
use crate::domain::chain::{Chain, PayloadCost, Total, cheapest};
use crate::domain::clean::clean;
use crate::domain::cost::assume::Assumed;
use crate::domain::pipeline::{Pipeline, Stage};
use crate::domain::schedule::{Explanation, Minute, WindowView};

const COLUMNS: [Column; 6] = [
    words("STAGE"),
    figures("ENVIRONMENTS"),
    figures("PER BACKLOG"),
    figures("TAKES"),
    figures("RATE"),
    figures("COLD START"),
];

const ROUTES: [Column; 3] = [words("ROUTE"), figures("PER REQUEST"), figures("IN THIS PERIOD")];

const WINDOWS: [Column; 5] =
    [words("WINDOW"), words("STATE"), words("OPENS"), words("CLOSES"), figures("BY STAGE")];

const TOTALS: [Column; 4] = [words("OPTION"), figures("COLD STARTS"), figures("TOTAL"), words("NOTE")];

/// A stage at a minute: its windows, and what they want.
pub struct StageAt<'f> {
    /// The windows, requests included.
    pub windows: Vec<&'f Window>,
    /// The explanation of these windows, in the same order.
    pub explanation: Explanation<'f>,
}

impl<'f> StageAt<'f> {
    /// Returns a window with its explanation.
    fn window(&self, index: usize) -> Option<(&'f Window, &WindowView<'f>)> {
        self.windows.get(index).copied().zip(self.explanation.windows.get(index))
    }
}

/// Renders the chain of a pipeline in a plan. Begins and ends with a line feed.
pub fn plan(chain: &Chain<'_>, style: Style) -> String {
    let number = |environments: Option<(u32, u32)>| match environments {
        None => "closed".to_owned(),
        Some((lowest, highest)) if lowest == highest => grouped(lowest.into()),
        Some((lowest, highest)) => format!("{} to {}", grouped(lowest.into()), grouped(highest.into())),
    };
    let numbers = chain.links.iter().map(|link| number(link.environments)).collect();
    let mut out = format!("\npipeline {}\n{}", name(chain.pipeline), stages(chain, numbers, style));
    if !chain.requests.is_zero() {
        let loads: Vec<String> = chain.pipeline.loads.iter().map(|load| rate(*load)).collect();
        let requests = quantity(chain.requests);
        let _ = writeln!(out, "  load while open {}: {requests} requests in this period", loads.join(", "));
    }
    for link in chain.links.iter().filter(|link| !link.payloads.is_empty()) {
        let takes = match link.stage.takes {
            1 => "each request".to_owned(),
            takes => format!("each {} requests", grouped(takes.into())),
        };
        let size = link.stage.payload.map(|payload| bytes(payload.bytes)).unwrap_or_default();
        let label = link.stage.label();
        let label = clean(&label);
        let _ = writeln!(out, "  payload of {label}, {size} through S3: a PUT and a GET for {takes}");
        let row = |PayloadCost { route, per_request, bill }: &PayloadCost| {
            let cells = vec![route.to_string(), price(rounded(*per_request)), dollars(bill.total())];
            (NO_SIGN, cells)
        };
        let rows: Vec<_> = link.payloads.iter().map(row).collect();
        out.extend(table(&ROUTES, 0, &rows, style).lines().map(|line| format!("  {line}\n")));
    }
    if chain.links.iter().any(|link| !link.payloads.is_empty()) {
        out.push_str("  payloads are a cost of the users' requests, and not part of the totals\n");
    }
    out
}

/// Rounds a price to four significant digits.
fn rounded(price: Option<Decimal>) -> Option<Decimal> {
    price.map(|price| price.round_sf(4).unwrap_or(price))
}

/// Renders the explanation of a pipeline at a minute, with times in the zone of each window. Ends with a line feed.
pub fn explain(chain: &Chain<'_>, minute: Minute, stages_at: &[StageAt<'_>], style: Style) -> String {
    let zone =
        stages_at.iter().flat_map(|stage| &stage.windows).next().map_or(chrono_tz::Tz::UTC, |w| w.zone);
    let now = minute.instant();
    let year = now.with_timezone(&zone).year();
    let mut out = format!(
        "pipeline {} at {} ({})\n",
        name(chain.pipeline),
        zoned::instant(now, zone, 0),
        now.format("%H:%M UTC")
    );
    let numbers = stages_at.iter().map(|stage| grouped(stage.explanation.desired.into())).collect();
    out.push_str(&stages(chain, numbers, style));
    let mut rows: Vec<(Sign, Vec<String>)> = Vec::new();
    // The stages have the windows of the pipeline in one order. Labels may repeat.
    for index in 0..stages_at.iter().map(|stage| stage.windows.len()).max().unwrap_or(0) {
        let Some((window, view)) = stages_at.iter().find_map(|stage| stage.window(index)) else { continue };
        let at = |at| zoned::instant(at, window.zone, year);
        let number =
            |stage: &StageAt<'_>| grouped(stage.window(index).map_or(0, |(_, view)| view.desired).into());
        let cells = vec![
            view.label.to_owned(),
            state(view).to_owned(),
            view.opens.map(at).unwrap_or_default(),
            view.closes.map(at).unwrap_or_default(),
            stages_at.iter().map(number).collect::<Vec<_>>().join(" · "),
        ];
        rows.push((sign(view), cells));
    }
    out.push('\n');
    if rows.is_empty() {
        out.push_str("no window is enabled\n");
        return out;
    }
    out.push_str(&table(&WINDOWS, 0, &rows, style));
    out.push('\n');
    let next = stages_at.iter().filter_map(|stage| stage.explanation.next_change).map(|(at, _)| at).min();
    let _ = match next {
        None => writeln!(out, "next change: none in the next year"),
        Some(next) => {
            let number = |stage: &StageAt<'_>| {
                let changed = stage.explanation.next_change.filter(|(at, _)| *at == next);
                grouped(changed.map_or(stage.explanation.desired, |(_, number)| number).into())
            };
            let numbers: Vec<String> = stages_at.iter().map(number).collect();
            let at = zoned::instant(next.instant(), zone, year);
            writeln!(out, "next change: to {} at {at}", numbers.join(" · "))
        }
    };
    out
}

/// Renders the stages with their numbers, and the cold latency. Each line ends with a line feed.
fn stages(chain: &Chain<'_>, numbers: Vec<String>, style: Style) -> String {
    let rows = chain.links.iter().zip(numbers).enumerate().map(|(index, (link, number))| {
        let Stage { takes, rate: served, per_backlog, .. } = link.stage;
        let cells = vec![
            format!("{} {}", index + 1, link.stage.label()),
            number,
            per_backlog.map(|backlog| grouped(backlog.into())).unwrap_or_default(),
            grouped((*takes).into()),
            rate(*served),
            link.inits.iter().map(init).collect::<Vec<_>>().join(", "),
        ];
        (NO_SIGN, cells)
    });
    let mut out = table(&COLUMNS, 0, &rows.collect::<Vec<_>>(), style);
    let latency = chain.cold_latency();
    let [sequential, overlapped] =
        [latency.sequential, latency.overlapped].map(|time| starred(seconds(time), latency.is_assumed));
    let _ = writeln!(out, "  cold latency  {sequential} one after the other, {overlapped} overlapped");
    if latency.is_assumed {
        let _ = writeln!(out, "  {STAR} assumed: init_duration");
    }
    for part in chain.links.iter().flat_map(|link| &link.unwarmed) {
        let sign = style.paint(Tone::Warning, "!");
        let _ = writeln!(out, "{sign} {} is never warmed for this pipeline", clean(&part.label()));
    }
    out
}

/// Renders the sum of each alternative over the functions of a pipeline. Begins and ends with a line feed.
pub fn compare(pipeline: &Pipeline, totals: &[Total], is_assumed: bool, style: Style) -> String {
    let best = cheapest(totals);
    let row = |total: &Total| {
        let is_best = best == Some(total.alternative);
        let cells = vec![
            total.alternative.title().to_owned(),
            total.cold_starts.map_or_else(|| "unknown".to_owned(), grouped),
            starred(dollars(total.usd), total.usd.is_some() && is_assumed),
            if is_best { "cheapest".to_owned() } else { String::new() },
        ];
        (if is_best { ('>', Tone::Good) } else { NO_SIGN }, cells)
    };
    let functions = count(pipeline.functions().count() as u64, "function");
    let rows: Vec<_> = totals.iter().map(row).collect();
    format!("\npipeline {}: the sum of {functions}\n{}", name(pipeline), table(&TOTALS, 0, &rows, style))
}

/// Returns the name of a pipeline with its region.
pub fn name(pipeline: &Pipeline) -> String {
    format!("{} ({})", clean(&pipeline.name), pipeline.region)
}

/// Formats requests per second, such as `600/s`.
pub fn rate(requests_per_second: Decimal) -> String {
    format!("{}/s", requests_per_second.normalize())
}

fn init(init: &Assumed<Duration>) -> String {
    starred(seconds(init.value()), init.is_assumed())
}

/// Formats a duration in seconds with one decimal.
fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
