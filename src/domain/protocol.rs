//! What a ping says, and what an answer tells: warmd's own protocol and the presets of other warmers.
//!
//! The presets speak to handlers that are already deployed, so their bytes are contracts of others: serverless-plugin-
//! warmup 8.4.1, lambda-warmer 2.3.0 (npm), lambda-warmer-py, the OpenNext / SST warmer, Bref, Laravel Vapor, Thundra.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::parse::nearest;

/// Answers above this size, in bytes, are not searched for an environment's id: a handler that knows a protocol
/// answers in less than a hundred.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Ids above this length, in bytes, are not believed to be ids.
const LONGEST_ID: usize = 256;

/// warmd's own handlers hold no longer, whatever a ping asks: an invoker must not be able to keep a function busy.
const LONGEST_HANDLER_HOLD: Duration = Duration::from_secs(10);

/// How a target is pinged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// warmd's own: holds as asked, answers with the environment's id.
    Warmd,
    /// serverless-plugin-warmup.
    ServerlessPluginWarmup,
    /// lambda-warmer (npm).
    LambdaWarmer,
    /// lambda-warmer-py.
    LambdaWarmerPy,
    /// OpenNext and SST.
    OpenNext,
    /// Bref.
    Bref,
    /// Laravel Vapor.
    Vapor,
    /// Thundra.
    Thundra,
    /// Any JSON of the user's, with placeholders.
    Custom(CustomPayload),
}

/// What a payload may mention.
#[derive(Debug, Clone, Copy)]
pub struct PingContext<'a> {
    /// The round's id.
    pub round: &'a str,
    /// The ping's index, from 0. Only custom payloads with `{{index}}` carry it.
    pub index: u32,
    /// How many pings the round has.
    pub concurrency: u32,
    /// How long to hold, in ms.
    pub hold_ms: u64,
}

impl Protocol {
    /// The names that [`Protocol::parse`] takes. `custom` is not among them: it needs a payload.
    pub const NAMES: &[&str] = &[
        "warmd",
        "serverless-plugin-warmup",
        "lambda-warmer",
        "lambda-warmer-py",
        "opennext",
        "bref",
        "vapor",
        "thundra",
    ];

    /// The protocol of that name, one of [`Protocol::NAMES`].
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "warmd" => Self::Warmd,
            "serverless-plugin-warmup" => Self::ServerlessPluginWarmup,
            "lambda-warmer" => Self::LambdaWarmer,
            "lambda-warmer-py" => Self::LambdaWarmerPy,
            "opennext" => Self::OpenNext,
            "bref" => Self::Bref,
            "vapor" => Self::Vapor,
            "thundra" => Self::Thundra,
            _ => return None,
        })
    }

    /// The protocol's name as it is configured.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Warmd => "warmd",
            Self::ServerlessPluginWarmup => "serverless-plugin-warmup",
            Self::LambdaWarmer => "lambda-warmer",
            Self::LambdaWarmerPy => "lambda-warmer-py",
            Self::OpenNext => "opennext",
            Self::Bref => "bref",
            Self::Vapor => "vapor",
            Self::Thundra => "thundra",
            Self::Custom(_) => "custom",
        }
    }

    /// The payload of one ping: JSON.
    pub fn payload(&self, ping: &PingContext<'_>) -> Vec<u8> {
        let PingContext { round, concurrency, hold_ms, .. } = *ping;
        let payload = match self {
            Self::Warmd => json!({"warmd": {
                "version": 1, "round": round, "concurrency": concurrency, "hold_ms": hold_ms,
            }}),
            Self::ServerlessPluginWarmup => json!({"source": "serverless-plugin-warmup"}),
            Self::LambdaWarmer => lambda_warmer("__WARMER_CORRELATIONID__", ping),
            Self::LambdaWarmerPy => lambda_warmer("__WARMER_CORRELATION_ID__", ping),
            Self::OpenNext => json!({
                "type": "warmer", "warmerId": round, "index": 0, "concurrency": concurrency, "delay": hold_ms,
            }),
            Self::Bref => json!({"warmer": true}),
            // Never `vaporWarmer`: a handler that sees it fans out by itself.
            Self::Vapor => json!({"vaporWarmerPing": true}),
            // The handler adds 100 ms of its own.
            Self::Thundra => json!(format!("#warmup wait={hold_ms}")),
            Self::Custom(custom) => custom.fill(ping),
        };
        payload.to_string().into_bytes()
    }

    /// Returns true when all pings of a round have the same payload, so that one signature covers them all.
    pub fn is_uniform(&self) -> bool {
        match self {
            Self::Custom(custom) => !custom.mentions_index,
            Self::Warmd
            | Self::ServerlessPluginWarmup
            | Self::LambdaWarmer
            | Self::LambdaWarmerPy
            | Self::OpenNext
            | Self::Bref
            | Self::Vapor
            | Self::Thundra => true,
        }
    }

    /// `X-Amz-Client-Context`, already base64, for the preset that wants one.
    pub fn client_context(&self) -> Option<String> {
        match self {
            Self::ServerlessPluginWarmup => {
                Some(STANDARD.encode(r#"{"custom":{"source":"serverless-plugin-warmup"}}"#))
            }
            Self::Warmd
            | Self::LambdaWarmer
            | Self::LambdaWarmerPy
            | Self::OpenNext
            | Self::Bref
            | Self::Vapor
            | Self::Thundra
            | Self::Custom(_) => None,
        }
    }

    /// Whether a ping can ask for a hold. The others hold for a time of their own.
    pub fn honours_hold(&self) -> bool {
        match self {
            Self::Warmd | Self::OpenNext | Self::Thundra => true,
            Self::Custom(custom) => custom.mentions_hold,
            Self::ServerlessPluginWarmup
            | Self::LambdaWarmer
            | Self::LambdaWarmerPy
            | Self::Bref
            | Self::Vapor => false,
        }
    }

    /// The id of the environment that answered, when the answer tells it. A handler behind a custom payload may
    /// answer as warmd's own does.
    pub fn environment_id(&self, payload: &[u8]) -> Option<String> {
        if payload.len() > LARGEST_ANSWER {
            return None;
        }
        let id = match self {
            Self::Warmd | Self::Custom(_) => answer::<WarmdAnswer>(payload)?.warmd.environment,
            Self::OpenNext => answer::<OpenNextAnswer>(payload)?.server_id,
            Self::Thundra => answer::<ThundraAnswer>(payload)?.instance_id,
            Self::ServerlessPluginWarmup
            | Self::LambdaWarmer
            | Self::LambdaWarmerPy
            | Self::Bref
            | Self::Vapor => return None,
        };
        (1..=LONGEST_ID).contains(&id.len()).then_some(id)
    }
}

impl Protocol {
    /// `AWS_LAMBDA_INITIALIZATION_TYPE` of the environment that answered, when the answer tells it.
    pub fn initialization(&self, payload: &[u8]) -> Option<String> {
        match self {
            Self::Warmd | Self::Custom(_) if payload.len() <= LARGEST_ANSWER => {
                let told = answer::<WarmdAnswer>(payload)?.warmd.initialization;
                told.as_str().filter(|text| text.len() <= LONGEST_ID).map(str::to_owned)
            }
            _ => None,
        }
    }

    /// The time that a handler of the protocol keeps its environment busy before it answers, when `asked` to hold that
    /// long; none when the protocol has no such time. Handlers that differ are found out by their pings.
    pub fn handler_hold(&self, asked: Duration) -> Option<Duration> {
        match self {
            Self::Warmd => Some(asked.min(LONGEST_HANDLER_HOLD)),
            Self::OpenNext => Some(asked),
            Self::Thundra => Some(asked + Duration::from_millis(100)),
            Self::Custom(custom) => custom.mentions_hold.then_some(asked),
            Self::ServerlessPluginWarmup => Some(Duration::from_millis(25)),
            Self::LambdaWarmer | Self::LambdaWarmerPy => Some(Duration::from_millis(75)),
            Self::Bref => Some(Duration::from_millis(10)),
            Self::Vapor => Some(Duration::from_millis(50)),
        }
    }
}

/// Without `concurrency` and `target` the handler does not fan out by itself. It only compares the invocation's number
/// with 1: number 1 is the one that fans out and returns at once, every other one holds.
fn lambda_warmer(correlation: &str, ping: &PingContext<'_>) -> Value {
    json!({
        "warmer": true,
        "__WARMER_INVOCATION__": 2,
        "__WARMER_CONCURRENCY__": ping.concurrency,
        correlation: ping.round,
    })
}

#[derive(Deserialize)]
struct WarmdAnswer {
    warmd: WarmdEnvironment,
}

#[derive(Deserialize)]
struct WarmdEnvironment {
    environment: String,
    /// Any JSON: what it is must not cost the id.
    #[serde(default)]
    initialization: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenNextAnswer {
    server_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThundraAnswer {
    instance_id: String,
}

fn answer<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Option<T> {
    serde_json::from_slice(payload).ok()
}

/// A custom payload: any JSON, with placeholders in its strings: `{{index}}`, `{{concurrency}}`, `{{hold_ms}}`,
/// `{{round}}`. A string that is one of the first three and nothing else becomes a JSON number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomPayload {
    template: Value,
    mentions_hold: bool,
    mentions_index: bool,
}

impl CustomPayload {
    /// The names that may stand between `{{` and `}}`.
    pub const PLACEHOLDERS: &[&str] = &["index", "concurrency", "hold_ms", "round"];

    /// The payload, its placeholders checked.
    ///
    /// # Errors
    /// What is wrong with which placeholder, every mistake, separated by `; `.
    pub fn parse(template: Value) -> Result<Self, String> {
        let mut mistakes = Vec::new();
        let mut mentioned = HashSet::new();
        check(&template, &mut mistakes, &mut mentioned);
        if !mistakes.is_empty() {
            return Err(mistakes.join("; "));
        }
        let (mentions_hold, mentions_index) = (mentioned.contains("hold_ms"), mentioned.contains("index"));
        Ok(Self { template, mentions_hold, mentions_index })
    }

    fn fill(&self, ping: &PingContext<'_>) -> Value {
        fill(&self.template, ping)
    }
}

/// A stretch of a template string.
enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
    /// `{{` without `}}`.
    Unclosed,
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(open) = rest.find("{{") else {
            return Some(Piece::Text(std::mem::take(&mut rest)));
        };
        if open > 0 {
            let (text, after) = rest.split_at(open);
            rest = after;
            return Some(Piece::Text(text));
        }
        let inside = rest.get(2..).unwrap_or_default();
        match inside.split_once("}}") {
            Some((name, after)) => {
                rest = after;
                Some(Piece::Placeholder(name.trim()))
            }
            None => {
                rest = "";
                Some(Piece::Unclosed)
            }
        }
    })
}

fn check<'t>(template: &'t Value, mistakes: &mut Vec<String>, mentioned: &mut HashSet<&'t str>) {
    match template {
        Value::String(text) => {
            for piece in pieces(text) {
                match piece {
                    Piece::Placeholder(name) if CustomPayload::PLACEHOLDERS.contains(&name) => {
                        mentioned.insert(name);
                    }
                    Piece::Placeholder(name) => mistakes.push(unknown(name)),
                    Piece::Unclosed => mistakes.push(format!("`{text}` has `{{{{` without `}}}}`")),
                    Piece::Text(_) => {}
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| check(item, mistakes, mentioned)),
        Value::Object(fields) => {
            for (key, value) in fields {
                if key.contains("{{") {
                    mistakes.push(format!("the key `{key}` holds a placeholder, but only values may"));
                }
                check(value, mistakes, mentioned);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn unknown(name: &str) -> String {
    let known = CustomPayload::PLACEHOLDERS;
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("unknown placeholder `{{{{{name}}}}}`, did you mean `{{{{{meant}}}}}`?"),
        None => format!("unknown placeholder `{{{{{name}}}}}`: there are {}", known.join(", ")),
    }
}

fn fill(template: &Value, ping: &PingContext<'_>) -> Value {
    match template {
        Value::String(text) => fill_text(text, ping),
        Value::Array(items) => items.iter().map(|item| fill(item, ping)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), fill(value, ping))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

fn fill_text(text: &str, ping: &PingContext<'_>) -> Value {
    let mut all = pieces(text);
    if let (Some(Piece::Placeholder(name)), None) = (all.next(), all.next()) {
        return value_of(name, ping);
    }
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Placeholder(name) => match value_of(name, ping) {
                Value::String(value) => filled.push_str(&value),
                value => filled.push_str(&value.to_string()),
            },
            // Refused by `check`.
            Piece::Unclosed => {}
        }
    }
    Value::String(filled)
}

fn value_of(placeholder: &str, ping: &PingContext<'_>) -> Value {
    match placeholder {
        "index" => ping.index.into(),
        "concurrency" => ping.concurrency.into(),
        "hold_ms" => ping.hold_ms.into(),
        "round" => ping.round.into(),
        // Refused by `check`.
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const PING: PingContext<'_> = PingContext { round: "r\"1", index: 0, concurrency: 3, hold_ms: 25 };

    fn bytes(protocol: &Protocol, index: u32) -> String {
        String::from_utf8(protocol.payload(&PingContext { index, ..PING })).unwrap()
    }

    fn custom(template: Value) -> Protocol {
        Protocol::Custom(CustomPayload::parse(template).unwrap())
    }

    #[test]
    fn every_name_is_parsed_and_given_back() {
        for name in Protocol::NAMES {
            assert_eq!(Protocol::parse(name).unwrap().name(), *name);
        }
        assert_eq!(Protocol::parse("custom"), None);
        assert_eq!(Protocol::parse("Warmd"), None);
    }

    #[test]
    fn the_bytes_of_every_preset() {
        let listing: String = Protocol::NAMES
            .iter()
            .map(|name| {
                let protocol = Protocol::parse(name).unwrap();
                format!("{name} {}\n", bytes(&protocol, 2))
            })
            .collect();
        assert_snapshot!(listing, @r##"
        warmd {"warmd":{"version":1,"round":"r\"1","concurrency":3,"hold_ms":25}}
        serverless-plugin-warmup {"source":"serverless-plugin-warmup"}
        lambda-warmer {"warmer":true,"__WARMER_INVOCATION__":2,"__WARMER_CONCURRENCY__":3,"__WARMER_CORRELATIONID__":"r\"1"}
        lambda-warmer-py {"warmer":true,"__WARMER_INVOCATION__":2,"__WARMER_CONCURRENCY__":3,"__WARMER_CORRELATION_ID__":"r\"1"}
        opennext {"type":"warmer","warmerId":"r\"1","index":0,"concurrency":3,"delay":25}
        bref {"warmer":true}
        vapor {"vaporWarmerPing":true}
        thundra "#warmup wait=25"
        "##);
    }

    #[test]
    fn lambda_warmer_never_fans_out_and_always_holds() {
        for name in ["lambda-warmer", "lambda-warmer-py"] {
            let payload: Value = serde_json::from_str(&bytes(&Protocol::parse(name).unwrap(), 0)).unwrap();
            assert_eq!(payload["__WARMER_INVOCATION__"], 2, "1 returns at once");
            assert!(payload.get("concurrency").is_none() && payload.get("target").is_none());
        }
    }

    #[test]
    fn only_serverless_plugin_warmup_has_a_client_context() {
        for name in Protocol::NAMES {
            let context = Protocol::parse(name).unwrap().client_context();
            let decoded =
                context.map(|context| String::from_utf8(STANDARD.decode(context).unwrap()).unwrap());
            let expected = (*name == "serverless-plugin-warmup")
                .then(|| r#"{"custom":{"source":"serverless-plugin-warmup"}}"#.to_owned());
            assert_eq!(decoded, expected, "{name}");
        }
    }

    #[test]
    fn which_protocols_carry_a_hold() {
        let holding: Vec<_> =
            Protocol::NAMES.iter().filter(|name| Protocol::parse(name).unwrap().honours_hold()).collect();
        assert_eq!(holding, [&"warmd", &"opennext", &"thundra"]);
        assert!(custom(json!({"a": [{"b": "wait {{ hold_ms }}"}]})).honours_hold());
        assert!(!custom(json!({"hold_ms": 5, "i": "{{index}}"})).honours_hold());
    }

    #[test]
    fn only_a_custom_payload_with_an_index_differs_by_ping() {
        for name in Protocol::NAMES {
            let protocol = Protocol::parse(name).unwrap();
            assert!(protocol.is_uniform(), "{name}");
            assert_eq!(bytes(&protocol, 0), bytes(&protocol, 7), "{name}");
        }
        let without = custom(json!({"n": "{{concurrency}}", "text": "{{round}} {{hold_ms}}"}));
        assert!(without.is_uniform());
        assert_eq!(bytes(&without, 0), bytes(&without, 7));
        let with = custom(json!([{"text": "ping {{ index }}"}]));
        assert!(!with.is_uniform());
        assert_ne!(bytes(&with, 0), bytes(&with, 7));
    }

    #[test]
    fn environment_ids() {
        let id = |name: &str, answer: &str| Protocol::parse(name).unwrap().environment_id(answer.as_bytes());
        assert_eq!(id("warmd", r#"{"warmd":{"environment":"e1"}}"#).as_deref(), Some("e1"));
        assert_eq!(id("opennext", r#"{"serverId":"s1","type":"warmer"}"#).as_deref(), Some("s1"));
        assert_eq!(id("thundra", r#"{"instanceId":"t1"}"#).as_deref(), Some("t1"));
        let custom = custom(json!({}));
        assert_eq!(custom.environment_id(br#"{"warmd":{"environment":"c"}}"#).as_deref(), Some("c"));

        assert_eq!(id("lambda-warmer", "\"warmed\""), None);
        assert_eq!(id("bref", r#"{"warmd":{"environment":"e1"}}"#), None);
        for answer in ["", "null", "\"warmed\"", "{", r#"{"warmd":{"environment":""}}"#, r#"{"warmd":7}"#] {
            assert_eq!(id("warmd", answer), None, "{answer}");
        }
        let long = format!(r#"{{"warmd":{{"environment":"{}"}}}}"#, "x".repeat(LONGEST_ID + 1));
        assert_eq!(id("warmd", &long), None);
        let large = format!(r#"{{"pad":"{}","warmd":{{"environment":"e"}}}}"#, "x".repeat(LARGEST_ANSWER));
        assert_eq!(id("warmd", &large), None);
    }

    #[test]
    fn the_initialization_is_read_and_never_costs_the_id() {
        let told =
            |name: &str, answer: &str| Protocol::parse(name).unwrap().initialization(answer.as_bytes());
        let answer = r#"{"warmd":{"environment":"e","initialization":"on-demand"}}"#;
        assert_eq!(told("warmd", answer).as_deref(), Some("on-demand"));
        assert_eq!(custom(json!({})).initialization(answer.as_bytes()).as_deref(), Some("on-demand"));
        assert_eq!(told("opennext", answer), None);
        for odd in ["null", "7", "{}"] {
            let answer = format!(r#"{{"warmd":{{"environment":"e","initialization":{odd}}}}}"#);
            assert_eq!(told("warmd", &answer), None, "{odd}");
            assert_eq!(Protocol::Warmd.environment_id(answer.as_bytes()).as_deref(), Some("e"), "{odd}");
        }
    }

    #[test]
    fn how_long_handlers_keep_their_environment() {
        let ms = Duration::from_millis;
        let hold = |protocol: &Protocol| protocol.handler_hold(ms(30)).map(|hold| hold.as_millis());
        let holds: Vec<_> =
            Protocol::NAMES.iter().map(|name| hold(&Protocol::parse(name).unwrap())).collect();
        let expected = [30, 25, 75, 75, 30, 10, 50, 130].map(Some);
        assert_eq!(holds, expected);
        assert_eq!(hold(&custom(json!({}))), None);
        assert_eq!(hold(&custom(json!("{{hold_ms}}"))), Some(30));
        assert_eq!(Protocol::Warmd.handler_hold(ms(60_000)), Some(ms(10_000)));
    }

    #[test]
    fn a_custom_payload_is_filled() {
        let custom = custom(json!({
            "keep": "{warm}", "n": 1, "none": null,
            "i": "{{index}}", "all": ["{{ concurrency }}", "{{hold_ms}}"],
            "id": "{{round}}", "text": "{{index}}/{{concurrency}} of {{round}}",
        }));
        assert_snapshot!(
            bytes(&custom, 2),
            @r#"{"keep":"{warm}","n":1,"none":null,"i":2,"all":[3,25],"id":"r\"1","text":"2/3 of r\"1"}"#
        );
        assert_eq!(custom.client_context(), None);
    }

    #[test]
    fn every_mistake_in_a_custom_payload_is_told() {
        let template = json!({"a": "{{indx}}", "b": ["{{user}}"], "{{round}}": 1, "c": "{{hold_ms"});
        assert_snapshot!(
            CustomPayload::parse(template).unwrap_err().replace("; ", "\n"),
            @r"
        unknown placeholder `{{indx}}`, did you mean `{{index}}`?
        unknown placeholder `{{user}}`: there are index, concurrency, hold_ms, round
        the key `{{round}}` holds a placeholder, but only values may
        `{{hold_ms` has `{{` without `}}`
        "
        );
    }
}
