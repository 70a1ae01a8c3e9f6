//! Ways to keep environments ready, beside each other.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::cost::{STAR, assumed, dollars};
use super::table::{Column, Sign, figures, lines, words};
use super::text::{count, elapsed, grouped};
use super::{Style, Tone};
use crate::cli::compare::Compared;
use crate::cli::plan::Period;
use crate::domain::cost::compare::{Offer, Way};

const COLUMNS: [Column; 4] = [words("OPTION"), figures("COLD STARTS"), figures("TOTAL"), words("NOTE")];

/// The comparisons. Ends with a line feed.
pub fn compare(compared: &[Compared<'_>], period: Period, style: Style) -> String {
    let [from, until] =
        [period.from, period.until].map(|minute| minute.instant().format("%Y-%m-%d %H:%M UTC"));
    let mut out = format!("the {} from {from} until {until}\n", elapsed(period.length()));
    if compared.is_empty() {
        out.push_str("no targets\n");
    }
    for Compared { plan, comparison } in compared {
        let names = &plan.cost.assumed;
        let star = if names.is_empty() { "" } else { STAR };
        let _ = writeln!(
            out,
            "\n{} ({}): up to {}, {}",
            plan.target.label,
            plan.target.region(),
            count(u64::from(plan.highest()), "environment"),
            count(plan.pings(), "ping"),
        );
        let rows: Vec<(Sign, Vec<String>)> =
            comparison.options.iter().map(|offer| row(offer, comparison.cheapest, star)).collect();
        for line in lines(&COLUMNS, 3, &rows, style) {
            let _ = writeln!(out, "{line}");
        }
        if let Some(share) = comparison.break_even_utilisation {
            let percent = (share * Decimal::ONE_HUNDRED).normalize();
            let _ = writeln!(
                out,
                "  provisioned concurrency pays for itself where its environments are busy {percent} % of the time"
            );
        }
        out.push_str(&assumed(names, &plan.target.assume));
    }
    out
}

fn row(offer: &Offer, cheapest: Option<Way>, star: &str) -> (Sign, Vec<String>) {
    let best = cheapest == Some(offer.way);
    let note = match (best, offer.note.as_deref()) {
        (true, Some(note)) => format!("cheapest; {note}"),
        (true, None) => "cheapest".to_owned(),
        (false, note) => note.unwrap_or_default().to_owned(),
    };
    let total = offer.total();
    let cells = vec![
        option(offer.way).to_owned(),
        offer.cold_starts.map_or_else(|| "unknown".to_owned(), grouped),
        format!("{}{}", dollars(total), if total.is_some() { star } else { "" }),
        note,
    ];
    (if best { ('>', Tone::Good) } else { (' ', Tone::Quiet) }, cells)
}

fn option(way: Way) -> &'static str {
    match way {
        Way::Pings => "pings",
        Way::ProvisionedWindows => "provisioned, in windows",
        Way::ProvisionedAlways => "provisioned, always",
        Way::ManagedInstances => "managed instances",
        Way::Ec2 => "EC2 instances",
        Way::Nothing => "doing nothing",
    }
}
