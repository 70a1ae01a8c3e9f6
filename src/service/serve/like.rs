//! Plans rounds of a version with the number that an alias of the function has.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::Service;
use super::job::Job;
use super::request::nearest_target;
use crate::domain::events::DirectWarm;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{AccountId, FunctionRef, Identity, Qualifier, Region, Tenant, account_of};
use crate::domain::parse::quoted;
use crate::domain::schedule::Mode;
use crate::domain::tick::{RoundRecord, SkipReason};
use crate::engine::ports::{Events, Lambda, Metrics};
use crate::engine::tick::Due;
use crate::service::Refusal;
use crate::service::planner::Plan;

impl<L: Lambda, M: Metrics, E: Events> Service<L, M, E> {
    /// Plans a round with the number of pings that a tick would send to `like` now, for each of its tenants or for the
    /// given one. A round of number 0 is not planned, and one of a paused target is skipped. Pings in flight to `like`
    /// have no effect: other environments answer them.
    pub(super) async fn plan_like(
        &self,
        job: Job,
        warm: &DirectWarm,
        like: &Qualifier,
        region: Region,
    ) -> Result<Job, Refusal> {
        let found = alike(&job.fleet, &warm.function, like, Some(region), warm.tenant.as_ref());
        let found = found.map_err(|reason| Refusal::Refused(format!("nothing was sent: {reason}")))?;
        let targets = found.into_iter().cloned().collect();
        // The metrics of other targets are not read.
        let own = Fleet { targets, ..job.fleet.as_ref().clone() };
        let plan = self.planner.preview(&own, Mode::Open, job.now, job.now).await;
        let version = |id: &Identity| {
            let target = own.targets.iter().find(|target| target.id == *id)?;
            Some(version(target, warm))
        };
        let mut due: Vec<Due> = Vec::new();
        let mut skipped: Vec<RoundRecord> = Vec::new();
        for round in &plan.due {
            due.extend(version(&round.target.id).map(|target| Due::new(target, round.concurrency)));
        }
        for round in &plan.skipped {
            let (target, number) = (version(&round.id), NonZeroU32::new(round.desired));
            match (target, number, round.skip_reason()) {
                (Some(target), Some(number), Some(SkipReason::InFlight)) => {
                    due.push(Due::new(target, number))
                }
                (Some(target), _, Some(reason)) => {
                    skipped.push(RoundRecord::skipped(&target, round.desired, reason));
                }
                _ => {}
            }
        }
        let plan = Plan::unclaimed(due, skipped, plan.health);
        Ok(Job { plan, reads_facts: true, ..job })
    }
}

/// Returns the targets with the qualifier `like` of a function: in one region or in all, for one tenant or for all.
///
/// # Errors
/// There are none. The nearest target is the hint.
pub fn alike<'f>(
    fleet: &'f Fleet,
    function: &FunctionRef,
    like: &Qualifier,
    region: Option<Region>,
    tenant: Option<&Tenant>,
) -> Result<Vec<&'f Target>, String> {
    let alias = FunctionRef { qualifier: Some(like.clone()), ..function.clone() };
    let is_its = |target: &&Target| {
        region.is_none_or(|region| region == target.region())
            && is_named(target, &alias)
            && (tenant.is_none() || tenant == target.id.tenant.as_ref())
    };
    let targets: Vec<&Target> = fleet.targets.iter().filter(is_its).collect();
    if !targets.is_empty() {
        return Ok(targets);
    }
    let tenant =
        tenant.map(|tenant| format!(" for the tenant {}", quoted(tenant.as_str()))).unwrap_or_default();
    let region = region.map(|region| format!(" of {region}")).unwrap_or_default();
    let hint =
        nearest_target(fleet, &alias).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(format!("`{alias}` is not in the configuration{region}{tenant}{hint}"))
}

/// Returns true if `function` names the target. A target without an account belongs to that of its role, or to that of
/// the warmer, which is not known here: the round is sent to the account of the ARN.
fn is_named(target: &Target, function: &FunctionRef) -> bool {
    let Some((account, region)) = &function.place else { return function.is_of(&target.id) };
    let own = target.id.account.as_ref().map(AccountId::as_str);
    let own = own.or_else(|| account_of(&target.role.as_ref()?.arn));
    let by_name = FunctionRef { place: None, ..function.clone() };
    *region == target.region()
        && own.is_none_or(|own| own == account.as_str())
        && by_name.is_of(&Identity { account: None, ..target.id.clone() })
}

/// Returns the target of the version, with the settings of `target` unless others are given.
fn version(target: &Target, warm: &DirectWarm) -> Arc<Target> {
    let id = &target.id;
    let account = id.account.clone().or_else(|| Some(warm.function.place.as_ref()?.0.clone()));
    Arc::new(Target {
        id: Identity { account, qualifier: warm.function.qualifier.clone(), ..id.clone() },
        label: warm.function.to_string(),
        protocol: warm.protocol.clone().unwrap_or_else(|| target.protocol.clone()),
        hold: warm.hold.unwrap_or(target.hold),
        ..target.clone()
    })
}
