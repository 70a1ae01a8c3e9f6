//! Backlogs of functions, and the limits of Warm Requests.

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;

use super::super::reader::At;
use super::super::values::DrainTime;
use super::super::wire::{BacklogKeys, FunctionKeys, MetricSourceKeys, OnRequestKeys};
use super::{Capacity, Location, Resolver, RoundSize};
use crate::domain::backlog::{DEFAULT_HOLD, Metric, Rule};
use crate::domain::fleet::OnRequest;
use crate::domain::text::elapsed;

/// The default time in which several requests count as one.
const DEFAULT_COALESCE: Duration = Duration::from_secs(60);

impl Resolver<'_, '_> {
    /// Returns the backlog of a function. Its rounds count towards the cap, like those of windows.
    pub(super) fn backlog(
        &mut self,
        file: usize,
        keys: &FunctionKeys,
        spare: u32,
        capacity: Capacity,
    ) -> Option<Rule> {
        let BacklogKeys { metric: source, rate, drain, max, has_errors: _ } = &*keys.backlog.as_ref()?.value;
        let max = max.as_ref()?;
        self.request_size(("max", Location { file, span: max.span }), max.value.0, spare, capacity);
        let per_environment = in_time(rate.as_ref()?.value.0, &drain.as_ref()?.value);
        let metric = metric(&source.as_ref()?.value)?;
        Some(Rule { metric, per_environment, max: max.value.0, pipeline: None })
    }

    /// Returns the limits of requests of a function.
    pub(super) fn on_request(
        &mut self,
        file: usize,
        keys: &FunctionKeys,
        spare: u32,
        capacity: Capacity,
    ) -> Option<OnRequest> {
        let (rule, location) = self.request_limits(file, keys.on_request.as_ref())?;
        self.request_size(("max_concurrency", location), rule.max_concurrency, spare, capacity);
        Some(rule)
    }

    /// Returns limits of requests, with the location of the number.
    pub(super) fn request_limits(
        &mut self,
        file: usize,
        keys: Option<&At<OnRequestKeys>>,
    ) -> Option<(OnRequest, Location)> {
        let OnRequestKeys { max_concurrency, max_for, coalesce, hold_for, has_errors: _ } = &keys?.value;
        if let (Some(hold), Some(most)) = (hold_for, max_for)
            && hold.value.0 > most.value.0
        {
            let (hold_for, max_for) = (elapsed(hold.value.0), elapsed(most.value.0));
            let message = format!("\"hold_for\" ({hold_for}) must not be above \"max_for\" ({max_for})");
            self.fail::<()>(Location { file, span: hold.span }, message, "lower it, or raise `max_for`");
        }
        let (max_concurrency, max_for) = (max_concurrency.as_ref()?, max_for.as_ref()?.value.0);
        let rule = OnRequest {
            max_concurrency: max_concurrency.value.0,
            max_for,
            coalesce: coalesce.as_ref().map_or(DEFAULT_COALESCE, |at| at.value.0),
            hold_for: hold_for.as_ref().map_or(DEFAULT_HOLD.min(max_for), |at| at.value.0),
        };
        Some((rule, Location { file, span: max_concurrency.span }))
    }

    /// Notes the number of a request or a backlog, which includes the spare environments.
    fn request_size(
        &mut self,
        (key, location): (&str, Location),
        concurrency: u32,
        spare: u32,
        capacity: Capacity,
    ) {
        self.check_above_spare((key, location), concurrency, spare);
        self.round_sizes.push(RoundSize { location, concurrency, spare: 0, capacity, of: None });
    }

    /// Reports a number of a request or a backlog that leaves nothing beside the spare environments.
    pub(super) fn check_above_spare(
        &mut self,
        (key, location): (&str, Location),
        concurrency: u32,
        spare: u32,
    ) {
        if concurrency <= spare {
            let message = format!("\"{key}\" must be above \"spare\" ({spare})");
            let what = if key == "max" { "backlog" } else { "request" };
            let hint = format!("raise it: the environments of a {what} include the spare ones");
            self.fail::<()>(location, message, &hint);
        }
    }
}

/// Returns the requests that one environment works off in time.
pub(super) fn in_time(rate: Decimal, drain: &DrainTime) -> Decimal {
    // The limits of both keep the product within the type.
    rate.checked_mul(drain.0.as_secs().into()).unwrap_or(Decimal::MAX)
}

/// Returns a metric; `None` for one with errors.
pub(super) fn metric(keys: &MetricSourceKeys) -> Option<Arc<Metric>> {
    let MetricSourceKeys { namespace, name, dimensions, statistic, has_errors } = keys;
    let metric = Metric {
        namespace: namespace.as_ref()?.value.0.clone(),
        name: name.as_ref()?.value.0.clone(),
        dimensions: dimensions.as_ref().map(|at| at.value.0.clone()).unwrap_or_default(),
        statistic: statistic.as_ref().map(|at| at.value).unwrap_or_default().0,
    };
    (!has_errors).then(|| Arc::new(metric))
}
