//! The spool of metrics that CloudWatch refused: the format of a batch, the age at which it can be sent, and the bounds.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::metric_data::{Batch, DIMENSIONS, Datum};
use super::metrics::Metric;
use super::parse::quoted;

/// The largest size of the spool, bytes. A tick takes about 400 bytes, and 150 more for each target with
/// `detail: function`.
pub const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// The most batches in the spool: two weeks of a tick a minute.
pub const MOST_BATCHES: usize = 14 * 24 * 60;

/// The ages of the oldest and of the newest data that CloudWatch takes. Source: the API reference of PutMetricData.
const OLDEST: TimeDelta = TimeDelta::days(14);
const NEWEST: TimeDelta = TimeDelta::hours(-2);

/// The version of the format.
const VERSION: u32 = 1;

/// The age of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// CloudWatch takes it now.
    Current,
    /// CloudWatch will take it: it is between two hours and two weeks ahead.
    Ahead,
    /// CloudWatch does not take it: it is more than two weeks old, or so far ahead that the clock was wrong.
    Expired,
}

/// Returns the age of data with the timestamp `at`.
pub fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> Age {
    let age = now.signed_duration_since(at);
    match age {
        _ if age.abs() > OLDEST => Age::Expired,
        _ if age < NEWEST => Age::Ahead,
        _ => Age::Current,
    }
}

/// Returns the number of batches to drop, oldest first, so that the spool is within its bounds after another batch of
/// `bytes`. `sizes` are those of the batches in the spool, oldest first.
pub fn surplus(sizes: &[u64], bytes: u64) -> usize {
    let mut left = sizes.iter().map(|size| u128::from(*size)).sum::<u128>() + u128::from(bytes);
    let dropped = sizes.iter().enumerate().take_while(|(index, size)| {
        let is_surplus = sizes.len() - index >= MOST_BATCHES || left > u128::from(MOST_BYTES);
        left -= u128::from(**size);
        is_surplus
    });
    dropped.count()
}

/// A batch in the spool.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    namespace: String,
    at: DateTime<Utc>,
    data: Vec<StoredData>,
}

/// Data with the same dimensions.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredData {
    dimensions: Vec<(String, String)>,
    values: Vec<(String, f64)>,
}

/// Returns a batch in the format of the spool: one JSON object.
pub fn encode(batch: &Batch) -> Vec<u8> {
    let data =
        batch.data.chunk_by(|left, right| left.dimensions == right.dimensions).map(|data| StoredData {
            dimensions: data[0]
                .dimensions
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            values: data.iter().map(|datum| (datum.name.to_owned(), datum.value)).collect(),
        });
    let stored =
        Stored { version: VERSION, namespace: batch.namespace.clone(), at: batch.at, data: data.collect() };
    // Structures of texts and numbers can always be serialized.
    serde_json::to_vec(&stored).unwrap_or_default()
}

/// Parses a batch in the format of the spool.
///
/// # Errors
/// The reason why it is not a batch of this version, for people.
pub fn decode(bytes: &[u8]) -> Result<Batch, String> {
    let Stored { version, namespace, at, data } =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("expected version {VERSION}, found {version}"));
    }
    let data = data.into_iter().map(|StoredData { dimensions, values }| {
        let known = |(name, value): (String, String)| {
            let known = DIMENSIONS.into_iter().find(|known| *known == name);
            Ok((known.ok_or_else(|| format!("unknown dimension {}", quoted(&name)))?, value))
        };
        let dimensions: Vec<_> = dimensions.into_iter().map(known).collect::<Result<_, String>>()?;
        let datum = |(name, value): (String, f64)| {
            let metric = Metric::ALL.iter().find(|metric| metric.name() == name);
            let metric = metric.ok_or_else(|| format!("unknown metric {}", quoted(&name)))?;
            Ok(Datum { name: metric.name(), unit: metric.unit(), dimensions: dimensions.clone(), value })
        };
        values.into_iter().map(datum).collect::<Result<Vec<Datum>, String>>()
    });
    let data = data.collect::<Result<Vec<_>, String>>()?.concat();
    Ok(Batch { namespace, at, data })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn datum(metric: Metric, dimensions: &[(&'static str, &str)], value: f64) -> Datum {
        let dimensions = dimensions.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Datum { name: metric.name(), unit: metric.unit(), dimensions, value }
    }

    fn example() -> Batch {
        let of = [("Function", "f:live"), ("Region", "eu-west-2")];
        let data = vec![
            datum(Metric::Pings, &[], 7.0),
            datum(Metric::WarmingCost, &[], 0.25),
            datum(Metric::Target, &of, 10.0),
            datum(Metric::Reached, &of, 9.0),
        ];
        Batch { namespace: "warmd".to_owned(), at: at("2026-11-20T09:00:00.5Z"), data }
    }

    #[test]
    fn a_batch_is_read_as_it_was_written() {
        let bytes = encode(&example());
        insta::assert_snapshot!(String::from_utf8(bytes.clone()).unwrap(), @r#"{"version":1,"namespace":"warmd","at":"2026-11-20T09:00:00.500Z","data":[{"dimensions":[],"values":[["Pings",7.0],["WarmingCost",0.25]]},{"dimensions":[["Function","f:live"],["Region","eu-west-2"]],"values":[["Target",10.0],["Reached",9.0]]}]}"#);
        assert_eq!(decode(&bytes), Ok(example()));
        let all = |dimensions: &[(&'static str, &str)]| -> Vec<Datum> {
            Metric::ALL.iter().map(|metric| datum(*metric, dimensions, 1.0)).collect()
        };
        let data = [all(&[]), all(&DIMENSIONS.map(|name| (name, "x")))].concat();
        let batch = Batch { data, ..example() };
        assert_eq!(decode(&encode(&batch)), Ok(batch));
    }

    #[test]
    fn other_content_is_refused() {
        let text = String::from_utf8(encode(&example())).unwrap();
        let refused = |from: &str, to: &str| decode(text.replace(from, to).as_bytes()).unwrap_err();
        insta::assert_snapshot!(refused("\"version\":1", "\"version\":2"), @"expected version 1, found 2");
        insta::assert_snapshot!(refused("Pings", "Pangs"), @r#"unknown metric "Pangs""#);
        insta::assert_snapshot!(refused("Region", "Tenant"), @r#"unknown dimension "Tenant""#);
        insta::assert_snapshot!(refused("namespace", "space"), @"unknown field `space`, expected one of `version`, `namespace`, `at`, `data` at line 1 column 20");
        for (from, to) in
            [("0.25", "1e999"), ("0.25", "null"), ("2026-11-20", "2026-13-20"), ("]}]}", "]}]}x")]
        {
            refused(from, to);
        }
        for end in 0..text.len() {
            assert!(decode(&text.as_bytes()[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn cloudwatch_takes_two_weeks() {
        let now = at("2026-11-20T09:00:00Z");
        let of = |text| age(at(text), now);
        assert_eq!(of("2026-11-06T08:59:59Z"), Age::Expired);
        assert_eq!(of("2026-11-06T09:00:00Z"), Age::Current);
        assert_eq!(of("2026-11-20T11:00:00Z"), Age::Current);
        assert_eq!(of("2026-11-20T11:00:01Z"), Age::Ahead);
        assert_eq!(of("2026-12-04T09:00:00Z"), Age::Ahead);
        assert_eq!(of("2026-12-04T09:00:01Z"), Age::Expired);
        assert_eq!(age(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC), Age::Expired);
        assert_eq!(age(DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC), Age::Expired);
    }

    #[test]
    fn the_number_of_batches_is_bounded() {
        assert_eq!(surplus(&[1; MOST_BATCHES - 1], 1), 0);
        assert_eq!(surplus(&[1; MOST_BATCHES], 1), 1);
        assert_eq!(surplus(&[1; MOST_BATCHES + 5], 1), 6);
    }

    proptest! {
        #[test]
        fn no_more_is_dropped_than_the_size_requires(
            sizes in prop::collection::vec(prop_oneof![0..MOST_BYTES / 4, any::<u64>()], 0..12),
            bytes in 0..=MOST_BYTES,
        ) {
            let dropped = surplus(&sizes, bytes);
            let fits = |from: usize| {
                sizes[from..].iter().map(|size| u128::from(*size)).sum::<u128>() + u128::from(bytes)
                    <= u128::from(MOST_BYTES)
            };
            prop_assert!(fits(dropped));
            prop_assert!(dropped == 0 || !fits(dropped - 1));
        }
    }
}
