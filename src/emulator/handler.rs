//! The emulated handlers. They recognize and answer the pings of warmers like the real handlers.

use std::time::Duration;

use serde_json::{Value, json};

use super::profile::{Handler, Preset};

/// The longest hold of warmd's handlers.
const MAX_HOLD_MS: u64 = 10_000;

/// A ping that the handler recognizes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RecognizedPing {
    /// The preset.
    pub preset: Preset,
    /// The hold of the real handler.
    pub hold: Duration,
    /// The round's id, if the payload has one.
    pub round: Option<String>,
    /// The ping's index, if the payload has one.
    pub index: Option<u64>,
    /// True when the real handler would invoke itself or other functions.
    pub fans_out: bool,
}

/// Recognizes the ping in a payload; `None` for real work.
pub(super) fn recognize(
    handler: Handler,
    payload: &Value,
    context: Option<&Value>,
) -> Option<RecognizedPing> {
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
        Handler::Only(preset) => recognize_as(preset, payload, context, false),
        Handler::Any => ALL.into_iter().find_map(|preset| recognize_as(preset, payload, context, true)),
    }
}

/// Recognizes the ping of one preset. `among_others` is true when other presets are tried too: a payload that several
/// handlers accept belongs to the preset whose warmer writes it.
fn recognize_as(
    preset: Preset,
    payload: &Value,
    context: Option<&Value>,
    among_others: bool,
) -> Option<RecognizedPing> {
    let ping = |hold_ms: u64| RecognizedPing {
        preset,
        hold: Duration::from_millis(hold_ms),
        round: None,
        index: None,
        fans_out: false,
    };
    match preset {
        Preset::Warmd => {
            let fields = payload.get("warmd")?;
            if fields.get("version")?.as_u64()? != 1 {
                return None;
            }
            let round = fields.get("round")?.as_str()?.to_owned();
            let index = fields.get("index").and_then(Value::as_u64);
            fields.get("concurrency")?.as_u64()?;
            let hold = fields.get("hold_ms")?.as_u64()?;
            Some(RecognizedPing { round: Some(round), index, ..ping(hold.min(MAX_HOLD_MS)) })
        }
        Preset::ServerlessPluginWarmup => {
            let sources =
                [payload.get("source"), context.and_then(|fields| fields.get("custom")?.get("source"))];
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
            Some(RecognizedPing { round, index: payload.get("index").and_then(Value::as_u64), ..ping(hold) })
        }
        Preset::Bref => (payload.get("warmer")? == true).then(|| ping(10)),
        Preset::Vapor => {
            if payload.get("vaporWarmer").is_some_and(|flag| *flag == true) {
                return Some(RecognizedPing { fans_out: true, ..ping(0) });
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

/// Recognizes a ping of lambda-warmer. The versions for its two languages differ in one key. The first ping of a round
/// has no hold.
fn lambda_warmer(
    payload: &Value,
    id: &str,
    strict: bool,
    ping: impl Fn(u64) -> RecognizedPing,
) -> Option<RecognizedPing> {
    if payload.get("warmer")? != true {
        return None;
    }
    let number = |key: &str| payload.get(key).and_then(Value::as_u64);
    let correlation = payload.get(id).and_then(Value::as_str);
    let fans_out = number("concurrency").is_some_and(|n| n > 1) || payload.get("target").is_some();
    if strict && correlation.is_none() && !fans_out {
        return None;
    }
    let index = number("__WARMER_INVOCATION__").unwrap_or(1);
    let hold = if index > 1 { 75 } else { 0 };
    Some(RecognizedPing { round: correlation.map(str::to_owned), index: Some(index), fans_out, ..ping(hold) })
}

/// Returns the answer of a preset's handler. `environment` is an id, `initialization` an initialization type.
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

    /// Returns the preset, the hold in ms and the index that a handler for all presets recognizes.
    fn recognized(payload: Value) -> Option<(Preset, u64, Option<u64>)> {
        recognize(Handler::Any, &payload, None)
            .map(|ping| (ping.preset, ping.hold.as_millis() as u64, ping.index))
    }

    #[test]
    fn the_ping_of_every_preset_is_recognized() {
        let warmd =
            json!({ "warmd": { "version": 1, "round": "r1", "index": 3, "concurrency": 9, "hold_ms": 40 } });
        assert_eq!(recognized(warmd.clone()), Some((Preset::Warmd, 40, Some(3))));
        let mut long = warmd;
        long["warmd"]["hold_ms"] = json!(60_000);
        assert_eq!(recognized(long), Some((Preset::Warmd, 10_000, Some(3))));
        let spw = json!({ "source": "serverless-plugin-warmup" });
        assert_eq!(recognized(spw), Some((Preset::ServerlessPluginWarmup, 25, None)));
        let npm = json!({ "warmer": true, "__WARMER_INVOCATION__": 2, "__WARMER_CONCURRENCY__": 9,
            "__WARMER_CORRELATIONID__": "c" });
        assert_eq!(recognized(npm), Some((Preset::LambdaWarmer, 75, Some(2))));
        let py = json!({ "warmer": true, "__WARMER_INVOCATION__": 1, "__WARMER_CONCURRENCY__": 9,
            "__WARMER_CORRELATION_ID__": "c" });
        assert_eq!(recognized(py), Some((Preset::LambdaWarmerPy, 0, Some(1))), "the first has no hold");
        let opennext =
            json!({ "type": "warmer", "warmerId": "w", "index": 0, "concurrency": 9, "delay": 120 });
        assert_eq!(recognized(opennext), Some((Preset::OpenNext, 120, Some(0))));
        assert_eq!(recognized(json!({ "warmer": true })), Some((Preset::Bref, 10, None)));
        assert_eq!(recognized(json!({ "vaporWarmerPing": true })), Some((Preset::Vapor, 50, None)));
        assert_eq!(recognized(json!({})), Some((Preset::Thundra, 100, None)));
        assert_eq!(recognized(json!("#warmup wait=250")), Some((Preset::Thundra, 350, None)));
    }

    #[test]
    fn other_payloads_are_real_work() {
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
            assert_eq!(recognized(payload.clone()), None, "{payload}");
        }
        assert_eq!(recognize(Handler::None, &json!({ "warmer": true }), None), None);
        assert_eq!(recognize(Handler::Only(Preset::Vapor), &json!({ "warmer": true }), None), None);
    }

    #[test]
    fn serverless_plugin_warmup_may_use_the_client_context() {
        let context = json!({ "custom": { "source": "serverless-plugin-warmup" } });
        let ping = recognize(Handler::Any, &json!({ "any": 1 }), Some(&context));
        assert_eq!(ping.unwrap().preset, Preset::ServerlessPluginWarmup);
    }

    #[test]
    fn payloads_that_make_the_handler_fan_out_are_marked() {
        for payload in [json!({ "warmer": true, "concurrency": 5 }), json!({ "vaporWarmer": true })] {
            assert!(recognize(Handler::Any, &payload, None).unwrap().fans_out, "{payload}");
        }
    }
}
