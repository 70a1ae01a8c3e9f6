//! The limits of Lambda and SQS that a plan may exceed.

use super::course::Burst;
use super::money::{By, Pricing, invocation_ms};
use super::policies::{Plan, Policy};
use crate::domain::capacity::REQUESTS_PER_ENVIRONMENT;
use crate::domain::text::{count, grouped};

/// The environments that Lambda adds to a function in each [`SCALING_SECONDS`]. Source: AWS Lambda Developer Guide,
/// "Understanding Lambda function scaling", concurrency scaling rate.
const SCALING: u64 = 1_000;
/// The seconds of the scaling rate. Same source.
const SCALING_SECONDS: usize = 10;
/// The concurrency of an account in a region by default. Source: AWS Lambda quotas.
const ACCOUNT: u64 = 1_000;
/// The longest time of an invocation in milliseconds. Source: AWS Lambda quotas.
const LONGEST_MS: u64 = 900_000;
/// The time in seconds in which Lambda prepares provisioned concurrency: a minute or two. Source: AWS Lambda Developer
/// Guide, "Configuring provisioned concurrency for a function".
const PREPARATION: usize = 120;
/// The concurrent invocations with which an SQS event source begins. Source: AWS Lambda Developer Guide, "Configuring
/// scaling behavior for SQS event source mappings".
const SQS_FIRST: u64 = 5;
/// The concurrent invocations that an SQS event source adds in a minute. Same source.
const SQS_PER_MINUTE: u64 = 300;
/// The messages of a standard queue that may be in flight: received and not yet deleted. Source: Amazon SQS quotas.
const SQS_IN_FLIGHT: u64 = 120_000;

/// The source of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Synchronous invocations.
    Sync,
    /// Asynchronous invocations.
    Async,
    /// An event source mapping of an SQS queue, which invokes synchronously.
    Sqs,
}

impl Source {
    /// All sources with their names.
    pub const NAMES: [(Self, &'static str); 3] =
        [(Self::Sync, "sync"), (Self::Async, "async"), (Self::Sqs, "sqs")];

    /// Returns the name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(source, _)| *source == self).map_or("", |(_, name)| name)
    }
}

/// A limit that a plan exceeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The limit: `scaling-rate`, `account-concurrency`, `requests-per-environment`, `invocation-time`,
    /// `provisioned-preparation`, `sqs-scaling` or `sqs-in-flight`.
    pub limit: &'static str,
    /// The numbers, in one sentence.
    pub message: String,
}

/// Returns the limits that `plan` exceeds.
pub fn warnings(plan: &Plan, burst: &Burst, pricing: &Pricing<'_>, source: Source) -> Vec<Warning> {
    let is_provisioned = pricing.by == By::Provisioned && plan.policy != Policy::None;
    let mut warnings = Vec::new();
    let mut warn = |limit, message: Option<String>| {
        warnings.extend(message.map(|message| Warning { limit, message }));
    };
    if is_provisioned {
        let message = (burst.launch < PREPARATION).then(|| {
            format!(
                "provisioned concurrency takes a minute or two to prepare, --launch is {} s: plan with --launch 2m, or \
                 enable it before the burst",
                burst.launch
            )
        });
        warn("provisioned-preparation", message);
    } else {
        warn("scaling-rate", scaling_rate(plan));
    }
    let most = plan.most();
    let above_account = (most > ACCOUNT).then(|| {
        format!(
            "{} at once: an account has a concurrency of {} in a region by default",
            count(most, "environment"),
            grouped(ACCOUNT)
        )
    });
    warn("account-concurrency", above_account);
    if source != Source::Async || is_provisioned {
        warn("requests-per-environment", per_environment(burst, pricing, is_provisioned));
    }
    let ms = invocation_ms(burst, pricing.per_invocation);
    let too_long = (ms > LONGEST_MS).then(|| {
        format!(
            "{} take an environment {} s, an invocation may take 900 s",
            count(pricing.per_invocation, "request"),
            grouped(ms.div_ceil(1_000))
        )
    });
    warn("invocation-time", too_long);
    if source == Source::Sqs {
        warn("sqs-scaling", sqs_scaling(plan, burst));
        let in_use = plan.course.in_use.iter().copied().max().unwrap_or(0);
        let in_flight = in_use.saturating_mul(pricing.per_invocation);
        let message = (in_flight > SQS_IN_FLIGHT).then(|| {
            format!(
                "{} with {} each have {} messages in flight, a queue may have {}",
                count(in_use, "environment"),
                count(pricing.per_invocation, "request"),
                grouped(in_flight),
                grouped(SQS_IN_FLIGHT)
            )
        });
        warn("sqs-in-flight", message);
    }
    warnings
}

fn scaling_rate(plan: &Plan) -> Option<String> {
    let mut rises: Vec<u64> = vec![0; SCALING_SECONDS];
    let before = std::iter::once(&0).chain(&plan.kept);
    rises.extend(before.zip(&plan.kept).map(|(before, after)| after.saturating_sub(*before)));
    let sums = rises
        .windows(SCALING_SECONDS)
        .map(|window| window.iter().fold(0, |sum, rise| rise.saturating_add(sum)));
    let most = sums.max().filter(|most| *most > SCALING)?;
    let earlier = (most.div_ceil(SCALING) - 1).saturating_mul(SCALING_SECONDS as u64);
    Some(format!(
        "{} are launched within {SCALING_SECONDS} s, Lambda adds {} to a function in this time: launch them {} s earlier",
        count(most, "environment"),
        grouped(SCALING),
        grouped(earlier)
    ))
}

fn per_environment(burst: &Burst, pricing: &Pricing<'_>, is_provisioned: bool) -> Option<String> {
    let limit = u64::from(REQUESTS_PER_ENVIRONMENT);
    let one = burst.rate.per_request * limit;
    let needed = burst.rate.parts.div_ceil(one);
    let beyond = if is_provisioned {
        "further ones go to on-demand environments"
    } else {
        "further ones are throttled"
    };
    (needed > pricing.per_invocation).then(|| {
        format!(
            "an environment takes {limit} invocations a second, {beyond}: --rate {} needs \
             --requests-per-invocation {needed}, not {}",
            burst.rate, pricing.per_invocation
        )
    })
}

fn sqs_scaling(plan: &Plan, burst: &Burst) -> Option<String> {
    // The poller begins with the first message.
    let begin = (1..=burst.arrivals.seconds()).find(|second| burst.arrivals.by(*second) > 0)? - 1;
    let reach = |second: usize| SQS_FIRST + SQS_PER_MINUTE * second.saturating_sub(begin) as u64 / 60;
    let (second, number) =
        (1..).zip(&plan.course.in_use).find(|(second, number)| **number > reach(*second))?;
    let reached = begin as u64 + number.saturating_sub(SQS_FIRST).saturating_mul(60).div_ceil(SQS_PER_MINUTE);
    Some(format!(
        "{} at second {second} cannot be reached from SQS: an event source begins with {SQS_FIRST} concurrent invocations \
         and adds {SQS_PER_MINUTE} a minute, which is {} at second {second} and {} at second {}",
        count(*number, "environment"),
        reach(second),
        grouped(*number),
        grouped(reached)
    ))
}
