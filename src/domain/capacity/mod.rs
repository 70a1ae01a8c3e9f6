//! Provisioned concurrency and managed instances on the windows of a target: the strategies, the numbers over time, the
//! decision on changes, and the time for which capacity was up.

mod decide;
mod load;
mod meter;
mod observe;
mod outlook;
mod report;
mod schedule;
mod stop;
mod strategy;

pub use self::decide::{Decision, Situation, adopt, conclude, decide, release};
pub use self::load::{Finding, findings};
pub use self::meter::{Block, Meter, provisioned_usd, provisioned_usd_per_hour};
pub use self::observe::{
    Activity, Bounds, Change, ChangeError, ChangeErrorKind, Observed, ProvisionedState, ProvisionedStatus,
    ScalableTarget, ScalingConfig, ScalingPolicy, ScheduledAction,
};
pub use self::outlook::{Outlook, number, outlook, segments};
pub use self::report::{CapacityReport, Status, Stopped};
pub use self::schedule::{
    AHEAD_DAYS, LEAST_UP_MINUTES, MOST_ACTIONS, Step, actions, default_lead_minutes, desired, for_pings,
    steps,
};
pub use self::stop::stop;
pub use self::strategy::{By, Fallback, Managed, Owner, Provisioned, Strategy};

/// The requests a second that one provisioned environment serves. More spill over to on-demand environments. Source:
/// AWS Lambda quotas.
pub const REQUESTS_PER_ENVIRONMENT: u32 = 10;

/// The quota of scalable targets in the service namespace `lambda`, per account and region. Source: Application Auto
/// Scaling quotas.
pub const MOST_TARGETS: usize = 500;
