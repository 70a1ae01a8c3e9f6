//! The results of rounds for the guards of a region: first contacts, failed rounds and throttles. One
//! document for each region.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use super::{FORGOTTEN_AFTER, keyed};
use crate::domain::fleet::Target;
use crate::domain::function::{Identity, Qualifier, Region};
use crate::domain::future::{is_future, later};
use crate::domain::schedule::Minute;

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
    #[serde(default, serialize_with = "keyed::serialize", deserialize_with = "known_contacts")]
    pub contacts: BTreeMap<Identity, Vec<Contact>>,
    /// The health of targets with failed or throttled rounds.
    #[serde(default, serialize_with = "keyed::serialize", deserialize_with = "keyed::deserialize_known")]
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

    /// Returns the earliest time of the next ping, a whole minute, because firings of a schedule vary by milliseconds;
    /// `None` unless the breaker is open.
    pub fn next_try(&self) -> Option<DateTime<Utc>> {
        self.is_open().then(|| later(Minute::of(self.at).instant(), TRY_EVERY))
    }
}

impl Guards {
    /// Returns the name of the document of a region.
    pub fn document(region: Region) -> String {
        format!("guards-{region}")
    }

    /// Begins the record at `now`. The targets that were served before are trusted, unless they were contacted.
    pub fn begin<'t>(&mut self, served: impl Iterator<Item = &'t Target>, now: DateTime<Utc>) {
        if self.since.is_none() {
            self.since = Some(now);
            let is_new = |target: &&Target| {
                let contract = target.protocol.contract();
                let mut known = self.contacts.get(&function(target)).into_iter().flatten();
                !known.any(|contact| contact.contract == contract)
            };
            let new: Vec<&Target> = served.filter(is_new).collect();
            for target in new {
                self.note_contact(target, None, None, now);
            }
        }
    }

    /// Returns the trust in the handler of a target. `code` is the hash of its deployed code. If it is unknown (`None`),
    /// a handler whose last result was unsafe stays so, unless the target is a version: the code of another one was
    /// unsafe.
    pub fn trust(&self, target: &Target, code: Option<&str>) -> Trust {
        let contract = target.protocol.contract();
        let known = self.contacts.get(&function(target)).into_iter().flatten();
        let known: Vec<&Contact> = known.filter(|contact| contact.contract == contract).collect();
        let of = |code: &Code| known.iter().rev().find(|contact| contact.code == *code);
        let found = code.and_then(|code| of(&Code::Sha256(code.to_owned())));
        let is_version = target.id.qualifier.as_ref().is_some_and(Qualifier::is_version);
        let is_unsafe = |last: &&&Contact| code.is_none() && !is_version && last.unsafe_because.is_some();
        let last = || known.last().filter(is_unsafe);
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

    /// Returns true if a contact of a target was recorded for code of unknown hash.
    pub fn lacks_hash(&self, target: &Target) -> bool {
        let (contract, behind) = (target.protocol.contract(), behind(target));
        let mut known = self.contacts.get(&function(target)).into_iter().flatten();
        known.any(|contact| contact.code == behind && contact.contract == contract)
    }

    /// Gives the contact that was recorded for code of unknown hash the hash that was read since. Of two contacts with
    /// the same hash the newer one is kept.
    pub fn adopt_hash(&mut self, target: &Target, code: &str) {
        let (contract, behind) = (target.protocol.contract(), behind(target));
        let Some(contacts) = self.contacts.get_mut(&function(target)) else { return };
        let is_of = |contact: &Contact, code: &Code| contact.code == *code && contact.contract == contract;
        let Some(index) = contacts.iter().position(|contact| is_of(contact, &behind)) else { return };
        let code = Code::Sha256(code.to_owned());
        let adopted = Contact { code: code.clone(), ..contacts.remove(index) };
        match contacts.iter_mut().find(|contact| is_of(contact, &code)) {
            None => contacts.insert(index, adopted),
            Some(known) if known.at < adopted.at => *known = adopted,
            Some(_) => {}
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

/// Reads contacts. Those of newer versions that cannot be read are left out.
fn known_contacts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Identity, Vec<Contact>>, D::Error> {
    let all: BTreeMap<Identity, Vec<serde_json::Value>> = keyed::deserialize_known(deserializer)?;
    let known = |contacts: Vec<serde_json::Value>| {
        contacts.into_iter().filter_map(|contact| serde_json::from_value(contact).ok()).collect()
    };
    Ok(all.into_iter().map(|(id, contacts)| (id, known(contacts))).collect())
}

fn function(target: &Target) -> Identity {
    target.id.function()
}

fn behind(target: &Target) -> Code {
    Code::Behind(target.id.qualifier.as_ref().map(ToString::to_string).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u32) -> DateTime<Utc> {
        format!("2026-11-20T09:{minute:02}:00Z").parse().unwrap()
    }

    fn target(function: &str) -> Target {
        Target::example(function, "eu-west-2", Vec::new())
    }

    #[test]
    fn contacts_of_unknown_code_get_the_hash_that_is_read_and_hold_for_no_other() {
        let (live, blue) = (target("f:live"), target("f:blue"));
        let mut guards = Guards::default();
        guards.begin([&live, &blue].into_iter(), at(0));
        for target in [&live, &blue] {
            assert!(guards.lacks_hash(target));
            assert_eq!(guards.trust(target, None), Trust::Trusted);
            guards.adopt_hash(target, "a");
            assert!(!guards.lacks_hash(target));
            assert_eq!(guards.trust(target, Some("a")), Trust::Trusted);
        }
        assert_eq!(guards.trust(&blue, Some("b")), Trust::None);
        // Of two results for one hash the newer one counts.
        for (minute, expected) in [(1, Trust::Unsafe("it failed".to_owned())), (0, Trust::Trusted)] {
            let mut guards = Guards::default();
            guards.note_contact(&blue, None, Some("it failed".to_owned()), at(minute));
            guards.note_contact(&live, Some("a"), None, at(1 - minute));
            guards.adopt_hash(&blue, "a");
            assert_eq!(guards.trust(&blue, Some("a")), expected);
        }
    }

    #[test]
    fn what_was_contacted_is_not_trusted_because_it_was_served() {
        let live = target("f:live");
        let mut guards = Guards::default();
        guards.note_contact(&live, Some("a"), Some("it failed".to_owned()), at(0));
        guards.begin(std::iter::once(&live), at(1));
        assert!(matches!(guards.trust(&live, Some("a")), Trust::Unsafe(_)));
        assert_eq!(guards.trust(&live, Some("b")), Trust::None);
        assert!(matches!(guards.trust(&live, None), Trust::Unsafe(_)), "the code may be the same");
    }

    #[test]
    fn entries_that_cannot_be_read_are_left_out() {
        let text = r#"{ "since": null, "later": 1, "health": { "f eu-west-2": { "at": 7 } }, "contacts": {
            "f eu-west-2": [{ "code": { "sha512": "a" } }, { "code": { "sha256": "a" }, "contract": "warmd",
                "at": "2026-11-20T09:00:00Z" }], "g eu-west-2": 3 } }"#;
        let guards: Guards = serde_json::from_str(text).unwrap();
        assert_eq!((guards.health.len(), guards.contacts.len()), (0, 1));
        assert_eq!(guards.trust(&target("f"), Some("a")), Trust::Trusted);
    }
}
