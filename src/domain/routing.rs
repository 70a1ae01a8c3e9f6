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
}
