//! The alarms on the burn rate of the error budget, and the alarm on missing ticks.
//!
//! A burn-rate alarm watches two times of different length. An alarm has one length: CloudWatch evaluates a window of
//! its period × its evaluation periods, and documents no meaning of metrics with different periods in one expression (the
//! AWS CDK gives them all the same one). A metric-math function cannot sum up over a part of the window either. So there
//! is a metric alarm for each time, and a composite alarm on both, which alone has actions. Each metric alarm has one
//! period that is as long as its time. Its window slides: it ends with the last minute at each evaluation. Sources:
//! CloudWatch User Guide, "Alarm evaluation window"; aws/aws-cdk#30986; both 2026-11.
//!
//! A round is judged at the next one, so with an interval above the short time most evaluations of that time have no data.
//! They keep its state: otherwise the alarm would end and be raised again with each round. Without data in the long time
//! the alarm ends, because there missing data is not a breach.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::{Actions, Alarm, Comparison, Condition, MetricCondition, Missing, Query, Source, Statistic};
use crate::domain::coverage::{BurnAlarm, Slo};
use crate::domain::metrics::Metric;

/// The seconds of a period of the alarm on missing ticks, and the number of its periods.
const NO_TICK: (u32, u32) = (60, 5);

/// The coverage that a burn-rate alarm watches.
#[derive(Debug, Clone)]
pub struct Watched<'a> {
    /// The namespace of the metrics.
    pub namespace: &'a str,
    /// The dimensions of the metrics: none for the fleet.
    pub dimensions: BTreeMap<String, String>,
    /// The objective in percent, as expressions have it, see [`objective_text`].
    pub objective: &'a str,
    /// The beginning of the descriptions, such as `The fleet`.
    pub subject: &'a str,
    /// The marker of the owner.
    pub marker: &'a str,
    /// The actions of the composite alarm.
    pub actions: Actions,
}

/// Returns an objective in percent, such as `99.9`.
pub fn objective_text(slo: &Slo) -> String {
    Decimal::new(slo.coverage_ppm.into(), 4).normalize().to_string()
}

/// Returns a burn-rate alarm: the metric alarms on the long and the short time, and the composite alarm with `name`.
///
/// Its state is ALARM in the same minutes as [`BurnAlarm::is_raised`] returns true for the long time and the latest short
/// time with data. `WindowMinutes` without data, because no window is open, is not a breach. The other metrics are sent
/// only together with it, or if they are not zero.
pub fn burn_rate(name: &str, alarm: &BurnAlarm, of: &Watched<'_>) -> [Alarm; 3] {
    let (window, warm) = ("window", "warm");
    let burn = format!("100 * ({window} - FILL({warm}, 0)) / {window} / (100 - {})", of.objective);
    let least = BurnAlarm::LEAST_SHORT_ROUNDS;
    let guarded = format!("IF(FILL(short, 0) + FILL(unsafe, 0) >= {least}, {burn}, 0)");
    let minutes = [(warm, Metric::WarmMinutes), (window, Metric::WindowMinutes)];
    let rounds = [("short", Metric::RoundsShort), ("unsafe", Metric::RoundsUnsafe)];
    let part = |suffix: &str, time: Duration, missing, expression: &str, metrics: &[(&str, Metric)]| {
        let seconds = time.as_secs();
        let metric = |(id, metric): &(&str, Metric)| Query {
            id: (*id).to_owned(),
            source: Source::Metric(Statistic {
                namespace: of.namespace.to_owned(),
                name: metric.name().to_owned(),
                dimensions: of.dimensions.clone(),
                statistic: "Sum".to_owned(),
                // Hours at most.
                period: u32::try_from(seconds).unwrap_or(u32::MAX),
            }),
        };
        let watched = Query { id: "burn".to_owned(), source: Source::Expression(expression.to_owned()) };
        Alarm {
            name: format!("{name}-{suffix}"),
            description: format!("A part of {name}: the burn rate within {}. {}", text(seconds), of.marker),
            actions: Actions::notify(None),
            condition: Condition::Metric(MetricCondition {
                queries: [watched].into_iter().chain(metrics.iter().map(metric)).collect(),
                evaluation_periods: 1,
                comparison: Comparison::Greater,
                threshold: alarm.rate,
                missing,
            }),
        }
    };
    let parts = [
        part("long", alarm.long, Missing::NotBreaching, &guarded, &[rounds, minutes].concat()),
        part("short", alarm.short, Missing::Ignore, &burn, &minutes),
    ];
    let rule = parts.each_ref().map(|part| format!("ALARM(\"{}\")", part.name)).join(" AND ");
    let (long, short) = (text(alarm.long.as_secs()), text(alarm.short.as_secs()));
    let description = format!(
        "{}: the error budget of coverage (objective {} %) burns more than {} times too fast, within {long} and within \
         {short}, with at least {least} short or unsafe rounds. {}",
        of.subject, of.objective, alarm.rate, of.marker
    );
    let condition = Condition::Composite(rule);
    let whole = Alarm { name: name.to_owned(), description, actions: of.actions.clone(), condition };
    let [long, short] = parts;
    [long, short, whole]
}

/// Returns the alarm on missing ticks, for which alone missing data is a breach.
pub fn no_tick(name: String, of: &Watched<'_>) -> Alarm {
    let (period, evaluation_periods) = NO_TICK;
    let ticks = Statistic {
        namespace: of.namespace.to_owned(),
        name: Metric::TickDuration.name().to_owned(),
        dimensions: of.dimensions.clone(),
        statistic: "SampleCount".to_owned(),
        period,
    };
    Alarm {
        name,
        description: format!(
            "warmd has not finished a tick for {evaluation_periods} minutes, so functions become cold. {}",
            of.marker
        ),
        actions: of.actions.clone(),
        condition: Condition::Metric(MetricCondition {
            queries: vec![Query { id: "ticks".to_owned(), source: Source::Metric(ticks) }],
            evaluation_periods,
            comparison: Comparison::Less,
            threshold: 1.0,
            missing: Missing::Breaching,
        }),
    }
}

/// Returns a time in whole hours, or in minutes.
fn text(seconds: u64) -> String {
    match seconds {
        whole if whole.is_multiple_of(3_600) => format!("{} h", whole / 3_600),
        other => format!("{} min", other / 60),
    }
}

#[cfg(test)]
#[path = "burn_tests.rs"]
mod tests;
