//! The CloudWatch alarms of a fleet. `warmd alarms --print` prints them, `template.yaml` contains those of the fleet.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::alarm::{
    Actions, Alarm, Condition, Source, Statistic, Watched, burn_rate, marker, name, no_tick, objective_text,
    prefix,
};
use crate::domain::capacity::Owner;
use crate::domain::coverage::{BurnAlarm, Slo};
use crate::domain::fleet::Fleet;
use crate::domain::metric_data::DIMENSIONS;
use crate::domain::metrics::Detail;

/// The burn-rate alarms with the ends of their names.
pub const BURN_ALARMS: [(&str, BurnAlarm); 2] = [("fast", BurnAlarm::FAST), ("slow", BurnAlarm::SLOW)];
/// The beginning of the names of the fleet's burn-rate alarms, after the owner's prefix.
const FLEET: &str = "fleet";
/// The name of the alarm on missing ticks, after the owner's prefix.
const NO_TICK: &str = "no-tick";
/// The characters that follow the name of a burn-rate alarm in those of its parts: `-fast-short`.
const SUFFIX: usize = 11;

/// The alarms that are wanted.
#[derive(Debug, Clone, Copy)]
pub struct AlarmsInput<'a> {
    /// The configuration.
    pub fleet: &'a Fleet,
    /// The owner of the alarms.
    pub owner: &'a Owner,
    /// The objective of the fleet; `None` leaves out its alarms.
    pub objective: Option<Slo>,
    /// True for the alarms of the functions with an objective.
    pub of_functions: bool,
    /// The SNS topic that is notified.
    pub topic: Option<&'a str>,
}

/// The reason why functions cannot have alarms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} has an objective (`slo`), but no metrics of its own for alarms")]
pub struct NoFunctionMetrics(pub String);

/// Returns the alarms: of the fleet, then of each target with an objective in the order of the configuration. Alarms that
/// the objective cannot raise are left out.
///
/// # Errors
/// [`NoFunctionMetrics`]: alarms of functions need metrics of functions.
pub fn alarms(input: &AlarmsInput<'_>) -> Result<Vec<Alarm>, NoFunctionMetrics> {
    let AlarmsInput { fleet, owner, objective, of_functions, topic } = *input;
    let marker = marker(owner);
    let watched = |dimensions: BTreeMap<String, String>, slo: &Slo, subject: &str, of: &str| {
        let objective = objective_text(slo);
        let watched = Watched {
            namespace: &fleet.metrics.namespace,
            dimensions,
            objective: &objective,
            subject,
            marker: &marker,
            actions: Actions::notify(topic),
        };
        let alarm = |(end, alarm): &(&str, BurnAlarm)| {
            burn_rate(&format!("{}-{end}", name(owner, of, SUFFIX)), alarm, &watched)
        };
        let possible = BURN_ALARMS.iter().filter(|(_, alarm)| alarm.can_be_raised(slo));
        let mut alarms: Vec<Alarm> = possible.flat_map(alarm).collect();
        if watched.dimensions.is_empty() {
            alarms.push(no_tick(name(owner, NO_TICK, 0), &watched));
        }
        alarms
    };
    let mut all = match objective {
        Some(objective) => watched(BTreeMap::new(), &objective, "The fleet", FLEET),
        None => Vec::new(),
    };
    let targets = fleet.targets.iter().filter(|_| of_functions);
    for (target, slo) in targets.filter_map(|target| Some((target, target.slo?))) {
        if fleet.metrics.detail != Detail::Function {
            return Err(NoFunctionMetrics(target.id.shown()));
        }
        let values = [target.id.shown(), target.region().to_string()];
        let dimensions = DIMENSIONS.into_iter().map(str::to_owned).zip(values).collect();
        let subject = format!("{} in {}", target.id.shown(), target.region());
        let of = format!("{}-{}", target.region(), target.id.shown());
        all.extend(watched(dimensions, &slo, &subject, &of));
    }
    Ok(all)
}

/// Returns true for the name of an alarm of the fleet. Names of alarms of functions begin with a region.
pub fn is_of_fleet(owner: &Owner, name: &str) -> bool {
    let of = name.strip_prefix(&prefix(owner)).unwrap_or_default();
    of == NO_TICK || of.strip_prefix(FLEET).is_some_and(|end| end.starts_with('-'))
}

/// Returns the alarms as the input of PutMetricAlarm and PutCompositeAlarm.
pub fn document(alarms: &[Alarm]) -> Value {
    let (composite, metric): (Vec<&Alarm>, Vec<&Alarm>) =
        alarms.iter().partition(|alarm| alarm.is_composite());
    let all = |alarms: Vec<&Alarm>| alarms.into_iter().map(properties).collect::<Vec<_>>();
    json!({ "MetricAlarms": all(metric), "CompositeAlarms": all(composite) })
}

/// Returns the properties of an alarm in the API and in CloudFormation.
pub fn properties(alarm: &Alarm) -> Value {
    let Actions { enabled, alarm: on_alarm, ok, insufficient_data } = &alarm.actions;
    let mut properties = json!({ "AlarmName": alarm.name, "AlarmDescription": alarm.description });
    let actions =
        [("AlarmActions", on_alarm), ("OKActions", ok), ("InsufficientDataActions", insufficient_data)];
    for (key, actions) in actions.into_iter().filter(|(_, actions)| !actions.is_empty()) {
        properties[key] = json!(actions);
    }
    if !enabled {
        properties["ActionsEnabled"] = json!(false);
    }
    match &alarm.condition {
        Condition::Composite(rule) => properties["AlarmRule"] = json!(rule),
        Condition::Metric(condition) => {
            match condition.queries.as_slice() {
                [query] if let Source::Metric(metric) = &query.source => {
                    properties["Namespace"] = json!(metric.namespace);
                    properties["MetricName"] = json!(metric.name);
                    properties["Statistic"] = json!(metric.statistic);
                    properties["Period"] = json!(metric.period);
                }
                queries => {
                    let query = |(index, query): (usize, &crate::domain::alarm::Query)| {
                        let mut json = json!({ "Id": query.id, "ReturnData": index == 0 });
                        match &query.source {
                            Source::Expression(expression) => json["Expression"] = json!(expression),
                            Source::Metric(metric) => json["MetricStat"] = metric_stat(metric),
                        }
                        json
                    };
                    properties["Metrics"] = queries.iter().enumerate().map(query).collect();
                }
            }
            properties["EvaluationPeriods"] = json!(condition.evaluation_periods);
            properties["Threshold"] = json!(condition.threshold);
            properties["ComparisonOperator"] = json!(condition.comparison.name());
            properties["TreatMissingData"] = json!(condition.missing.name());
        }
        Condition::Other => {}
    }
    properties
}

fn metric_stat(statistic: &Statistic) -> Value {
    let mut metric = json!({ "Namespace": statistic.namespace, "MetricName": statistic.name });
    if !statistic.dimensions.is_empty() {
        let dimension = |(name, value): (&String, &String)| json!({ "Name": name, "Value": value });
        metric["Dimensions"] = statistic.dimensions.iter().map(dimension).collect();
    }
    json!({ "Metric": metric, "Stat": statistic.statistic, "Period": statistic.period })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::Target;
    use crate::domain::function::{FunctionRef, Region};
    use crate::domain::metrics::Metric;

    fn fleet(detail: Detail) -> Fleet {
        let target = |name: &str, slo| {
            let region = Region::parse("eu-west-2").unwrap();
            Target { slo, ..Target::bare(&FunctionRef::parse(name).unwrap(), region) }
        };
        let slo = Slo { coverage_ppm: 999_000, ..Slo::DEFAULT };
        let mut fleet = Fleet::new(vec![target("plain", None), target("checkout:live", Some(slo))]);
        fleet.metrics.detail = detail;
        fleet
    }

    fn names(fleet: &Fleet, objective: Option<Slo>, of_functions: bool) -> Result<String, NoFunctionMetrics> {
        let input = AlarmsInput { fleet, owner: &fleet.owner, objective, of_functions, topic: None };
        let alarms = alarms(&input)?;
        Ok(alarms.iter().map(|alarm| alarm.name.clone()).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn functions_with_an_objective_have_alarms() {
        let all = names(&fleet(Detail::Function), Some(Slo::DEFAULT), true).unwrap();
        insta::assert_snapshot!(all, @"
        warmd-warmd-fleet-fast-long
        warmd-warmd-fleet-fast-short
        warmd-warmd-fleet-fast
        warmd-warmd-fleet-slow-long
        warmd-warmd-fleet-slow-short
        warmd-warmd-fleet-slow
        warmd-warmd-no-tick
        warmd-warmd-eu-west-2-checkout:live-fast-long
        warmd-warmd-eu-west-2-checkout:live-fast-short
        warmd-warmd-eu-west-2-checkout:live-fast
        warmd-warmd-eu-west-2-checkout:live-slow-long
        warmd-warmd-eu-west-2-checkout:live-slow-short
        warmd-warmd-eu-west-2-checkout:live-slow
        ");
        let of_fleet = names(&fleet(Detail::Function), Some(Slo::DEFAULT), false).unwrap();
        assert!(!of_fleet.contains("checkout") && of_fleet.contains("fleet"), "{of_fleet}");
        let of_functions = names(&fleet(Detail::Function), None, true).unwrap();
        assert!(of_functions.contains("checkout") && !of_functions.contains("fleet"), "{of_functions}");
        let owner = &Fleet::new(Vec::new()).owner;
        assert!(of_fleet.lines().all(|name| is_of_fleet(owner, name)));
        assert!(!of_functions.lines().any(|name| is_of_fleet(owner, name)));
    }

    #[test]
    fn alarms_that_an_objective_cannot_raise_are_left_out() {
        let of = |coverage_ppm| {
            let slo = Slo { coverage_ppm, over_days: 28 };
            names(&fleet(Detail::Fleet), Some(slo), false)
                .unwrap()
                .replace("warmd-warmd-", "")
                .replace('\n', " ")
        };
        assert_eq!(of(800_000), "no-tick");
        assert_eq!(of(900_000), "fleet-slow-long fleet-slow-short fleet-slow no-tick");
        assert!(of(930_000).contains("fleet-fast "));
    }

    #[test]
    fn alarms_of_functions_need_their_metrics() {
        let refused = names(&fleet(Detail::Fleet), Some(Slo::DEFAULT), true).unwrap_err();
        insta::assert_snapshot!(refused, @"checkout:live has an objective (`slo`), but no metrics of its own for alarms");
        assert!(names(&fleet(Detail::Fleet), Some(Slo::DEFAULT), false).is_ok());
    }

    #[test]
    fn alarms_of_functions_watch_metrics_that_are_sent_for_functions() {
        let fleet = fleet(Detail::Function);
        let input = AlarmsInput {
            fleet: &fleet,
            owner: &fleet.owner,
            objective: None,
            of_functions: true,
            topic: None,
        };
        for alarm in alarms(&input).unwrap() {
            let Condition::Metric(condition) = alarm.condition else { continue };
            for query in condition.queries {
                let Source::Metric(statistic) = query.source else { continue };
                let metric = Metric::ALL.iter().find(|metric| metric.name() == statistic.name).unwrap();
                let scope = metric.scope();
                assert!(scope.is_target() || scope.is_coverage(), "{}", statistic.name);
                let dimensions: Vec<_> = statistic.dimensions.into_iter().collect();
                let expected = [("Function", "checkout:live"), ("Region", "eu-west-2")];
                assert_eq!(dimensions, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
        }
    }

    #[test]
    fn the_document_of_an_alarm() {
        let fleet = fleet(Detail::Fleet);
        let input = AlarmsInput {
            fleet: &fleet,
            owner: &fleet.owner,
            objective: Some(Slo::DEFAULT),
            of_functions: false,
            topic: Some("arn:aws:sns:eu-west-2:123456789012:ops"),
        };
        let document = document(&alarms(&input).unwrap());
        assert_eq!(document["MetricAlarms"].as_array().unwrap().len(), 5);
        insta::assert_snapshot!(format!("{:#}", document["MetricAlarms"][1]), @r#"
        {
          "AlarmName": "warmd-warmd-fleet-fast-short",
          "AlarmDescription": "A part of warmd-warmd-fleet-fast: the burn rate within 5 min. [warmd:owner=warmd]",
          "Metrics": [
            {
              "Id": "burn",
              "ReturnData": true,
              "Expression": "100 * (window - FILL(warm, 0)) / window / (100 - 99)"
            },
            {
              "Id": "warm",
              "ReturnData": false,
              "MetricStat": {
                "Metric": {
                  "Namespace": "warmd",
                  "MetricName": "WarmMinutes"
                },
                "Stat": "Sum",
                "Period": 300
              }
            },
            {
              "Id": "window",
              "ReturnData": false,
              "MetricStat": {
                "Metric": {
                  "Namespace": "warmd",
                  "MetricName": "WindowMinutes"
                },
                "Stat": "Sum",
                "Period": 300
              }
            }
          ],
          "EvaluationPeriods": 1,
          "Threshold": 13.4,
          "ComparisonOperator": "GreaterThanThreshold",
          "TreatMissingData": "ignore"
        }
        "#);
        insta::assert_snapshot!(format!("{:#}", document["CompositeAlarms"][0]), @r#"
        {
          "AlarmName": "warmd-warmd-fleet-fast",
          "AlarmDescription": "The fleet: the error budget of coverage (objective 99 %) burns more than 13.4 times too fast, within 1 h and within 5 min, with at least 2 short or unsafe rounds. [warmd:owner=warmd]",
          "AlarmActions": [
            "arn:aws:sns:eu-west-2:123456789012:ops"
          ],
          "OKActions": [
            "arn:aws:sns:eu-west-2:123456789012:ops"
          ],
          "AlarmRule": "ALARM(\"warmd-warmd-fleet-fast-long\") AND ALARM(\"warmd-warmd-fleet-fast-short\")"
        }
        "#);
    }
}
