//! The totals of the metrics since the start of the process, in the text format of Prometheus, version 0.0.4.
//!
//! The names follow from [`Metric`]: `ColdStarts` becomes `warmd_cold_starts_total`, `WarmingCost`
//! `warmd_warming_cost_dollars_total`, `TickDuration` `warmd_tick_duration_seconds`. The values of a target have names
//! of their own, such as `warmd_function_cold_starts_total`, so that a sum over the labels counts nothing twice.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use super::fleet::Fleet;
use super::metric_data::{Batch, Datum};
use super::metrics::{Detail, Metric, Scope, Unit};

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The most targets with values of their own. It bounds the memory while no text is requested.
const MOST_TARGETS: usize = 10_000;

/// Names and values of labels.
type Labels = Vec<(&'static str, String)>;
/// The values of metrics by their names in CloudWatch.
type Values = BTreeMap<&'static str, Value>;

/// The values of a metric since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Value {
    sum: f64,
    count: u64,
    /// The last value; none when the last round of the target has none.
    last: Option<f64>,
}

/// The totals of the metrics since the start of the process.
#[derive(Debug, Default)]
pub struct Totals {
    fleet: Values,
    targets: BTreeMap<Labels, Values>,
}

/// The type of a metric in Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The sum of all values.
    Counter,
    /// The last value.
    Gauge,
    /// The sum and the number of the values.
    Summary,
}

impl Kind {
    fn of(metric: Metric) -> Self {
        match (metric.unit(), metric.scope()) {
            (Unit::Milliseconds, _) => Self::Summary,
            (Unit::Seconds, _) | (_, Scope::Target) | (Unit::Count, Scope::Capacity) => Self::Gauge,
            (Unit::Count | Unit::Bytes | Unit::None, _) => Self::Counter,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

impl Totals {
    /// Adds the data of a tick.
    pub fn add(&mut self, batch: &Batch) {
        let mut begun = HashSet::new();
        for Datum { name, dimensions, value, .. } in &batch.data {
            let values = if dimensions.is_empty() {
                &mut self.fleet
            } else if self.targets.contains_key(dimensions) || self.targets.len() < MOST_TARGETS {
                let values = self.targets.entry(dimensions.clone()).or_default();
                if begun.insert(dimensions) {
                    values.values_mut().for_each(|value| value.last = None);
                }
                values
            } else {
                continue;
            };
            let total = values.entry(name).or_default();
            total.sum += value;
            total.count += 1;
            total.last = Some(*value);
        }
    }

    /// Removes the values of targets that `fleet` does not contain, or of all if it has no metrics of targets.
    pub fn retain(&mut self, fleet: &Fleet) {
        if fleet.metrics.detail == Detail::Fleet {
            return self.targets.clear();
        }
        let regions = fleet.targets.iter().map(|target| (target.id.label(), target.id.region.as_str()));
        let known: HashSet<(String, &str)> = regions.collect();
        let is_known = |labels: &Labels| {
            let value = |of| labels.iter().find(|(name, _)| *name == of).map(|(_, value)| value.clone());
            let (function, region) = (value("Function"), value("Region").unwrap_or_default());
            function.is_some_and(|function| known.contains(&(function, region.as_str())))
        };
        self.targets.retain(|labels, _| is_known(labels));
    }

    /// Returns the text. `present` are metrics of the fleet whose present values are known.
    pub fn text(&self, present: &[(Metric, f64)]) -> String {
        let mut text = String::new();
        for &metric in Metric::ALL.iter().filter(|metric| metric.scope() != Scope::Target) {
            let value = self.fleet.get(metric.name()).copied();
            // A fleet without capacity has no values of it.
            if metric.scope().is_capacity() && value.is_none() {
                continue;
            }
            let mut value = value.unwrap_or_default();
            let known = present.iter().find(|(of, _)| *of == metric).map(|(_, value)| *value);
            value.last = known.or(value.last).or(Some(0.0));
            write_family(&mut text, metric, "", [(&[][..], value)].into_iter());
        }
        for &metric in Metric::ALL.iter().filter(|metric| of_targets(metric.scope())) {
            let values = self.targets.iter().filter_map(|(labels, values)| {
                let value = *values.get(metric.name())?;
                (Kind::of(metric) != Kind::Gauge || value.last.is_some()).then_some((&labels[..], value))
            });
            write_family(&mut text, metric, "function_", values);
        }
        text
    }
}

/// Returns true if the metric has values of targets.
fn of_targets(scope: Scope) -> bool {
    scope.is_target() || scope.is_capacity() || scope.is_coverage()
}

/// Appends a gauge that is not in the table of metrics.
pub fn write_gauge(
    text: &mut String,
    name: &str,
    meaning: &str,
    labels: &[(&'static str, String)],
    value: f64,
) {
    write_head(text, name, meaning, Kind::Gauge);
    write_sample(text, name, labels, value);
}

/// Appends the values of a metric; nothing without values.
fn write_family<'v>(
    text: &mut String,
    metric: Metric,
    of: &str,
    values: impl Iterator<Item = (&'v [(&'static str, String)], Value)>,
) {
    let (name, kind) = (name(metric, of), Kind::of(metric));
    let mut values = values.peekable();
    if values.peek().is_some() {
        write_head(text, &name, metric.meaning(), kind);
    }
    // Prometheus has base units: seconds.
    let scale = if metric.unit() == Unit::Milliseconds { 1e-3 } else { 1.0 };
    for (labels, Value { sum, count, last }) in values {
        match kind {
            Kind::Counter => write_sample(text, &name, labels, sum * scale),
            Kind::Gauge => write_sample(text, &name, labels, last.unwrap_or(0.0) * scale),
            Kind::Summary => {
                write_sample(text, &format!("{name}_sum"), labels, sum * scale);
                write_sample(text, &format!("{name}_count"), labels, count as f64);
            }
        }
    }
}

/// Returns the name of a metric: the name in CloudWatch in lower case, the base unit, and `_total` for a counter.
fn name(metric: Metric, of: &str) -> String {
    let mut name = format!("warmd_{of}");
    let mut previous = '_';
    for letter in metric.name().chars() {
        if letter.is_ascii_uppercase() && previous != '_' && !previous.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        previous = letter;
    }
    let unit = match metric.unit() {
        Unit::Count => "",
        Unit::Bytes => "_bytes",
        Unit::Milliseconds | Unit::Seconds => "_seconds",
        // US dollars, see [`Unit::None`].
        Unit::None => "_dollars",
    };
    if !name.ends_with(unit) {
        name.push_str(unit);
    }
    if Kind::of(metric) == Kind::Counter {
        name.push_str("_total");
    }
    name
}

fn write_head(text: &mut String, name: &str, meaning: &str, kind: Kind) {
    let meaning = meaning.replace('\\', r"\\").replace('\n', r"\n");
    let _ = writeln!(text, "# HELP {name} {meaning}\n# TYPE {name} {}", kind.as_str());
}

fn write_sample(text: &mut String, name: &str, labels: &[(&'static str, String)], value: f64) {
    text.push_str(name);
    for (index, (label, value)) in labels.iter().enumerate() {
        let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        let before = if index == 0 { '{' } else { ',' };
        let _ = write!(text, "{before}{}=\"{value}\"", label.to_ascii_lowercase());
    }
    let _ = writeln!(text, "{} {value}", if labels.is_empty() { "" } else { "}" });
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::fleet::{self, MetricsSettings};
    use crate::domain::metrics::Metric::*;

    fn batch(data: &[(Metric, &str, f64)]) -> Batch {
        let datum = |&(metric, function, value): &(Metric, &str, f64)| {
            let labels = [("Function", function.to_owned()), ("Region", "eu-west-2".to_owned())];
            let dimensions = if function.is_empty() { Vec::new() } else { labels.to_vec() };
            Datum { name: metric.name(), unit: metric.unit(), dimensions, value }
        };
        let data = data.iter().map(datum).collect();
        Batch { namespace: "warmd".to_owned(), at: DateTime::UNIX_EPOCH, data }
    }

    fn totals(batches: &[&[(Metric, &str, f64)]]) -> Totals {
        let mut totals = Totals::default();
        batches.iter().for_each(|data| totals.add(&batch(data)));
        totals
    }

    /// Returns the samples of the text that have this prefix.
    fn samples(totals: &Totals, prefix: &str) -> Vec<String> {
        let text = totals.text(&[]);
        text.lines().filter(|line| line.starts_with(prefix)).map(str::to_owned).collect()
    }

    #[test]
    fn every_metric_has_a_name_with_its_unit() {
        let families = Metric::ALL.iter().flat_map(|&metric| {
            let fleet = (metric.scope() != Scope::Target).then(|| name(metric, ""));
            let target = of_targets(metric.scope()).then(|| name(metric, "function_"));
            fleet.into_iter().chain(target).map(move |name| format!("{} {name}", Kind::of(metric).as_str()))
        });
        let families: Vec<String> = families.collect();
        insta::assert_snapshot!(families.join("\n"), @"
        counter warmd_pings_total
        counter warmd_function_pings_total
        counter warmd_cold_starts_total
        counter warmd_function_cold_starts_total
        counter warmd_semi_cold_starts_total
        counter warmd_restores_total
        counter warmd_proactive_inits_total
        counter warmd_function_proactive_inits_total
        counter warmd_throttles_total
        counter warmd_errors_total
        counter warmd_rounds_short_total
        counter warmd_function_rounds_short_total
        counter warmd_window_minutes_total
        counter warmd_function_window_minutes_total
        counter warmd_warm_minutes_total
        counter warmd_function_warm_minutes_total
        counter warmd_unknown_minutes_total
        counter warmd_function_unknown_minutes_total
        counter warmd_budget_exceeded_total
        counter warmd_rounds_unsafe_total
        counter warmd_function_rounds_unsafe_total
        counter warmd_s3_egress_bytes_total
        counter warmd_s3_egress_cost_dollars_total
        counter warmd_function_s3_egress_cost_dollars_total
        counter warmd_warming_cost_dollars_total
        counter warmd_function_warming_cost_dollars_total
        summary warmd_tick_duration_seconds
        counter warmd_functions_total
        counter warmd_cost_unknown_total
        counter warmd_rounds_unfinished_total
        counter warmd_pipelines_cold_total
        counter warmd_ticks_stale_total
        counter warmd_events_refused_total
        counter warmd_state_unavailable_total
        counter warmd_metrics_dropped_total
        gauge warmd_config_age_seconds
        gauge warmd_function_target
        gauge warmd_function_reached
        gauge warmd_capacity_desired
        gauge warmd_function_capacity_desired
        gauge warmd_capacity_available
        gauge warmd_function_capacity_available
        counter warmd_capacity_cost_dollars_total
        counter warmd_function_capacity_cost_dollars_total
        ");
        let names: HashSet<&str> = families.iter().map(|family| family.split_once(' ').unwrap().1).collect();
        assert_eq!(names.len(), families.len(), "each name is unique");
        let is_valid = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        assert!(names.iter().all(|name| name.chars().all(is_valid)), "{names:?}");
    }

    #[test]
    fn every_metric_of_the_fleet_is_shown_from_the_start() {
        let text = Totals::default().text(&[(ConfigAge, 90.0)]);
        let of_every_fleet = |metric: &&Metric| !matches!(metric.scope(), Scope::Target | Scope::Capacity);
        for metric in Metric::ALL.iter().filter(of_every_fleet) {
            let name = name(*metric, "");
            assert!(text.contains(&format!("# HELP {name} {}\n# TYPE {name} ", metric.meaning())), "{text}");
        }
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let not_zero: Vec<&&str> = values.iter().filter(|line| !line.ends_with(" 0")).collect();
        assert_eq!(not_zero, [&"warmd_config_age_seconds 90"]);
        assert!(!text.contains("warmd_function_") && !text.contains("capacity"), "{text}");
    }

    #[test]
    fn capacity_is_shown_from_its_first_tick_on() {
        let totals = totals(&[
            &[(CapacityDesired, "", 10.0), (CapacityAvailable, "", 0.0), (CapacityCost, "", 0.25)],
            &[(CapacityDesired, "", 10.0), (CapacityAvailable, "", 10.0), (CapacityCost, "", 0.5)],
            // A request without capacity changes nothing.
            &[(Pings, "", 3.0)],
        ]);
        insta::assert_snapshot!(samples(&totals, "warmd_capacity").join("\n"), @r"
        warmd_capacity_desired 10
        warmd_capacity_available 10
        warmd_capacity_cost_dollars_total 0.75
        ");
    }

    #[test]
    fn values_are_added() {
        let totals = totals(&[
            &[(Pings, "", 12.0), (TickDuration, "", 512.0), (WarmingCost, "", 0.25)],
            &[
                (Pings, "", 3.0),
                (TickDuration, "", 1_000.0),
                (WarmingCost, "", 0.5),
                (StateUnavailable, "", 1.0),
            ],
            &[(TicksStale, "", 2.0)],
        ]);
        let text = totals.text(&[]);
        let shown: Vec<&str> =
            text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0")).collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        warmd_pings_total 15
        warmd_warming_cost_dollars_total 0.75
        warmd_tick_duration_seconds_sum 1.512
        warmd_tick_duration_seconds_count 2
        warmd_ticks_stale_total 2
        warmd_state_unavailable_total 1
        ");
    }

    #[test]
    fn values_of_targets_have_escaped_labels_and_an_unknown_value_is_not_shown() {
        let hostile = "a\\b\"c\nd";
        let mut totals = totals(&[
            &[
                (ColdStarts, "", 3.0),
                (ColdStarts, hostile, 3.0),
                (Target, hostile, 10.0),
                (Reached, hostile, 9.0),
            ],
            &[(ColdStarts, "", 1.0), (ColdStarts, hostile, 1.0), (Target, hostile, 5.0)],
        ]);
        assert_eq!(samples(&totals, "warmd_cold_starts"), ["warmd_cold_starts_total 4"]);
        insta::assert_snapshot!(samples(&totals, "warmd_function_").join("\n"), @r#"
        warmd_function_cold_starts_total{function="a\\b\"c\nd",region="eu-west-2"} 4
        warmd_function_target{function="a\\b\"c\nd",region="eu-west-2"} 5
        "#);
        totals.add(&batch(&[(Reached, hostile, 5.0)]));
        assert_eq!(samples(&totals, "warmd_function_target"), [""; 0], "not in the last round");
        assert_eq!(samples(&totals, "warmd_function_reached").len(), 1);
    }

    #[test]
    fn targets_that_leave_the_configuration_have_no_values() {
        let mut totals = totals(&[&[(Target, "f", 1.0), (Target, "g", 2.0)]]);
        let targets = vec![fleet::Target::example("f", "eu-west-2", Vec::new())];
        let metrics = MetricsSettings { detail: Detail::Function, ..MetricsSettings::default() };
        let fleet = Fleet { metrics, ..Fleet::new(targets) };
        totals.retain(&fleet);
        assert_eq!(
            samples(&totals, "warmd_function_"),
            [r#"warmd_function_target{function="f",region="eu-west-2"} 1"#]
        );
        totals.retain(&Fleet { metrics: MetricsSettings::default(), ..fleet });
        assert_eq!(samples(&totals, "warmd_function_"), [""; 0]);
    }

    #[test]
    fn the_number_of_targets_is_bounded() {
        let mut totals = Totals::default();
        for index in 0..MOST_TARGETS + 10 {
            totals.add(&batch(&[(Target, &format!("f{index}"), 1.0), (Pings, "", 1.0)]));
        }
        assert_eq!(totals.targets.len(), MOST_TARGETS);
        assert_eq!(totals.fleet["Pings"].sum, (MOST_TARGETS + 10) as f64);
    }
}
