//! The response to an invocation that ran.

use super::super::execution::{Execution, HandlerOutcome};
use super::super::log;
use super::super::pool::Assignment;
use super::super::profile::{Ids, LogFormat, Preset};
use super::*;

impl Invoke<'_> {
    /// Returns the name of an environment, in the handler's answer and in the observations.
    ///
    /// An environment with several concurrent invocations consists of consecutive places of the pool.
    pub(super) fn environment_name(&self, assignment: Assignment) -> String {
        let number = assignment.environment.div_ceil(u64::from(self.profile.at_once.get()));
        format!("env-{number:06}")
    }

    /// Returns `AWS_LAMBDA_INITIALIZATION_TYPE` of an environment of the function.
    pub(super) fn initialization(&self, is_provisioned: bool) -> &'static str {
        if is_provisioned {
            "provisioned-concurrency"
        } else if self.profile.at_once.get() > 1 {
            "lambda-managed-instances"
        } else if self.profile.restore.is_some() && !self.plan.version.starts_with('$') {
            "snap-start"
        } else {
            "on-demand"
        }
    }

    /// Returns the body: the handler's answer, or the error that Lambda or the runtime writes.
    pub(super) fn body(&self, executed: &Executed, preset: Option<Preset>) -> Value {
        let Executed { execution, assignment, initialization, .. } = executed;
        let request_id = &self.plan.request_id;
        let outcome = &execution.outcome;
        let message = match (outcome, preset) {
            (HandlerOutcome::Success, Some(preset)) => {
                let id = match self.profile.ids {
                    Ids::Environments => self.environment_name(*assignment),
                    Ids::Invocations => format!("run-{:06}", self.plan.count),
                };
                return handler::answer(preset, &id, initialization);
            }
            (HandlerOutcome::Success, None) => return json!({ "statusCode": 200 }),
            (HandlerOutcome::Error(_), _) => log::INJECTED_FAILURE.to_owned(),
            (HandlerOutcome::Crash(_), _) => {
                format!("RequestId: {request_id} Error: Runtime exited with error: exit status 1")
            }
            (HandlerOutcome::Timeout, _) => {
                let seconds = execution.duration.as_secs_f64();
                format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds")
            }
        };
        json!({ "errorMessage": message, "errorType": outcome.error_type() })
    }

    /// Returns the response with its headers.
    pub(super) fn success(&self, execution: &Execution, body: &Value) -> HttpResponse {
        let plan = &self.plan;
        let trace = format!("Root=1-{};Sampled=0", plan.request_id.get(..8).unwrap_or_default());
        let mut headers = vec![
            ("x-amzn-requestid", plan.request_id.as_str()),
            ("x-amz-executed-version", plan.version.as_str()),
            ("x-amzn-trace-id", trace.as_str()),
        ];
        if execution.outcome != HandlerOutcome::Success {
            // Lambda reports every error as unhandled since runtimes report their errors themselves.
            headers.push(("x-amz-function-error", "Unhandled"));
        }
        let durable = self.is_durable().then(|| {
            let arn = Reference { qualifier: Some(plan.version.clone()), ..self.reference.clone() }.arn();
            format!("{arn}/durable-execution/{id}/{id}", id = plan.request_id)
        });
        if let Some(durable) = &durable {
            headers.push(("x-amz-durable-execution-arn", durable));
        }
        let log = self.log_result(execution);
        if let Some(log) = &log {
            headers.push(("x-amz-log-result", log));
        }
        response(200, "application/json", body.to_string().into_bytes(), &headers)
    }

    /// Returns true when every invocation starts a durable execution.
    pub(super) fn is_durable(&self) -> bool {
        self.profile.configuration.get("DurableConfig").is_some_and(|config| !config.is_null())
    }

    /// Returns the log tail, if the caller requests it.
    fn log_result(&self, execution: &Execution) -> Option<String> {
        let Self { call, profile, plan, .. } = self;
        let is_wanted = call.header("x-amz-log-type") == Some("Tail") && profile.log != LogFormat::Silent;
        if !is_wanted || plan.faults.contains(&FaultKind::NoLog) {
            return None;
        }
        if plan.faults.contains(&FaultKind::GarbageLog) {
            // Alternates between text that is not base64, and base64 of something that begins like a REPORT.
            return Some(match plan.count.is_multiple_of(2) {
                false => "*** not base64 ***".to_owned(),
                true => STANDARD.encode(b"REPORT RequestId: \xff\xfe\tDuration: NaN ms\tBilled Duration: -1"),
            });
        }
        let request_id = match plan.faults.contains(&FaultKind::ForeignReport) {
            true => "00000000-0000-4000-8000-000000000000",
            false => &plan.request_id,
        };
        let context =
            log::Context { request_id, version: &plan.version, time: call.time().unwrap_or_default() };
        Some(log::tail(execution, profile, context))
    }
}
