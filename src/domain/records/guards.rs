//! What the rounds of a region have shown of handlers and limits: first contacts, failed rounds and throttles. One
//! document for each region.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{FORGOTTEN_AFTER, keyed};
use crate::domain::fleet::Target;
use crate::domain::function::{Identity, Region};
use crate::domain::future::{is_future, later};

/// The consecutive failed rounds that open the breaker.
pub const BREAKER_AFTER: u32 = 3;
/// The time between two pings to a target with an open breaker.
const TRY_EVERY: TimeDelta = TimeDelta::minutes(15);
/// The maximum number of contacts of a function: versions behind its aliases, and protocols.
const MOST_CONTACTS: usize = 32;

/// The record of the guards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// The time since which first contacts are recorded; `None` before. Targets that were served before are trusted.
    #[serde(default)]
    pub since: Option<DateTime<Utc>>,
    /// The first contacts by function, without qualifier.
    #[serde(default, with = "keyed")]
    pub contacts: BTreeMap<Identity, Vec<Contact>>,
    /// The health of targets with failed or throttled rounds.
    #[serde(default, with = "keyed")]
    pub health: BTreeMap<Identity, Health>,
}

/// The result of the first contact with a handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The code that ran.
    pub code: Code,
    /// The protocol and its payload, see [`Protocol::contract`](crate::domain::protocol::Protocol::contract).
    pub contract: String,
    /// The time of the result.
    pub at: DateTime<Utc>,
    /// The reason why the handler is unsafe; `None` if it is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsafe_because: Option<String>,
}

/// The identity of code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The SHA-256 of the deployment package, in base64.
    Sha256(String),
    /// The code behind this qualifier, whose hash was not readable; empty without a qualifier.
    Behind(String),
}

/// The trust in a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It was never contacted.
    None,
    /// It answered pings as pings.
    Trusted,
    /// It took a ping for work; the reason.
    Unsafe(String),
}

/// The health of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The time of the last change.
    pub at: DateTime<Utc>,
    /// Consecutive rounds with nothing but function errors, denials and not-found, up to [`BREAKER_AFTER`].
    #[serde(default)]
    pub failures: u32,
    /// The largest round since the last throttle; `None` without one.
    #[serde(default)]
    pub limit: Option<u32>,
}

impl Health {
    /// Returns true if the breaker is open.
    pub fn is_open(&self) -> bool {
        self.failures >= BREAKER_AFTER
    }

    /// Returns the earliest time of the next ping; `None` unless the breaker is open.
    pub fn next_try(&self) -> Option<DateTime<Utc>> {
        self.is_open().then(|| later(self.at, TRY_EVERY))
    }
}

impl Guards {
    /// Returns the name of the document of a region.
    pub fn document(region: Region) -> String {
        format!("guards-{region}")
    }

    /// Begins the record at `now`. The targets that were served before are trusted.
    pub fn begin<'t>(&mut self, served: impl Iterator<Item = &'t Target>, now: DateTime<Utc>) {
        if self.since.is_none() {
            self.since = Some(now);
            for target in served {
                self.note_contact(target, None, None, now);
            }
        }
    }

    /// Returns the trust in the handler of a target. `code` is the hash of its deployed code. If it is unknown (`None`),
    /// a handler whose last result was unsafe stays so.
    pub fn trust(&self, target: &Target, code: Option<&str>) -> Trust {
        let contract = target.protocol.contract();
        let known = self.contacts.get(&function(target)).into_iter().flatten();
        let known: Vec<&Contact> = known.filter(|contact| contact.contract == contract).collect();
        let of = |code: &Code| known.iter().rev().find(|contact| contact.code == *code);
        let found = code.and_then(|code| of(&Code::Sha256(code.to_owned())));
        let last = || known.last().filter(|last| code.is_none() && last.unsafe_because.is_some());
        match found.or_else(|| of(&behind(target))).or_else(last) {
            None => Trust::None,
            Some(Contact { unsafe_because: Some(reason), .. }) => Trust::Unsafe(reason.clone()),
            Some(_) => Trust::Trusted,
        }
    }

    /// Adds the result of a contact. It replaces earlier ones with the same code, protocol and payload. A result for
    /// code of unknown hash becomes that of the first hash that is read.
    pub fn note_contact(
        &mut self,
        target: &Target,
        code: Option<&str>,
        unsafe_because: Option<String>,
        now: DateTime<Utc>,
    ) {
        let contract = target.protocol.contract();
        let behind = behind(target);
        let code = code.map_or_else(|| behind.clone(), |code| Code::Sha256(code.to_owned()));
        let contacts = self.contacts.entry(function(target)).or_default();
        contacts.retain(|known| known.contract != contract || known.code != code && known.code != behind);
        contacts.push(Contact { code, contract, at: now, unsafe_because });
        if contacts.len() > MOST_CONTACTS {
            contacts.remove(0);
        }
    }

    /// Returns true if a contact of a target was recorded only for code of unknown hash.
    pub fn lacks_hash(&self, target: &Target, code: &str) -> bool {
        let (contract, behind) = (target.protocol.contract(), behind(target));
        let code = Code::Sha256(code.to_owned());
        let known = self.contacts.get(&function(target)).into_iter().flatten();
        let known: Vec<&Code> =
            known.filter(|contact| contact.contract == contract).map(|contact| &contact.code).collect();
        known.contains(&&behind) && !known.contains(&&code)
    }

    /// Gives the contact that was recorded for code of unknown hash the hash that was read since.
    pub fn adopt_hash(&mut self, target: &Target, code: &str) {
        if !self.lacks_hash(target, code) {
            return;
        }
        let (contract, behind) = (target.protocol.contract(), behind(target));
        let contacts = self.contacts.get_mut(&function(target)).into_iter().flatten();
        for contact in contacts.filter(|contact| contact.contract == contract && contact.code == behind) {
            contact.code = Code::Sha256(code.to_owned());
        }
    }

    /// Removes the unsafe contacts of a function. Returns their number.
    pub fn clear(&mut self, is_its: impl Fn(&Identity) -> bool) -> usize {
        let mut cleared = 0;
        for (_, contacts) in self.contacts.iter_mut().filter(|(id, _)| is_its(id)) {
            let before = contacts.len();
            contacts.retain(|contact| contact.unsafe_because.is_none());
            cleared += before - contacts.len();
        }
        self.contacts.retain(|_, contacts| !contacts.is_empty());
        cleared
    }

    /// Returns the health of a target; `None` if nothing is known against it. An entry in the future of `now` counts
    /// as unknown.
    pub fn health(&self, id: &Identity, now: DateTime<Utc>) -> Option<&Health> {
        self.health.get(id).filter(|health| !is_future(health.at, now))
    }

    /// Replaces the health of a target. Entries that are too old or in the future are dropped.
    pub fn set_health(&mut self, id: &Identity, health: Option<Health>, now: DateTime<Utc>) {
        match health {
            Some(health) => self.health.insert(id.clone(), health),
            None => self.health.remove(id),
        };
        self.health.retain(|_, health| later(health.at, FORGOTTEN_AFTER) > now && !is_future(health.at, now));
    }
}

fn function(target: &Target) -> Identity {
    target.id.function()
}

fn behind(target: &Target) -> Code {
    Code::Behind(target.id.qualifier.as_ref().map(ToString::to_string).unwrap_or_default())
}
