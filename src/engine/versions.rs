//! The rounds of the versions behind a weighted alias, side by side, and the alias itself where pings by the number of
//! a version are denied.

use futures_util::future::join_all;

use super::due::{Due, VersionDue};
use super::ports::Lambda;
use super::tick::{Engine, RoundTerms, lock, log_round};
use super::together::Member;
use crate::domain::function::Identity;
use crate::domain::guard::forbids_alias;
use crate::domain::tick::{RoundRecord, SkipReason, Unfinished, UnfinishedReason, VersionRound, sum};

impl<L: Lambda> Engine<L> {
    /// Runs the rounds of the versions behind the alias of `due`, each admitted by itself, and returns their sum. If
    /// pings by number are denied, a round through the alias follows.
    ///
    /// # Errors
    /// Nothing was sent.
    pub(super) async fn version_rounds(
        &self,
        due: &Due,
        mut members: Vec<Member>,
        terms: RoundTerms<'_>,
    ) -> Result<RoundRecord, Unfinished> {
        let alias = &due.target.id;
        self.forget_all_but(
            alias,
            due.versions.iter().map(|version| version.due.target.id.clone()).collect(),
        );
        let rounds = due.versions.iter().map(|version| {
            let member = members.pop_if(|_| version.skipped.is_none());
            async move {
                // The processes that divide the room are known since the guards.
                let own = Due { share: due.share, ..version.due.clone() };
                match version.skipped.or_else(|| self.is_quiet(&own.target).then_some(SkipReason::InFlight)) {
                    Some(reason) => Ok(own.skipped(reason)),
                    None => self.sent_round(&own, member, RoundTerms { is_version: true, ..terms }).await,
                }
            }
        });
        let ended = join_all(rounds).await;
        let left: Option<Vec<UnfinishedReason>> =
            ended.iter().map(|round| Some(round.as_ref().err()?.reason)).collect();
        if let Some(reason) = left.and_then(|reasons| reasons.first().copied()) {
            return Err(due.unfinished(reason));
        }
        let record = |(version, ended): (&VersionDue, Result<RoundRecord, Unfinished>)| {
            let record = ended.unwrap_or_else(|left| version.due.skipped(skipped(left.reason)));
            (version.weight, record)
        };
        let records: Vec<_> = due.versions.iter().zip(ended).map(record).collect();
        let through_alias = match records.iter().any(|(_, record)| record.is_denied()) {
            true => {
                let versions = records.iter().map(|(_, record)| record);
                Some(self.instead(due, versions, members.pop(), terms).await)
            }
            false => None,
        };
        let mut sightings = lock(&self.sightings);
        let version = |(weight, record): (_, RoundRecord)| VersionRound {
            weight,
            is_confirmed: sightings.confirms(alias, &record.id),
            record,
        };
        let versions = records.into_iter().map(version).collect();
        drop(sightings);
        let record = sum(due.skipped(SkipReason::Denied), versions, through_alias);
        log_round(&due.target, "-", &record);
        Ok(record)
    }

    /// Returns the round through the alias itself. It is not sent if it must not reach one of its versions.
    async fn instead(
        &self,
        due: &Due,
        mut versions: impl Iterator<Item = &RoundRecord>,
        member: Option<Member>,
        terms: RoundTerms<'_>,
    ) -> RoundRecord {
        let forbidden =
            versions.find_map(|record| record.skip_reason().filter(|reason| forbids_alias(*reason)));
        let is_quiet = || self.is_quiet(&due.target).then_some(SkipReason::InFlight);
        match forbidden.or(due.alias_skipped).or_else(is_quiet) {
            Some(reason) => due.skipped(reason),
            None => {
                let round = self.sent_round(due, member, terms).await;
                round.unwrap_or_else(|left| due.skipped(skipped(left.reason)))
            }
        }
    }

    /// Drops the histories of the versions that were behind the alias before, except those that others have.
    fn forget_all_but(&self, alias: &Identity, versions: Vec<Identity>) {
        for version in lock(&self.sightings).replace(alias, versions) {
            lock(&self.answers).remove(&version);
            lock(&self.skews).remove(&version);
            lock(&self.ids).remove(&version);
        }
    }
}

/// Returns the skip reason in the record of a version whose round was not sent.
fn skipped(left: UnfinishedReason) -> SkipReason {
    match left {
        UnfinishedReason::TooLarge => SkipReason::TooLarge,
        UnfinishedReason::Deadline
        | UnfinishedReason::InFlight
        | UnfinishedReason::HandedOn
        | UnfinishedReason::Unexpected => SkipReason::Deadline,
    }
}
