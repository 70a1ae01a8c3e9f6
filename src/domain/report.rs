//! Parser for the REPORT line in Lambda's log tail.
//!
//! Text logs end with a `REPORT RequestId: …` line, JSON logs with a `platform.report` record. `INIT_REPORT` lines (an
//! init that crashed or timed out) are ignored, because they do not describe the invocation and the environment may be
//! an old one.

use serde::Deserialize;

/// The largest accepted value, in ms or MB. It is far above Lambda's limits (900,000 ms, 10,240 MB) and prevents
/// overflow.
const LARGEST: f64 = 1e9;

/// The content of a REPORT line or a `platform.report` record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// The request id.
    pub request_id: Option<String>,
    /// Duration of the handler in ms, with two decimals, without init and restore.
    pub duration_ms: f64,
    /// Billed duration in ms: duration plus init or billed restore, rounded up by Lambda.
    pub billed_ms: u64,
    /// Memory size in MB of 1,048,576 bytes.
    pub memory_mb: Option<u32>,
    /// Maximum memory used in MB.
    pub max_memory_used_mb: Option<u32>,
    /// Init duration of a cold start in ms. Absent after a suppressed init (a crash or a timeout).
    pub init_ms: Option<f64>,
    /// Duration of a SnapStart restore in ms.
    pub restore_ms: Option<f64>,
    /// Part of the billed duration caused by the restore, in ms.
    pub billed_restore_ms: Option<u64>,
    /// `timeout`, `error`, … if the invocation did not succeed.
    pub status: Option<String>,
    /// Error type, such as `Runtime.ExitError`.
    pub error_type: Option<String>,
}

impl Report {
    /// Parses the last REPORT of a log tail, in text or JSON.
    ///
    /// Returns `None` for a tail without a line that has duration and billed duration, which every REPORT contains. The
    /// tail is untrusted output of the function.
    pub fn parse(log_tail: &str) -> Option<Self> {
        log_tail.lines().rev().find_map(|line| Self::from_json(line).or_else(|| Self::from_text(line)))
    }

    /// Parses `REPORT` and its `Label: value [unit]` fields, in any order and separated by ASCII white space. Unknown
    /// labels are ignored.
    fn from_text(line: &str) -> Option<Self> {
        // Most lines of a tail are the function's, so a cheap check comes first.
        if !line.contains("REPORT") {
            return None;
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let begin = words.iter().rposition(|word| *word == "REPORT")?;
        let mut rest = words.get(begin + 1..)?;

        let mut report = Self::default();
        let (mut duration, mut billed) = (None, None);
        while let Some(colon) = rest.iter().position(|word| word.ends_with(':')) {
            let (label, after) = rest.split_at(colon + 1);
            let Some((value, after)) = after.split_first() else { break };
            rest = match after.split_first() {
                Some((&("ms" | "MB"), after)) => after,
                _ => after,
            };
            // A known label with an invalid value rejects the line, because later fields may be shifted.
            match label {
                ["RequestId:"] => report.request_id = Some((*value).to_owned()),
                ["Duration:"] => duration = Some(number(value)?),
                ["Billed", "Duration:"] => billed = Some(whole(number(value)?)),
                ["Memory", "Size:"] => report.memory_mb = Some(megabytes(number(value)?)?),
                ["Max", "Memory", "Used:"] => report.max_memory_used_mb = Some(megabytes(number(value)?)?),
                ["Init", "Duration:"] => report.init_ms = Some(number(value)?),
                ["Restore", "Duration:"] => report.restore_ms = Some(number(value)?),
                ["Billed", "Restore", "Duration:"] => {
                    report.billed_restore_ms = Some(whole(number(value)?));
                }
                ["Status:"] => report.status = unless_success((*value).to_owned()),
                ["Error", "Type:"] => report.error_type = Some((*value).to_owned()),
                _ => {}
            }
        }
        Some(Self { duration_ms: duration?, billed_ms: billed?, ..report })
    }

    /// Parses a `platform.report` record of the JSON log format.
    fn from_json(line: &str) -> Option<Self> {
        if !line.trim_start().starts_with('{') || !line.contains("platform.report") {
            return None;
        }
        let LogEvent { kind, record } = serde_json::from_str(line).ok()?;
        if kind != "platform.report" {
            return None;
        }
        let RecordMetrics {
            duration_ms,
            billed_duration_ms,
            memory_size_mb,
            max_memory_used_mb,
            init_duration_ms,
            restore_duration_ms,
            billed_restore_duration_ms,
        } = record.metrics;
        Some(Self {
            request_id: record.request_id,
            duration_ms: plausible(duration_ms)?,
            billed_ms: whole(plausible(billed_duration_ms)?),
            memory_mb: memory_size_mb.and_then(plausible).and_then(megabytes),
            max_memory_used_mb: max_memory_used_mb.and_then(plausible).and_then(megabytes),
            init_ms: init_duration_ms.and_then(plausible),
            restore_ms: restore_duration_ms.and_then(plausible),
            billed_restore_ms: billed_restore_duration_ms.and_then(plausible).map(whole),
            status: record.status.and_then(unless_success),
            error_type: record.error_type,
        })
    }

    /// Returns true if the function's timeout ended the invocation.
    pub fn timed_out(&self) -> bool {
        self.status.as_deref() == Some("timeout")
    }
}

#[derive(Deserialize)]
struct LogEvent {
    #[serde(rename = "type")]
    kind: String,
    record: Record,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    request_id: Option<String>,
    metrics: RecordMetrics,
    status: Option<String>,
    error_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordMetrics {
    duration_ms: f64,
    billed_duration_ms: f64,
    #[serde(rename = "memorySizeMB")]
    memory_size_mb: Option<f64>,
    #[serde(rename = "maxMemoryUsedMB")]
    max_memory_used_mb: Option<f64>,
    init_duration_ms: Option<f64>,
    restore_duration_ms: Option<f64>,
    billed_restore_duration_ms: Option<f64>,
}

fn number(word: &str) -> Option<f64> {
    word.parse().ok().and_then(plausible)
}

fn plausible(value: f64) -> Option<f64> {
    (0.0..=LARGEST).contains(&value).then_some(value)
}

/// Rounds up to whole milliseconds, as Lambda does. `value` is at most [`LARGEST`], so the cast is exact.
fn whole(value: f64) -> u64 {
    value.ceil() as u64
}

fn megabytes(value: f64) -> Option<u32> {
    u32::try_from(whole(value)).ok()
}

fn unless_success(status: String) -> Option<String> {
    (status != "success").then_some(status)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WARM: &str = "START RequestId: 93bc Version: 7\nhello\nEND RequestId: 93bc\nREPORT RequestId: 93bc\tDuration: 1.16 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 17 MB\t\n";
    const COLD: &str = "REPORT RequestId: 93bcbe8c\tDuration: 1.16 ms\tBilled Duration: 33 ms\tMemory Size: 128 MB\tMax Memory Used: 17 MB\tInit Duration: 31.20 ms\t\n";
    const RESTORED: &str = "RESTORE_REPORT Restore Duration: 511.25 ms\nREPORT RequestId: b771\tDuration: 306.34 ms\tBilled Duration: 610 ms\tMemory Size: 3009 MB\tMax Memory Used: 155 MB\tRestore Duration: 511.25 ms\tBilled Restore Duration: 303 ms\t\n";
    const TIMEOUT: &str = "REPORT RequestId: 1 Duration: 3016.78 ms Billed Duration: 3101 ms Memory Size: 128 MB Max Memory Used: 17 MB Init Duration: 84.00 ms Status: timeout";
    const CRASH: &str = "INIT_REPORT Init Duration: 8431.38 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError\nREPORT RequestId: 1\tDuration: 133.61 ms\tBilled Duration: 214 ms\tMemory Size: 128 MB\tMax Memory Used: 17 MB\tInit Duration: 80.00 ms\tStatus: error\tError Type: Runtime.ExitError\n";
    const JSON: &str = r#"{"time":"2026-11-20T09:00:00Z","type":"platform.report","record":{"requestId":"a","metrics":{"durationMs":1233.96,"billedDurationMs":1698,"memorySizeMB":256,"maxMemoryUsedMB":123,"initDurationMs":463.512},"status":"success"}}"#;

    fn cold() -> Report {
        Report {
            request_id: Some("93bcbe8c".to_owned()),
            duration_ms: 1.16,
            billed_ms: 33,
            memory_mb: Some(128),
            max_memory_used_mb: Some(17),
            init_ms: Some(31.2),
            ..Report::default()
        }
    }

    #[test]
    fn parses_warm_invocation() {
        let report = Report::parse(WARM).unwrap();
        assert_eq!((report.duration_ms, report.billed_ms, report.init_ms), (1.16, 2, None));
        assert_eq!((report.status, report.restore_ms), (None, None));
    }

    #[test]
    fn parses_cold_start() {
        assert_eq!(Report::parse(COLD), Some(cold()));
    }

    #[test]
    fn separators_order_and_trace_lines_are_irrelevant() {
        for text in [
            COLD.replace('\t', " "),
            COLD.replace('\t', "   "),
            COLD.replace('\n', "\r\n"),
            format!("{COLD}\nXRAY TraceId: 1-5759e988\tSegmentId: 49ca\tSampled: true\n"),
            format!("{}XRAY TraceId: 1-5759e988\tSampled: true", COLD.trim_end_matches('\n')),
            format!("2026-11-20T09:00:00Z {COLD}"),
            // The order of the runtime interface emulator.
            "REPORT RequestId: 93bcbe8c\tInit Duration: 31.20 ms\tDuration: 1.16 ms\tBilled Duration: 33 ms\tMemory Size: 128 MB\tMax Memory Used: 17 MB".to_owned(),
            "REPORT Max Memory Used: 17 MB Memory Size: 128 MB Billed Duration: 33 ms Init Duration: 31.20 ms Duration: 1.16 ms RequestId: 93bcbe8c".to_owned(),
            // An unknown field.
            COLD.replace("Memory Size", "Thaw Duration: 5 ms\tMemory Size"),
        ] {
            assert_eq!(Report::parse(&text), Some(cold()), "{text}");
        }
    }

    #[test]
    fn parses_restore() {
        let report = Report::parse(RESTORED).unwrap();
        assert_eq!((report.restore_ms, report.billed_restore_ms), (Some(511.25), Some(303)));
        assert_eq!((report.duration_ms, report.billed_ms, report.init_ms), (306.34, 610, None));
    }

    #[test]
    fn parses_timeout_and_crash() {
        let report = Report::parse(TIMEOUT).unwrap();
        assert!(report.timed_out());
        assert_eq!((report.billed_ms, report.init_ms), (3101, Some(84.0)));

        let report = Report::parse(CRASH).unwrap();
        assert!(!report.timed_out());
        assert_eq!(report.status.as_deref(), Some("error"));
        assert_eq!(report.error_type.as_deref(), Some("Runtime.ExitError"));
        assert_eq!(report.init_ms, Some(80.0), "of REPORT, not of INIT_REPORT");
    }

    #[test]
    fn parses_json_logs() {
        let report = Report::parse(&format!("{{\"message\":\"mine\"}}\n{JSON}\n")).unwrap();
        assert_eq!(report.request_id.as_deref(), Some("a"));
        assert_eq!((report.duration_ms, report.billed_ms, report.init_ms), (1233.96, 1698, Some(463.512)));
        assert_eq!(
            (report.memory_mb, report.max_memory_used_mb, report.status),
            (Some(256), Some(123), None)
        );

        let failed = JSON.replace("\"success\"", "\"error\",\"errorType\":\"Runtime.ExitError\"");
        let report = Report::parse(&failed).unwrap();
        assert_eq!(report.status.as_deref(), Some("error"));
        assert_eq!(report.error_type.as_deref(), Some("Runtime.ExitError"));
        assert!(Report::parse(&JSON.replace("success", "timeout")).unwrap().timed_out());
    }

    #[test]
    fn last_report_is_used() {
        let forged = COLD.replace("1.16", "99.00");
        assert_eq!(Report::parse(&format!("{forged}{COLD}")), Some(cold()));
        assert_eq!(Report::parse(&format!("{JSON}\n{COLD}")), Some(cold()));
    }

    #[test]
    fn rejects_other_lines() {
        for text in [
            "",
            "REPORT",
            "REPORT RequestId:",
            "REPORT RequestId: x",
            "INIT_REPORT Init Duration: 8431.38 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError",
            "RESTORE_REPORT Restore Duration: 511.25 ms Duration: 1 ms Billed Duration: 1 ms",
            "REPORT sales of today: 17",
            "REPORT RequestId: x\tDuration: 1.16 ms\tMemory Size: 128 MB",
            "REPORT RequestId: x\tBilled Duration: 2 ms",
            // Shifted lines and implausible values.
            "REPORT Duration: Billed Duration: 33 ms Billed Duration: 33 ms",
            "REPORT Duration: NaN ms Billed Duration: 1 ms",
            "REPORT Duration: inf ms Billed Duration: 1 ms",
            "REPORT Duration: -1 ms Billed Duration: 1 ms",
            "REPORT Duration: 1e300 ms Billed Duration: 1 ms",
            r#"{"type":"platform.report","record":{"metrics":{"durationMs":-1,"billedDurationMs":1}}}"#,
            r#"{"type":"platform.report","record":{}}"#,
            r#"{"type":"platform.reported","record":{"metrics":{"durationMs":1,"billedDurationMs":1}}}"#,
            r#"{"time":"2026-11-20T09:00:00Z","type":"platform.report","record":{"requestId":"a","metr"#,
        ] {
            assert_eq!(Report::parse(text), None, "{text}");
        }
    }

    fn lines() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![WARM, COLD, RESTORED, TIMEOUT, CRASH, JSON])
    }

    fn check_plausible(report: Option<Report>) -> Result<(), TestCaseError> {
        if let Some(report) = report {
            prop_assert!(report.duration_ms.is_finite() && report.duration_ms >= 0.0);
            prop_assert!(report.billed_ms <= LARGEST as u64);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_text_does_not_panic(text in any::<String>(), prefix in "(REPORT|\\{\"type\":\"platform.report\",)?") {
            check_plausible(Report::parse(&format!("{prefix} {text}")))?;
        }

        #[test]
        fn mutated_report_does_not_panic(line in lines(), at in any::<prop::sample::Index>(), cut in 0_usize..40, put in ".{0,12}") {
            let chars: Vec<char> = line.chars().collect();
            let at = at.index(chars.len());
            let mutated: String =
                chars[..at].iter().copied().chain(put.chars()).chain(chars.iter().copied().skip(at + cut)).collect();
            check_plausible(Report::parse(&mutated))?;
        }

        #[test]
        fn truncated_tail_gives_same_report(line in lines(), junk in "[^\n]{0,200}") {
            prop_assert_eq!(Report::parse(&format!("{junk}\n{line}")), Report::parse(line));
        }
    }
}
