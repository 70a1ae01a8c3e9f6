//! The log tail of an execution, in Lambda's formats.

use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::execution::{Execution, HandlerOutcome};
use super::profile::{LogFormat, Profile};

/// The values of a log that are not part of the execution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// The version that executed.
    pub version: &'a str,
    /// The caller's time.
    pub time: DateTime<Utc>,
}

/// The size of the log tail, bytes.
const TAIL: usize = 4096;

/// The message of a handler that fails because of a fault of the scenario.
pub(super) const INJECTED_FAILURE: &str = "the scenario makes this invocation fail";

/// Returns the value of `X-Amz-Log-Result`: the last 4 KB of the log in base64.
pub(super) fn tail(execution: &Execution, profile: &Profile, context: Context<'_>) -> String {
    let log = match profile.log {
        LogFormat::Text => text(execution, profile, context),
        LogFormat::Json => records(execution, profile, context),
        LogFormat::Silent => String::new(),
    };
    let bytes = log.as_bytes();
    STANDARD.encode(bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or_default())
}

/// Formats milliseconds with two decimals, like REPORT. Rounds down, so that a printed duration never exceeds the true
/// one.
fn hundredths(duration: Duration) -> String {
    let hundredths = duration.as_micros() / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Returns a time as log records have it.
fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

/// Returns a plausible value for REPORT. Nothing depends on it.
fn memory_used(profile: &Profile) -> u32 {
    (profile.memory_mb / 8).clamp(16, profile.memory_mb.max(16))
}

/// Returns the status and the error type in REPORT; `None` for a success.
fn failure(outcome: &HandlerOutcome) -> Option<(&'static str, Option<&str>)> {
    match outcome {
        // For the platform, an error that the runtime caught is a success.
        HandlerOutcome::Success | HandlerOutcome::Error(_) => None,
        HandlerOutcome::Crash(error_type) => Some(("error", Some(error_type))),
        HandlerOutcome::Timeout => Some(("timeout", None)),
    }
}

/// Returns the handler's own log lines.
fn chatter(profile: &Profile) -> String {
    const LINE: &str = "a line of the handler's own about this request\n";
    let mut lines = LINE.repeat(profile.chatter.div_ceil(LINE.len()));
    lines.truncate(profile.chatter);
    lines
}

/// Returns the log in Lambda's plain text format. Writing to a String does not fail, so `write!` results are ignored.
fn text(execution: &Execution, profile: &Profile, context: Context<'_>) -> String {
    let Context { request_id, version, time } = context;
    let mut log = String::with_capacity(512);
    if let Some(init) = execution.init_timeout {
        let _ =
            writeln!(log, "INIT_REPORT Init Duration: {} ms\tPhase: init\tStatus: timeout", hundredths(init));
    }
    let _ = writeln!(log, "START RequestId: {request_id} Version: {version}");
    log.push_str(&chatter(profile));
    if !log.ends_with('\n') {
        log.push('\n');
    }
    match &execution.outcome {
        HandlerOutcome::Success => {}
        HandlerOutcome::Error(error_type) => {
            let _ = writeln!(log, "[ERROR] {error_type}: {INJECTED_FAILURE}");
        }
        HandlerOutcome::Crash(_) => {
            let _ =
                writeln!(log, "RequestId: {request_id} Error: Runtime exited with error: exit status 1\n");
        }
        HandlerOutcome::Timeout => {
            let seconds = execution.duration.as_secs_f64();
            let time = timestamp(time);
            let _ = writeln!(log, "{time} {request_id} Task timed out after {seconds:.2} seconds\n");
        }
    }
    let _ = writeln!(log, "END RequestId: {request_id}");
    let _ = write!(
        log,
        "REPORT RequestId: {request_id}\tDuration: {} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory \
         Used: {} MB\t",
        hundredths(execution.duration),
        execution.billed_ms,
        profile.memory_mb,
        memory_used(profile)
    );
    if let Some(init) = execution.init {
        let _ = write!(log, "Init Duration: {} ms\t", hundredths(init));
    }
    if let Some((restore, billed_ms)) = execution.restore {
        let _ = write!(
            log,
            "Restore Duration: {} ms\tBilled Restore Duration: {billed_ms} ms\t",
            hundredths(restore)
        );
    }
    if let Some((status, error_type)) = failure(&execution.outcome) {
        let _ = write!(log, "Status: {status}\t");
        if let Some(error_type) = error_type {
            let _ = write!(log, "Error Type: {error_type}\t");
        }
    }
    log.push('\n');
    if profile.xray {
        let (trace, segment) = trace(request_id);
        let _ = writeln!(log, "XRAY TraceId: {trace}\tSegmentId: {segment}\tSampled: true\t");
    }
    log
}

/// Returns the log in Lambda's JSON format, one record per line.
fn records(execution: &Execution, profile: &Profile, context: Context<'_>) -> String {
    let Context { request_id, version, time } = context;
    let time = timestamp(time);
    let mut metrics = json!({
        "durationMs": millis(execution.duration),
        "billedDurationMs": execution.billed_ms,
        "memorySizeMB": profile.memory_mb,
        "maxMemoryUsedMB": memory_used(profile),
    });
    if let Some(init) = execution.init {
        metrics["initDurationMs"] = json!(millis(init));
    }
    if let Some((restore, billed_ms)) = execution.restore {
        metrics["restoreDurationMs"] = json!(millis(restore));
        metrics["billedRestoreDurationMs"] = json!(billed_ms);
    }
    let (status, error_type) = failure(&execution.outcome).unwrap_or(("success", None));
    let mut report = json!({ "requestId": request_id, "metrics": metrics, "status": status });
    if let Some(error_type) = error_type {
        report["errorType"] = json!(error_type);
    }
    if profile.xray {
        let (trace, segment) = trace(request_id);
        report["tracing"] = json!({ "spanId": segment, "type": "X-Amzn-Trace-Id",
            "value": format!("Root={trace};Parent={segment};Sampled=1") });
    }
    let line =
        |kind: &str, record: Value| json!({ "time": time, "type": kind, "record": record }).to_string();
    let mut log = String::with_capacity(512);
    if let Some(init) = execution.init_timeout {
        let record = json!({ "initializationType": "on-demand", "phase": "init", "status": "timeout",
            "metrics": { "durationMs": millis(init) } });
        let _ = writeln!(log, "{}", line("platform.initReport", record));
    }
    let _ =
        writeln!(log, "{}", line("platform.start", json!({ "requestId": request_id, "version": version })));
    for message in chatter(profile).lines() {
        let _ = writeln!(
            log,
            "{}",
            json!({ "timestamp": time, "level": "INFO", "message": message, "requestId": request_id })
        );
    }
    let _ = writeln!(log, "{}", line("platform.report", report));
    log
}

/// Derives a trace id and a segment id from the request id.
fn trace(request_id: &str) -> (String, String) {
    let hex: String = request_id.chars().filter(char::is_ascii_hexdigit).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or("0").to_owned();
    (format!("1-{}-{}", part(0, 8), part(8, 32)), part(16, 32))
}

#[cfg(test)]
mod tests {
    use super::super::execution::Start;
    use super::*;

    fn execution() -> Execution {
        Execution {
            start: Start::Cold,
            from: Duration::ZERO,
            answered: Duration::ZERO,
            until: Duration::ZERO,
            duration: Duration::from_micros(1169),
            init: Some(Duration::from_micros(31_200)),
            restore: None,
            init_timeout: None,
            billed_ms: 33,
            outcome: HandlerOutcome::Success,
        }
    }

    fn shown(execution: &Execution, profile: &Profile) -> String {
        let context =
            Context { request_id: "93bcbe8c-1", version: "7", time: "2026-11-20T09:00:00Z".parse().unwrap() };
        let bytes = STANDARD.decode(tail(execution, profile, context)).unwrap();
        String::from_utf8(bytes).unwrap().replace('\t', "<tab>")
    }

    fn profile() -> Profile {
        Profile { memory_mb: 128, ..Profile::python() }
    }

    #[test]
    fn a_cold_start() {
        insta::assert_snapshot!(shown(&execution(), &profile()), @r"
        START RequestId: 93bcbe8c-1 Version: 7
        END RequestId: 93bcbe8c-1
        REPORT RequestId: 93bcbe8c-1<tab>Duration: 1.16 ms<tab>Billed Duration: 33 ms<tab>Memory Size: 128 MB<tab>Max Memory Used: 16 MB<tab>Init Duration: 31.20 ms<tab>
        ");
    }

    #[test]
    fn a_restore_with_a_trace() {
        let restored =
            Execution { init: None, restore: Some((Duration::from_micros(511_250), 303)), ..execution() };
        insta::assert_snapshot!(shown(&restored, &Profile { xray: true, ..profile() }), @r"
        START RequestId: 93bcbe8c-1 Version: 7
        END RequestId: 93bcbe8c-1
        REPORT RequestId: 93bcbe8c-1<tab>Duration: 1.16 ms<tab>Billed Duration: 33 ms<tab>Memory Size: 128 MB<tab>Max Memory Used: 16 MB<tab>Restore Duration: 511.25 ms<tab>Billed Restore Duration: 303 ms<tab>
        XRAY TraceId: 1-93bcbe8c-0<tab>SegmentId: 0<tab>Sampled: true<tab>
        ");
    }

    #[test]
    fn a_timeout_and_a_crash() {
        let timeout = Execution {
            outcome: HandlerOutcome::Timeout,
            duration: Duration::from_micros(3_016_780),
            ..execution()
        };
        insta::assert_snapshot!(shown(&timeout, &profile()), @r"
        START RequestId: 93bcbe8c-1 Version: 7
        2026-11-20T09:00:00.000Z 93bcbe8c-1 Task timed out after 3.02 seconds

        END RequestId: 93bcbe8c-1
        REPORT RequestId: 93bcbe8c-1<tab>Duration: 3016.78 ms<tab>Billed Duration: 33 ms<tab>Memory Size: 128 MB<tab>Max Memory Used: 16 MB<tab>Init Duration: 31.20 ms<tab>Status: timeout<tab>
        ");
        let crash =
            Execution { outcome: HandlerOutcome::Crash("Runtime.ExitError".to_owned()), ..execution() };
        assert!(
            shown(&crash, &profile()).ends_with("Status: error<tab>Error Type: Runtime.ExitError<tab>\n")
        );
    }

    #[test]
    fn json_records() {
        let timed_out = Execution {
            init: None,
            init_timeout: Some(Duration::from_secs(10)),
            outcome: HandlerOutcome::Timeout,
            ..execution()
        };
        insta::assert_snapshot!(shown(&timed_out, &Profile { log: LogFormat::Json, ..profile() }), @r#"
        {"time":"2026-11-20T09:00:00.000Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"timeout","metrics":{"durationMs":10000.0}}}
        {"time":"2026-11-20T09:00:00.000Z","type":"platform.start","record":{"requestId":"93bcbe8c-1","version":"7"}}
        {"time":"2026-11-20T09:00:00.000Z","type":"platform.report","record":{"requestId":"93bcbe8c-1","metrics":{"durationMs":1.169,"billedDurationMs":33,"memorySizeMB":128,"maxMemoryUsedMB":16},"status":"timeout"}}
        "#);
        assert_eq!(shown(&timed_out, &Profile { log: LogFormat::Silent, ..profile() }), "");
    }

    #[test]
    fn only_the_last_4_kb_are_returned() {
        let log = shown(&execution(), &Profile { chatter: 10_000, ..profile() });
        assert_eq!(log.replace("<tab>", "\t").len(), 4096);
        assert!(!log.contains("START") && log.ends_with("Init Duration: 31.20 ms<tab>\n"));
    }
}
