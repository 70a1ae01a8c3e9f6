//! The tick object as the Lambda logs it: JSON lines, which the dashboard's queries read.
//!
//! One line has these keys, in this order:
//! ```json
//! {"timestamp":"2026-11-20T09:00:01Z","level":"INFO","message":"tick","requestId":"…","tick":{…}}
//! ```
//! `timestamp` and `level` are what Lambda looks for in JSON logs. The small keys come first: CloudWatch Logs Insights
//! discovers the first 200 fields of a line, and the queries select by `message`. They take `tick` apart with
//! `jsonParse` and `unnest`, for which the number of fields does not matter.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::tick::TickReport;

/// The `message` of a line with a tick object.
pub const MESSAGE: &str = "tick";
/// The key of the tick object.
pub const KEY: &str = "tick";
/// The most bytes of a line: CloudWatch Logs took events of 256 KB, and takes 1 MB since April 2025; part of that is
/// its own, and what is cut off is no JSON any more.
const MAX_BYTES: usize = 240_000;
/// The bytes of a line without rounds, generously.
const ENVELOPE_BYTES: usize = 600;

/// The lines for a tick: one, unless it would be longer than CloudWatch Logs takes. Then each has a part of `rounds`
/// and `unfinished`, and says which (`"part":2,"parts":3`).
///
/// `at` is when they are written; `request_id` is the invocation's.
pub fn lines(report: &TickReport, at: DateTime<Utc>, request_id: &str) -> Vec<String> {
    let rounds = report.rounds.iter().map(|round| (Place::Rounds, json!(round)));
    let unfinished = report.unfinished.iter().map(|unfinished| (Place::Unfinished, json!(unfinished)));
    let mut parts = vec![Part::default()];
    for (place, value) in rounds.chain(unfinished) {
        let bytes = value.to_string().len() + 1;
        let full = parts.last().is_none_or(|part| part.bytes + bytes > MAX_BYTES - ENVELOPE_BYTES);
        if full {
            parts.push(Part::default());
        }
        if let Some(part) = parts.last_mut() {
            part.bytes += bytes;
            match place {
                Place::Rounds => part.rounds.push(value),
                Place::Unfinished => part.unfinished.push(value),
            }
        }
    }
    let number = parts.len();
    let empty = TickReport { rounds: Vec::new(), unfinished: Vec::new(), ..report.clone() };
    let line = |(index, part): (usize, Part)| {
        let mut tick = json!(empty);
        tick["rounds"] = Value::Array(part.rounds);
        tick["unfinished"] = Value::Array(part.unfinished);
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

enum Place {
    Rounds,
    Unfinished,
}

#[derive(Default)]
struct Part {
    bytes: usize,
    rounds: Vec<Value>,
    unfinished: Vec<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::function::Region;
    use crate::domain::tick::{Unfinished, UnfinishedReason};

    fn unfinished(function: &str) -> Unfinished {
        Unfinished {
            function: function.to_owned(),
            qualifier: None,
            region: Region::parse("eu-west-2").unwrap(),
            target: 3,
            reason: UnfinishedReason::Deadline,
        }
    }

    fn report(unfinished: Vec<Unfinished>) -> TickReport {
        let tick = "2026-11-20T09:00:00Z".parse().unwrap();
        TickReport {
            tick,
            config: Some("abc".to_owned()),
            duration_ms: 512,
            partial: false,
            rounds: Vec::new(),
            unfinished,
        }
    }

    #[test]
    fn an_ordinary_tick_is_one_line() {
        let at = "2026-11-20T09:00:00.512Z".parse().unwrap();
        let lines = lines(&report(vec![unfinished("f")]), at, "r-1");
        assert_eq!(lines.len(), 1);
        insta::assert_snapshot!(lines[0], @r#"{"timestamp":"2026-11-20T09:00:00.512Z","level":"INFO","message":"tick","requestId":"r-1","tick":{"tick":"2026-11-20T09:00:00Z","config":"abc","duration_ms":512,"partial":false,"rounds":[],"unfinished":[{"function":"f","qualifier":null,"region":"eu-west-2","target":3,"reason":"deadline"}]}}"#);
    }

    #[test]
    fn a_tick_too_long_for_a_line_is_told_in_parts_that_lack_nothing() {
        let names: Vec<String> = (0..5_000).map(|index| format!("function-{index:05}")).collect();
        let lines =
            lines(&report(names.iter().map(|name| unfinished(name)).collect()), DateTime::UNIX_EPOCH, "r-1");
        let parsed: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= MAX_BYTES));
        let told = parsed.iter().flat_map(|line| line["tick"]["unfinished"].as_array().unwrap());
        assert!(told.map(|one| one["function"].as_str().unwrap()).eq(names.iter().map(String::as_str)));
        assert_eq!(parsed[1]["part"], 2);
        assert_eq!(parsed[1]["parts"], lines.len());
        assert_eq!(parsed[1]["tick"]["config"], "abc");
    }
}
