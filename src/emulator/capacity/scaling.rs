//! The numbers of environments of a version on managed instances. It is pure: time is an argument.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::errors::ErrorResponse;

/// The highest number. Source: Lambda's service model.
const MOST: u32 = 15_000;

/// A minimum and a maximum number of environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub min: u32,
    pub max: u32,
}

impl Numbers {
    /// Validates the numbers of a request.
    ///
    /// # Errors
    /// Lambda's refusal.
    pub(super) fn new(min: Option<i64>, max: Option<i64>) -> Result<Self, ErrorResponse> {
        let number = |name: &str, number: Option<i64>| {
            let Some(number) = number else {
                let message =
                    "MinExecutionEnvironments and MaxExecutionEnvironments must be specified together.";
                return Err(ErrorResponse::invalid(message));
            };
            u32::try_from(number).ok().filter(|number| *number <= MOST).ok_or_else(|| {
                let limit =
                    if number < 0 { "greater than or equal to 0" } else { "less than or equal to 15000" };
                ErrorResponse::constraint(number, name, &format!("Member must have value {limit}"))
            })
        };
        let min = number("functionScalingConfig.minExecutionEnvironments", min)?;
        let max = number("functionScalingConfig.maxExecutionEnvironments", max)?;
        if min > max {
            let message = "MinExecutionEnvironments must be less than or equal to MaxExecutionEnvironments.";
            return Err(ErrorResponse::invalid(message));
        }
        if min == 0 && max > 0 {
            let message = "MinExecutionEnvironments can be 0 only when MaxExecutionEnvironments is 0.";
            return Err(ErrorResponse::invalid(message));
        }
        Ok(Self { min, max })
    }

    fn json(self) -> Value {
        json!({ "MinExecutionEnvironments": self.min, "MaxExecutionEnvironments": self.max })
    }
}

/// The requested and the applied numbers.
#[derive(Debug, Default)]
pub(super) struct Scaling {
    requested: Option<Numbers>,
    applied: Option<Numbers>,
    until: Duration,
}

impl Scaling {
    /// Requests numbers at `at`. They are applied after the time `prepare`.
    pub(super) fn request(&mut self, at: Duration, numbers: Numbers, prepare: Duration) {
        self.advance(at);
        (self.requested, self.until) = (Some(numbers), at + prepare);
    }

    fn advance(&mut self, now: Duration) {
        if self.until <= now {
            self.applied = self.requested;
        }
    }

    /// Returns the requested and the applied numbers at `now`, each with minimum and maximum.
    pub(super) fn numbers(&mut self, now: Duration) -> [Option<(u32, u32)>; 2] {
        self.advance(now);
        [self.requested, self.applied].map(|numbers| numbers.map(|Numbers { min, max }| (min, max)))
    }

    /// Returns the body of an answer about the version with this ARN.
    pub(super) fn json(&mut self, now: Duration, arn: &str) -> Value {
        self.advance(now);
        let mut body = json!({ "FunctionArn": arn });
        let parts = [("Requested", self.requested), ("Applied", self.applied)];
        for (name, numbers) in parts.into_iter().filter_map(|(name, numbers)| Some((name, numbers?))) {
            body[format!("{name}FunctionScalingConfig")] = numbers.json();
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_are_needed_and_zero_is_for_both() {
        for (min, max, is_valid) in [
            (Some(3), Some(100), true),
            (Some(0), Some(0), true),
            (Some(15_000), Some(15_000), true),
            (Some(0), Some(3), false),
            (Some(4), Some(3), false),
            (Some(3), None, false),
            (None, Some(3), false),
            (Some(-1), Some(3), false),
            (Some(1), Some(15_001), false),
            (Some(1), Some(i64::MAX), false),
        ] {
            assert_eq!(Numbers::new(min, max).is_ok(), is_valid, "{min:?} {max:?}");
        }
    }

    #[test]
    fn requested_numbers_are_applied_after_a_time() {
        let s = Duration::from_secs;
        let numbers = |min, max| Numbers::new(Some(min), Some(max)).unwrap();
        let mut scaling = Scaling::default();
        assert_eq!(scaling.numbers(s(1)), [None, None]);
        scaling.request(s(10), numbers(3, 9), s(60));
        assert_eq!(scaling.numbers(s(69)), [Some((3, 9)), None]);
        scaling.request(s(80), numbers(5, 9), s(60));
        assert_eq!(scaling.numbers(s(90)), [Some((5, 9)), Some((3, 9))]);
        assert_eq!(scaling.numbers(s(140)), [Some((5, 9)); 2]);
    }
}
