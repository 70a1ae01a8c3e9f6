//! The unit of work of a tick.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::domain::budget::Cap;
use crate::domain::fleet::Target;
use crate::domain::guard::Terms;
use crate::domain::preflight::Room;
use crate::domain::routing::Weight;
use crate::domain::tick::{RoundOutcome, RoundRecord, SkipReason, Unfinished, UnfinishedReason};

/// A due target and the number of environments that it is to have.
#[derive(Debug, Clone)]
pub struct Due {
    /// The target.
    pub target: Arc<Target>,
    /// The number of environments wanted, which is the number of pings.
    pub concurrency: NonZeroU32,
    /// The terms of the guards.
    pub terms: Terms,
    /// The number of processes that divide the room of the round.
    pub share: NonZeroU32,
    /// The age of the metric of the target's backlog in seconds.
    pub metric_age: Option<u64>,
    /// True if the environments work off the backlog of a request.
    pub has_backlog: bool,
    /// True if no round has followed the last deployment of the target.
    pub is_deployed: bool,
    /// The number of environments to which requests or metrics of pipelines raise it; `None` if windows want as many.
    pub raised_to: Option<u32>,
    /// The limit of a budget; `None` without one.
    pub budget: Option<Cap>,
    /// The rounds of a tick with the same number are released at the same instant: the parts of a split model.
    pub together: Option<u32>,
    /// The versions behind a weighted alias. While there are any, each is pinged by its number, and the alias is not.
    pub versions: Vec<VersionDue>,
    /// The reason why the alias itself must not be pinged either when pings by the number of a version are denied.
    pub alias_skipped: Option<SkipReason>,
}

/// A version behind a weighted alias.
#[derive(Debug, Clone)]
pub struct VersionDue {
    /// The share of requests that it serves.
    pub weight: Weight,
    /// The round. Its target is that of the alias with the version as qualifier, and its number the full one.
    pub due: Due,
    /// The reason why it is not sent; `None` if it is.
    pub skipped: Option<SkipReason>,
}

impl Due {
    /// Creates a due target without guards.
    pub fn new(target: Arc<Target>, concurrency: NonZeroU32) -> Self {
        Self {
            target,
            concurrency,
            terms: Terms::default(),
            share: NonZeroU32::MIN,
            metric_age: None,
            has_backlog: false,
            is_deployed: false,
            raised_to: None,
            budget: None,
            together: None,
            versions: Vec::new(),
            alias_skipped: None,
        }
    }

    /// Returns the part of the room that the rounds of this process may use; `None` if it is unknown.
    pub fn room(&self) -> Option<Room> {
        let Room { pool, limit } = self.terms.room.clone()?;
        Some(Room { pool, limit: (limit / self.share).max(1) })
    }

    /// Returns the rounds that are sent: those of the versions behind a weighted alias, otherwise the round itself. The
    /// alias itself follows its versions if one of them is known to deny pings by its number.
    pub fn rounds(&self) -> impl Iterator<Item = &Self> {
        let is_denied = |version: &VersionDue| version.skipped == Some(SkipReason::Denied);
        let own = (self.versions.is_empty() || self.versions.iter().any(is_denied)).then_some(self);
        let versions = self.versions.iter().filter(|version| version.skipped.is_none());
        versions.map(|version| &version.due).chain(own)
    }

    /// Returns the pings of these rounds, without first pings and top-ups.
    pub fn pings(&self) -> u32 {
        self.rounds().map(|due| due.concurrency.get()).fold(0, u32::saturating_add)
    }

    /// Returns the number before the guards lowered it.
    pub fn configured(&self) -> NonZeroU32 {
        let Terms { capped_from, backed_off_from, .. } = self.terms;
        capped_from.or(backed_off_from).and_then(NonZeroU32::new).unwrap_or(self.concurrency)
    }

    /// Returns the record of the round when it is skipped.
    pub fn skipped(&self, reason: SkipReason) -> RoundRecord {
        let record = self.record(RoundOutcome::Skipped(reason));
        match &self.budget {
            Some(cap) if reason == SkipReason::Budget => RoundRecord {
                capped_from: Some(self.configured().get()),
                capped_by: Some(cap.scope.setting().into()),
                ..record
            },
            _ => record,
        }
    }

    /// Returns the record of the round with this outcome.
    pub fn record(&self, outcome: RoundOutcome) -> RoundRecord {
        let Terms { capped_from, ref capped_by, backed_off_from, .. } = self.terms;
        let record = RoundRecord::new(&self.target, self.concurrency.get(), outcome);
        let capped_by = capped_by.clone();
        RoundRecord { capped_from, capped_by, backed_off_from, metric_age: self.metric_age, ..record }
    }

    /// Returns the entry of the round when it has no result.
    pub fn unfinished(&self, reason: UnfinishedReason) -> Unfinished {
        let unfinished = Unfinished::new(&self.target, self.concurrency.get(), reason);
        Unfinished { pings: self.pings(), ..unfinished }
    }
}
