//! The size limit of documents: entries are dropped oldest first.

use std::collections::BTreeMap;
use std::mem::take;

use serde::Serialize;

use super::keyed::Key;
use super::{Capacities, Facts, Guards, LastPipeline, LastRound, Pauses, Requests, Served, Shards, Status};
use crate::domain::handed_out::HandedOut;

/// The maximum size in bytes of a written document. A fleet of ten thousand targets with the longest names has half
/// as many.
pub const MOST_BYTES: usize = 8 << 20;

/// A document that can be reduced in size.
pub trait Bounded {
    /// Drops entries, oldest first, until at least `excess` bytes of JSON or all entries are gone. Returns their
    /// number.
    fn drop_oldest(&mut self, excess: usize) -> usize;
}

impl Bounded for Requests {
    fn drop_oldest(&mut self, excess: usize) -> usize {
        match drop_oldest(&mut self.targets, excess, |request| request.asked) {
            0 => drop_oldest(&mut self.backlogs, excess, |backlogs| {
                backlogs.iter().map(|backlog| backlog.asked).max()
            }),
            dropped => dropped,
        }
    }
}

impl Bounded for Pauses {
    /// Drops the pauses that end first: those of pipelines, then those of functions, and the pause of the whole fleet
    /// last. The time of creation is not stored.
    fn drop_oldest(&mut self, excess: usize) -> usize {
        match drop_oldest(&mut self.pipelines, excess, |pause| pause.until) {
            0 => match drop_oldest(&mut self.functions, excess, |pause| pause.until) {
                0 => usize::from(self.all.take().is_some()),
                dropped => dropped,
            },
            dropped => dropped,
        }
    }
}

impl Bounded for Served {
    fn drop_oldest(&mut self, excess: usize) -> usize {
        match drop_oldest(&mut self.targets, excess, |minute| *minute) {
            0 => {
                drop_oldest(&mut self.claims, excess, |claim| claim.until)
                    + drop_oldest(&mut self.busy, excess, |until| *until)
                    + drop_oldest(&mut self.levels.targets, excess, |level| level.at)
                    + drop_oldest(&mut self.deployments.targets, excess, |deployment| deployment.at)
            }
            dropped => dropped,
        }
    }
}

impl Bounded for Status {
    fn drop_oldest(&mut self, excess: usize) -> usize {
        // Their number is small unless something is wrong.
        let mut pipelines: BTreeMap<String, LastPipeline> = take(&mut self.pipelines)
            .into_iter()
            .map(|last| (format!("{} {}", last.region, last.name), last))
            .collect();
        let dropped = drop_oldest(&mut pipelines, excess, |last| last.tick);
        self.pipelines = pipelines.into_values().collect();
        match dropped {
            0 => match drop_oldest(&mut self.targets, excess, LastRound::latest) {
                // Nothing else is left.
                0 => self.history.clear(),
                dropped => dropped,
            },
            dropped => dropped,
        }
    }
}

impl Bounded for Shards {
    fn drop_oldest(&mut self, excess: usize) -> usize {
        drop_oldest(&mut self.taken, excess, |taken| taken.at)
    }
}

impl Bounded for Facts {
    fn drop_oldest(&mut self, excess: usize) -> usize {
        drop_oldest(&mut self.functions, excess, |facts| facts.at)
    }
}

impl Bounded for Guards {
    /// Drops the health first: a forgotten contact is repeated with one ping, and an unsafe handler is kept longest.
    fn drop_oldest(&mut self, excess: usize) -> usize {
        match drop_oldest(&mut self.health, excess, |health| health.at) {
            0 => drop_oldest(&mut self.contacts, excess, |contacts| {
                let is_unsafe = contacts.iter().any(|contact| contact.unsafe_because.is_some());
                (is_unsafe, contacts.iter().map(|contact| contact.at).max())
            }),
            dropped => dropped,
        }
    }
}

impl Bounded for Capacities {
    /// Drops the entries of targets for which warmd has made nothing. The others are never dropped.
    fn drop_oldest(&mut self, excess: usize) -> usize {
        let (made, mut others) =
            take(&mut self.targets).into_iter().partition(|(_, kept)| kept.made.is_some());
        self.targets = made;
        let dropped = drop_oldest(&mut others, excess, |kept| kept.seen.as_ref().map(|seen| seen.at));
        self.targets.append(&mut others);
        dropped
    }
}

impl Bounded for HandedOut {
    fn drop_oldest(&mut self, excess: usize) -> usize {
        drop_oldest(&mut self.shards, excess, |at| *at)
    }
}

fn drop_oldest<K: Key, V: Serialize, A: Ord>(
    entries: &mut BTreeMap<K, V>,
    excess: usize,
    age: impl Fn(&V) -> A,
) -> usize {
    let mut oldest: Vec<(A, K, usize)> = entries
        .iter()
        .map(|(key, value)| {
            (age(value), key.clone(), json_bytes(&key.text()) + json_bytes(value) + ":,".len())
        })
        .collect();
    oldest.sort();
    let mut gone = 0;
    let mut dropped = 0;
    for (_, key, bytes) in oldest {
        if gone >= excess {
            break;
        }
        entries.remove(&key);
        gone += bytes;
        dropped += 1;
    }
    dropped
}

fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |bytes| bytes.len())
}
