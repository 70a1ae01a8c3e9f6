//! Values of environment variables that payloads contain, and their removal from text.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The minimum length in characters of a value that is removed from text. Shorter ones occur in any text by chance, and
/// are too short for a secret.
pub const MIN_REDACTED: usize = 4;

/// The minimum length in characters of an encoded value that is removed from text.
const MIN_ENCODED: usize = 5;

/// A value that is shown nowhere. [`Debug`](fmt::Debug) prints `redacted`.
#[derive(Clone, PartialEq, Eq)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

/// The values of the environment variables that payloads name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    values: BTreeMap<String, Secret>,
    redactor: Redactor,
}

impl Environment {
    /// Reads the variables with these names.
    ///
    /// # Errors
    /// The names of the variables that have no value.
    pub fn read<'n>(
        names: impl IntoIterator<Item = &'n str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BTreeSet<&'n str>> {
        let mut environment = Self::default();
        let mut missing = BTreeSet::new();
        for name in names {
            match variable(name) {
                _ if environment.values.contains_key(name) => {}
                Some(value) => {
                    environment.redactor.add(name, &value);
                    environment.values.insert(name.to_owned(), Secret(value));
                }
                None => _ = missing.insert(name),
            }
        }
        if missing.is_empty() { Ok(environment) } else { Err(missing) }
    }

    /// Returns the value of a variable.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.0.as_str())
    }

    /// Returns what removes the values from text.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}

/// Replaces secret values in text by `${env:NAME}`: as they are, and in the encodings that programs print.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redactor {
    /// The encoded values, the longest first, each with its replacement.
    forms: Vec<(String, String)>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// Creates one without values.
    pub const fn new() -> Self {
        Self { forms: Vec::new() }
    }

    fn add(&mut self, name: &str, value: &str) {
        if value.chars().count() < MIN_REDACTED {
            return;
        }
        let replacement = format!("${{env:{name}}}");
        self.extend(forms(value).into_iter().map(|form| (form, replacement.clone())));
    }

    fn extend(&mut self, forms: impl IntoIterator<Item = (String, String)>) {
        self.forms.extend(forms);
        self.forms.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.forms.dedup_by(|(a, _), (b, _)| a == b);
    }

    /// Adds the values of another.
    pub fn merge(&mut self, other: &Self) {
        self.extend(other.forms.iter().cloned());
    }

    /// Returns true if no value is known.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Replaces every known value.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut found: Vec<(&str, &str)> =
            self.forms.iter().filter(|(form, _)| text.contains(form)).map(|(a, b)| (&**a, &**b)).collect();
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        // One pass, so that no replacement is searched again. Of two values at one place the longer one is first.
        loop {
            let mut next: Option<(usize, &str, &str)> = None;
            found.retain(|(form, replacement)| {
                let at = rest.find(form);
                if let Some(at) = at
                    && next.is_none_or(|(first, ..)| at < first)
                {
                    next = Some((at, form, replacement));
                }
                at.is_some()
            });
            let Some((at, form, replacement)) = next else { break };
            let (before, after) = rest.split_at(at);
            out.push_str(before);
            out.push_str(replacement);
            rest = after.get(form.len()..).unwrap_or_default();
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// Replaces every known value, and the beginning of one at the end of a text that may be cut there.
    pub fn redact_cut(&self, text: String) -> String {
        if self.forms.is_empty() {
            return text;
        }
        let mut text = self.redact(&text).into_owned();
        let cut = self.forms.iter().filter_map(|(form, replacement)| {
            let mut lengths = (MIN_REDACTED..form.len().min(text.len() + 1)).rev();
            let length =
                lengths.find(|length| form.get(..*length).is_some_and(|head| text.ends_with(head)))?;
            Some((length, replacement))
        });
        if let Some((length, replacement)) = cut.max_by_key(|(length, _)| *length) {
            text.truncate(text.len() - length);
            text.push_str(replacement);
        }
        text
    }
}

/// Returns a value in every form in which a log or an answer may have it.
fn forms(value: &str) -> BTreeSet<String> {
    let collapsed = value.split_whitespace().collect::<Vec<_>>().join(" ");
    let spaced = value.replace(char::is_control, " ");
    let mut texts: BTreeSet<String> = [value.to_owned(), collapsed, spaced].into();
    // A message may quote a payload, and a log line may quote the message.
    for _ in 0..2 {
        let escaped: Vec<String> =
            texts.iter().flat_map(|text| ESCAPES.iter().map(move |escape| escape(text))).collect();
        texts.extend(escaped);
    }
    texts.retain(|text| text.chars().count() >= MIN_REDACTED);
    let bytes = value.as_bytes();
    let list = |separator: &str| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
    texts.extend([list(", "), list(",")]);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    texts.extend([hex.to_uppercase(), hex]);
    // The text around a value decides at which of three offsets its base64 begins, and its first and last character.
    for offset in 0..3 {
        let shifted = [&[0; 2][..offset], bytes].concat();
        let whole = (offset * 8).div_ceil(6)..shifted.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&shifted);
            let form = encoded.get(whole.clone()).unwrap_or_default();
            if form.len() >= MIN_ENCODED {
                texts.insert(form.to_owned());
            }
        }
    }
    texts
}

/// The ways in which languages and libraries escape text.
const ESCAPES: &[fn(&str) -> String] = &[
    json,
    |text| json(text).replace('/', "\\/"),
    // JSON in ASCII.
    |text| {
        let mut out = String::new();
        for c in json(text).chars() {
            match c.is_ascii() {
                true => out.push(c),
                false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| _ = write!(out, "\\u{unit:04x}")),
            }
        }
        out
    },
    |text| inner(&format!("{text:?}")),
    // `b"…"` of bytes, with and without an escaped apostrophe.
    |text| text.as_bytes().escape_ascii().to_string(),
    |text| text.as_bytes().escape_ascii().to_string().replace("\\'", "'"),
    // Control characters only.
    |text| {
        let escape =
            |c: char| if c.is_control() { format!("\\x{:02x}", u32::from(c)) } else { c.to_string() };
        text.chars().map(escape).collect()
    },
    |text| {
        let mut out = String::new();
        for byte in text.bytes() {
            match byte {
                b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
                _ => _ = write!(out, "%{byte:02X}"),
            }
        }
        out
    },
];

fn json(text: &str) -> String {
    inner(&serde_json::Value::from(text).to_string())
}

/// Returns a quoted text without its quotes.
fn inner(quoted: &str) -> String {
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment(value: &str) -> Environment {
        Environment::read(["T"], |_| Some(value.to_owned())).unwrap()
    }

    #[test]
    fn values_are_not_in_debug_output() {
        let debug = format!("{:?}", environment("s3cr3t"));
        assert_eq!(debug, r#"Environment { values: {"T": redacted}, redactor: Redactor }"#);
    }

    #[test]
    fn missing_variables_are_named_once() {
        let missing = Environment::read(["B", "A", "B", "SET"], |name| (name == "SET").then(String::new));
        assert_eq!(missing.unwrap_err(), ["A", "B"].into());
    }

    #[test]
    fn every_form_of_a_value_is_removed() {
        let value = "p/ä'\"s\\\n3";
        let environment = environment(value);
        let payload = serde_json::json!({ "token": value }).to_string();
        let python = r#"{'token': 'x'}, {"token": "p/\u00e4'\"s\\\n3"}"#;
        let php = r#"{"token":"p\/ä'\"s\\\n3"}"#;
        for (text, expected) in [
            (value.to_owned(), "${env:T}"),
            (payload.clone(), r#"{"token":"${env:T}"}"#),
            (format!("{payload:?}"), r#""{\"token\":\"${env:T}\"}""#),
            (format!("{:?}", bytes::Bytes::from(value)), "b\"${env:T}\""),
            (format!("{:?}", value.as_bytes()), "[${env:T}]"),
            (format!("it's {}", "p/ä'\"s\\ 3"), "it's ${env:T}"),
            (python.to_owned(), r#"{'token': 'x'}, {"token": "${env:T}"}"#),
            (php.to_owned(), r#"{"token":"${env:T}"}"#),
            ("?t=p%2F%C3%A4%27%22s%5C%0A3&u".to_owned(), "?t=${env:T}&u"),
            ("p/ä'\"s\\".to_owned(), "p/ä'\"s\\"),
        ] {
            assert_eq!(environment.redactor().redact(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_replacement_is_not_searched_again() {
        let redactor = environment("${env").redactor;
        assert_eq!(redactor.redact("${env ${env"), "${env:T} ${env:T}");
    }

    #[test]
    fn the_beginning_of_a_value_at_a_cut_is_removed() {
        let redactor = environment("correct-horse").redactor;
        let cut = |text: &str| redactor.redact_cut(text.to_owned());
        assert_eq!(cut("token correct-ho"), "token ${env:T}");
        assert_eq!(cut("token correct-horse."), "token ${env:T}.");
        assert_eq!(cut("token cor"), "token cor", "three characters occur by chance");
    }

    #[test]
    fn short_values_stay_in_text() {
        let redactor = environment("dev").redactor;
        assert!(redactor.is_empty());
        assert_eq!(redactor.redact("developer"), "developer");
    }

    proptest! {
        #[test]
        fn base64_of_a_text_around_a_value_has_no_more_than_its_ends(
            before in "[a-z]{0,5}", value in "[!-~]{5,20}", after in "[a-z]{0,5}",
        ) {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{value}{after}"));
            let redacted = environment(&value).redactor.redact(&encoded).into_owned();
            prop_assert!(redacted.contains("${env:T}"), "{encoded}: {redacted}");
        }

        #[test]
        fn no_value_stays_in_any_text(value in "\\PC{4,30}", around in "\\PC{0,20}") {
            prop_assume!(!"${env:T}".contains(&value));
            let text = format!("{around}{value}{around}");
            let redacted = environment(&value).redactor.redact(&text).into_owned();
            prop_assert!(redacted.contains("${env:T}"), "{redacted}");
        }
    }
}
