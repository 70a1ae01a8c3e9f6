//! The bars of the page: cost and downloads by owner and by route, and the cost of the alternatives.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::charts::Bar;
use super::words::cost;
use crate::cli::render::cost::{dollars, starred};
use crate::domain::clean::clean;
use crate::domain::review::{Amount, Review};

/// The most bars.
const MOST_BARS: usize = 8;

/// Returns a bar for each amount, the largest first. The sum of those beyond the most bars is only text, because it may
/// be many times as large.
pub(super) fn folded(
    amounts: impl Iterator<Item = (String, Amount)>,
    value: impl Fn(&Amount) -> f64,
    figure: impl Fn(&Amount) -> String,
) -> Vec<Bar> {
    let mut amounts: Vec<_> = amounts.collect();
    amounts.sort_by(|(_, one), (_, other)| value(other).total_cmp(&value(one)));
    let rest = if amounts.len() > MOST_BARS { amounts.split_off(MOST_BARS - 1) } else { Vec::new() };
    let bar =
        |(name, amount): (String, Amount)| (clean(&name).into_owned(), Some(value(&amount)), figure(&amount));
    let mut bars: Vec<Bar> = amounts.into_iter().map(bar).collect();
    if !rest.is_empty() {
        let mut sum = Amount::default();
        rest.iter().for_each(|(_, amount)| sum.add(amount));
        bars.push((format!("{} others", rest.len()), None, figure(&sum)));
    }
    bars
}

/// Returns the recorded cost and that of each alternative that is known for every function, over the same functions.
pub(super) fn alternatives(review: &Review<'_>) -> Vec<Bar> {
    let compared = || review.functions.iter().filter_map(|one| Some((one, one.comparison.as_ref()?)));
    let Some((_, first)) = compared().next() else { return Vec::new() };
    let mut recorded = Amount::default();
    compared().for_each(|(function, _)| recorded.add(&function.sums.amount()));
    let totals = first.options.iter().filter_map(|option| {
        let totals = compared().map(|(_, comparison)| comparison.option(option.alternative)?.exact());
        let total = totals.sum::<Option<Decimal>>()?;
        let is_assumed = compared().any(|(function, _)| !function.assumed.is_empty());
        Some((
            option.alternative.title().to_owned(),
            Some(value(total)),
            starred(dollars(Some(total)), is_assumed),
        ))
    });
    let recorded = ("recorded".to_owned(), Some(value(recorded.usd)), cost(&recorded));
    std::iter::once(recorded).chain(totals).collect()
}

/// Returns US dollars as the length of a bar.
pub(super) fn value(usd: Decimal) -> f64 {
    usd.to_f64().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::domain::calendar::{DaySet, Hours, Opening, Window};
    use crate::domain::cost::compare::CostAlternative;
    use crate::domain::fleet::{Fleet, Target};
    use crate::domain::history::{History, Row};
    use crate::domain::plan::Period;
    use crate::domain::review::review;
    use crate::domain::schedule::Minute;

    #[test]
    fn the_cost_of_an_alternative_is_rounded_once() {
        let (days, hours) = (DaySet::parse("daily").unwrap(), Hours::parse("08:00-08:05").unwrap());
        let target = |number: usize| Target {
            windows: vec![Window::new("windows[0]", Tz::UTC, Opening::Weekly(days, hours), 1)],
            ..Target::example(&format!("f{number:03}"), "eu-west-2", Vec::new())
        };
        let fleet = Fleet::new((0..300).map(target).collect());
        let rows = fleet.targets.iter().map(|target| (target.id.clone(), Row::default())).collect();
        let history = History { hours: [(498_216 + 8, rows)].into(), unread: Vec::new() };
        let from = Minute::from_epoch(498_216 * 60);
        let review = review(&history, &fleet, Period { from, until: from.plus(24 * 60) });
        let one = review.functions[0].comparison.as_ref().unwrap();
        let one = one.option(CostAlternative::ProvisionedWindows).unwrap().clone();
        let [exact, rounded] = [one.exact(), one.total()].map(|usd| usd.unwrap() * Decimal::from(300));
        assert!(rounded - exact > Decimal::new(50, 2), "{exact} {rounded}");
        let bars = alternatives(&review);
        let (_, _, shown) = bars.iter().find(|(name, ..)| name == "provisioned, in windows").unwrap();
        assert_eq!(*shown, starred(dollars(Some(exact)), true));
    }

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
        // The others are not in the scale.
        let values: Vec<_> = bars.iter().map(|(_, value, _)| *value).collect();
        assert_eq!((values[0], values[6], values[7]), (Some(11.0), Some(5.0), None));
        let bars = folded(amounts(), |amount| amount.bytes as f64, |amount| amount.bytes.to_string());
        let bytes: u64 = bars.iter().map(|(_, _, bytes)| bytes.parse::<u64>().unwrap()).sum();
        assert_eq!(bytes, review.fleet.egress_bytes());
        assert_eq!(folded(amounts().take(8), |amount| value(amount.usd), cost).len(), 8);
    }
}
