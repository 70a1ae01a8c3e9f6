//! The rounds of the versions behind weighted aliases.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::fleet::Target;
use crate::domain::function::Identity;
use crate::domain::guard::{Decision, Denials, Terms, VersionDecision};
use crate::domain::tick::{RoundRecord, SkipReason};
use crate::engine::tick::{Due, VersionDue};

/// Adds the versions behind a weighted alias to its round. `decision` is that on the alias, which is pinged only where
/// pings of a version are denied. Returns the decision on the round.
pub(super) fn with_versions(
    due: Due,
    decision: Decision,
    versions: Vec<VersionDecision>,
    denials: &Denials,
    now: DateTime<Utc>,
) -> (Decision, Due) {
    let version = |VersionDecision { target, weight, decision }| {
        let (concurrency, terms, skipped) = match decision {
            Decision::Send(concurrency, terms) => {
                (concurrency, terms, denials.holds(&target.id, now).then_some(SkipReason::Denied))
            }
            Decision::Skip(reason) => (due.concurrency, Terms::default(), Some(reason)),
        };
        let due = Due { target: Arc::new(target), concurrency, terms, ..due.clone() };
        VersionDue { weight, due, skipped }
    };
    let versions: Vec<VersionDue> = versions.into_iter().map(version).collect();
    let reasons: Option<Vec<SkipReason>> = versions.iter().map(|version| version.skipped).collect();
    if let Some(reasons) = reasons.filter(|reasons| !reasons.contains(&SkipReason::Denied)) {
        let is_unsafe = reasons.contains(&SkipReason::Unsafe).then_some(SkipReason::Unsafe);
        if let Some(reason) = is_unsafe.or(reasons.first().copied()) {
            return (Decision::Skip(reason), due);
        }
    }
    match decision {
        Decision::Send(..) => (decision, Due { versions, ..due }),
        Decision::Skip(reason) => {
            let room = versions.iter().find_map(|version| version.due.terms.room.clone());
            let terms = Terms { room, ..Terms::default() };
            (Decision::Send(due.concurrency, terms), Due { versions, alias_skipped: Some(reason), ..due })
        }
    }
}

/// Returns the rounds of a record with their targets: those of the versions, otherwise the round itself.
pub(super) fn rounds<'r>(due: &'r Due, record: &'r RoundRecord) -> Vec<(&'r Arc<Target>, &'r RoundRecord)> {
    let versions = record.sent().map(|sent| &sent.versions[..]).unwrap_or_default();
    if versions.is_empty() {
        return vec![(&due.target, record)];
    }
    let target = |id: &Identity| {
        due.versions.iter().map(|version| &version.due.target).find(|target| target.id == *id)
    };
    versions.iter().filter_map(|round| Some((target(&round.record.id)?, &round.record))).collect()
}
