//! Burn-rate alarms in a simulation: their expressions in an independent interpreter of metric math against
//! [`BurnAlarm::is_raised`].

use std::collections::HashMap;
use std::ops::Range;

use super::*;
use crate::domain::coverage::Minutes;

/// An interpreter of the metric math in the alarms, for periods of one data point.
struct Math<'a> {
    tokens: &'a [&'a str],
    at: usize,
    points: &'a [(&'a str, f64)],
}

impl<'a> Math<'a> {
    fn tokens(text: &str) -> Vec<&str> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '.';
            let length = match rest.find(|c| !is_word(c)).unwrap_or(rest.len()) {
                0 if rest.starts_with(">=") => 2,
                0 => 1,
                word => word,
            };
            let (token, after) = rest.split_at(length);
            tokens.push(token);
            rest = after.trim_start();
        }
        tokens
    }

    /// Returns the value of an expression; `None` if it has no data point.
    fn value(tokens: &'a [&'a str], points: &'a [(&'a str, f64)]) -> Option<f64> {
        let mut math = Math { tokens, at: 0, points };
        let value = math.comparison();
        assert_eq!(math.at, tokens.len(), "{tokens:?}");
        value
    }

    fn take(&mut self, token: &str) -> bool {
        let is_next = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(is_next);
        is_next
    }

    fn comparison(&mut self) -> Option<f64> {
        let left = self.sum();
        if !self.take(">=") {
            return left;
        }
        let right = self.sum();
        Some(f64::from(left? >= right?))
    }

    fn sum(&mut self) -> Option<f64> {
        let mut sum = self.product();
        loop {
            if self.take("+") {
                let term = self.product();
                sum = sum.zip(term).map(|(a, b)| a + b);
            } else if self.take("-") {
                let term = self.product();
                sum = sum.zip(term).map(|(a, b)| a - b);
            } else {
                return sum;
            }
        }
    }

    fn product(&mut self) -> Option<f64> {
        let mut product = self.atom();
        loop {
            if self.take("*") {
                let factor = self.atom();
                product = product.zip(factor).map(|(a, b)| a * b);
            } else if self.take("/") {
                // A division by zero has no data point.
                let divisor = self.atom().filter(|divisor| *divisor != 0.0);
                product = product.zip(divisor).map(|(a, b)| a / b);
            } else {
                return product;
            }
        }
    }

    fn atom(&mut self) -> Option<f64> {
        if self.take("(") {
            let inner = self.comparison();
            assert!(self.take(")"));
            return inner;
        }
        let token = self.tokens[self.at];
        self.at += 1;
        match token {
            "FILL" | "IF" => {
                assert!(self.take("("));
                let mut arguments = vec![self.comparison()];
                while self.take(",") {
                    arguments.push(self.comparison());
                }
                assert!(self.take(")"));
                match arguments[..] {
                    [value, other] if token == "FILL" => value.or(other),
                    [condition, yes, no] => {
                        if condition? == 0.0 {
                            no
                        } else {
                            yes
                        }
                    }
                    _ => panic!("{token} of {arguments:?}"),
                }
            }
            number if number.starts_with(|c: char| c.is_ascii_digit()) => Some(number.parse().unwrap()),
            id => {
                assert!(id.starts_with(|c: char| c.is_ascii_lowercase()), "{id}");
                self.points.iter().find(|(known, _)| *known == id).map(|(_, value)| *value)
            }
        }
    }
}

/// A round of a target.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Round {
    /// It reached its number, and found it warm.
    Warm,
    /// It reached less than its number.
    Short,
    /// It reached its number, and found none of it warm.
    Cold,
    /// It was not sent.
    Missing,
}

/// The data of a target: of each metric, the sum and the number of the points before each minute.
#[derive(Default)]
struct Data {
    before: HashMap<&'static str, Vec<(f64, u32)>>,
}

impl Data {
    /// Simulates a target with a round each `interval` minutes until `end`. After each round the minutes since the one
    /// before are known: they are warm if that one was not short, and this one is warm.
    fn new(interval: i64, end: i64, round: impl Fn(i64) -> Round) -> Self {
        let mut points: HashMap<&'static str, HashMap<i64, f64>> = HashMap::new();
        let mut add =
            |metric: Metric, at, value| _ = points.entry(metric.name()).or_default().insert(at, value);
        let mut last = Round::Missing;
        for at in (0..end).step_by(interval as usize) {
            let before = std::mem::replace(&mut last, round(at));
            if last == Round::Short {
                add(Metric::RoundsShort, at, 1.0);
            }
            if before != Round::Missing && last != Round::Missing {
                let is_warm = before != Round::Short && last == Round::Warm;
                add(Metric::WindowMinutes, at, interval as f64);
                add(Metric::WarmMinutes, at, if is_warm { interval as f64 } else { 0.0 });
            }
        }
        let sums = |points: HashMap<i64, f64>| {
            let mut sums = vec![(0.0, 0)];
            for at in 0..end {
                let (sum, count) = sums[at as usize];
                sums.push(points.get(&at).map_or((sum, count), |value| (sum + value, count + 1)));
            }
            sums
        };
        Self { before: points.into_iter().map(|(metric, points)| (metric, sums(points))).collect() }
    }

    /// Simulates an outage: its rounds are short, and the others are warm.
    fn outage(interval: i64, outage: Range<i64>, end: i64) -> Self {
        Self::new(interval, end, |at| if outage.contains(&at) { Round::Short } else { Round::Warm })
    }

    /// Returns the sum over the period that ends with minute `at`; `None` without a data point.
    fn sum(&self, metric: &str, period: u32, at: i64) -> Option<f64> {
        let before = self.before.get(metric)?;
        let from = (at + 1 - i64::from(period / 60)).max(0);
        let ((early, few), (late, all)) = (before[from as usize], before[at as usize + 1]);
        (all > few).then_some(late - early)
    }

    /// Returns for each minute until `end` whether a metric alarm has the state ALARM.
    fn states(&self, alarm: &Alarm, end: i64) -> Vec<bool> {
        let Condition::Metric(condition) = &alarm.condition else { panic!("{alarm:?}") };
        let (watched, inputs) = condition.queries.split_first().unwrap();
        let Source::Expression(expression) = &watched.source else { panic!("{watched:?}") };
        let tokens = Math::tokens(expression);
        let mut state = false;
        let after = |at| {
            let point = |query: &'_ Query| {
                let Source::Metric(metric) = &query.source else { panic!("{query:?}") };
                assert_eq!((metric.statistic.as_str(), condition.evaluation_periods), ("Sum", 1));
                self.sum(&metric.name, metric.period, at)
            };
            let points: Vec<(&str, f64)> =
                inputs.iter().filter_map(|query| Some((query.id.as_str(), point(query)?))).collect();
            state = match (Math::value(&tokens, &points), condition.missing) {
                (Some(value), _) => value > condition.threshold,
                (None, Missing::Ignore) => state,
                (None, missing) => missing == Missing::Breaching,
            };
            state
        };
        (0..end).map(after).collect()
    }

    /// Returns the minutes in which an alarm is raised, after the comparison of each with [`BurnAlarm::is_raised`].
    fn raised(&self, alarm: &BurnAlarm, slo: &Slo, end: i64) -> Vec<i64> {
        let watched = Watched {
            namespace: "warmd",
            dimensions: BTreeMap::new(),
            objective: &objective_text(slo),
            subject: "The fleet",
            marker: "",
            actions: Actions::notify(None),
        };
        let [long, short, whole] = burn_rate("x", alarm, &watched);
        assert_eq!(
            whole.condition,
            Condition::Composite("ALARM(\"x-long\") AND ALARM(\"x-short\")".to_owned())
        );
        let (long, short) = (self.states(&long, end), self.states(&short, end));
        let mut known = Minutes::default();
        let is_raised = |at: &i64| {
            let sum = |metric: Metric, seconds: u64| {
                self.sum(metric.name(), u32::try_from(seconds).unwrap(), *at).unwrap_or(0.0) as u64
            };
            let minutes = |seconds| Minutes {
                window: sum(Metric::WindowMinutes, seconds),
                warm: sum(Metric::WarmMinutes, seconds),
                ..Minutes::default()
            };
            let (in_long, in_short) = (alarm.long.as_secs(), minutes(alarm.short.as_secs()));
            // The latest short time with data counts.
            if in_short.window > 0 {
                known = in_short;
            }
            let rounds = sum(Metric::RoundsShort, in_long);
            let expected = alarm.is_raised(slo, minutes(in_long), known, rounds);
            assert_eq!(long[*at as usize] && short[*at as usize], expected, "minute {at}");
            expected
        };
        (0..end).filter(is_raised).collect()
    }
}

/// Returns how many times an alarm goes to ALARM, by the minutes in which it is raised.
fn times(raised: &[i64]) -> usize {
    let again = raised.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    again + usize::from(!raised.is_empty())
}

const DAY: i64 = 24 * 60;
/// Longer than the longest time of an alarm.
const HOURS: i64 = 8 * 60;
const ALARMS: [(&str, BurnAlarm); 2] = [("fast", BurnAlarm::FAST), ("slow", BurnAlarm::SLOW)];

#[test]
fn outages_raise_the_alarms_when_the_calculator_does() {
    let mut lines = Vec::new();
    for objective in [990_000, 999_000] {
        let slo = Slo { coverage_ppm: objective, ..Slo::DEFAULT };
        for (length, outage) in [("5 minutes", 5), ("1 hour", 60), ("3 days", 3 * DAY)] {
            for interval in [1, 5, 15, 60] {
                let (from, end) = (HOURS, HOURS + outage + HOURS);
                let data = Data::outage(interval, from..from + outage, end);
                for (name, alarm) in &ALARMS {
                    let raised = data.raised(alarm, &slo, end);
                    let text = match (raised.first(), raised.last()) {
                        (Some(first), Some(last)) => {
                            let after = last - from - outage;
                            let times = times(&raised);
                            format!("{times} × after {} min, until {after} min after its end", first - from)
                        }
                        _ => "never".to_owned(),
                    };
                    let objective = objective_text(&slo);
                    lines.push(format!(
                        "{objective} %, {length}, a round each {interval} min, {name}: {text}"
                    ));
                }
            }
        }
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    99 %, 5 minutes, a round each 1 min, fast: never
    99 %, 5 minutes, a round each 1 min, slow: never
    99 %, 5 minutes, a round each 5 min, fast: never
    99 %, 5 minutes, a round each 5 min, slow: never
    99 %, 5 minutes, a round each 15 min, fast: never
    99 %, 5 minutes, a round each 15 min, slow: never
    99 %, 5 minutes, a round each 60 min, fast: never
    99 %, 5 minutes, a round each 60 min, slow: never
    99 %, 1 hour, a round each 1 min, fast: 1 × after 8 min, until 4 min after its end
    99 %, 1 hour, a round each 1 min, slow: 1 × after 20 min, until 28 min after its end
    99 %, 1 hour, a round each 5 min, fast: 1 × after 5 min, until 4 min after its end
    99 %, 1 hour, a round each 5 min, slow: 1 × after 20 min, until 29 min after its end
    99 %, 1 hour, a round each 15 min, fast: 1 × after 15 min, until 14 min after its end
    99 %, 1 hour, a round each 15 min, slow: 1 × after 15 min, until 29 min after its end
    99 %, 1 hour, a round each 60 min, fast: never
    99 %, 1 hour, a round each 60 min, slow: never
    99 %, 3 days, a round each 1 min, fast: 1 × after 8 min, until 4 min after its end
    99 %, 3 days, a round each 1 min, slow: 1 × after 20 min, until 28 min after its end
    99 %, 3 days, a round each 5 min, fast: 1 × after 5 min, until 4 min after its end
    99 %, 3 days, a round each 5 min, slow: 1 × after 20 min, until 29 min after its end
    99 %, 3 days, a round each 15 min, fast: 1 × after 15 min, until 14 min after its end
    99 %, 3 days, a round each 15 min, slow: 1 × after 15 min, until 29 min after its end
    99 %, 3 days, a round each 60 min, fast: never
    99 %, 3 days, a round each 60 min, slow: 1 × after 60 min, until 59 min after its end
    99.9 %, 5 minutes, a round each 1 min, fast: 1 × after 1 min, until 4 min after its end
    99.9 %, 5 minutes, a round each 1 min, slow: 1 × after 2 min, until 29 min after its end
    99.9 %, 5 minutes, a round each 5 min, fast: never
    99.9 %, 5 minutes, a round each 5 min, slow: never
    99.9 %, 5 minutes, a round each 15 min, fast: never
    99.9 %, 5 minutes, a round each 15 min, slow: never
    99.9 %, 5 minutes, a round each 60 min, fast: never
    99.9 %, 5 minutes, a round each 60 min, slow: never
    99.9 %, 1 hour, a round each 1 min, fast: 1 × after 1 min, until 4 min after its end
    99.9 %, 1 hour, a round each 1 min, slow: 1 × after 2 min, until 29 min after its end
    99.9 %, 1 hour, a round each 5 min, fast: 1 × after 5 min, until 4 min after its end
    99.9 %, 1 hour, a round each 5 min, slow: 1 × after 5 min, until 29 min after its end
    99.9 %, 1 hour, a round each 15 min, fast: 1 × after 15 min, until 14 min after its end
    99.9 %, 1 hour, a round each 15 min, slow: 1 × after 15 min, until 29 min after its end
    99.9 %, 1 hour, a round each 60 min, fast: never
    99.9 %, 1 hour, a round each 60 min, slow: never
    99.9 %, 3 days, a round each 1 min, fast: 1 × after 1 min, until 4 min after its end
    99.9 %, 3 days, a round each 1 min, slow: 1 × after 2 min, until 29 min after its end
    99.9 %, 3 days, a round each 5 min, fast: 1 × after 5 min, until 4 min after its end
    99.9 %, 3 days, a round each 5 min, slow: 1 × after 5 min, until 29 min after its end
    99.9 %, 3 days, a round each 15 min, fast: 1 × after 15 min, until 14 min after its end
    99.9 %, 3 days, a round each 15 min, slow: 1 × after 15 min, until 29 min after its end
    99.9 %, 3 days, a round each 60 min, fast: never
    99.9 %, 3 days, a round each 60 min, slow: 1 × after 60 min, until 59 min after its end
    ");
}

#[test]
fn a_single_short_round_never_raises_an_alarm() {
    for objective in [990_000, 999_000, 999_999] {
        let slo = Slo { coverage_ppm: objective, ..Slo::DEFAULT };
        for interval in [1, 5, 15, 60] {
            let data = Data::outage(interval, HOURS..HOURS + 1, 2 * HOURS);
            for (name, alarm) in &ALARMS {
                assert_eq!(data.raised(alarm, &slo, 2 * HOURS), [0; 0], "{name}, {interval} min");
            }
        }
    }
}

#[test]
fn missing_data_and_closed_windows_are_no_breach() {
    for (_, alarm) in &ALARMS {
        assert_eq!(Data::default().raised(alarm, &Slo::DEFAULT, HOURS), [0; 0]);
    }
}

/// Two short rounds are a condition, and there is none: coverage and the burn rate of the report show this.
#[test]
fn cold_pings_alone_never_raise_an_alarm() {
    let end = HOURS + 3 * DAY;
    for interval in [1, 5, 15, 60] {
        let data = Data::new(interval, end, |at| if at < HOURS { Round::Warm } else { Round::Cold });
        let (warm, window) = (Metric::WarmMinutes.name(), Metric::WindowMinutes.name());
        assert_eq!(
            (data.sum(warm, 3_600, end - 1), data.sum(window, 3_600, end - 1)),
            (Some(0.0), Some(60.0))
        );
        for (name, alarm) in &ALARMS {
            assert_eq!(data.raised(alarm, &Slo::DEFAULT, end), [0; 0], "{name}, {interval} min");
        }
    }
}

#[test]
fn an_alarm_ends_when_nothing_arrives_for_the_long_time() {
    let (from, until) = (HOURS, HOURS + 60);
    let (opened, end) = (until + DAY, until + 2 * DAY);
    let mut lines = Vec::new();
    for interval in [1, 5, 15] {
        // The window closes during the outage, and opens a day later without one.
        let data = Data::new(interval, end, |at| match at {
            at if (from..until).contains(&at) => Round::Short,
            at if (until..opened).contains(&at) => Round::Missing,
            _ => Round::Warm,
        });
        for (name, alarm) in &ALARMS {
            let raised = data.raised(alarm, &Slo::DEFAULT, end);
            let (times, after) = (times(&raised), raised.last().unwrap() - until);
            assert!(after < alarm.long.as_secs() as i64 / 60, "{name}, {interval} min");
            lines.push(format!(
                "a round each {interval} min, {name}: {times} ×, until {after} min after the data"
            ));
        }
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    a round each 1 min, fast: 1 ×, until 57 min after the data
    a round each 1 min, slow: 1 ×, until 357 min after the data
    a round each 5 min, fast: 1 ×, until 49 min after the data
    a round each 5 min, slow: 1 ×, until 349 min after the data
    a round each 15 min, fast: 1 ×, until 29 min after the data
    a round each 15 min, slow: 1 ×, until 329 min after the data
    ");
}

#[test]
fn the_expressions() {
    let watched = Watched {
        namespace: "warmd",
        dimensions: BTreeMap::new(),
        objective: "99.9",
        subject: "The fleet",
        marker: "[warmd:owner=a]",
        actions: Actions::notify(Some("arn:topic")),
    };
    let shown = burn_rate("warmd-a-fleet-fast", &BurnAlarm::FAST, &watched).map(|alarm| {
        let condition = match &alarm.condition {
            Condition::Metric(condition) => format!("{:?}", condition.queries[0].source),
            other => format!("{other:?}"),
        };
        format!(
            "{}: {}\n  {condition}, {} metrics, {:?}",
            alarm.name,
            alarm.description,
            alarm.metrics(),
            alarm.actions.alarm
        )
    });
    insta::assert_snapshot!(shown.join("\n"), @r#"
    warmd-a-fleet-fast-long: A part of warmd-a-fleet-fast: the burn rate within 1 h. [warmd:owner=a]
      Expression("IF(FILL(short, 0) + FILL(unsafe, 0) >= 2, 100 * (window - FILL(warm, 0)) / window / (100 - 99.9), 0)"), 4 metrics, []
    warmd-a-fleet-fast-short: A part of warmd-a-fleet-fast: the burn rate within 5 min. [warmd:owner=a]
      Expression("100 * (window - FILL(warm, 0)) / window / (100 - 99.9)"), 2 metrics, []
    warmd-a-fleet-fast: The fleet: the error budget of coverage (objective 99.9 %) burns more than 13.4 times too fast, within 1 h and within 5 min, with at least 2 short or unsafe rounds. [warmd:owner=a]
      Composite("ALARM(\"warmd-a-fleet-fast-long\") AND ALARM(\"warmd-a-fleet-fast-short\")"), 0 metrics, ["arn:topic"]
    "#);
}
