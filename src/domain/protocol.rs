//! Protocols of pings: warmd's own and the presets of other warmers.
//!
//! The presets are contracts of handlers that are already deployed: serverless-plugin-warmup 8.4.1, lambda-warmer 2.3.0
//! (npm), lambda-warmer-py, the OpenNext / SST warmer, Bref, Laravel Vapor, Thundra. A table defines all of them.

mod custom;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub use self::custom::CustomPayload;
use super::secret::{Environment, Redactor};

/// The maximum size in bytes of an answer that is searched for an id. Answers of known handlers have less than a
/// hundred.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The maximum length in bytes of an id.
const MAX_ID_BYTES: usize = 256;

/// The location of the initialization type in an answer of warmd's own handlers.
const INITIALIZATION: &str = "/warmd/initialization";

/// The protocol of a target's pings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// warmd's own: the handler holds as requested and answers with the id of its environment.
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
    /// Any JSON with placeholders.
    Custom(CustomPayload),
}

/// The values that a payload may contain.
#[derive(Debug, Clone, Copy)]
pub struct PingContext<'a> {
    /// The round's id.
    pub round: &'a str,
    /// The ping's index, from 0. Used only by custom payloads with `{{index}}`.
    pub index: u32,
    /// The number of pings in the round.
    pub concurrency: u32,
    /// The requested hold in ms.
    pub hold_ms: u64,
}

/// The environment that answered, as far as the answer of its handler shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnsweredBy {
    /// Its id, not empty.
    pub environment: Option<String>,
    /// Its `AWS_LAMBDA_INITIALIZATION_TYPE`.
    pub initialization: Option<String>,
}

/// The definition of a protocol with a fixed payload.
struct Preset {
    protocol: Protocol,
    /// The name in the configuration.
    name: &'static str,
    payload: fn(&PingContext<'_>) -> Value,
    /// `X-Amz-Client-Context`, before base64.
    client_context: Option<&'static str>,
    hold: HandlerHold,
    /// The JSON pointer of the environment's id in the answer.
    environment: Option<&'static str>,
}

/// The time for which a handler keeps its environment busy before it answers.
#[derive(Clone, Copy)]
enum HandlerHold {
    /// The requested hold, at most `max`, plus `extra`.
    Requested { max: Duration, extra: Duration },
    /// A fixed time.
    Fixed(Duration),
}

const fn fixed(ms: u64) -> HandlerHold {
    HandlerHold::Fixed(Duration::from_millis(ms))
}

const PRESETS: &[Preset] = &[
    Preset {
        protocol: Protocol::Warmd,
        name: "warmd",
        payload: |&PingContext { round, concurrency, hold_ms, .. }| json!({"warmd": { "version": 1, "round": round, "concurrency": concurrency, "hold_ms": hold_ms }}),
        client_context: None,
        // The handlers limit the hold, so that an invoker cannot keep a function busy.
        hold: HandlerHold::Requested { max: Duration::from_secs(10), extra: Duration::ZERO },
        environment: Some("/warmd/environment"),
    },
    Preset {
        protocol: Protocol::ServerlessPluginWarmup,
        name: "serverless-plugin-warmup",
        payload: |_| json!({"source": "serverless-plugin-warmup"}),
        client_context: Some(r#"{"custom":{"source":"serverless-plugin-warmup"}}"#),
        hold: fixed(25),
        environment: None,
    },
    Preset {
        protocol: Protocol::LambdaWarmer,
        name: "lambda-warmer",
        payload: |ping| lambda_warmer("__WARMER_CORRELATIONID__", ping),
        client_context: None,
        hold: fixed(75),
        environment: None,
    },
    Preset {
        protocol: Protocol::LambdaWarmerPy,
        name: "lambda-warmer-py",
        payload: |ping| lambda_warmer("__WARMER_CORRELATION_ID__", ping),
        client_context: None,
        hold: fixed(75),
        environment: None,
    },
    Preset {
        protocol: Protocol::OpenNext,
        name: "opennext",
        payload: |&PingContext { round, concurrency, hold_ms, .. }| {
            json!({
                "type": "warmer", "warmerId": round, "index": 0, "concurrency": concurrency, "delay": hold_ms,
            })
        },
        client_context: None,
        hold: HandlerHold::Requested { max: Duration::MAX, extra: Duration::ZERO },
        environment: Some("/serverId"),
    },
    Preset {
        protocol: Protocol::Bref,
        name: "bref",
        payload: |_| json!({"warmer": true}),
        client_context: None,
        hold: fixed(10),
        environment: None,
    },
    Preset {
        protocol: Protocol::Vapor,
        name: "vapor",
        // With `vaporWarmer` the handler would fan out by itself.
        payload: |_| json!({"vaporWarmerPing": true}),
        client_context: None,
        hold: fixed(50),
        environment: None,
    },
    Preset {
        protocol: Protocol::Thundra,
        name: "thundra",
        payload: |ping| json!(format!("#warmup wait={}", ping.hold_ms)),
        client_context: None,
        hold: HandlerHold::Requested { max: Duration::MAX, extra: Duration::from_millis(100) },
        environment: Some("/instanceId"),
    },
];

/// Without `concurrency` and `target` the handler does not fan out by itself. It compares the invocation's number with
/// 1: number 1 fans out and returns at once, all others hold.
fn lambda_warmer(correlation: &str, ping: &PingContext<'_>) -> Value {
    json!({
        "warmer": true,
        "__WARMER_INVOCATION__": 2,
        "__WARMER_CONCURRENCY__": ping.concurrency,
        correlation: ping.round,
    })
}

impl Protocol {
    /// The names that [`Protocol::parse`] accepts. `custom` is not included, because it requires a payload.
    pub const NAMES: [&'static str; PRESETS.len()] = {
        let mut names = [""; PRESETS.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = PRESETS[index].name;
            index += 1;
        }
        names
    };

    /// Parses one of [`Protocol::NAMES`].
    pub fn parse(name: &str) -> Option<Self> {
        PRESETS.iter().find(|preset| preset.name == name).map(|preset| preset.protocol.clone())
    }

    /// Returns the definition, or the payload of a custom protocol.
    fn preset(&self) -> Result<&'static Preset, &CustomPayload> {
        if let Self::Custom(custom) = self {
            return Err(custom);
        }
        // A test finds every other variant in the table.
        let found = PRESETS.iter().find(|preset| preset.protocol == *self);
        Ok(found.expect("every protocol but a custom one is in the table"))
    }

    /// Returns the name in the configuration.
    pub fn name(&self) -> &'static str {
        self.preset().map_or("custom", |preset| preset.name)
    }

    /// Returns a text that is the same for the same protocol and payload: what a handler must know.
    pub fn contract(&self) -> String {
        match self {
            Self::Custom(custom) => custom.contract(),
            _ => self.name().to_owned(),
        }
    }

    /// Returns the names of the environment variables in the payload.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.preset().err().into_iter().flat_map(CustomPayload::variables)
    }

    /// Sets the values of the environment variables in the payload.
    pub fn bind(&mut self, environment: &Arc<Environment>) {
        if let Self::Custom(custom) = self {
            custom.bind(environment);
        }
    }

    /// Returns true if every environment variable in the payload has a value: the payload may be sent.
    pub fn is_bound(&self) -> bool {
        self.preset()
            .err()
            .is_none_or(|custom| custom.environment().is_some() || custom.variables().next().is_none())
    }

    /// Returns what removes the values of environment variables from the answers, if the payload has some.
    pub fn redactor(&self) -> Option<&Redactor> {
        Some(self.preset().err()?.environment()?.redactor())
    }

    /// Returns the JSON payload of a ping. Environment variables without values stay as they are in the configuration.
    pub fn payload(&self, ping: &PingContext<'_>) -> Vec<u8> {
        let payload = match self.preset() {
            Ok(preset) => (preset.payload)(ping),
            Err(custom) => custom.fill(ping),
        };
        payload.to_string().into_bytes()
    }

    /// Returns true if all pings of a round have the same payload, so that one signature covers them.
    pub fn is_uniform(&self) -> bool {
        self.preset().map_or_else(|custom| !custom.has_index, |_| true)
    }

    /// Returns `X-Amz-Client-Context` in base64, for protocols that use it.
    pub fn client_context(&self) -> Option<String> {
        self.preset().ok()?.client_context.map(|context| STANDARD.encode(context))
    }

    /// Returns true if a ping can request a hold. Other handlers hold for a fixed time.
    pub fn honours_hold(&self) -> bool {
        match self.preset() {
            Ok(preset) => matches!(preset.hold, HandlerHold::Requested { .. }),
            Err(custom) => custom.has_hold,
        }
    }

    /// Reads the answer of a handler. A handler with a custom payload may answer as warmd's own handlers do.
    pub fn answered_by(&self, payload: &[u8]) -> AnsweredBy {
        let location =
            self.preset().map_or_else(|_| PRESETS.first()?.environment, |preset| preset.environment);
        let Some(location) = location.filter(|_| payload.len() <= MAX_ANSWER_BYTES) else {
            return AnsweredBy::default();
        };
        let answer: Value = serde_json::from_slice(payload).unwrap_or_default();
        let text = |pointer| answer.pointer(pointer)?.as_str().filter(|text| text.len() <= MAX_ID_BYTES);
        let is_own = matches!(self, Self::Warmd | Self::Custom(_));
        AnsweredBy {
            environment: text(location).filter(|id| !id.is_empty()).map(str::to_owned),
            initialization: text(INITIALIZATION).filter(|_| is_own).map(str::to_owned),
        }
    }

    /// Returns the time for which a handler keeps its environment busy on a ping that requests `hold`, or `None` when
    /// the protocol does not define it. Handlers that deviate are detected by their answers.
    pub fn handler_hold(&self, hold: Duration) -> Option<Duration> {
        match self.preset() {
            Ok(Preset { hold: HandlerHold::Requested { max, extra }, .. }) => Some(hold.min(*max) + *extra),
            Ok(Preset { hold: HandlerHold::Fixed(fixed), .. }) => Some(*fixed),
            Err(custom) => custom.has_hold.then_some(hold),
        }
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
    fn names_round_trip() {
        for name in Protocol::NAMES {
            assert_eq!(Protocol::parse(name).unwrap().name(), name);
        }
        assert_eq!(Protocol::parse("custom"), None);
        assert_eq!(Protocol::parse("Warmd"), None);
    }

    #[test]
    fn payloads_of_presets() {
        let listing: String = Protocol::NAMES
            .into_iter()
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
    fn lambda_warmer_holds_and_does_not_fan_out() {
        for name in ["lambda-warmer", "lambda-warmer-py"] {
            let payload: Value = serde_json::from_str(&bytes(&Protocol::parse(name).unwrap(), 0)).unwrap();
            assert_eq!(payload["__WARMER_INVOCATION__"], 2, "number 1 returns at once");
            assert!(payload.get("concurrency").is_none() && payload.get("target").is_none());
        }
    }

    #[test]
    fn only_serverless_plugin_warmup_has_a_client_context() {
        for name in Protocol::NAMES {
            let context = Protocol::parse(name).unwrap().client_context();
            let decoded =
                context.map(|context| String::from_utf8(STANDARD.decode(context).unwrap()).unwrap());
            let expected = (name == "serverless-plugin-warmup")
                .then(|| r#"{"custom":{"source":"serverless-plugin-warmup"}}"#.to_owned());
            assert_eq!(decoded, expected, "{name}");
        }
    }

    #[test]
    fn some_protocols_honour_hold() {
        let holding: Vec<_> = Protocol::NAMES
            .into_iter()
            .filter(|name| Protocol::parse(name).unwrap().honours_hold())
            .collect();
        assert_eq!(holding, ["warmd", "opennext", "thundra"]);
        assert!(custom(json!({"a": [{"b": "wait {{ hold_ms }}"}]})).honours_hold());
        assert!(!custom(json!({"hold_ms": 5, "i": "{{index}}"})).honours_hold());
    }

    #[test]
    fn only_custom_payload_with_index_differs_by_ping() {
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
    fn reads_environment_id() {
        let id = |name: &str, answer: &str| {
            Protocol::parse(name).unwrap().answered_by(answer.as_bytes()).environment
        };
        assert_eq!(id("warmd", r#"{"warmd":{"environment":"e1"}}"#).as_deref(), Some("e1"));
        assert_eq!(id("opennext", r#"{"serverId":"s1","type":"warmer"}"#).as_deref(), Some("s1"));
        assert_eq!(id("thundra", r#"{"instanceId":"t1"}"#).as_deref(), Some("t1"));
        let custom = custom(json!({}));
        assert_eq!(custom.answered_by(br#"{"warmd":{"environment":"c"}}"#).environment.as_deref(), Some("c"));

        assert_eq!(id("lambda-warmer", "\"warmed\""), None);
        assert_eq!(id("bref", r#"{"warmd":{"environment":"e1"}}"#), None);
        for answer in ["", "null", "\"warmed\"", "{", r#"{"warmd":{"environment":""}}"#, r#"{"warmd":7}"#] {
            assert_eq!(id("warmd", answer), None, "{answer}");
        }
        let long = format!(r#"{{"warmd":{{"environment":"{}"}}}}"#, "x".repeat(MAX_ID_BYTES + 1));
        assert_eq!(id("warmd", &long), None);
        let large = format!(r#"{{"pad":"{}","warmd":{{"environment":"e"}}}}"#, "x".repeat(MAX_ANSWER_BYTES));
        assert_eq!(id("warmd", &large), None);
    }

    #[test]
    fn reads_initialization_independently_of_id() {
        let read = |name: &str, answer: &str| Protocol::parse(name).unwrap().answered_by(answer.as_bytes());
        let answer = r#"{"warmd":{"environment":"e","initialization":"on-demand"}}"#;
        let both = AnsweredBy { environment: Some("e".into()), initialization: Some("on-demand".into()) };
        assert_eq!(read("warmd", answer), both);
        assert_eq!(custom(json!({})).answered_by(answer.as_bytes()), both);
        assert_eq!(read("opennext", answer).initialization, None);
        for odd in ["null", "7", "{}"] {
            let answer = format!(r#"{{"warmd":{{"environment":"e","initialization":{odd}}}}}"#);
            assert_eq!(read("warmd", &answer), AnsweredBy { initialization: None, ..both.clone() }, "{odd}");
        }
    }

    #[test]
    fn handler_hold_of_protocols() {
        let ms = Duration::from_millis;
        let hold = |protocol: &Protocol| protocol.handler_hold(ms(30)).map(|hold| hold.as_millis());
        let holds: Vec<_> =
            Protocol::NAMES.into_iter().map(|name| hold(&Protocol::parse(name).unwrap())).collect();
        let expected = [30, 25, 75, 75, 30, 10, 50, 130].map(Some);
        assert_eq!(holds, expected);
        assert_eq!(hold(&custom(json!({}))), None);
        assert_eq!(hold(&custom(json!("{{hold_ms}}"))), Some(30));
        assert_eq!(Protocol::Warmd.handler_hold(ms(60_000)), Some(ms(10_000)));
    }

    #[test]
    fn fills_custom_payload() {
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
    fn reports_every_error_in_custom_payload() {
        let template = json!({"a": "{{indx}}", "b": ["{{user}}"], "{{round}}": 1, "c": "{{hold_ms"});
        assert_snapshot!(
            CustomPayload::parse(template).unwrap_err().replace("; ", "\n"),
            @r#"
        unknown placeholder "{{indx}}"
        did you mean `{{index}}`?
        unknown placeholder "{{user}}"
        use one of index, concurrency, hold_ms, round
        expected a key without placeholders, found "{{round}}"
        expected "}}" after "{{", found "{{hold_ms"
        "#
        );
    }

    fn bound(template: Value, variable: impl Fn(&str) -> Option<String>) -> Protocol {
        let mut protocol = custom(template);
        let environment = Environment::read(protocol.variables(), variable).unwrap();
        protocol.bind(&Arc::new(environment));
        protocol
    }

    #[test]
    fn environment_variables_are_filled_in_once_they_are_bound() {
        let template = json!({
            "token": "${env:TOKEN}", "text": ["{{index}}:${env:_A1}${env:TOKEN}!"],
            "literal": "$${env:TOKEN} $$${env:TOKEN} $ $x {a} ${{index}} $${{index}}",
        });
        let unbound = custom(template.clone());
        assert!(!unbound.is_bound());
        assert_eq!(unbound.variables().collect::<Vec<_>>(), ["TOKEN", "_A1"]);
        assert_snapshot!(
            bytes(&unbound, 2),
            @r#"{"token":"${env:TOKEN}","text":["2:${env:_A1}${env:TOKEN}!"],"literal":"${env:TOKEN} $${env:TOKEN} $ $x {a} $2 $$2"}"#
        );
        let bound = bound(template, |name| Some(format!("<{name}\"{{{{index}}}}${{env:TOKEN}}>")));
        assert!(bound.is_bound() && bound.is_uniform() == unbound.is_uniform());
        let payload: Value = serde_json::from_str(&bytes(&bound, 2)).unwrap();
        assert_eq!(
            payload["token"], "<TOKEN\"{{index}}${env:TOKEN}>",
            "a value is not searched for placeholders"
        );
        assert_eq!(payload["text"][0], "2:<_A1\"{{index}}${env:TOKEN}><TOKEN\"{{index}}${env:TOKEN}>!");
        assert!(custom(json!({ "n": 1 })).is_bound() && Protocol::Warmd.is_bound());
    }

    #[test]
    fn values_of_environment_variables_are_not_in_debug_output() {
        let protocol = bound(json!("${env:TOKEN}"), |_| Some("s3cr3t".to_owned()));
        assert!(bytes(&protocol, 0).contains("s3cr3t"));
        assert!(!format!("{protocol:?} {protocol:#?}").contains("s3cr3t"));
    }

    #[test]
    fn malformed_environment_variables_are_errors() {
        let template = json!({
            "a": "${env:}", "b": "${env:1A}", "c": "${foo:bar}", "d": "${env:A", "e": "${env:A B}", "${env:K}": 1,
            "f": "${env:AWS_SESSION_TOKEN}",
        });
        assert_snapshot!(
            CustomPayload::parse(template).unwrap_err().replace("; ", "\n  "),
            @r#"
        expected the name of an environment variable, found ""
          use ASCII letters, digits and `_`, with no digit at the beginning
          expected the name of an environment variable, found "1A"
          use ASCII letters, digits and `_`, with no digit at the beginning
          expected "${env:NAME}", found "${foo:bar}"
          use an environment variable, or write `$${` for a literal `${`
          expected "}" after "${", found "${env:A"
          write `${env:NAME}`, or `$${` for a literal `${`
          expected the name of an environment variable, found "A B"
          use ASCII letters, digits and `_`, with no digit at the beginning
          expected a key without variables, found "${env:K}"
          use the variable in a value
          the environment variable "AWS_SESSION_TOKEN" cannot be used in a payload
          use a variable of another name: those of AWS hold the credentials of warmd
        "#
        );
    }

    proptest::proptest! {
        #[test]
        fn any_value_is_escaped(value: String, before in "[^{$]*", after in "[^{]*") {
            let protocol = bound(json!({ "t": format!("{before}${{env:T}}{after}") }), |_| Some(value.clone()));
            let payload: Value = serde_json::from_str(&bytes(&protocol, 0)).unwrap();
            proptest::prop_assert_eq!(&payload["t"], &json!(format!("{before}{value}{after}")));
        }

        #[test]
        fn doubled_dollars_are_literal(text in "[$ {}a-e:]{0,12}") {
            let escaped = text.replace("${", "$${");
            proptest::prop_assume!(!text.contains("{{") && !text.contains("$$"));
            proptest::prop_assert_eq!(bytes(&custom(json!(escaped)), 0), json!(text).to_string());
        }
    }
}
