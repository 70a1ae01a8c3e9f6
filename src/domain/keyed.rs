//! Maps with a typed key, which is a text in JSON.
//!
//! A key that cannot be read is left out: a newer version may support more regions than this one.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::function::{FunctionRef, Identity, Region, Tenant};

/// A key of a document's map.
pub(in crate::domain) trait Key: Ord + Clone {
    /// Returns the key as it is written.
    fn text(&self) -> String;
    /// Reads a written key; `None` if it is malformed.
    fn parse(text: &str) -> Option<Self>;
}

/// Written as the label, the region and the tenant, if any, such as `nlp-inference:live eu-west-2` or `checkout
/// eu-west-2 acme`. Only the tenant, at the end, may contain spaces.
impl Key for Identity {
    fn text(&self) -> String {
        let tenant = self.tenant.iter().map(|tenant| format!(" {tenant}"));
        format!("{} {}{}", self.label(), self.region, tenant.collect::<String>())
    }

    fn parse(text: &str) -> Option<Self> {
        let (function, rest) = text.split_once(' ')?;
        let (region, tenant) = match rest.split_once(' ') {
            Some((region, tenant)) => (region, Some(Tenant::parse(tenant).ok()?)),
            None => (rest, None),
        };
        let id = FunctionRef::parse(function).ok()?.identity(Region::parse(region).ok()?);
        Some(Self { tenant, ..id })
    }
}

/// Written as it is configured, such as `nlp-inference:live`.
impl Key for FunctionRef {
    fn text(&self) -> String {
        self.to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Key for String {
    fn text(&self) -> String {
        self.clone()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

pub(in crate::domain) fn serialize<K: Key, V: Serialize, S: Serializer>(
    map: &BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(key, value)| (key.text(), value)))
}

pub(in crate::domain) fn deserialize<'de, K: Key, V: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<K, V>, D::Error> {
    let map = BTreeMap::<String, V>::deserialize(deserializer)?;
    Ok(map.into_iter().filter_map(|(key, value)| Some((K::parse(&key)?, value))).collect())
}

/// Reads a map. Values that cannot be read are left out as well.
pub(in crate::domain) fn deserialize_known<'de, K: Key, V: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<K, V>, D::Error> {
    let map: BTreeMap<K, serde_json::Value> = deserialize(deserializer)?;
    Ok(map.into_iter().filter_map(|(key, value)| Some((key, serde_json::from_value(value).ok()?))).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_without_a_tenant_is_as_it_always_was() {
        let id = Identity::parse("nlp:live eu-west-2").unwrap();
        assert_eq!((id.text().as_str(), &id.tenant), ("nlp:live eu-west-2", &None));
        for malformed in ["nlp", "nlp eu-west-2 ", "nlp eu-west-2  a", "nlp  eu-west-2 a", "nlp london a"] {
            assert_eq!(Identity::parse(malformed), None, "{malformed:?}");
        }
    }

    proptest! {
        #[test]
        fn every_identity_has_a_key_of_its_own(
            names in prop::array::uniform2("(arn:aws:lambda:eu-west-2:123456789012:function:)?[a-b]{1,2}(:[a-b])?"),
            tenants in prop::array::uniform2(prop::option::of("[ab@:/ ]{1,4}|eu-west-2 a")),
        ) {
            let region = Region::parse("eu-west-2").unwrap();
            let id = |index: usize| Identity {
                tenant: tenants[index].as_deref().and_then(|tenant| Tenant::parse(tenant).ok()),
                ..FunctionRef::parse(&names[index]).unwrap().identity(region)
            };
            let [one, other] = [id(0), id(1)];
            prop_assert_eq!(Identity::parse(&one.text()), Some(one.clone()));
            prop_assert_eq!(one.text() == other.text(), one == other);
            prop_assert_eq!(one.shown() == other.shown(), one == other);
        }
    }
}
