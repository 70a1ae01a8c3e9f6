//! Maps with a typed key, which is a text in JSON.
//!
//! A key that cannot be read is left out: a newer version may support more regions than this one.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::function::{FunctionRef, Identity, Region};

/// A key of a document's map.
pub(super) trait Key: Ord + Clone {
    /// Returns the key as it is written.
    fn text(&self) -> String;
    /// Reads a written key; `None` if it is malformed.
    fn parse(text: &str) -> Option<Self>;
}

/// Written as the label and the region, such as `nlp-inference:live eu-west-2`.
impl Key for Identity {
    fn text(&self) -> String {
        format!("{} {}", self.label(), self.region)
    }

    fn parse(text: &str) -> Option<Self> {
        let (function, region) = text.split_once(' ')?;
        Some(FunctionRef::parse(function).ok()?.identity(Region::parse(region).ok()?))
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

pub(super) fn serialize<K: Key, V: Serialize, S: Serializer>(
    map: &BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(key, value)| (key.text(), value)))
}

pub(super) fn deserialize<'de, K: Key, V: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<K, V>, D::Error> {
    let map = BTreeMap::<String, V>::deserialize(deserializer)?;
    Ok(map.into_iter().filter_map(|(key, value)| Some((K::parse(&key)?, value))).collect())
}

/// Reads a map. Values that cannot be read are left out as well.
pub(super) fn deserialize_known<'de, K: Key, V: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<K, V>, D::Error> {
    let map: BTreeMap<K, serde_json::Value> = deserialize(deserializer)?;
    Ok(map.into_iter().filter_map(|(key, value)| Some((key, serde_json::from_value(value).ok()?))).collect())
}
