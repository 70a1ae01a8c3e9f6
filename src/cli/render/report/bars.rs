//! The bars of the page: cost and downloads by owner and by route, and the cost of the alternatives.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::charts::Bar;
use super::words::cost;
use crate::cli::render::cost::dollars;
use crate::domain::clean::clean;
use crate::domain::review::{Amount, Review};

/// The most bars.
const MOST_BARS: usize = 8;

/// Returns a bar for each amount, the largest first. Those beyond the most bars are added up into one.
pub(super) fn folded(
    amounts: impl Iterator<Item = (String, Amount)>,
    value: impl Fn(&Amount) -> f64,
    figure: impl Fn(&Amount) -> String,
) -> Vec<Bar> {
    let mut amounts: Vec<_> = amounts.collect();
    amounts.sort_by(|(_, one), (_, other)| value(other).total_cmp(&value(one)));
    if amounts.len() > MOST_BARS {
        let rest = amounts.split_off(MOST_BARS - 1);
        let mut sum = Amount::default();
        rest.iter().for_each(|(_, amount)| sum.add(amount));
        amounts.push((format!("{} others", rest.len()), sum));
    }
    let bar = |(name, amount): (String, Amount)| (clean(&name).into_owned(), value(&amount), figure(&amount));
    amounts.into_iter().map(bar).collect()
}

/// Returns the recorded cost and that of each alternative that is known for every function, over the same functions.
pub(super) fn alternatives(review: &Review<'_>) -> Vec<Bar> {
    let compared = || review.functions.iter().filter_map(|one| Some((one, one.comparison.as_ref()?)));
    let Some((_, first)) = compared().next() else { return Vec::new() };
    let mut recorded = Amount::default();
    compared().for_each(|(function, _)| recorded.add(&function.sums.amount()));
    let totals = first.options.iter().filter_map(|option| {
        let totals = compared().map(|(_, comparison)| comparison.option(option.alternative)?.total());
        let total = totals.sum::<Option<Decimal>>()?;
        Some((option.alternative.title().to_owned(), value(total), dollars(Some(total))))
    });
    let recorded = ("recorded".to_owned(), value(recorded.usd), cost(&recorded));
    std::iter::once(recorded).chain(totals).collect()
}

/// Returns US dollars as the length of a bar.
pub(super) fn value(usd: Decimal) -> f64 {
    usd.to_f64().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::{Fleet, Target};
    use crate::domain::history::{History, Row};
    use crate::domain::plan::Period;
    use crate::domain::review::review;
    use crate::domain::schedule::Minute;

    #[test]
    fn bars_of_many_owners_add_up_to_the_fleet() {
        let names: Vec<String> = (0..12).map(|number| format!("owner-{number}")).collect();
        let targets: Vec<Target> =
            names.iter().map(|name| Target::example(name, "eu-west-2", Vec::new())).collect();
        let row = |number: usize| Row {
            owner: names.get(number).cloned(),
            cost: [("requests".to_owned(), Decimal::from(number))].into(),
            cost_unknown: u64::from(number == 1),
            egress: [("nat-gateway".to_owned(), number as u64)].into(),
            ..Row::default()
        };
        let rows = targets.iter().enumerate().map(|(number, target)| (target.id.clone(), row(number)));
        let history = History { hours: [(498_216, rows.collect())].into(), unread: Vec::new() };
        let from = Minute::from_epoch(498_216 * 60);
        let fleet = Fleet::new(targets);
        let review = review(&history, &fleet, Period { from, until: from.plus(60) });
        let amounts = || review.owners.iter().map(|(owner, sums)| (owner.clone(), sums.amount()));
        let bars = folded(amounts(), |amount| value(amount.usd), cost);
        let shown: Vec<_> = bars.iter().map(|(name, _, figure)| format!("{name} {figure}")).collect();
        assert_eq!(
            shown,
            [
                "owner-11 $11.00",
                "owner-10 $10.00",
                "owner-9 $9.00",
                "owner-8 $8.00",
                "owner-7 $7.00",
                "owner-6 $6.00",
                "owner-5 $5.00",
                "5 others $10.00+"
            ]
        );
        assert_eq!(bars.iter().map(|(_, value, _)| value).sum::<f64>(), value(review.fleet.known_usd));
        let bars = folded(amounts(), |amount| amount.bytes as f64, |amount| amount.bytes.to_string());
        assert_eq!(bars.iter().map(|(_, value, _)| value).sum::<f64>(), review.fleet.egress_bytes() as f64);
        assert_eq!(folded(amounts().take(8), |amount| value(amount.usd), cost).len(), 8);
    }
}
