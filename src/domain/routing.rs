//! The versions behind an alias, and the share of requests that each serves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::function::Qualifier;

/// A share of the requests of an alias, from 0 to 1, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(u32);

impl Weight {
    const ONE: u32 = 1_000_000;
    /// Every request.
    pub const ALL: Self = Self(Self::ONE);

    /// Creates a share; `None` unless it is from 0 to 1.
    pub fn new(share: f64) -> Option<Self> {
        // At most 1,000,000, so the cast does not truncate.
        (0.0..=1.0).contains(&share).then(|| Self((share * f64::from(Self::ONE)).round() as u32))
    }

    /// Returns the share, from 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0.min(Self::ONE)) / f64::from(Self::ONE)
    }
}

/// The most additional versions of a possible routing. Lambda allows one.
const MOST_OTHERS: usize = 4;

/// The routing of an alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// The version of the alias.
    pub version: Qualifier,
    /// The additional versions with their weights (`RoutingConfig`). A weight of 0 is a weight too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<Qualifier, Weight>,
}

impl Routing {
    /// Creates the routing of an alias without weights.
    pub fn to(version: Qualifier) -> Self {
        Self { version, others: BTreeMap::new() }
    }

    /// Returns true unless a version is an alias, the versions are too many, or the weights are more than the whole: a
    /// server made it up.
    pub fn is_possible(&self) -> bool {
        let sum: u64 = self.others.values().map(|weight| u64::from(weight.0)).sum();
        // Each weight is rounded.
        let most = u64::from(Weight::ONE) + self.others.len() as u64;
        let mut versions = self.others.keys().chain([&self.version]);
        !versions.any(Qualifier::is_alias) && self.others.len() <= MOST_OTHERS && sum <= most
    }

    /// Returns true if the alias has routing weights.
    pub fn is_weighted(&self) -> bool {
        !self.others.is_empty()
    }

    /// Returns every version with its weight: that of the alias, which serves the rest, and the additional ones.
    pub fn versions(&self) -> impl Iterator<Item = (&Qualifier, Weight)> {
        let others: u32 = self.others.values().fold(0, |sum, weight| sum.saturating_add(weight.0));
        let rest = Weight(Weight::ONE.saturating_sub(others));
        let own = (!self.others.contains_key(&self.version)).then_some((&self.version, rest));
        own.into_iter().chain(self.others.iter().map(|(version, weight)| (version, *weight)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_alias_serves_the_rest() {
        let version = |number: &str| Qualifier::parse(number).unwrap();
        let weighted = |weights: &[(&str, f64)]| {
            let others =
                weights.iter().map(|(number, share)| (version(number), Weight::new(*share).unwrap()));
            let routing = Routing { version: version("7"), others: others.collect() };
            let shares: Vec<String> =
                routing.versions().map(|(version, weight)| format!("{version} {}", weight.share())).collect();
            (routing.is_weighted(), shares.join(", "))
        };
        assert_eq!(weighted(&[]), (false, "7 1".to_owned()));
        assert_eq!(weighted(&[("8", 0.1)]), (true, "7 0.9, 8 0.1".to_owned()));
        assert_eq!(weighted(&[("8", 0.0)]), (true, "7 1, 8 0".to_owned()));
        assert_eq!(weighted(&[("8", 1.0)]), (true, "7 0, 8 1".to_owned()));
        assert_eq!([-0.1, 1.1, f64::NAN].map(Weight::new), [None; 3]);
    }

    #[test]
    fn impossible_routings_are_recognised() {
        let version = |number: &str| Qualifier::parse(number).unwrap();
        let is_possible = |own: &str, others: &[(&str, f64)]| {
            let others = others.iter().map(|(number, share)| (version(number), Weight::new(*share).unwrap()));
            Routing { version: version(own), others: others.collect() }.is_possible()
        };
        assert!(is_possible("7", &[]) && is_possible("$LATEST", &[]) && is_possible("7", &[("8", 1.0)]));
        assert!(is_possible("7", &[("8", 0.500_000_5), ("9", 0.499_999_5)]));
        assert!(!is_possible("live", &[]) && !is_possible("7", &[("blue", 0.1)]));
        assert!(!is_possible("7", &[("8", 0.9), ("9", 0.2)]));
        let many: Vec<String> = (8..13).map(|number: u32| number.to_string()).collect();
        assert!(!is_possible("7", &many.iter().map(|number| (number.as_str(), 0.0)).collect::<Vec<_>>()));
    }
}
