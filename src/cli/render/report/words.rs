//! The sentences and figures that the text, the Markdown and the page share.

use rust_decimal::Decimal;

use crate::cli::render::cost::{STAR, dollars, starred};
use crate::domain::clean::clean;
use crate::domain::cost::compare::CostAlternative;
use crate::domain::coverage::Minutes;
use crate::domain::review::{Amount, Cheapest, FunctionReview, Review, Sums};
use crate::domain::text::{count, elapsed, grouped, money};

/// The headings of a function's row.
pub(super) const ROW_NAMES: [&str; 9] = [
    "function",
    "region",
    "coverage",
    "budget left",
    "cold starts",
    "pings",
    "cost",
    "per warm hour",
    "cheapest alternative",
];

/// The terms of all figures.
pub(super) const REGIME: &str =
    "Costs are recorded at list prices. Alternatives are estimates for the same windows.";

/// The most documents that are named.
const MOST_NAMED: usize = 5;

/// Escapes untrusted text for HTML and SVG. Hidden characters become visible.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Returns the period.
pub(super) fn span(review: &Review<'_>, is_simulated: bool) -> String {
    let period = review.period;
    let [from, until] =
        [period.from, period.until].map(|minute| minute.instant().format("%Y-%m-%d %H:%M UTC"));
    let simulated = if is_simulated { ", simulated" } else { "" };
    format!("{} from {from} until {until}{simulated}", elapsed(period.length()))
}

/// Formats coverage in percent, rounded down, so that only complete coverage is 100 %.
pub(super) fn coverage(minutes: Minutes) -> String {
    minutes.coverage().map_or_else(|| "unknown".to_owned(), percent)
}

/// Formats a share in percent with two decimals, rounded down.
pub(super) fn percent(share: f64) -> String {
    let hundredths = (share * 10_000.0 + 1e-6).floor();
    if hundredths.rem_euclid(100.0) == 0.0 {
        return format!("{:.0} %", hundredths / 100.0);
    }
    format!("{:.2} %", hundredths / 100.0)
}

/// Formats a recorded cost, with a `+` if some of it is unknown.
pub(super) fn usd(known: Decimal, unknown: u64) -> String {
    let cent = Decimal::new(1, 2);
    let is_small = known > Decimal::ZERO && known < cent;
    let text = if is_small { "<$0.01".to_owned() } else { dollars(Some(known)) };
    if unknown > 0 { text + "+" } else { text }
}

/// Formats the cost of an amount, as [`usd`].
pub(super) fn cost(amount: &Amount) -> String {
    amount.known_usd().map_or_else(|| "unknown".to_owned(), |known| usd(known, amount.is_partial.into()))
}

/// Formats the cost of a warm hour, with a `+` if some of it is unknown.
pub(super) fn per_hour(sums: &Sums) -> String {
    let plus = if sums.row.cost_unknown > 0 { "+" } else { "" };
    sums.usd_per_warm_hour().map_or_else(|| "-".to_owned(), |usd| money(usd) + plus)
}

/// Returns the cheapest way of keeping a function warm, an alternative with its cost.
pub(super) fn best(function: &FunctionReview<'_>) -> Option<String> {
    Some(match function.cheapest()? {
        Cheapest::Present(_) => "as it is".to_owned(),
        Cheapest::Other(other, usd) => format!("{}, {}", other.title(), estimate(function, usd)),
    })
}

/// Formats the estimated cost of an alternative.
pub(super) fn estimate(function: &FunctionReview<'_>, cost: Decimal) -> String {
    starred(usd(cost, 0), !function.assumed.is_empty())
}

/// Returns the assumptions of the estimates, each once; `None` without any.
pub(super) fn assumptions(review: &Review<'_>) -> Option<String> {
    let compared = review.functions.iter().filter_map(|function| Some((function.target?, &function.assumed)));
    let used = compared.flat_map(|(target, assumed)| {
        target.assume.list().into_iter().filter(|entry| assumed.contains(&entry.name))
    });
    let mut values: Vec<String> = Vec::new();
    for value in used.map(|entry| format!("{} {}", entry.name, entry.value)) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    (!values.is_empty()).then(|| format!("{STAR} assumed: {}", values.join(", ")))
}

/// Returns the short name of an alternative.
pub(super) fn option_name(alternative: CostAlternative) -> &'static str {
    match alternative {
        CostAlternative::Pings => "PINGS",
        CostAlternative::ProvisionedWindows => "PC WINDOWS",
        CostAlternative::ProvisionedAlways => "PC ALWAYS",
        CostAlternative::ManagedInstances => "MANAGED",
        CostAlternative::Ec2 => "EC2",
        CostAlternative::Nothing => "NOTHING",
    }
}

/// Returns the name of an owner.
pub(super) fn owner_name(owner: &str) -> String {
    if owner.is_empty() { "(no owner)".to_owned() } else { owner.to_owned() }
}

/// Returns the figures of the fleet.
pub(super) fn facts(review: &Review<'_>) -> Vec<String> {
    let Sums { row, known_usd, .. } = &review.fleet;
    let minutes = row.minutes;
    let mut facts = vec![
        format!(
            "coverage {}: {} of {} were warm{}",
            coverage(minutes),
            grouped(minutes.warm),
            count(minutes.window, "window minute"),
            match minutes.capped {
                0 => String::new(),
                capped => format!(", {} capped by a guard or a budget", grouped(capped)),
            },
        ),
        budget(review),
        format!(
            "{} in {}: {} ({} semi-cold, {} restored, {} initialised ahead); {}",
            count(row.pings, "ping"),
            count(row.rounds, "round"),
            count(row.cold, "cold start"),
            grouped(row.semi_cold),
            grouped(row.restored),
            grouped(row.preinitialized),
            short(&review.fleet),
        ),
    ];
    let items = row.cost.iter().map(|(item, usd)| format!("{} {}", item.replace('_', " "), money(*usd)));
    let items: Vec<String> = items.collect();
    let per_hour = match review.fleet.usd_per_warm_hour() {
        Some(_) => format!("; {} for each warm hour of a function", per_hour(&review.fleet)),
        None => String::new(),
    };
    let of = if items.is_empty() { String::new() } else { format!(": {}", items.join(", ")) };
    facts.push(format!("cost {}{of}{per_hour}", usd(*known_usd, row.cost_unknown)));
    facts
}

/// Returns what is left of the error budget.
pub(super) fn budget_left(left: Option<f64>) -> String {
    match left {
        None => "unknown".to_owned(),
        Some(left) if left < 0.0 => format!("used up {:.1} times", 1.0 - left),
        Some(left) => format!("{} left", percent(left)),
    }
}

/// Returns what is left of the error budget, for a column.
pub(super) fn left(left: Option<f64>) -> String {
    match left {
        None => "unknown".to_owned(),
        Some(left) if left < 0.0 => format!("used {:.1}×", 1.0 - left),
        Some(left) => percent(left),
    }
}

/// Returns the error budget and its burn.
fn budget(review: &Review<'_>) -> String {
    let burn = review.burn;
    let of = if review.is_default_slo { "default objective" } else { "functions' objectives" };
    let (objective, days) = (percent(review.objective), count(review.over_days.into(), "day"));
    let left = budget_left(burn.budget_left);
    let rate = |rate: Option<f64>| rate.map_or_else(|| "unknown".to_owned(), |rate| format!("{rate:.2}"));
    let slow = if burn.is_slow_burn() { ": a slow burn" } else { "" };
    format!(
        "error budget of the {of}, {objective} over {days}: {left}; burn rate {} in the period, {} in the last 3 days{slow}",
        rate(burn.whole),
        rate(burn.recent),
    )
}

fn short(sums: &Sums) -> String {
    let reasons = sums.row.short.iter().map(|(reason, rounds)| {
        let name = serde_json::to_value(reason).ok().and_then(|name| Some(name.as_str()?.to_owned()));
        format!("{} {}", grouped(*rounds), name.unwrap_or_default())
    });
    let reasons: Vec<String> = reasons.collect();
    let all = sums.row.short.values().fold(0, |sum: u64, rounds| sum.saturating_add(*rounds));
    match reasons.is_empty() {
        true => "no short rounds".to_owned(),
        false => format!("{}: {}", count(all, "short round"), reasons.join(", ")),
    }
}

/// Returns what limits the figures.
pub(super) fn notes(review: &Review<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let row = &review.fleet.row;
    match review.known {
        None => notes.push("the history has nothing in this period".to_owned()),
        Some(known) if known.from > review.period.from => notes.push(format!(
            "the history begins at {}; alternatives are estimated from then on",
            known.from.instant().format("%Y-%m-%d %H:%M UTC")
        )),
        Some(_) => {}
    }
    // The last hour may not be recorded yet.
    if let Some(known) = review.known.filter(|known| known.until.plus(60) < review.period.until) {
        notes.push(format!(
            "the history ends at {}; alternatives are estimated until then",
            known.until.instant().format("%Y-%m-%d %H:%M UTC")
        ));
    }
    match review.missing_days {
        0 => {}
        days => notes.push(format!(
            "nothing is recorded on {} with open windows, without which alternatives are estimated",
            count(days as u64, "day")
        )),
    }
    if row.minutes.unknown > 0 {
        notes.push(format!(
            "{} are in no coverage: it is not known how many environments were warm",
            count(row.minutes.unknown, "unknown minute")
        ));
    }
    if row.cost_unknown > 0 {
        notes.push(format!(
            "the cost of {} rounds or reads of capacity is not fully known; what is unknown is not in the sums, which \
             are marked with +",
            grouped(row.cost_unknown)
        ));
    }
    let removed: Vec<String> = review
        .functions
        .iter()
        .filter(|function| function.target.is_none())
        .map(|function| format!("{} ({})", function.id.shown(), function.id.region))
        .collect();
    if !removed.is_empty() {
        notes.push(format!("no longer configured, so not compared: {}", named(&removed)));
    }
    if !review.unread.is_empty() {
        notes.push(format!("parts of the history cannot be read: {}", named(&review.unread)));
    }
    notes
}

/// Joins the first few names, with the number of the rest.
fn named(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join("; ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}
