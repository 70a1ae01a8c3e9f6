//! The page: one file without scripts and references, with its data inside as JSON.

use std::fmt::Write as _;
use std::ops::Range;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

use super::bars;
use super::charts::{self, Ink};
use super::words::{
    REGIME, assumptions, best, budget_left, cost, coverage, escaped, notes, owner_name, per_hour, percent,
    span, usd,
};
use crate::domain::cost::compare::CostAlternative;
use crate::domain::coverage::Minutes;
use crate::domain::function::Region;
use crate::domain::review::{Amount, Cheapest, Day, FunctionReview, Review, Sums};
use crate::domain::schedule::Minute;
use crate::domain::text::{bytes, count, grouped};

/// The most functions with a row. The sums have all.
const MOST_ROWS: usize = 1_000;
/// The scale of the small charts of coverage.
const SMALL_SCALE: Range<f64> = 0.9..1.0;

const STYLE: &str = include_str!("page.css");

/// The beginning. The policy forbids scripts and requests; the icon is inside, so that none is requested.
const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\
    <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
    <meta name=\"referrer\" content=\"no-referrer\">\
    <link rel=\"icon\" href=\"data:,\"><title>warmd report</title>\n<style>";

const TABLE_HEAD: &str = "<div class=\"w\"><table><thead><tr><th>function<th>coverage<th>coverage by day<br>90 to 100 %, <u>below</u>\
    <th>target, reached<br>by day<th>cold starts<th>pings<th>S3 egress<th>cost<th>per warm hour<th>cheapest alternative\
    </thead><tbody>\n";

/// The data inside the page. A function's days are lists of [`runs`], one value for each day of `days`.
#[derive(Serialize)]
struct Data<'r> {
    from: Minute,
    until: Minute,
    simulated: bool,
    days: Vec<NaiveDate>,
    fleet: SumsData<'r>,
    owners: Vec<SumsData<'r>>,
    routes: Vec<RouteData<'r>>,
    functions: Vec<FunctionData<'r>>,
}

#[derive(Serialize)]
struct SumsData<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'r str>,
    window: u64,
    warm: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unknown: u64,
    pings: u64,
    cold_starts: u64,
    known_usd: Decimal,
    #[serde(skip_serializing_if = "is_zero")]
    unknown_costs: u64,
    #[serde(skip_serializing_if = "is_zero")]
    egress_bytes: u64,
}

#[derive(Serialize)]
struct RouteData<'r> {
    route: &'r str,
    bytes: u64,
    usd: Option<Decimal>,
    partial_cost: bool,
}

#[derive(Serialize)]
struct FunctionData<'r> {
    function: String,
    region: Region,
    /// The index of the owner in `owners`.
    of_owner: usize,
    #[serde(flatten)]
    sums: SumsData<'r>,
    cheapest: Option<CostAlternative>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cheapest_usd: Option<Decimal>,
    /// Window minutes by day.
    windows: Vec<Value>,
    /// Window minutes by day that were not warm.
    cold: Vec<Value>,
    target: Vec<Value>,
    reached: Vec<Value>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Returns a list of days, in which three or more equal values in sequence are a pair: the value and their number.
fn runs<T: PartialEq + Serialize>(days: &[Day], value: impl Fn(&Day) -> T) -> Vec<Value> {
    let values: Vec<T> = days.iter().map(value).collect();
    let run = |run: &[T]| match run {
        [value, _, _, ..] => vec![json!([value, run.len()])],
        few => few.iter().map(|value| json!(value)).collect(),
    };
    values.chunk_by(|one, other| one == other).flat_map(run).collect()
}

impl<'r> SumsData<'r> {
    fn new(owner: Option<&'r str>, sums: &Sums) -> Self {
        let Sums { row, known_usd, .. } = sums;
        Self {
            owner,
            window: row.minutes.window,
            warm: row.minutes.warm,
            unknown: row.minutes.unknown,
            pings: row.pings,
            cold_starts: row.cold,
            known_usd: known_usd.normalize(),
            unknown_costs: row.cost_unknown,
            egress_bytes: sums.egress_bytes(),
        }
    }
}

impl<'r> FunctionData<'r> {
    fn new(function: &'r FunctionReview<'_>, owners: &[&str]) -> Self {
        let days = &function.days;
        let (cheapest, cheapest_usd) = match function.cheapest() {
            Some(Cheapest::Present(own)) => (Some(own), None),
            Some(Cheapest::Other(other, usd)) => (Some(other), Some(usd.round_dp(6).normalize())),
            None => (None, None),
        };
        Self {
            function: function.id.shown(),
            region: function.id.region,
            of_owner: owners.binary_search(&function.owner()).unwrap_or_default(),
            sums: SumsData::new(None, &function.sums),
            cheapest,
            cheapest_usd,
            windows: runs(days, |day| day.minutes.window),
            cold: runs(days, |day| day.minutes.window.saturating_sub(day.minutes.warm)),
            target: runs(days, |day| day.target),
            reached: runs(days, |day| day.reached),
        }
    }
}

/// Renders the page.
pub fn page(review: &Review<'_>, is_simulated: bool) -> String {
    let mut out = format!("{HEAD}{}</style></head>\n<body>\n", STYLE.replace('\n', ""));
    let _ = write!(
        out,
        "<h1>Warm functions: coverage and cost</h1>\n<p class=\"q\">{}</p>\n",
        escaped(&span(review, is_simulated))
    );
    out.push_str(&tiles(review));
    for note in notes(review) {
        let _ = writeln!(out, "<p class=\"n\">{}</p>", escaped(&note));
    }
    let _ = write!(out, "<div class=\"c\">\n{}</div>\n", figures(review));
    let _ = write!(out, "<h2>Functions, the lowest coverage first</h2>\n{TABLE_HEAD}");
    let shown = review.functions.get(..MOST_ROWS).unwrap_or(&review.functions);
    for function in shown {
        row(&mut out, function);
    }
    out.push_str("</tbody></table></div>\n");
    if let more @ 1.. = review.functions.len() - shown.len() {
        let _ = writeln!(
            out,
            "<p>{} more are in the sums; <code>warmd report --json</code> has all.</p>",
            grouped(more as u64)
        );
    }
    let _ = writeln!(
        out,
        "<p class=\"q\">{REGIME} {}</p>\n<p class=\"q\">Coverage is the share of the minutes of open windows in which as many \
        environments as wanted were known to be warm. Days are UTC days.</p>",
        assumptions(review).unwrap_or_default()
    );
    let owners: Vec<&str> = review.owners.keys().map(String::as_str).collect();
    let data = Data {
        from: review.period.from,
        until: review.period.until,
        simulated: is_simulated,
        days: review.days.iter().map(|day| day.date).collect(),
        fleet: SumsData::new(None, &review.fleet),
        owners: review.owners.iter().map(|(owner, sums)| SumsData::new(Some(owner), sums)).collect(),
        routes: review
            .fleet
            .routes
            .iter()
            .map(|(route, sum)| RouteData {
                route,
                bytes: sum.bytes,
                usd: sum.known_usd().map(|usd| usd.normalize()),
                partial_cost: sum.is_partial,
            })
            .collect(),
        functions: shown.iter().map(|function| FunctionData::new(function, &owners)).collect(),
    };
    // Within a script element only `<` has a meaning. Numbers, texts and lists do not fail to serialize.
    let data = serde_json::to_string(&data).unwrap_or_default().replace('<', "\\u003c");
    let _ = write!(out, "<script type=\"application/json\" id=\"data\">{data}</script>\n</body></html>\n");
    out
}

/// Renders the figures of the fleet.
fn tiles(review: &Review<'_>) -> String {
    let Sums { row, known_usd, .. } = &review.fleet;
    let rate = |rate: Option<f64>| rate.map_or_else(|| "unknown".to_owned(), |rate| format!("{rate:.2}"));
    let slow = if review.burn.is_slow_burn() { ", a slow burn" } else { "" };
    let objective = if review.is_default_slo { ", default 99 %" } else { "" };
    let tiles = [
        (
            "coverage",
            coverage(row.minutes),
            format!("{} of {} minutes", grouped(row.minutes.warm), grouped(row.minutes.window)),
        ),
        (
            "error budget",
            budget_left(review.burn.budget_left),
            format!(
                "over {}{objective}; burn rate {} in the last 3 days{slow}",
                count(review.over_days.into(), "day"),
                rate(review.burn.recent)
            ),
        ),
        (
            "cost of warming",
            usd(*known_usd, row.cost_unknown),
            format!("{} for a warm hour", per_hour(&review.fleet)),
        ),
        ("cold starts", grouped(row.cold), format!("in {} pings", grouped(row.pings))),
        (
            "downloads from S3",
            bytes(review.fleet.egress_bytes()),
            count(review.fleet.routes.len() as u64, "route"),
        ),
        ("functions", grouped(review.functions.len() as u64), count(review.owners.len() as u64, "owner")),
    ];
    let tiles = tiles
        .iter()
        .map(|(name, figure, more)| format!("<div>{name}<b>{figure}</b><small>{more}</small></div>"));
    format!("<div class=\"k\">{}</div>\n", tiles.collect::<String>())
}

/// Renders the charts.
fn figures(review: &Review<'_>) -> String {
    let days = &review.days;
    let mut out = String::new();
    let mut figure = |title: &str, note: &str, chart: String| {
        let _ =
            writeln!(out, "<figure><figcaption>{title}<small>{note}</small></figcaption>{chart}</figure>");
    };
    let covered: Vec<Option<f64>> = days.iter().map(|day| day.minutes.coverage()).collect();
    let objective = review.objective;
    let lowest = covered.iter().flatten().copied().fold(objective, f64::min);
    let floor = [0.99, 0.98, 0.95, 0.9, 0.5].into_iter().find(|floor| *floor < lowest).unwrap_or(0.0);
    let goal = vec![Some(objective); days.len()];
    figure(
        "Coverage by day",
        &format!("<i class=\"ir\"></i>coverage<i class=\"io\"></i>objective, {}", percent(objective)),
        charts::lines(
            "Coverage of the fleet by day, in percent",
            days,
            floor..1.0 + (1.0 - floor) * 0.04,
            &[(Ink::Objective, &goal), (Ink::Reached, &covered)],
            &|share| format!("{} %", (share * 1_000.0).round() / 10.0),
        ),
    );
    let (target, reached) = levels(days);
    let most = target.iter().chain(&reached).flatten().copied().fold(1.0, f64::max);
    figure(
        "Environments by day",
        &format!(
            "<i class=\"iw\"></i>target, the highest of the day<i class=\"ir\"></i>reached in its worst hour{}",
            if days.iter().any(|day| day.target > 0 && day.reached.is_none()) {
                "; a gap is unknown"
            } else {
                ""
            }
        ),
        charts::lines(
            "Environments of the fleet by day: target and reached",
            days,
            0.0..most * 1.08,
            &[(Ink::Target, &target), (Ink::Reached, &reached)],
            &|number| format!("{}", number.round()),
        ),
    );
    let by_owner = || review.owners.iter().map(|(owner, sums)| (owner_name(owner), sums.amount()));
    let of_owners = bars::folded(by_owner(), |amount| bars::value(amount.usd), cost);
    figure("Cost by owner", "recorded", charts::bars("Recorded cost by owner", &of_owners));
    let number = |amount: &Amount| amount.bytes as f64;
    let downloading = by_owner().filter(|(_, amount)| amount.bytes > 0);
    let of_owners = bars::folded(downloading, number, |amount| bytes(amount.bytes));
    if !of_owners.is_empty() {
        figure(
            "Downloads from S3 by owner",
            "recorded",
            charts::bars("Downloads from S3 by owner", &of_owners),
        );
        let routes = review.fleet.routes.iter().map(|(route, amount)| (route.clone(), *amount));
        let figures = |amount: &Amount| match amount.known_usd() {
            Some(_) => format!("{}, {}", bytes(amount.bytes), cost(amount)),
            None => format!("{}, cost unknown", bytes(amount.bytes)),
        };
        figure(
            "Downloads from S3 by route",
            "bytes, and their cost",
            charts::bars("Downloads from S3 by route", &bars::folded(routes, number, figures)),
        );
    }
    let compared = bars::alternatives(review);
    if !compared.is_empty() {
        let on_days = if review.missing_days > 0 { ", for the days with a record" } else { "" };
        figure(
            "What the alternatives would have cost",
            &format!("estimates{on_days}; those that are known for every configured function"),
            charts::bars("Cost of the alternatives", &compared),
        );
    }
    out
}

/// Returns the target and what was reached by day; a gap where nothing was wanted or it is unknown.
fn levels(days: &[Day]) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
    let target = days.iter().map(|day| (day.target > 0).then_some(f64::from(day.target)));
    (target.collect(), days.iter().map(|day| day.reached.map(f64::from)).collect())
}

/// Renders the row of a function.
fn row(out: &mut String, function: &FunctionReview<'_>) {
    let Sums { row, known_usd, .. } = &function.sums;
    let class = match function.burn.and_then(|burn| burn.budget_left) {
        Some(left) if left < 0.0 => " class=\"b\"",
        Some(_) => " class=\"g\"",
        None => "",
    };
    let days: Vec<Option<f64>> = function.days.iter().map(|day| share(day.minutes)).collect();
    let below = function.days.iter().map(|day| day.minutes.coverage());
    let below =
        below.map(|share| share.filter(|share| *share < SMALL_SCALE.start).map(|_| SMALL_SCALE.start));
    let below: Vec<Option<f64>> = below.collect();
    let (target, reached) = levels(&function.days);
    let most = target.iter().flatten().copied().fold(1.0, f64::max);
    let egress = function.sums.egress_bytes();
    let owner =
        if function.owner().is_empty() { String::new() } else { format!(", {}", escaped(function.owner())) };
    let budget = function.burn.map(|burn| format!("<small>budget {}</small>", budget_left(burn.budget_left)));
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\"><bdi>{}</bdi><small>{}{owner}</small><td{class}><span>{}{}</span><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
        escaped(&function.id.shown()),
        function.id.region,
        coverage(row.minutes),
        budget.unwrap_or_default(),
        charts::small("coverage", SMALL_SCALE, &[(Ink::Reached, &days), (Ink::Below, &below)]),
        charts::small("target, reached", 0.0..most, &[(Ink::Target, &target), (Ink::Reached, &reached)]),
        grouped(row.cold),
        grouped(row.pings),
        if egress > 0 { bytes(egress) } else { "-".to_owned() },
        usd(*known_usd, row.cost_unknown),
        per_hour(&function.sums),
        best(function).unwrap_or_else(|| "-".to_owned()),
    );
}

/// Returns the coverage within the scale of small charts.
fn share(minutes: Minutes) -> Option<f64> {
    minutes.coverage().map(|share| share.clamp(SMALL_SCALE.start, SMALL_SCALE.end))
}
