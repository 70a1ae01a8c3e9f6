//! Renders comparisons of alternatives.

use std::fmt::Write as _;
use std::time::Duration;

use rust_decimal::Decimal;

use super::cost::{assumed, dollars, starred};
use super::table::{Column, NO_SIGN, Sign, figures, table, words};
use super::text::{count, elapsed, grouped};
use super::{Style, Tone};
use crate::domain::capacity::Strategy;
use crate::domain::cost::advice::Advice;
use crate::domain::cost::compare::{Comparison, CostAlternative, CostOption};
use crate::domain::plan::{Period, TargetPlan};

const DAY: Duration = Duration::from_secs(24 * 3_600);

const COLUMNS: [Column; 4] = [words("OPTION"), figures("COLD STARTS"), figures("TOTAL"), words("NOTE")];

/// Renders the comparison of each plan. Ends with a line feed.
pub fn compare(plans: &[TargetPlan<'_>], comparisons: &[Comparison], period: Period, style: Style) -> String {
    let [from, until] =
        [period.from, period.until].map(|minute| minute.instant().format("%Y-%m-%d %H:%M UTC"));
    let mut out = format!("{} from {from} until {until}\n", elapsed(period.length()));
    if plans.is_empty() {
        out.push_str("no targets\n");
    }
    for (plan, comparison) in plans.iter().zip(comparisons) {
        let _ = writeln!(
            out,
            "\n{} ({}): up to {}, {}",
            plan.target.id.shown(),
            plan.target.region(),
            count(u64::from(plan.highest()), "environment"),
            match plan.target.strategy {
                Strategy::Pings => count(plan.pings(), "ping"),
                capacity => format!("strategy {}", capacity.name()),
            },
        );
        let row = |option: &CostOption| row(option, comparison.cheapest, plan.is_assumed());
        let rows: Vec<_> = comparison.options.iter().map(row).collect();
        out.push_str(&table(&COLUMNS, 3, &rows, style));
        if let Some(share) = comparison.break_even_utilisation {
            let percent = (share * Decimal::ONE_HUNDRED).normalize();
            let _ = writeln!(
                out,
                "  provisioned concurrency breaks even when its environments are busy {percent} % of the time"
            );
        }
        out.push_str(&advice(plan.advice(comparison), period.length()));
        out.push_str(&assumed(&plan.compared_by(), &plan.target.assume, style));
    }
    out
}

/// Renders the advice on the strategy. Ends with a line feed.
fn advice(advice: Advice, length: Duration) -> String {
    let text = match advice {
        Advice::Change { .. } => line(advice, length).unwrap_or_default(),
        Advice::Keep(present) => {
            format!("strategy {present} is already the cheaper of pings and provisioned, in windows")
        }
        Advice::None(reason) => format!("no advice on the strategy: {}", reason.explanation()),
    };
    format!("  {text}\n")
}

/// Returns the line of configuration for the cheaper strategy; `None` if nothing is to be changed. `length` is that of
/// the compared period.
pub fn line(advice: Advice, length: Duration) -> Option<String> {
    let Advice::Change { to, costs, instead_of } = advice else { return None };
    let [costs, instead_of] = [costs, instead_of].map(|amount| dollars(Some(amount)));
    let is_month = (28..=31).any(|days| length == days * DAY);
    let per = if is_month { "a month".to_owned() } else { format!("in {}", elapsed(length)) };
    Some(format!("strategy: {to}   # {costs} instead of {instead_of} {per}"))
}

fn row(option: &CostOption, cheapest: Option<CostAlternative>, is_assumed: bool) -> (Sign, Vec<String>) {
    let best = cheapest == Some(option.alternative);
    let note = best.then_some("cheapest").into_iter().chain(option.note.as_deref());
    let total = option.total();
    let cells = vec![
        option.alternative.title().to_owned(),
        option.cold_starts.map_or_else(|| "unknown".to_owned(), grouped),
        starred(dollars(total), total.is_some() && is_assumed),
        note.collect::<Vec<_>>().join("; "),
    ];
    (if best { ('>', Tone::Good) } else { NO_SIGN }, cells)
}
