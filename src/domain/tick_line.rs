//! The log lines of a tick in the Lambda. The dashboard's queries read them.
//!
//! One line has these keys, in this order:
//! ```json
//! {"timestamp":"2026-11-20T09:00:01Z","level":"INFO","message":"tick","requestId":"…","tick":{…}}
//! ```
//! Lambda requires `timestamp` and `level` in JSON logs. The small keys come first, because CloudWatch Logs Insights
//! discovers the first 200 fields of a line only, and the queries filter by `message`. They read `tick` with
//! `jsonParse` and `unnest`, which have no such limit.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::tick::TickReport;

/// The `message` of a line with a tick object.
pub const MESSAGE: &str = "tick";
/// The key of the tick object.
pub const KEY: &str = "tick";
/// The maximum size in bytes of a line. CloudWatch Logs truncates events at 256 KB (1 MB since April 2025), overhead
/// included, and a truncated line is invalid JSON.
const MAX_BYTES: usize = 240_000;
/// An upper estimate of the bytes of a line without rounds.
const ENVELOPE_BYTES: usize = 600;

/// Returns the lines of a tick: one, or several if it would be too long for CloudWatch Logs. Each of several has a part
/// of `rounds`, `unfinished` and `capacity`, and its number (`"part":2,"parts":3`).
///
/// `at` is the time of writing, `request_id` that of the invocation.
pub fn lines(report: &TickReport, at: DateTime<Utc>, request_id: &str) -> Vec<String> {
    let rounds = report.rounds.iter().map(|round| (List::Rounds, json!(round)));
    let unfinished = report.unfinished.iter().map(|unfinished| (List::Unfinished, json!(unfinished)));
    let capacity = report.capacity.iter().map(|capacity| (List::Capacity, json!(capacity)));
    let mut parts = vec![Part::default()];
    for (list, value) in rounds.chain(unfinished).chain(capacity) {
        let bytes = value.to_string().len() + 1;
        let full = parts.last().is_none_or(|part| part.bytes + bytes > MAX_BYTES - ENVELOPE_BYTES);
        if full {
            parts.push(Part::default());
        }
        if let Some(part) = parts.last_mut() {
            part.bytes += bytes;
            match list {
                List::Rounds => part.rounds.push(value),
                List::Unfinished => part.unfinished.push(value),
                List::Capacity => part.capacity.push(value),
            }
        }
    }
    let number = parts.len();
    let (duration_ms, partial) = (report.duration_ms, report.partial);
    let empty = TickReport { duration_ms, partial, ..TickReport::empty(report.tick, report.config.clone()) };
    let line = |(index, part): (usize, Part)| {
        let mut tick = json!(empty);
        tick["rounds"] = Value::Array(part.rounds);
        tick["unfinished"] = Value::Array(part.unfinished);
        tick["capacity"] = Value::Array(part.capacity);
        let mut line = json!({
            "timestamp": at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "level": "INFO",
            "message": MESSAGE,
            "requestId": request_id,
        });
        if number > 1 {
            line["part"] = json!(index + 1);
            line["parts"] = json!(number);
        }
        line[KEY] = tick;
        line.to_string()
    };
    parts.into_iter().enumerate().map(line).collect()
}

enum List {
    Rounds,
    Unfinished,
    Capacity,
}

#[derive(Default)]
struct Part {
    bytes: usize,
    rounds: Vec<Value>,
    unfinished: Vec<Value>,
    capacity: Vec<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::capacity::CapacityReport;
    use crate::domain::fleet::Target;
    use crate::domain::tick::{Unfinished, UnfinishedReason};

    fn unfinished(function: &str) -> Unfinished {
        Unfinished::new(&Target::example(function, "eu-west-2", Vec::new()), 3, UnfinishedReason::Deadline)
    }

    fn report(unfinished: Vec<Unfinished>) -> TickReport {
        let tick = "2026-11-20T09:00:00Z".parse().unwrap();
        TickReport { duration_ms: 512, unfinished, ..TickReport::empty(tick, Some("abc".to_owned())) }
    }

    #[test]
    fn an_ordinary_tick_is_one_line() {
        let at = "2026-11-20T09:00:00.512Z".parse().unwrap();
        let lines = lines(&report(vec![unfinished("f")]), at, "r-1");
        assert_eq!(lines.len(), 1);
        insta::assert_snapshot!(lines[0], @r#"{"timestamp":"2026-11-20T09:00:00.512Z","level":"INFO","message":"tick","requestId":"r-1","tick":{"tick":"2026-11-20T09:00:00Z","config":"abc","duration_ms":512,"partial":false,"rounds":[],"unfinished":[{"function":"f","qualifier":null,"region":"eu-west-2","tenant":null,"target":3,"reason":"deadline"}],"capacity":[],"pipelines":[]}}"#);
    }

    #[test]
    fn capacity_is_split_as_well() {
        let names: Vec<String> = (0..2_000).map(|index| format!("function-{index:05}:live")).collect();
        let record = |name: &String| {
            let target = Target::example(name, "eu-west-2", Vec::new());
            let reason = Some("the service has refused it ".repeat(5));
            CapacityReport { reason, ..CapacityReport::new(&target, 10) }
        };
        let report =
            TickReport { capacity: names.iter().map(record).collect(), ..report(vec![unfinished("f")]) };
        let lines = lines(&report, DateTime::UNIX_EPOCH, "r-1");
        let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= MAX_BYTES));
        let logged = parsed.iter().flat_map(|line| line["tick"]["capacity"].as_array().unwrap());
        let logged: Vec<&str> = logged.map(|one| one["function"].as_str().unwrap()).collect();
        assert!(logged.into_iter().eq(names.iter().map(|name| name.split(':').next().unwrap())));
        assert_eq!(parsed[0]["tick"]["unfinished"][0]["function"], "f");
    }

    #[test]
    fn a_tick_too_long_for_a_line_is_split_into_complete_parts() {
        let names: Vec<String> = (0..5_000).map(|index| format!("function-{index:05}")).collect();
        let lines =
            lines(&report(names.iter().map(|name| unfinished(name)).collect()), DateTime::UNIX_EPOCH, "r-1");
        let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= MAX_BYTES));
        let logged = parsed.iter().flat_map(|line| line["tick"]["unfinished"].as_array().unwrap());
        assert!(logged.map(|one| one["function"].as_str().unwrap()).eq(names.iter().map(String::as_str)));
        assert_eq!(parsed[1]["part"], 2);
        assert_eq!(parsed[1]["parts"], lines.len());
        assert_eq!(parsed[1]["tick"]["config"], "abc");
    }
}
