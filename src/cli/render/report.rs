//! Renders the report of a past period: a table for terminals, Markdown, and a page.

mod bars;
mod charts;
pub mod html;
mod words;

use std::fmt::Write as _;

use self::words::{
    REGIME, ROW_NAMES, cost, coverage, facts, notes, option_name, owner_name, per_hour, span, usd,
};
use super::heat::BLOCKS;
use super::table::{Column, NO_SIGN, Sign, figures, table, words as column};
use super::text::{bytes, grouped, wrapped};
use super::{Style, Tone, WIDTH};
use crate::domain::clean::{clean, markdown as cell};
use crate::domain::review::{Day, FunctionReview, Review, Sums};

const COLUMNS: [Column; 7] = [
    column("FUNCTION"),
    column("REGION"),
    figures("COVERAGE"),
    column("DAYS"),
    figures("COLD"),
    figures("COST"),
    figures("WARM HOUR"),
];

const GROUPS: [Column; 5] =
    [column(""), figures("COVERAGE"), figures("PINGS"), figures("S3 EGRESS"), figures("COST")];

/// The most characters of a sparkline.
const SPARKS: usize = 15;
/// The lowest shares for the blocks of a sparkline, from the second to the last.
const LEVELS: [f64; 7] = [0.5, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0];
/// The explanation of sparklines.
const LEGEND: &str = "days: █ 100 %  ▇ 99.9  ▆ 99  ▅ 98  ▄ 95  ▃ 90  ▂ 50  ▁ less  · not known";

/// Renders the report for a terminal. Ends with a line feed.
pub fn text(review: &Review<'_>, is_simulated: bool, style: Style) -> String {
    let mut out = format!("{}\n", span(review, is_simulated));
    if review.functions.is_empty() {
        out.push_str("no targets\n");
    } else {
        let rows: Vec<_> = review.functions.iter().map(function_row).collect();
        let _ = write!(out, "\n{}  {}\n", table(&COLUMNS, 0, &rows, style), style.paint(Tone::Quiet, LEGEND));
    }
    out.push_str(&alternatives(review, style));
    for (heading, rows) in [("OWNER", owners(review)), ("ROUTE", routes(review))] {
        if !rows.is_empty() {
            let columns = [column(heading), GROUPS[1], GROUPS[2], GROUPS[3], GROUPS[4]];
            let rows: Vec<_> = rows.into_iter().map(|cells| (NO_SIGN, cells.to_vec())).collect();
            let _ = write!(out, "\n{}", table(&columns, 0, &rows, style));
        }
    }
    out.push('\n');
    for fact in facts(review) {
        out.extend(wrapped(&clean(&fact), WIDTH).into_iter().map(|line| line + "\n"));
    }
    for note in notes(review) {
        let lines = wrapped(&format!("! {}", clean(&note)), WIDTH);
        out.extend(lines.iter().map(|line| style.paint(Tone::Warning, line) + "\n"));
    }
    out
}

fn function_row(function: &FunctionReview<'_>) -> (Sign, Vec<String>) {
    let Sums { row, known_usd, .. } = &function.sums;
    let cells = vec![
        function.id.shown(),
        function.id.region.to_string(),
        coverage(row.minutes),
        sparkline(&function.days),
        grouped(row.cold),
        usd(*known_usd, row.cost_unknown),
        per_hour(&function.sums),
    ];
    (sign(function), cells)
}

/// Returns `✗` if the objective is missed, `✓` if it is met, and `?` without coverage.
fn sign(function: &FunctionReview<'_>) -> Sign {
    let left = function.burn.and_then(|burn| burn.budget_left);
    match (function.sums.row.minutes.coverage(), left) {
        (None, _) => ('?', Tone::Quiet),
        (_, Some(left)) if left < 0.0 => ('✗', Tone::Bad),
        (_, Some(_)) => ('✓', Tone::Good),
        (_, None) => NO_SIGN,
    }
}

/// Returns a block for each day, or for each of a few groups of days, with the coverage of the group.
fn sparkline(days: &[Day]) -> String {
    let group = days.len().div_ceil(SPARKS).max(1);
    let block = |days: &[Day]| {
        let coverage =
            days.iter().map(|day| day.minutes).sum::<crate::domain::coverage::Minutes>().coverage();
        let level = |share: f64| LEVELS.iter().filter(|lowest| share >= **lowest).count();
        coverage.map_or('·', |share| BLOCKS.get(level(share)).copied().unwrap_or('█'))
    };
    days.chunks(group).map(block).collect()
}

/// Renders the cost of the alternatives as a table, or returns an empty string.
fn alternatives(review: &Review<'_>, style: Style) -> String {
    let compared = || review.functions.iter().filter_map(|one| Some((one, one.comparison.as_ref()?)));
    let rows: Vec<(Sign, Vec<String>)> = compared()
        .map(|(function, comparison)| {
            let costs = comparison.options.iter().map(|option| {
                let best = comparison.cheapest == Some(option.alternative);
                let total = option.total().map_or_else(|| "-".to_owned(), |total| usd(total, 0));
                if best { format!("✓ {total}") } else { total }
            });
            let recorded = usd(function.sums.known_usd, function.sums.row.cost_unknown);
            (NO_SIGN, [function.id.shown(), recorded].into_iter().chain(costs).collect())
        })
        .collect();
    let Some((_, first)) = compared().next() else { return String::new() };
    let names = first.options.iter().map(|option| figures(option_name(option.alternative)));
    let columns: Vec<Column> = [column("FUNCTION"), figures("RECORDED")].into_iter().chain(names).collect();
    let note = style.paint(Tone::Quiet, "✓ cheapest; estimates of `warmd compare` for the same windows");
    format!("\n{}  {note}\n", table(&columns, 0, &rows, style))
}

/// Returns a row for each owner, if there are several.
fn owners(review: &Review<'_>) -> Vec<[String; 5]> {
    let row = |(owner, sums): (&String, &Sums)| {
        let Sums { row, known_usd, .. } = sums;
        let usd = usd(*known_usd, row.cost_unknown);
        [owner_name(owner), coverage(row.minutes), grouped(row.pings), egress(sums), usd]
    };
    if review.owners.len() > 1 { review.owners.iter().map(row).collect() } else { Vec::new() }
}

fn egress(sums: &Sums) -> String {
    match sums.egress_bytes() {
        0 => String::new(),
        number => bytes(number),
    }
}

/// Returns a row for each route of S3.
fn routes(review: &Review<'_>) -> Vec<[String; 5]> {
    let routes = review.fleet.routes.iter();
    let row = |name: &str, bytes, cost| [name.to_owned(), String::new(), String::new(), bytes, cost];
    routes.map(|(route, sum)| row(route, bytes(sum.bytes), cost(sum))).collect()
}

/// Renders the report as Markdown. Ends with a line feed.
pub fn markdown(review: &Review<'_>, is_simulated: bool) -> String {
    let mut out = format!("**warmd**: {}\n\n", span(review, is_simulated));
    for fact in facts(review) {
        let _ = writeln!(out, "- {}", plain(&fact));
    }
    for note in notes(review) {
        let _ = writeln!(out, "- ⚠ {}", plain(&note));
    }
    if !review.functions.is_empty() {
        let _ = writeln!(out, "\n| {} |\n|---|---|---:|---:|---:|---:|---:|---|", ROW_NAMES.join(" | "));
    }
    for function in &review.functions {
        let Sums { row, known_usd, .. } = &function.sums;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            cell(&function.id.shown()),
            function.id.region,
            coverage(row.minutes),
            grouped(row.cold),
            grouped(row.pings),
            usd(*known_usd, row.cost_unknown),
            per_hour(&function.sums),
            words::cheapest(function).map(|text| plain(&text)).unwrap_or_default(),
        );
    }
    for (heading, rows) in [("owner", owners(review)), ("route", routes(review))] {
        if !rows.is_empty() {
            let _ = writeln!(
                out,
                "\n| {heading} | coverage | pings | S3 egress | cost |\n|---|---:|---:|---:|---:|"
            );
        }
        for [name, rest @ ..] in rows {
            let _ = writeln!(out, "| {} | {} |", cell(&name), rest.join(" | "));
        }
    }
    let _ = writeln!(out, "\n{REGIME}");
    out
}

/// Escapes a sentence with untrusted names for Markdown.
fn plain(text: &str) -> String {
    let is_markup = |c: char| "\\`*_[]<>|#@&!".contains(c);
    clean(text).chars().flat_map(|c| is_markup(c).then_some('\\').into_iter().chain([c])).collect()
}
