//! The rounds that a function's deployment and the limits of its account allow. The findings of `check --live` and the
//! guards of a tick both follow from it.

use super::{AccountLimits, ExecutionModel, FunctionState, TargetObservation, account_id};
use crate::domain::fleet::{Limits, Role, Target};
use crate::domain::function::{Identity, Region};
use crate::domain::tick::SkipReason;

/// The number of pings in flight that an account always allows: one round of this size.
const LEAST_ROOM: u32 = 5;

/// The limits of a round by the observations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowance {
    /// The reason why no ping may be sent.
    pub refusal: Option<SkipReason>,
    /// The concurrency that the round shares with others; `None` if it is unknown.
    pub room: Option<Room>,
    /// True if the next invocation fails and activates the function.
    pub is_inactive: bool,
    /// The provisioned environments of the qualifier, fewer than the round has pings; `None` without any.
    pub provisioned: Option<u32>,
}

/// A concurrency that pings share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The owner of the concurrency.
    pub pool: Pool,
    /// The number of pings that may be in flight together.
    pub limit: u32,
}

/// The owner of a concurrency.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pool {
    /// The unreserved concurrency of an account in a region. The account is that of the role, by id if its ARN has one;
    /// `None` without a role.
    Account(Region, Option<String>),
    /// The reserved concurrency of a function, which its qualifiers share.
    Function(Identity),
}

impl Pool {
    /// Returns the setting that limits the share of pings.
    pub fn setting(&self) -> &'static str {
        match self {
            Self::Account(..) => "limits.account_share",
            Self::Function(_) => "limits.leave_free",
        }
    }
}

/// Returns what is allowed for a round of `pings` pings. Observations that are `None` or unknown forbid nothing.
pub fn allowance(
    target: &Target,
    pings: u32,
    seen: Option<&TargetObservation>,
    account: Option<&AccountLimits>,
    limits: &Limits,
) -> Allowance {
    let deployed = seen.and_then(|seen| seen.configuration.known());
    let reserved = seen.and_then(|seen| *seen.reserved.known()?);
    let provisioned = seen.and_then(|seen| *seen.provisioned.known()?).filter(|provisioned| *provisioned > 0);
    let room = match reserved {
        Some(reserved) => Some(Room {
            pool: Pool::Function(target.id.function()),
            limit: reserved.saturating_sub(limits.leave_free),
        }),
        None => account.map(|account| Room {
            pool: Pool::Account(target.region(), target.role.as_deref().map(of_role)),
            limit: share(account.unreserved, limits.account_share).max(LEAST_ROOM),
        }),
    };
    let refusal = match deployed.map(|deployed| deployed.model) {
        Some(ExecutionModel::Durable) => Some(SkipReason::Durable),
        Some(ExecutionModel::Managed) => Some(SkipReason::ManagedInstances),
        Some(ExecutionModel::PerTenant) if target.tenant().is_none() => Some(SkipReason::NeedsTenants),
        Some(ExecutionModel::OnDemand | ExecutionModel::SnapStart | ExecutionModel::PerTenant) | None => None,
    };
    // The capacity of a target with a strategy decides on its pings itself.
    let is_provisioned = !target.strategy.is_capacity() && provisioned >= Some(pings);
    let refusal = refusal
        .or((reserved == Some(0)).then_some(SkipReason::SwitchedOff))
        .or(is_provisioned.then_some(SkipReason::Provisioned))
        .or(room.as_ref().filter(|room| room.limit == 0).map(|_| SkipReason::NoHeadroom));
    Allowance {
        refusal,
        room,
        is_inactive: deployed.is_some_and(|deployed| {
            matches!(deployed.state, FunctionState::Inactive | FunctionState::Pending)
        }),
        provisioned,
    }
}

/// Returns the account of a role: several roles may belong to one account.
fn of_role(role: &Role) -> String {
    account_id(Some(role), []).unwrap_or(&role.arn).to_owned()
}

/// Returns a share of a number in percent, rounded down.
fn share(of: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(of) * u64::from(percent) / 100).unwrap_or(u32::MAX)
}
