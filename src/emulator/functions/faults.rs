//! Faults in a functions file.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::super::fault::{Fault, FaultKind, When};
use super::scalars::DurationText;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FaultName {
    Throttle,
    ServiceError,
    Denied,
    NotFound,
    Refuse,
    Reset,
    Slow,
    FunctionError,
    Timeout,
    GarbageLog,
    NoLog,
    ForeignReport,
    FailEntry,
    Answer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultEntry {
    fault: FaultName,
    first: Option<u64>,
    every: Option<u64>,
    probability: Option<f64>,
    reason: Option<String>,
    #[serde(rename = "type")]
    error_type: Option<String>,
    by: Option<DurationText>,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    body: Option<serde_json::Value>,
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(FaultEntry::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl TryFrom<FaultEntry> for Fault {
    type Error = String;

    fn try_from(entry: FaultEntry) -> Result<Self, String> {
        let FaultEntry { fault, first, every, probability, .. } = entry;
        let FaultEntry { reason, error_type, by, status, code, message, body, .. } = entry;
        let when = match (first, every, probability) {
            (None, None, None) => When::Always,
            (Some(count), None, None) => When::First(count),
            (None, Some(step), None) if step > 0 => When::Every(step),
            (None, None, Some(p)) if (0.0..=1.0).contains(&p) => When::Probability(p),
            (None, Some(_), None) => return Err("expected \"every\" to be at least 1, found 0".to_owned()),
            (None, None, Some(p)) => return Err(format!("expected a probability from 0 to 1, found {p}")),
            _ => return Err("expected only one of \"first\", \"every\" and \"probability\"".to_owned()),
        };
        let allowed = [
            ("reason", reason.is_some(), fault == FaultName::Throttle),
            ("type", error_type.is_some(), fault == FaultName::FunctionError),
            ("by", by.is_some(), fault == FaultName::Slow),
            ("status", status.is_some(), fault == FaultName::Refuse),
            ("code", code.is_some(), fault == FaultName::Refuse),
            ("message", message.is_some(), fault == FaultName::Refuse),
            ("body", body.is_some(), fault == FaultName::Answer),
        ];
        if let Some((name, ..)) = allowed.iter().find(|(_, given, allowed)| *given && !allowed) {
            return Err(format!("unknown key \"{name}\" of this fault"));
        }
        let kind = match fault {
            FaultName::Throttle => FaultKind::Throttle {
                reason: reason.unwrap_or_else(|| "ConcurrentInvocationLimitExceeded".to_owned()),
            },
            FaultName::ServiceError => FaultKind::refuse(500),
            FaultName::Denied => FaultKind::refuse(403),
            FaultName::NotFound => FaultKind::refuse(404),
            FaultName::Refuse => {
                let status = status.filter(|status| (400..600).contains(status));
                let status = status.ok_or("`refuse` requires a `status` from 400 to 599")?;
                match FaultKind::refuse(status) {
                    FaultKind::Refuse { code: usual_code, message: usual_message, .. } => FaultKind::Refuse {
                        status,
                        code: code.unwrap_or(usual_code),
                        message: message.unwrap_or(usual_message),
                    },
                    other => other,
                }
            }
            FaultName::Reset => FaultKind::Reset,
            FaultName::Slow => {
                let DurationText(by) = by.ok_or("`slow` requires `by`, a duration")?;
                FaultKind::Slow { by }
            }
            FaultName::FunctionError => FaultKind::FunctionError {
                error_type: error_type.unwrap_or_else(|| "RuntimeError".to_owned()),
            },
            FaultName::Timeout => FaultKind::Timeout,
            FaultName::GarbageLog => FaultKind::GarbageLog,
            FaultName::NoLog => FaultKind::NoLog,
            FaultName::ForeignReport => FaultKind::ForeignReport,
            FaultName::FailEntry => FaultKind::FailEntry,
            FaultName::Answer => FaultKind::Answer { body: body.ok_or("`answer` requires a `body`")? },
        };
        Ok(Self { kind, when })
    }
}
