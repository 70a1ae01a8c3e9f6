//! The versions that an alias points at.

use std::collections::BTreeMap;

use super::super::profile::{Profile, Route};

/// The version of an alias, and the weights of others.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Routing {
    /// The version.
    pub version: String,
    /// The shares of additional versions, each from 0 to 1.
    pub weights: BTreeMap<String, f64>,
}

impl Routing {
    /// Returns the routing of a profile's alias; `None` if it does not exist. The first version is that of the alias.
    pub(super) fn of(profile: &Profile, alias: &str) -> Option<Self> {
        if profile.aliases.is_empty() {
            return Some(Self { version: "1".to_owned(), weights: BTreeMap::new() });
        }
        let routes = profile.aliases.get(alias)?;
        let (Route { version, .. }, others) = routes.split_first()?;
        let all: f64 = routes.iter().map(|route| route.weight).sum();
        // Lambda keeps an additional version with a weight of 0.
        let share = |route: &Route| if all > 0.0 { route.weight / all } else { 0.0 };
        let weights = others.iter().map(|route| (route.version.clone(), share(route))).collect();
        Some(Self { version: version.clone(), weights })
    }

    /// Returns the version for a sample from 0 to 1.
    pub(super) fn choose(&self, sample: f64) -> &str {
        let mut left = sample - self.share(&self.version);
        if left < 0.0 {
            return &self.version;
        }
        let chosen = self.weights.iter().find(|(_, weight)| {
            left -= **weight;
            left < 0.0
        });
        chosen.or(self.weights.last_key_value()).map_or(&self.version, |(version, _)| version)
    }

    /// Returns the share of a version, from 0 to 1.
    pub(super) fn share(&self, version: &str) -> f64 {
        match self.weights.get(version) {
            Some(weight) => *weight,
            None if version == self.version => (1.0 - self.weights.values().sum::<f64>()).max(0.0),
            None => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing(routes: &[(&str, f64)]) -> Routing {
        let routes =
            routes.iter().map(|(version, weight)| Route { version: (*version).to_owned(), weight: *weight });
        let aliases = BTreeMap::from([("live".to_owned(), routes.collect())]);
        Routing::of(&Profile { aliases, ..Profile::default() }, "live").unwrap()
    }

    #[test]
    fn versions_are_chosen_by_their_shares() {
        for (routes, samples) in [
            (&[("7", 1.0)][..], "777"),
            (&[("7", 0.0)], "777"),
            (&[("7", 0.9), ("8", 0.1)], "778"),
            (&[("7", 1.0), ("8", 1.0)], "788"),
            // As Lambda sets them while an alias moves to version 7.
            (&[("7", 0.0), ("6", 1.0)], "666"),
            (&[("7", 0.2), ("8", 0.4), ("9", 0.4)], "789"),
        ] {
            let routing = routing(routes);
            let chosen: String = [0.0, 0.55, 0.95].map(|sample| routing.choose(sample)).concat();
            assert_eq!(chosen, samples, "{routes:?}");
        }
        assert_eq!(Routing::of(&Profile::default(), "any").unwrap().version, "1");
        assert_eq!(routing(&[("7", 0.0), ("6", 1.0)]).share("7"), 0.0);
        assert_eq!(routing(&[("7", 1.0), ("8", 0.0)]).weights, BTreeMap::from([("8".to_owned(), 0.0)]));
    }
}
