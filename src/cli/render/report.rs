//! Renders the report of a past period: a table for terminals, Markdown, and a page.

mod bars;
mod charts;
pub mod html;
mod words;

use std::fmt::Write as _;

use self::words::{
    REGIME, ROW_NAMES, assumptions, best, cost, coverage, estimate, facts, left, notes, option_name,
    owner_name, per_hour, span, usd,
};
use super::heat::BLOCKS;
use super::table::{Column, NO_SIGN, Sign, figures, table, words as column};
use super::text::{bytes, grouped, wrapped};
use super::{Fit, Style, Tone};
use crate::domain::clean::{clean, markdown as cell};
use crate::domain::coverage::Minutes;
use crate::domain::review::{Cheapest, Day, FunctionReview, Review, Sums};

const COLUMNS: [Column; 8] = [
    column("FUNCTION"),
    column("REGION"),
    figures("COVERAGE"),
    figures("BUDGET LEFT"),
    column("DAYS"),
    figures("COLD"),
    figures("COST"),
    figures("WARM HOUR"),
];

/// The columns of owners, after the name.
const OWNER: [&str; 4] = ["COVERAGE", "PINGS", "S3 EGRESS", "COST"];
/// The columns of routes, after the name.
const ROUTE: [&str; 2] = ["S3 EGRESS", "COST"];

/// The most characters of a sparkline.
const SPARKS: usize = 15;
/// The fewest characters of a long sparkline, on a narrow terminal.
const FEWEST_SPARKS: usize = 4;
/// The lowest shares for the blocks of a sparkline, from the second to the last.
const LEVELS: [f64; 7] = [0.5, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0];
/// The explanation of the blocks of sparklines.
const LEGEND: &str = "█ 100 %  ▇ 99.9  ▆ 99  ▅ 98  ▄ 95  ▃ 90  ▂ 50  ▁ less  · not known";
/// The explanation of the signs of functions.
const SIGNS: &str = "✓ error budget left  ✗ used up, 2.0× is twice the budget  ? no coverage";

/// Renders the report for a terminal. Ends with a line feed.
pub fn text(review: &Review<'_>, is_simulated: bool, style: Style) -> String {
    let mut out = format!("{}\n", span(review, is_simulated));
    if review.functions.is_empty() {
        out.push_str("no targets\n");
    } else {
        let (blocks, table) = functions(review, style);
        let _ = write!(out, "\n{table}");
        let each = match days_of_block(review.days.len(), blocks) {
            1 => "days:".to_owned(),
            days => format!("each block {days} days:"),
        };
        legend(&mut out, &format!("{each} {LEGEND}"), style);
        if review.functions.iter().any(|function| sign(function) != NO_SIGN) {
            legend(&mut out, SIGNS, style);
        }
    }
    out.push_str(&alternatives(review, style));
    for (heading, names, rows) in groups(review) {
        let columns: Vec<Column> =
            std::iter::once(column(heading)).chain(names.iter().map(|name| figures(name))).collect();
        let rows: Vec<_> = rows.into_iter().map(|cells| (NO_SIGN, cells)).collect();
        let _ = write!(out, "\n{}", table(&columns, 0, &rows, style));
    }
    out.push('\n');
    for fact in facts(review) {
        out.extend(wrapped(&clean(&fact), style.width()).into_iter().map(|line| line + "\n"));
    }
    for note in notes(review) {
        let lines = wrapped(&format!("! {}", clean(&note)), style.width());
        out.extend(lines.iter().map(|line| style.paint(Tone::Warning, line) + "\n"));
    }
    out
}

/// Renders the functions, with as many blocks in a sparkline as fit a terminal, and returns this number.
fn functions(review: &Review<'_>, style: Style) -> (usize, String) {
    let with = |blocks, style| {
        let rows = review.functions.iter().map(|function| (sign(function), cells(function, blocks)));
        table(&COLUMNS, 0, &rows.collect::<Vec<_>>(), style)
    };
    let plain = with(SPARKS, Style { color: false, ..style });
    let widest = plain.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let excess = match style.fit {
        Fit::Whole => 0,
        Fit::Terminal(columns) => widest.saturating_sub(columns),
    };
    let blocks = SPARKS.saturating_sub(excess).max(FEWEST_SPARKS);
    (blocks, with(blocks, style))
}

fn cells(function: &FunctionReview<'_>, blocks: usize) -> Vec<String> {
    let Sums { row, known_usd, .. } = &function.sums;
    vec![
        function.id.shown(),
        function.id.region.to_string(),
        coverage(row.minutes),
        function.burn.map(|burn| left(burn.budget_left)).unwrap_or_default(),
        sparkline(&function.days, blocks),
        grouped(row.cold),
        usd(*known_usd, row.cost_unknown),
        per_hour(&function.sums),
    ]
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

/// Adds an explanation below a table.
fn legend(out: &mut String, text: &str, style: Style) {
    for line in wrapped(text, style.width() - 2) {
        let _ = writeln!(out, "  {}", style.paint(Tone::Quiet, line.trim_end()));
    }
}

/// Returns the days of each block of a sparkline of so many days, with at most so many blocks.
fn days_of_block(days: usize, blocks: usize) -> usize {
    days.div_ceil(blocks).max(1)
}

/// Returns a block for each day, or for each of a few groups of days, with the coverage of the group.
fn sparkline(days: &[Day], blocks: usize) -> String {
    let group = days_of_block(days.len(), blocks);
    let block = |days: &[Day]| {
        let coverage = days.iter().map(|day| day.minutes).sum::<Minutes>().coverage();
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
            let cheapest = function.cheapest();
            let marked = |is_best: bool, usd: String| if is_best { format!("✓ {usd}") } else { usd };
            let costs = comparison.options.iter().map(|option| {
                let is_best =
                    matches!(cheapest, Some(Cheapest::Other(other, _)) if other == option.alternative);
                marked(is_best, option.exact().map_or_else(|| "-".to_owned(), |usd| estimate(function, usd)))
            });
            let recorded = usd(function.sums.known_usd, function.sums.row.cost_unknown);
            let recorded = marked(matches!(cheapest, Some(Cheapest::Present(_))), recorded);
            (NO_SIGN, [function.id.shown(), recorded].into_iter().chain(costs).collect())
        })
        .collect();
    let Some((_, first)) = compared().next() else { return String::new() };
    let names = first.options.iter().map(|option| figures(option_name(option.alternative)));
    let columns: Vec<Column> = [column("FUNCTION"), figures("RECORDED")].into_iter().chain(names).collect();
    let mut out = format!("\n{}", table(&columns, 0, &rows, style));
    legend(
        &mut out,
        "✓ cheapest; all but RECORDED are estimates of `warmd compare` for the same windows",
        style,
    );
    if let Some(assumptions) = assumptions(review) {
        legend(&mut out, &assumptions, style);
    }
    out
}

/// A table of sums: the heading of the names, those of the figures, and the rows.
type Group = (&'static str, &'static [&'static str], Vec<Vec<String>>);

/// Returns the sums of the owners, if there are several, and of the routes of S3.
fn groups(review: &Review<'_>) -> Vec<Group> {
    let owner = |(owner, sums): (&String, &Sums)| {
        let Sums { row, known_usd, .. } = sums;
        let usd = usd(*known_usd, row.cost_unknown);
        vec![owner_name(owner), coverage(row.minutes), grouped(row.pings), egress(sums), usd]
    };
    let owners = if review.owners.len() > 1 { review.owners.iter().map(owner).collect() } else { Vec::new() };
    let routes = review.fleet.routes.iter();
    let routes = routes.map(|(route, sum)| vec![route.clone(), bytes(sum.bytes), cost(sum)]).collect();
    let mut groups: Vec<Group> = vec![("OWNER", &OWNER, owners), ("ROUTE", &ROUTE, routes)];
    groups.retain(|(_, _, rows)| !rows.is_empty());
    groups
}

fn egress(sums: &Sums) -> String {
    match sums.egress_bytes() {
        0 => String::new(),
        number => bytes(number),
    }
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
    let has_budget = review.functions.iter().any(|function| function.burn.is_some());
    let row = |out: &mut String, mut cells: Vec<String>| {
        if !has_budget {
            cells.remove(3);
        }
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    if !review.functions.is_empty() {
        out.push('\n');
        row(&mut out, ROW_NAMES.map(str::to_owned).to_vec());
        let right = |column| if (2..8).contains(&column) { "---:" } else { "---" }.to_owned();
        row(&mut out, (0..ROW_NAMES.len()).map(right).collect());
    }
    for function in &review.functions {
        let Sums { row: sums, known_usd, .. } = &function.sums;
        let cells = vec![
            cell(&function.id.shown()),
            function.id.region.to_string(),
            coverage(sums.minutes),
            function.burn.map(|burn| left(burn.budget_left)).unwrap_or_default(),
            grouped(sums.cold),
            grouped(sums.pings),
            usd(*known_usd, sums.cost_unknown),
            per_hour(&function.sums),
            best(function).map(|text| plain(&text)).unwrap_or_default(),
        ];
        row(&mut out, cells);
    }
    for (heading, figures, rows) in groups(review) {
        let names = [&[heading], figures].concat().join(" | ").to_lowercase().replace("s3", "S3");
        let _ = writeln!(out, "\n| {names} |");
        let _ = writeln!(out, "| --- |{}", " ---: |".repeat(figures.len()));
        for cells in rows {
            if let [name, figures @ ..] = &cells[..] {
                let _ = writeln!(out, "| {} | {} |", cell(name), figures.join(" | "));
            }
        }
    }
    let _ = writeln!(out, "\n{REGIME}");
    if let Some(assumptions) = assumptions(review) {
        let _ = writeln!(out, "{}", plain(&assumptions));
    }
    out
}

/// Escapes a sentence with untrusted names for Markdown.
fn plain(text: &str) -> String {
    let is_markup = |c: char| "\\`*_[]<>|#@&!".contains(c);
    clean(text).chars().flat_map(|c| is_markup(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::coverage::Slo;
    use crate::domain::fleet::{Fleet, Target};
    use crate::domain::history::{History, Row};
    use crate::domain::plan::Period;
    use crate::domain::review::review;
    use crate::domain::schedule::Minute;

    #[test]
    fn the_text_fits_a_terminal_and_names_its_blocks_and_signs() {
        let name = |end: &str| format!("a-function-of-the-checkout-with-a-long-name-{end}");
        let mut targets: Vec<Target> = ["met", "missed", "without"]
            .map(|end| Target::example(&name(end), "eu-west-2", Vec::new()))
            .to_vec();
        for target in &mut targets[..2] {
            target.slo = Some(Slo::DEFAULT);
        }
        let first = 498_216;
        let hour = |hour: i64| {
            let row = |end: usize| {
                let warm = if end == 1 { 58 } else { 60 };
                Row::of_minutes(Minutes { window: 60, warm, ..Minutes::default() })
            };
            let rows = targets.iter().enumerate().map(|(end, target)| (target.id.clone(), row(end)));
            (first + hour, rows.collect())
        };
        let history = History { hours: (0..30 * 24).map(hour).collect(), unread: Vec::new() };
        let from = Minute::from_epoch(first * 60);
        let fleet = Fleet::new(targets.clone());
        let review = review(&history, &fleet, Period { from, until: from.plus(30 * 24 * 60) });
        let shown = |columns| text(&review, false, Style { fit: Fit::terminal(columns), color: false });
        let at_80 = shown(Some(80));
        let functions: Vec<&str> = at_80.lines().skip(2).take_while(|line| !line.is_empty()).collect();
        insta::assert_snapshot!(functions.join("\n"), @"
          FUNCTION      REGION     COVERAGE  BUDGET LEFT  DAYS    COLD   COST  WARM HOUR
        ✗ a-func…issed  eu-west-2   96.66 %    used 3.3×  ▄▄▄▄▄▄     0  $0.00  $0.000000
        ✓ a-func…e-met  eu-west-2     100 %        100 %  ██████     0  $0.00  $0.000000
          a-func…thout  eu-west-2     100 %               ██████     0  $0.00  $0.000000
          each block 5 days: █ 100 %  ▇ 99.9  ▆ 99  ▅ 98  ▄ 95  ▃ 90  ▂ 50  ▁ less  ·
            not known
          ✓ error budget left  ✗ used up, 2.0× is twice the budget  ? no coverage
        ");
        assert_eq!([shown(Some(0)), shown(Some(100))], [shown(None), shown(None)]);
        assert_eq!(shown(Some(20)), shown(Some(60)));
        assert!(shown(Some(120)).contains("a-function-of-the-checkout-with-a-long-name-met "));
        let widest = |columns| shown(Some(columns)).lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest(80) <= 80 && widest(100) <= 100 && widest(120) > 100, "{}", shown(Some(80)));
    }
}
