//! Versions of a function that differ in memory.

use std::time::Duration;

use rust_decimal::Decimal;

/// The measurement of one version or alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The billed duration of a warm ping.
    pub warm_billed: Duration,
    /// The time that the caller waited for a warm ping.
    pub warm_total: Duration,
    /// The price of a million warm pings, US dollars; `None` if unknown.
    pub usd_per_million: Option<Decimal>,
}

/// The best of several candidates, by index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// The one whose million costs least, the fastest of several; `None` if a price is unknown.
    pub best_value: Option<usize>,
    /// The one that answers fastest when warm, the cheapest of several.
    pub fastest: Option<usize>,
}

/// Returns the best of the candidates. `None` stands for one that could not be measured.
pub fn marks(candidates: &[Option<Candidate>]) -> Marks {
    let known = || candidates.iter().enumerate().filter_map(|(index, one)| Some((index, one.as_ref()?)));
    let is_priced = known().all(|(_, one)| one.usd_per_million.is_some());
    let value = |(_, one): &(usize, &Candidate)| (one.usd_per_million, one.warm_billed, one.warm_total);
    let speed = |(_, one): &(usize, &Candidate)| (one.warm_billed, one.usd_per_million, one.warm_total);
    Marks {
        best_value: known().filter(|_| is_priced).min_by_key(value).map(|(index, _)| index),
        fastest: known().min_by_key(speed).map(|(index, _)| index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(ms: u64, usd: Option<u32>) -> Option<Candidate> {
        Some(Candidate {
            warm_billed: Duration::from_millis(ms),
            warm_total: Duration::from_millis(ms + 1),
            usd_per_million: usd.map(Decimal::from),
        })
    }

    #[test]
    fn the_cheapest_and_the_fastest_are_marked() {
        let all = [candidate(900, Some(4)), candidate(400, Some(3)), candidate(300, Some(5))];
        assert_eq!(marks(&all), Marks { best_value: Some(1), fastest: Some(2) });
        let equal = [candidate(400, Some(3)), candidate(300, Some(3)), None];
        assert_eq!(marks(&equal), Marks { best_value: Some(1), fastest: Some(1) });
        let unpriced = [candidate(400, None), candidate(300, Some(3))];
        assert_eq!(marks(&unpriced), Marks { best_value: None, fastest: Some(1) });
        assert_eq!(marks(&[None]), Marks::default());
    }
}
