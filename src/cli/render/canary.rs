//! Renders the results of first contacts.

use chrono::SecondsFormat;

use super::table::{Column, Sign, table, words};
use super::{Style, Tone};
use crate::domain::function::{Identity, Region};
use crate::domain::records::{Code, Contact};

/// The number of characters of a hash that are shown.
const HASH: usize = 8;

const COLUMNS: [Column; 7] = [
    words("FUNCTION"),
    words("REGION"),
    words("STATE"),
    words("PROTOCOL"),
    words("CODE"),
    words("SINCE"),
    words("REASON"),
];

/// The result of a first contact.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ContactObject {
    /// The function's name, or its ARN.
    pub function: String,
    /// The region.
    pub region: Region,
    /// `unsafe` or `trusted`.
    pub state: &'static str,
    /// The protocol.
    pub protocol: String,
    /// The SHA-256 of the code, in base64; null if unknown.
    pub code: Option<String>,
    /// The time of the result.
    pub since: String,
    /// The reason why the handler is unsafe; null if it is not.
    pub reason: Option<String>,
}

impl ContactObject {
    /// Converts the result of a contact.
    pub fn new(id: &Identity, contact: &Contact) -> Self {
        let Contact { code, contract, at, unsafe_because } = contact;
        Self {
            function: id.unqualified(),
            region: id.region,
            state: if unsafe_because.is_some() { "unsafe" } else { "trusted" },
            // Without the hash of a payload.
            protocol: contract.split(' ').next().unwrap_or_default().to_owned(),
            code: match code {
                Code::Sha256(hash) => Some(hash.clone()),
                Code::Behind(_) => None,
            },
            since: at.to_rfc3339_opts(SecondsFormat::Secs, true),
            reason: unsafe_because.clone(),
        }
    }
}

/// Returns a table of results. Ends with a line feed.
pub fn contacts(contacts: &[ContactObject], style: Style) -> String {
    let row = |contact: &ContactObject| {
        let sign: Sign = if contact.reason.is_some() { ('✗', Tone::Bad) } else { ('✓', Tone::Good) };
        let hash = contact.code.as_deref().unwrap_or("unknown").chars().take(HASH).collect();
        let cells = vec![
            contact.function.clone(),
            contact.region.to_string(),
            contact.state.to_owned(),
            contact.protocol.clone(),
            hash,
            contact.since.clone(),
            contact.reason.clone().unwrap_or_default(),
        ];
        (sign, cells)
    };
    table(&COLUMNS, 0, &contacts.iter().map(row).collect::<Vec<_>>(), style)
}
