//! Renders comparisons of alternatives.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::cost::{assumed, dollars, starred};
use super::table::{Column, NO_SIGN, Sign, figures, table, words};
use super::text::{count, elapsed, grouped};
use super::{Style, Tone};
use crate::domain::cost::compare::{Comparison, CostAlternative, CostOption};
use crate::domain::plan::{Period, TargetPlan};

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
            count(plan.pings(), "ping"),
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
        out.push_str(&assumed(&plan.cost.assumed, &plan.target.assume));
    }
    out
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
