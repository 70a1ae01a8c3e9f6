//! What a handler makes of a payload: the warmers' pings, recognised and answered as the real handlers do.

use std::time::Duration;

use serde_json::{Value, json};

use super::profile::{Handler, Preset};

/// warmd's handlers hold no longer, whatever a ping asks.
const LONGEST_HOLD_MS: u64 = 10_000;

/// A ping that the handler knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ping {
    /// Whose it is.
    pub preset: Preset,
    /// How long the real handler holds on it.
    pub hold: Duration,
    /// The round's id, when the payload carries one.
    pub round: Option<String>,
    /// The ping's index, when the payload carries one.
    pub index: Option<u64>,
    /// The real handler would now invoke itself, or others, by itself.
    pub fans_out: bool,
}

/// The ping that `payload` is to a handler, or none: real work.
pub(super) fn recognise(handler: Handler, payload: &Value, context: Option<&Value>) -> Option<Ping> {
    const ALL: [Preset; 8] = [
        Preset::Warmd,
        Preset::ServerlessPluginWarmup,
        Preset::LambdaWarmerPy,
        Preset::LambdaWarmer,
        Preset::OpenNext,
        Preset::Bref,
        Preset::Vapor,
        Preset::Thundra,
    ];
    match handler {
        Handler::None => None,
        Handler::Only(preset) => heard_by(preset, payload, context, false),
        Handler::Any => ALL.into_iter().find_map(|preset| heard_by(preset, payload, context, true)),
    }
}

/// What the handler of one preset makes of a payload. `among_others`: several handlers listen, so a payload that
/// more than one would take goes to the one whose warmer writes it.
fn heard_by(preset: Preset, payload: &Value, context: Option<&Value>, among_others: bool) -> Option<Ping> {
    let ping = |hold_ms: u64| Ping {
        preset,
        hold: Duration::from_millis(hold_ms),
        round: None,
        index: None,
        fans_out: false,
    };
    match preset {
        Preset::Warmd => {
            let said = payload.get("warmd")?;
            if said.get("version")?.as_u64()? != 1 {
                return None;
            }
            let round = said.get("round")?.as_str()?.to_owned();
            let index = said.get("index").and_then(Value::as_u64);
            said.get("concurrency")?.as_u64()?;
            let hold = said.get("hold_ms")?.as_u64()?;
            Some(Ping { round: Some(round), index, ..ping(hold.min(LONGEST_HOLD_MS)) })
        }
        Preset::ServerlessPluginWarmup => {
            let sources = [payload.get("source"), context.and_then(|said| said.get("custom")?.get("source"))];
            let known = |source: &Value| source == "serverless-plugin-warmup";
            sources.into_iter().flatten().any(known).then(|| ping(25))
        }
        Preset::LambdaWarmer => lambda_warmer(payload, "__WARMER_CORRELATIONID__", among_others, ping),
        Preset::LambdaWarmerPy => lambda_warmer(payload, "__WARMER_CORRELATION_ID__", among_others, ping),
        Preset::OpenNext => {
            if payload.get("type")? != "warmer" {
                return None;
            }
            let hold = payload.get("delay").and_then(Value::as_u64).unwrap_or(75);
            let round = payload.get("warmerId").and_then(Value::as_str).map(str::to_owned);
            Some(Ping { round, index: payload.get("index").and_then(Value::as_u64), ..ping(hold) })
        }
        Preset::Bref => (payload.get("warmer")? == true).then(|| ping(10)),
        Preset::Vapor => {
            if payload.get("vaporWarmer").is_some_and(|flag| *flag == true) {
                return Some(Ping { fans_out: true, ..ping(0) });
            }
            (payload.get("vaporWarmerPing")? == true).then(|| ping(50))
        }
        Preset::Thundra => match payload {
            Value::Object(fields) if fields.is_empty() => Some(ping(100)),
            Value::String(text) => {
                let rest = text.strip_prefix("#warmup")?;
                let wait = rest.split_whitespace().find_map(|word| word.strip_prefix("wait=")?.parse().ok());
                Some(ping(wait.unwrap_or(0_u64).saturating_add(100)))
            }
            _ => None,
        },
    }
}

/// lambda-warmer in both languages: the two differ in one key. The first of a round does not hold.
fn lambda_warmer(payload: &Value, id: &str, strict: bool, ping: impl Fn(u64) -> Ping) -> Option<Ping> {
    if payload.get("warmer")? != true {
        return None;
    }
    let told = |key: &str| payload.get(key).and_then(Value::as_u64);
    let correlation = payload.get(id).and_then(Value::as_str);
    let fans_out = told("concurrency").is_some_and(|n| n > 1) || payload.get("target").is_some();
    if strict && correlation.is_none() && !fans_out {
        return None;
    }
    let index = told("__WARMER_INVOCATION__").unwrap_or(1);
    let hold = if index > 1 { 75 } else { 0 };
    Some(Ping { round: correlation.map(str::to_owned), index: Some(index), fans_out, ..ping(hold) })
}

/// The answer of a preset's handler in the environment of that id, made in that way.
pub(super) fn answer(preset: Preset, environment: &str, initialization: &str) -> Value {
    match preset {
        Preset::Warmd => json!({ "warmd": { "environment": environment, "initialization": initialization } }),
        Preset::ServerlessPluginWarmup => json!("Lambda is warm!"),
        Preset::LambdaWarmer => json!("warmed"),
        Preset::LambdaWarmerPy => Value::Null,
        Preset::OpenNext => json!({ "serverId": environment, "type": "warmer" }),
        Preset::Bref => json!(["Lambda is warm"]),
        Preset::Vapor => Value::Null,
        Preset::Thundra => json!({ "instanceId": environment }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Preset, hold in ms and index that a handler knowing all presets hears.
    fn hears(payload: Value) -> Option<(Preset, u64, Option<u64>)> {
        recognise(Handler::Any, &payload, None)
            .map(|ping| (ping.preset, ping.hold.as_millis() as u64, ping.index))
    }

    #[test]
    fn every_presets_ping_is_recognised() {
        let warmd =
            json!({ "warmd": { "version": 1, "round": "r1", "index": 3, "concurrency": 9, "hold_ms": 40 } });
        assert_eq!(hears(warmd.clone()), Some((Preset::Warmd, 40, Some(3))));
        let mut long = warmd;
        long["warmd"]["hold_ms"] = json!(60_000);
        assert_eq!(hears(long), Some((Preset::Warmd, 10_000, Some(3))));
        let spw = json!({ "source": "serverless-plugin-warmup" });
        assert_eq!(hears(spw), Some((Preset::ServerlessPluginWarmup, 25, None)));
        let npm = json!({ "warmer": true, "__WARMER_INVOCATION__": 2, "__WARMER_CONCURRENCY__": 9,
            "__WARMER_CORRELATIONID__": "c" });
        assert_eq!(hears(npm), Some((Preset::LambdaWarmer, 75, Some(2))));
        let py = json!({ "warmer": true, "__WARMER_INVOCATION__": 1, "__WARMER_CONCURRENCY__": 9,
            "__WARMER_CORRELATION_ID__": "c" });
        assert_eq!(hears(py), Some((Preset::LambdaWarmerPy, 0, Some(1))), "the first does not hold");
        let opennext =
            json!({ "type": "warmer", "warmerId": "w", "index": 0, "concurrency": 9, "delay": 120 });
        assert_eq!(hears(opennext), Some((Preset::OpenNext, 120, Some(0))));
        assert_eq!(hears(json!({ "warmer": true })), Some((Preset::Bref, 10, None)));
        assert_eq!(hears(json!({ "vaporWarmerPing": true })), Some((Preset::Vapor, 50, None)));
        assert_eq!(hears(json!({})), Some((Preset::Thundra, 100, None)));
        assert_eq!(hears(json!("#warmup wait=250")), Some((Preset::Thundra, 350, None)));
    }

    #[test]
    fn anything_else_is_real_work() {
        for payload in [
            json!(null),
            json!([]),
            json!("hello"),
            json!({ "orderId": 7 }),
            json!({ "warmer": false }),
            json!({ "source": "aws.events" }),
            json!({ "warmd": { "version": 2, "round": "r", "index": 0, "concurrency": 1, "hold_ms": 1 } }),
            json!({ "warmd": { "version": 1, "round": "r", "index": 0, "concurrency": 1 } }),
        ] {
            assert_eq!(hears(payload.clone()), None, "{payload}");
        }
        assert_eq!(recognise(Handler::None, &json!({ "warmer": true }), None), None);
        assert_eq!(recognise(Handler::Only(Preset::Vapor), &json!({ "warmer": true }), None), None);
    }

    #[test]
    fn serverless_plugin_warmup_may_speak_through_the_client_context() {
        let context = json!({ "custom": { "source": "serverless-plugin-warmup" } });
        let ping = recognise(Handler::Any, &json!({ "any": 1 }), Some(&context));
        assert_eq!(ping.unwrap().preset, Preset::ServerlessPluginWarmup);
    }

    #[test]
    fn payloads_that_make_the_handler_fan_out_are_seen() {
        for payload in [json!({ "warmer": true, "concurrency": 5 }), json!({ "vaporWarmer": true })] {
            assert!(recognise(Handler::Any, &payload, None).unwrap().fans_out, "{payload}");
        }
    }
}
