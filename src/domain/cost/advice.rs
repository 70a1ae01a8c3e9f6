//! Advice on the strategy of a target: the cheaper of pings and provisioned concurrency.

use rust_decimal::Decimal;

use super::compare::{Comparison, CostAlternative};
use crate::domain::capacity::Strategy;
use crate::domain::fleet::Target;

/// Advice on the strategy of a target. Nothing is changed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// The other strategy is cheaper.
    Change {
        /// The name of the cheaper strategy.
        to: &'static str,
        /// Its cost, US dollars.
        costs: Decimal,
        /// The cost of the present strategy, US dollars.
        instead_of: Decimal,
    },
    /// The present strategy, with this name, is the cheaper, or both cost the same.
    Keep(&'static str),
    /// There is no choice.
    None(NoChoice),
}

/// The reason why pings and provisioned concurrency are not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoChoice {
    /// The function has no qualifier.
    NoQualifier,
    /// The qualifier is `$LATEST`.
    Latest,
    /// The function has tenant isolation.
    Tenant,
    /// The function is on managed instances.
    Managed,
    /// No window is open in the period.
    NoWindow,
    /// A price is unknown.
    UnknownPrice,
}

impl NoChoice {
    /// Returns the name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoQualifier => "no-qualifier",
            Self::Latest => "latest",
            Self::Tenant => "tenant",
            Self::Managed => "managed",
            Self::NoWindow => "no-window",
            Self::UnknownPrice => "unknown-price",
        }
    }

    /// Returns the reason in words.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::NoQualifier => "provisioned concurrency needs an alias or a version",
            Self::Latest => "provisioned concurrency needs an alias or a version other than $LATEST",
            Self::Tenant => "provisioned concurrency is not available with tenant isolation",
            Self::Managed => "a function on managed instances has neither pings nor provisioned concurrency",
            Self::NoWindow => "no window is open in this period",
            Self::UnknownPrice => "a price is unknown",
        }
    }
}

/// Returns the advice on a target whose alternatives are compared.
pub fn advise(target: &Target, comparison: &Comparison) -> Advice {
    let is_provisioned = matches!(target.strategy, Strategy::Provisioned(_));
    let no_choice = match &target.id.qualifier {
        _ if matches!(target.strategy, Strategy::Managed(_)) => Some(NoChoice::Managed),
        _ if target.tenant().is_some() => Some(NoChoice::Tenant),
        None => Some(NoChoice::NoQualifier),
        // Managed instances have `$LATEST.PUBLISHED`.
        Some(qualifier) if qualifier.to_string().starts_with("$LATEST") => Some(NoChoice::Latest),
        Some(_) if !comparison.has_windows => Some(NoChoice::NoWindow),
        Some(_) => None,
    };
    if let Some(reason) = no_choice {
        return Advice::None(reason);
    }
    let total = |alternative| comparison.option(alternative)?.total();
    let totals = total(CostAlternative::Pings).zip(total(CostAlternative::ProvisionedWindows));
    let Some((pings, provisioned)) = totals else { return Advice::None(NoChoice::UnknownPrice) };
    let (present, instead_of, to, costs) = match is_provisioned {
        true => ("provisioned", provisioned, "pings", pings),
        false => ("pings", pings, "provisioned", provisioned),
    };
    if costs < instead_of { Advice::Change { to, costs, instead_of } } else { Advice::Keep(present) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::capacity::{By, Fallback, Managed, Provisioned};
    use crate::domain::cost::Bill;
    use crate::domain::cost::compare::CostOption;
    use crate::domain::function::{FunctionRef, Region};

    const PROVISIONED: Strategy =
        Strategy::Provisioned(Provisioned { by: By::Direct, fallback: Fallback::None });

    /// Returns a comparison with totals in dollars; `None` is unknown.
    fn comparison(pings: Option<u32>, provisioned: Option<u32>) -> Comparison {
        let region = Region::parse("us-east-1").unwrap();
        let option = |alternative, dollars: Option<u32>| {
            let mut bill = Bill::default();
            let price = dollars.map(|_| Decimal::ONE);
            bill.add_at("all", region, (Decimal::from(dollars.unwrap_or(1)), "unit"), price);
            CostOption { alternative, bill: Some(bill), cold_starts: None, note: None }
        };
        let options = vec![
            option(CostAlternative::Pings, pings),
            option(CostAlternative::ProvisionedWindows, provisioned),
        ];
        Comparison { options, cheapest: None, break_even_utilisation: None, has_windows: true }
    }

    fn target(function: &str, strategy: Strategy) -> Target {
        let region = Region::parse("us-east-1").unwrap();
        Target { strategy, ..Target::bare(&FunctionRef::parse(function).unwrap(), region) }
    }

    #[test]
    fn the_cheaper_strategy_is_named_with_both_costs() {
        let advice = |strategy, pings, provisioned| {
            advise(&target("f:live", strategy), &comparison(pings, provisioned))
        };
        let change =
            |to, costs: u32, of: u32| Advice::Change { to, costs: costs.into(), instead_of: of.into() };
        assert_eq!(advice(Strategy::Pings, Some(15), Some(12)), change("provisioned", 12, 15));
        assert_eq!(advice(Strategy::Pings, Some(12), Some(15)), Advice::Keep("pings"));
        assert_eq!(advice(Strategy::Pings, Some(12), Some(12)), Advice::Keep("pings"));
        assert_eq!(advice(PROVISIONED, Some(12), Some(15)), change("pings", 12, 15));
        assert_eq!(advice(PROVISIONED, Some(15), Some(12)), Advice::Keep("provisioned"));
        assert_eq!(advice(PROVISIONED, None, Some(12)), Advice::None(NoChoice::UnknownPrice));
        assert_eq!(advice(Strategy::Pings, Some(12), None), Advice::None(NoChoice::UnknownPrice));
    }

    #[test]
    fn without_a_choice_there_is_a_reason() {
        let comparison = comparison(Some(15), Some(12));
        let advice = |function, strategy| advise(&target(function, strategy), &comparison);
        assert_eq!(advice("f", Strategy::Pings), Advice::None(NoChoice::NoQualifier));
        assert_eq!(advice("f:$LATEST", Strategy::Pings), Advice::None(NoChoice::Latest));
        assert_eq!(advice("f:$LATEST.PUBLISHED", Strategy::Pings), Advice::None(NoChoice::Latest));
        let managed = Strategy::Managed(Managed { floor: 3, max: 10 });
        assert_eq!(advice("f:live", managed), Advice::None(NoChoice::Managed));
        let closed = Comparison { has_windows: false, ..comparison.clone() };
        assert_eq!(advise(&target("f:7", Strategy::Pings), &closed), Advice::None(NoChoice::NoWindow));
    }
}
