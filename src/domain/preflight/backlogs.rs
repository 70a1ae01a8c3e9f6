//! Findings about the metrics of backlogs.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;

use super::findings::Finding;
use super::{Lookup, Severity};
use crate::domain::backlog::{READ_METRICS, Samples};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::text::elapsed;

/// Returns the findings about metrics that were read back to `look_back` before now: those that cannot be read, and
/// those without a value in this time. A metric of several targets is named at the first.
pub fn backlog_findings(fleet: &Fleet, samples: &Samples, look_back: TimeDelta) -> Vec<Finding> {
    let mut known = HashSet::new();
    let mut found = Vec::new();
    for (index, target) in fleet.targets.iter().enumerate().filter(|(_, target)| target.is_warmed()) {
        for rule in &target.backlogs {
            let source = (target.region(), target.role.clone(), Arc::clone(&rule.metric));
            if known.insert(source.clone()) {
                let it = format!("the metric {} of the backlog of {}", rule.metric, name(target));
                found.extend(finding(index, &it, samples.get(&source), look_back));
            }
        }
    }
    found
}

fn name(target: &Target) -> String {
    format!("`{}` in {}", target.label, target.region())
}

fn finding<T>(
    index: usize,
    it: &str,
    read: Option<&Lookup<Option<T>>>,
    look_back: TimeDelta,
) -> Option<Finding> {
    let (message, hint) = match read {
        Some(Lookup::Known(Some(_))) => return None,
        Some(Lookup::Known(None)) => (
            format!("{it} has had no value for {}", elapsed(look_back.to_std().unwrap_or_default())),
            "check its namespace, name, dimensions and region; SQS sends no metrics of a queue that was inactive for \
             six hours"
                .to_owned(),
        ),
        Some(Lookup::Denied(reason)) => (
            format!("no permission to read {it}"),
            format!("allow {READ_METRICS} on *; `warmd iam` prints the policies\nCloudWatch reports: {reason}"),
        ),
        Some(Lookup::Failed(reason) | Lookup::Throttled(reason) | Lookup::Unreachable(reason)) => {
            (format!("{it} cannot be read"), format!("CloudWatch reports: {reason}"))
        }
        Some(Lookup::NotRead | Lookup::Missing) | None => {
            (format!("{it} was not read in time"), "check again".to_owned())
        }
    };
    Some(Finding { target: index, window: None, severity: Severity::Warning, message, hint: Some(hint) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::backlog::{Metric, Rule, Sample};

    #[test]
    fn metrics_that_have_no_effect_are_named_once() {
        let rule = |queue: &str| {
            let (namespace, name) = ("AWS/SQS".to_owned(), "ApproximateNumberOfMessagesVisible".to_owned());
            let dimensions = [("QueueName".to_owned(), queue.to_owned())].into();
            let metric = Arc::new(Metric { namespace, name, dimensions, statistic: "Maximum" });
            Rule { metric, per_environment: 300.into(), max: 100, pipeline: None }
        };
        let queues = ["good", "idle", "denied", "failed", "late"];
        let target = |name| Target {
            backlogs: queues.map(rule).to_vec(),
            ..Target::example(name, "eu-west-2", Vec::new())
        };
        let fleet = Fleet::new(vec![target("a"), target("b")]);
        let sample = Sample { at: chrono::DateTime::UNIX_EPOCH, value: 7.into() };
        let reads = [
            ("good", Lookup::Known(Some(sample))),
            ("idle", Lookup::Known(None)),
            ("denied", Lookup::Denied("User: a is not authorized".to_owned())),
            ("failed", Lookup::Throttled("Rate exceeded".to_owned())),
        ];
        let region = fleet.targets[0].region();
        let samples = reads.map(|(queue, read)| ((region, None, rule(queue).metric), read)).into();
        let found = backlog_findings(&fleet, &samples, TimeDelta::hours(3));
        assert!(found.iter().all(|found| (found.target, found.severity) == (0, Severity::Warning)));
        let lines: Vec<String> =
            found.into_iter().map(|found| format!("{}\n  {}", found.message, found.hint.unwrap())).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        the metric AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=idle} of the backlog of `a` in eu-west-2 has had no value for 3h
          check its namespace, name, dimensions and region; SQS sends no metrics of a queue that was inactive for six hours
        no permission to read the metric AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=denied} of the backlog of `a` in eu-west-2
          allow cloudwatch:GetMetricData on *; `warmd iam` prints the policies
        CloudWatch reports: User: a is not authorized
        the metric AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=failed} of the backlog of `a` in eu-west-2 cannot be read
          CloudWatch reports: Rate exceeded
        the metric AWS/SQS/ApproximateNumberOfMessagesVisible {QueueName=late} of the backlog of `a` in eu-west-2 was not read in time
          check again
        ");
    }
}
