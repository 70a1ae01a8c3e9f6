//! Any state document causes no panic and no overflow, and is the same after writing and parsing it.
//!
//! The same bytes are parsed as every kind of document. Most inputs fit only one.

#![no_main]

use std::sync::OnceLock;

use chrono::{DateTime, TimeDelta, Utc};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde::Serialize;
use serde::de::DeserializeOwned;
use warmd_fuzz::config::{SourceFile, resolve};
use warmd_fuzz::domain::fleet::Fleet;
use warmd_fuzz::domain::handed_out::HandedOut;
use warmd_fuzz::domain::records::{
    BacklogTerms, Pauses, RequestTerms, Requests, Served, Shards, Status, with_requests,
};
use warmd_fuzz::domain::schedule::{Minute, Mode, plan_tick};

/// A function that accepts requests and one that does not, with the names of the corpus.
const FLEET: &str = r#"
version: 1
defaults: { region: eu-west-2, timezone: Europe/London, interval: 5m }
functions:
  f:live:
    on_request: { max_concurrency: 10, max_for: 30m }
    windows: [{ days: mon-fri, hours: "08:00-18:00", concurrency: 3 }]
  g:
    windows: [{ days: daily, hours: all-day, concurrency: 1 }]
"#;

fn fleet() -> &'static Fleet {
    static LOADED: OnceLock<Fleet> = OnceLock::new();
    LOADED.get_or_init(|| {
        let file = SourceFile { path: "fleet.yaml".to_owned(), text: FLEET.to_owned() };
        match resolve(vec![file], &mut |_| Err("no such file".to_owned()), None) {
            Ok(loaded) => loaded.fleet,
            Err(problems) => panic!("{}", problems.render_text(false)),
        }
    })
}

/// Parses the document, if the bytes are one of that kind.
fn document<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<T> {
    let document: T = serde_json::from_slice(data).ok()?;
    rewritten(&document);
    Some(document)
}

/// Checks that a document is the same after writing and parsing it.
fn rewritten<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(document: &T) {
    let written = serde_json::to_vec(document).expect("a document is written");
    let again: T = serde_json::from_slice(&written).expect("a written document is read");
    assert_eq!(*document, again);
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let fleet = fleet();
    let now: DateTime<Utc> = DateTime::UNIX_EPOCH + TimeDelta::days(20_777) + TimeDelta::hours(9);
    let minute = Minute::of(now);
    let mut known = false;
    if let Some(mut requests) = document::<Requests>(data) {
        known = true;
        let asked = with_requests(fleet, &requests, now);
        plan_tick(&asked, minute, Mode::Open);
        for target in &fleet.targets {
            let Some(rule) = &target.on_request else { continue };
            let terms = RequestTerms {
                at: now,
                concurrency: 4,
                keep_for: Some(rule.max_for),
                reason: Some("why".to_owned()),
            };
            requests.add(&target.id, &terms, rule, now);
            for (messages, pipeline) in [(90_000, None), (7, Some("nlp".to_owned()))] {
                let (rate, per_environment) = (300.into(), 3_000.into());
                let terms = BacklogTerms {
                    at: now,
                    pipeline,
                    messages,
                    rate,
                    per_environment,
                    hold_for: None,
                    reason: None,
                };
                requests.add_backlog(&target.id, &terms, rule, now);
            }
            requests.note_reached(&[(target.id.clone(), Some(u32::MAX))].into(), now);
            requests.in_future(now);
        }
        with_requests(fleet, &requests, now);
        rewritten(&requests);
    }
    if let Some(mut pauses) = document::<Pauses>(data) {
        known = true;
        for target in &fleet.targets {
            if let Some(pause) = pauses.of(target, now) {
                assert!(now < pause.until && !pause.to_string().is_empty());
            }
        }
        pauses.prune(now);
        rewritten(&pauses);
    }
    if let Some(mut served) = document::<Served>(data) {
        known = true;
        for due in served.plan(fleet, minute, minute.plus(-1), now) {
            assert!(due.index < fleet.targets.len());
        }
        for target in &fleet.targets {
            served.is_busy(target, now);
            served.take_back(&target.id, minute, minute.plus(-5));
        }
        served.note_busy(fleet.targets.iter().map(|target| (target, now + TimeDelta::minutes(1))));
        served.in_future(now);
        served.claim(7, minute, minute.plus(-1), now, &fleet.targets);
        served.renew(7, now);
        served.settle(7, |id| id.name.as_str().len() % 2 == 0, now);
        assert!(!served.is_claimed_by(7));
        served.note(minute, &fleet.targets, now);
        rewritten(&served);
    }
    if let Some(mut shards) = document::<Shards>(data) {
        known = true;
        shards.take("0123456789abcdef0123456789abcdef", 7, now);
        shards.give_back("0123456789abcdef0123456789abcdef", 7);
        rewritten(&shards);
    }
    if let Some(mut handed_out) = document::<HandedOut>(data) {
        known = true;
        handed_out.note(&["0123456789abcdef0123456789abcdef".to_owned()], now);
        assert!(handed_out.has("0123456789abcdef0123456789abcdef", now));
        rewritten(&handed_out);
    }
    if let Some(mut status) = document::<Status>(data) {
        known = true;
        status.merge(status.clone());
        status.note_rounds(&[], now, now);
        rewritten(&status);
    }
    if known { Corpus::Keep } else { Corpus::Reject }
});
