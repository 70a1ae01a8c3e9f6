//! Reasons why answers prove less about environments than they seem to.

use std::collections::BTreeMap;

use super::busy_interval::{BusyInterval, held};
use super::ids::Ids;
use super::overlap::most_at_a_time;
use super::{Attempt, Initialization, Known, PingResult};

/// A reason why a round's answers prove less than they seem to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// An environment runs several invocations at once (managed instances), so that no bound holds.
    SharedEnvironments(SharedBy),
    /// Ids are not those of environments. They do not count; other evidence does.
    ForeignIds(ForeignIds),
}

/// The sign that an environment runs several invocations at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedBy {
    /// A handler answered that it was initialised on managed instances.
    Answer,
    /// Runs with the same id must have overlapped.
    Ids,
}

/// The sign that ids are not those of environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignIds {
    /// No id was repeated in several rounds: the handler creates one on every invocation.
    Fresh,
    /// Two new environments answered the same id: the handler created it before the snapshot.
    Copied,
}

impl Doubt {
    /// Returns the doubt and its remedy as text.
    pub fn explain(self) -> &'static str {
        match self {
            Self::SharedEnvironments(SharedBy::Answer) => {
                "its handler runs on managed instances, where an environment takes several invocations at once: pings \
                 prove nothing there"
            }
            Self::SharedEnvironments(SharedBy::Ids) => {
                "one id answered pings that ran at the same time: either its environments take several invocations at \
                 once (managed instances), or they share an id; nothing is proven"
            }
            Self::ForeignIds(ForeignIds::Fresh) => {
                "its handler seems to create a new id on every invocation (none was repeated in three all-warm \
                 rounds), so ids do not count: create the id once in each environment, as `warmd handler` does"
            }
            Self::ForeignIds(ForeignIds::Copied) => {
                "new environments answered the same id, so ids do not count: create the id on the first invocation, as \
                 `warmd handler` does"
            }
        }
    }
}

/// Returns the most serious doubt about a round's answers, if any.
pub(super) fn doubt(attempts: &[Attempt], known: Known) -> Option<Doubt> {
    let pings = || attempts.iter().flat_map(|attempt| &attempt.pings);
    if pings().any(|ping| ping.initialization == Some(Initialization::ManagedInstances)) {
        return Some(Doubt::SharedEnvironments(SharedBy::Answer));
    }
    let shared = attempts.iter().map(shared_ids).fold(SharedIds::default(), SharedIds::or);
    if shared.ran_at_once {
        return Some(Doubt::SharedEnvironments(SharedBy::Ids));
    }
    if shared.copied {
        return Some(Doubt::ForeignIds(ForeignIds::Copied));
    }
    let has_ids = pings().any(|ping| ping.environment.is_some());
    (known.ids == Ids::Invocations && has_ids).then_some(Doubt::ForeignIds(ForeignIds::Fresh))
}

/// The behaviour of pings with the same id and version.
#[derive(Debug, Clone, Copy, Default)]
struct SharedIds {
    /// At least two of them must have run at once, which an environment that takes one at a time cannot do.
    ran_at_once: bool,
    /// At least two of them created a new environment.
    copied: bool,
}

impl SharedIds {
    fn or(self, other: Self) -> Self {
        Self { ran_at_once: self.ran_at_once || other.ran_at_once, copied: self.copied || other.copied }
    }
}

fn shared_ids(attempt: &Attempt) -> SharedIds {
    let held = held(attempt);
    let mut groups: BTreeMap<(Option<&str>, &str), Vec<&PingResult>> = BTreeMap::new();
    for ping in attempt.pings.iter().filter(|ping| ping.outcome.is_evidence()) {
        if let Some(id) = ping.environment.as_deref() {
            groups.entry((ping.version.as_deref(), id)).or_default().push(ping);
        }
    }
    groups.values().filter(|group| group.len() > 1).fold(SharedIds::default(), |shared, group| {
        let copied = group.iter().filter(|ping| ping.outcome.is_new()).count() > 1;
        let runs: Vec<BusyInterval> = group.iter().filter_map(|ping| BusyInterval::of(ping, held)).collect();
        shared.or(SharedIds { ran_at_once: !copied && most_at_a_time(&runs, 1) > 1, copied })
    })
}
