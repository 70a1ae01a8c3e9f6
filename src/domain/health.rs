//! The health of the daemon: whether its ticks continue.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// The condition of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// No tick has reported yet, and the first is not late.
    Starting,
    /// Ticks report in time.
    Ok,
    /// A tick should have reported, and has not.
    Stale,
    /// The daemon was asked to stop: no more ticks are expected.
    Stopping,
}

impl Condition {
    /// Returns the name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ok => "ok",
            Self::Stale => "stale",
            Self::Stopping => "stopping",
        }
    }

    /// Returns false if ticks have stopped without being asked to: the process should be restarted.
    pub fn is_healthy(self) -> bool {
        self != Self::Stale
    }
}

/// The reports of ticks until now. Its times are durations since the start of the process on a monotonic clock, because
/// ticks continue when the wall clock is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    /// The time of the last tick that has reported.
    last_tick: Option<DateTime<Utc>>,
    /// The time by which the next tick must have reported; none if no tick follows.
    next_until: Option<Duration>,
    /// The longest time from a firing to the report of its tick.
    longest: Duration,
}

impl Reports {
    /// Creates a record without reports. The first tick is immediate. `longest` is the longest time from a firing to
    /// the report of its tick.
    pub fn new(longest: Duration) -> Self {
        Self { last_tick: None, next_until: Some(longest), longest }
    }

    /// Notes the report of a tick. `uptime` and `now` are the same moment on both clocks.
    pub fn note(&mut self, tick: DateTime<Utc>, cron: &cron::Schedule, now: DateTime<Utc>, uptime: Duration) {
        self.last_tick = Some(tick);
        let left =
            cron.after(&now).next().map(|next| next.signed_duration_since(now).to_std().unwrap_or_default());
        self.next_until = left.map(|left| uptime.saturating_add(left).saturating_add(self.longest));
    }

    /// Returns the time of the last tick that has reported.
    pub fn last_tick(&self) -> Option<DateTime<Utc>> {
        self.last_tick
    }

    /// Returns the condition at `uptime`.
    pub fn condition(&self, uptime: Duration, is_stopping: bool) -> Condition {
        match (is_stopping, self.next_until, self.last_tick) {
            (true, ..) => Condition::Stopping,
            (_, Some(until), _) if uptime > until => Condition::Stale,
            (.., None) => Condition::Starting,
            (.., Some(_)) => Condition::Ok,
        }
    }
}

/// An error in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedError {
    /// The time of the error.
    pub at: DateTime<Utc>,
    /// The message with its fields.
    pub message: String,
}

/// The answer to a question about the health. Its JSON keys are a contract with users' scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The condition.
    pub condition: Condition,
    /// The time of the last tick that has reported.
    pub last_tick: Option<DateTime<Utc>>,
    /// The last error of warmd in the log since its start.
    pub last_error: Option<LoggedError>,
    /// The hash of the configuration in use.
    pub config: String,
    /// The time for which the configuration in use has been older than its source.
    pub config_age: Duration,
}

impl Health {
    /// Returns the JSON object.
    pub fn json(&self) -> Value {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let error = |error: &LoggedError| json!({ "at": time(error.at), "message": error.message });
        json!({
            "status": self.condition.as_str(),
            "last_tick": self.last_tick.map(time),
            "last_error": self.last_error.as_ref().map(error),
            "config": self.config,
            "config_age_seconds": self.config_age.as_secs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(120);

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-11-20T{time}Z").parse().unwrap()
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn before_the_first_report_the_daemon_starts_for_the_longest_tick() {
        let reports = Reports::new(LONGEST);
        assert_eq!(reports.condition(LONGEST, false), Condition::Starting);
        assert_eq!(reports.condition(LONGEST + seconds(1), false), Condition::Stale);
        assert_eq!(reports.condition(LONGEST + seconds(1), true), Condition::Stopping);
    }

    #[test]
    fn ticks_are_stale_when_the_next_firing_and_the_longest_tick_have_passed() {
        for (cron, next) in
            [("0 * * * * *", 50), ("0 0 * * * *", 3_590), ("0 30 9 * * Mon", 3 * 86_400 + 1_790)]
        {
            let mut reports = Reports::new(LONGEST);
            reports.note(at("09:00:00"), &cron.parse().unwrap(), at("09:00:10"), seconds(1_000));
            let until = seconds(1_000 + next) + LONGEST;
            assert_eq!(reports.condition(until, false), Condition::Ok, "{cron}");
            assert_eq!(
                reports.condition(until + Duration::from_millis(1), false),
                Condition::Stale,
                "{cron}"
            );
        }
    }

    #[test]
    fn a_late_report_ends_the_stale_condition_and_a_last_firing_never_begins_it() {
        let mut reports = Reports::new(LONGEST);
        let every_minute = "0 * * * * *".parse().unwrap();
        reports.note(at("09:00:00"), &every_minute, at("09:59:30"), seconds(9_000));
        assert_eq!(reports.condition(seconds(9_000), false), Condition::Ok);
        let once = "0 0 9 20 11 * 2026".parse().unwrap();
        reports.note(at("09:00:00"), &once, at("09:00:01"), seconds(9_000));
        assert_eq!(reports.condition(Duration::MAX, false), Condition::Ok);
        reports.note(at("09:00:00"), &every_minute, at("09:00:01"), Duration::MAX);
        assert_eq!(reports.condition(Duration::MAX, false), Condition::Ok, "nothing overflows");
    }

    #[test]
    fn the_json_object_has_every_key() {
        let health = Health {
            condition: Condition::Ok,
            last_tick: Some(at("09:00:00")),
            last_error: Some(LoggedError {
                at: at("08:59:01.5"),
                message: "StateUnavailable: \"x\"".to_owned(),
            }),
            config: "30a69159".to_owned(),
            config_age: Duration::from_millis(90_400),
        };
        insta::assert_snapshot!(health.json(), @r#"{"status":"ok","last_tick":"2026-11-20T09:00:00Z","last_error":{"at":"2026-11-20T08:59:01Z","message":"StateUnavailable: \"x\""},"config":"30a69159","config_age_seconds":90}"#);
        let new = Health { last_tick: None, last_error: None, config_age: Duration::ZERO, ..health };
        insta::assert_snapshot!(Health { condition: Condition::Starting, ..new }.json(), @r#"{"status":"starting","last_tick":null,"last_error":null,"config":"30a69159","config_age_seconds":0}"#);
    }
}
