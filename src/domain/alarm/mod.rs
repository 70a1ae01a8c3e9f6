//! CloudWatch alarms on the metrics of warmd: what they watch, to whom they belong, and the changes that lead to them.
//!
//! An alarm belongs to an owner if its name begins with the owner's prefix, and its description ends with the owner's
//! marker. A name alone is not enough: `warmd-a-` is also the beginning of the names of the owner `a-b`. The marker is in
//! the description, not in a tag, because PutMetricAlarm does not change the tags of an alarm that exists, and because one
//! request reads the descriptions of 100 alarms, but the tags of one.

mod burn;
mod steps;

use std::collections::BTreeMap;

use super::capacity::Owner;
use super::text::fnv1a;

pub use burn::{Watched, burn_rate, no_tick, objective_text};
pub use steps::{Foreign, Step, deletions, steps};

/// The longest name in characters. Source: CloudWatch API reference, PutMetricAlarm, 2026-11.
const LONGEST_NAME: usize = 255;

/// An alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// The name, unique in an account and region.
    pub name: String,
    /// The description. It ends with the owner's marker, see [`marker`].
    pub description: String,
    /// The actions.
    pub actions: Actions,
    /// The condition.
    pub condition: Condition,
}

/// The actions of an alarm: ARNs, such as those of SNS topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actions {
    /// False if no action is executed.
    pub enabled: bool,
    /// The actions on the state ALARM.
    pub alarm: Vec<String>,
    /// The actions on the state OK.
    pub ok: Vec<String>,
    /// The actions on the state INSUFFICIENT_DATA.
    pub insufficient_data: Vec<String>,
}

impl Actions {
    /// Creates actions that notify a topic of ALARM and of OK; none without a topic.
    pub fn notify(topic: Option<&str>) -> Self {
        let topics: Vec<String> = topic.into_iter().map(str::to_owned).collect();
        Self { enabled: true, alarm: topics.clone(), ok: topics, insufficient_data: Vec::new() }
    }
}

/// The condition of an alarm.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// On a metric, or on an expression.
    Metric(MetricCondition),
    /// On the states of other alarms: a rule such as `ALARM("a") AND ALARM("b")`.
    Composite(String),
    /// A condition on a metric that is not made here.
    Other,
}

/// A condition on a metric, or on an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricCondition {
    /// The queries. The alarm watches the first one, and the others are its input, in the order of their ids. A single
    /// metric is the only query.
    pub queries: Vec<Query>,
    /// The number of periods, each of which must be beyond the threshold.
    pub evaluation_periods: u32,
    /// The comparison with the threshold.
    pub comparison: Comparison,
    /// The threshold.
    pub threshold: f64,
    /// The treatment of periods without data.
    pub missing: Missing,
}

/// A query of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The id, which expressions use. It begins with a lower-case letter.
    pub id: String,
    /// The source of its values.
    pub source: Source,
}

/// The source of a query's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An expression in metric math.
    Expression(String),
    /// A metric.
    Metric(Statistic),
}

/// A statistic of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistic {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// The statistic, such as `Sum`.
    pub statistic: String,
    /// The period in seconds.
    pub period: u32,
}

/// A comparison with a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Above it.
    Greater,
    /// Below it.
    Less,
}

impl Comparison {
    /// Returns the name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Greater => "GreaterThanThreshold",
            Self::Less => "LessThanThreshold",
        }
    }

    /// Parses a name of the API; `None` for the comparisons that are not made here.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Greater, Self::Less].into_iter().find(|known| known.name() == name)
    }
}

/// The treatment of periods without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// They are beyond the threshold.
    Breaching,
    /// They are not.
    NotBreaching,
    /// They change no state.
    Ignore,
}

impl Missing {
    /// Returns the name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
            Self::Ignore => "ignore",
        }
    }

    /// Parses a name of the API; `None` for the treatments that are not used here.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Breaching, Self::NotBreaching, Self::Ignore].into_iter().find(|known| known.name() == name)
    }
}

impl Alarm {
    /// Returns true if the alarm is on the states of other alarms.
    pub fn is_composite(&self) -> bool {
        matches!(self.condition, Condition::Composite(_))
    }

    /// Returns the number of metrics, each of which is billed.
    pub fn metrics(&self) -> u64 {
        let Condition::Metric(condition) = &self.condition else { return 0 };
        condition.queries.iter().filter(|query| matches!(query.source, Source::Metric(_))).count() as u64
    }
}

/// Returns the beginning of the names of an owner's alarms: `warmd-OWNER-`.
pub fn prefix(owner: &Owner) -> String {
    owner.action_prefix()
}

/// Returns the end of the descriptions of an owner's alarms.
pub fn marker(owner: &Owner) -> String {
    format!("[{}={owner}]", Owner::TAG)
}

/// Returns the name of an alarm: the owner's prefix, then `of`. Characters other than letters, digits and `-_.:/@$` become
/// `_`. `of` is cut if the name would be too long for CloudWatch with `reserve` more characters. A name that does not have
/// the whole `of` has its checksum, so that names stay distinct.
pub fn name(owner: &Owner, of: &str, reserve: usize) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@$".contains(c);
    let plain: String = of.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let prefix = prefix(owner);
    let room = LONGEST_NAME.saturating_sub(prefix.len() + reserve);
    if plain == of && plain.len() <= room {
        return prefix + of;
    }
    let checksum = format!("-{:016x}", fnv1a(of));
    let kept = plain.get(..room.saturating_sub(checksum.len()).min(plain.len())).unwrap_or_default();
    format!("{prefix}{kept}{checksum}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_distinct_and_fit() {
        let owner = Owner::parse("team-a").unwrap();
        assert_eq!(name(&owner, "eu-west-2-checkout:live", 11), "warmd-team-a-eu-west-2-checkout:live");
        let long = |end: &str| name(&owner, &format!("{}{end}", "é".repeat(300)), 11);
        assert_eq!(long("a").len(), LONGEST_NAME - 11);
        assert_ne!(long("a"), long("b"));
        assert_ne!(name(&owner, "a b", 0), name(&owner, "a_b", 0));
    }
}
