//! The faults of the simulation, and their effect on the emulated functions and services.

use std::time::Duration;

use warmd::emulator::fault::When;
use warmd::emulator::profile::{Handler, Span};
use warmd::emulator::{Fault, FaultKind, Operation, Profile, Scenario};

use crate::fleet;
use crate::ports::StoreFault;

/// A fault of one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    Throttled,
    Unavailable,
    Broken,
    Denied,
    NotFound,
    TimesOut,
    Reset,
    Fails,
    Crashes,
    Slow,
    Hangs,
    NoLog,
    GarbageLog,
    ForeignReport,
    Redeployed,
    TakesWork,
    FailsOnPings,
    Durable,
    Managed,
    Tenancy,
    SwitchedOff,
    Shrunk,
    Sleeps,
    Provisioned,
    Removed,
}

impl Trouble {
    pub const ALL: [Self; 25] = [
        Self::Throttled,
        Self::Unavailable,
        Self::Broken,
        Self::Denied,
        Self::NotFound,
        Self::TimesOut,
        Self::Reset,
        Self::Fails,
        Self::Crashes,
        Self::Slow,
        Self::Hangs,
        Self::NoLog,
        Self::GarbageLog,
        Self::ForeignReport,
        Self::Redeployed,
        Self::TakesWork,
        Self::FailsOnPings,
        Self::Durable,
        Self::Managed,
        Self::Tenancy,
        Self::SwitchedOff,
        Self::Shrunk,
        Self::Sleeps,
        Self::Provisioned,
        Self::Removed,
    ];

    /// Returns true if new code is deployed at the start and at the end.
    pub fn deploys(self) -> bool {
        matches!(self, Self::Redeployed | Self::TakesWork | Self::FailsOnPings)
    }

    /// Returns true if the handler or the network fails, so that a first ping may look like work.
    pub fn disturbs_pings(self) -> bool {
        self < Self::Redeployed || matches!(self, Self::TakesWork | Self::FailsOnPings)
    }

    /// Returns the function with the fault; `None` if it does not exist.
    pub fn apply(self, profile: Profile) -> Option<Profile> {
        let faults = |when, kind| Profile { faults: vec![Fault { kind, when }], ..profile.clone() };
        let often = |kind| faults(When::Probability(0.6), kind);
        let always = |kind| faults(When::Always, kind);
        let error = |name: &str| FaultKind::FunctionError { error_type: name.to_owned() };
        let slow = |seconds| FaultKind::Slow { by: Duration::from_secs(seconds) };
        let with = |field: &str, value: serde_json::Value| Profile {
            configuration: [(field.to_owned(), value)].into_iter().collect(),
            ..profile.clone()
        };
        Some(match self {
            Self::Throttled => often(FaultKind::Throttle { reason: "CallerRateLimitExceeded".to_owned() }),
            Self::Unavailable => often(FaultKind::refuse(503)),
            Self::Broken => often(FaultKind::refuse(500)),
            Self::Denied => always(FaultKind::refuse(403)),
            Self::NotFound => always(FaultKind::refuse(404)),
            Self::TimesOut => often(FaultKind::Timeout),
            Self::Reset => often(FaultKind::Reset),
            Self::Fails => always(error("KeyError")),
            Self::Crashes => often(error("Runtime.ExitError")),
            Self::Slow => often(slow(20)),
            Self::Hangs => Profile { timeout: Duration::from_secs(840), ..often(slow(2_000)) },
            Self::NoLog => always(FaultKind::NoLog),
            Self::GarbageLog => often(FaultKind::GarbageLog),
            Self::ForeignReport => often(FaultKind::ForeignReport),
            Self::Redeployed => profile,
            Self::TakesWork => fleet::worker(profile),
            Self::FailsOnPings => Profile {
                handler: Handler::None,
                duration: Span::millis(30),
                unrecognized: warmd::emulator::profile::Unrecognized::Fail("TypeError".to_owned()),
                ..profile
            },
            Self::Durable => with("DurableConfig", serde_json::json!({ "ExecutionTimeout": 60 })),
            Self::Managed => with("CapacityProviderConfig", fleet::managed()),
            Self::Tenancy => with("TenancyConfig", fleet::tenancy()),
            Self::SwitchedOff => Profile { reserved: Some(0), ..profile },
            Self::Shrunk => Profile { reserved: Some(2), ..profile },
            Self::Sleeps => Profile { inactive: Some(Duration::from_secs(30)), ..profile },
            Self::Provisioned => Profile { provisioned: Some(2), ..profile },
            Self::Removed => return None,
        })
    }
}

/// A fault of a service, or an event of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    Reads(ReadFault),
    Account(u32),
    Metrics(MetricFault),
    Store(StoreFault),
    /// The clock is ahead by this many minutes, or behind.
    Clock(i64),
    Configured,
    Misconfigured,
    Restarted,
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFault {
    Denied,
    Throttled,
    Slow,
    Garbage,
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricFault {
    Throttled,
    Denied,
    Down,
    /// An internal error, and nothing is counted.
    Broken,
    Slow,
    Late,
    Reset,
}

impl Outage {
    pub const ALL: [Self; 23] = [
        Self::Reads(ReadFault::Denied),
        Self::Reads(ReadFault::Throttled),
        Self::Reads(ReadFault::Slow),
        Self::Reads(ReadFault::Garbage),
        Self::Reads(ReadFault::Broken),
        Self::Account(300),
        Self::Account(150),
        Self::Metrics(MetricFault::Throttled),
        Self::Metrics(MetricFault::Denied),
        Self::Metrics(MetricFault::Down),
        Self::Metrics(MetricFault::Broken),
        Self::Metrics(MetricFault::Slow),
        Self::Metrics(MetricFault::Late),
        Self::Metrics(MetricFault::Reset),
        Self::Store(StoreFault::Down),
        Self::Store(StoreFault::Slow(700)),
        Self::Store(StoreFault::Slow(5_000)),
        Self::Store(StoreFault::Conflicts),
        Self::Store(StoreFault::LostAnswers),
        Self::Clock(7),
        Self::Clock(-3),
        Self::Configured,
        Self::Misconfigured,
    ];

    /// Returns the service. One outage of a service lasts until the next begins.
    pub fn service(self) -> &'static str {
        match self {
            Self::Reads(_) => "reads of Lambda",
            Self::Account(_) => "account limit lowered",
            Self::Metrics(_) => "CloudWatch",
            Self::Store(_) => "state store",
            Self::Clock(_) => "clock set",
            Self::Configured => "configuration changed",
            Self::Misconfigured => "configuration refused",
            Self::Restarted => "daemon restarted",
            Self::Killed => "daemon killed",
        }
    }

    /// Applies the outage to the emulated services, or ends it.
    pub fn apply(self, scenario: &mut Scenario, begins: bool) {
        match self {
            Self::Reads(ReadFault::Denied) => {
                let some = vec![Operation::GetFunctionConcurrency, Operation::GetFunctionConfiguration];
                scenario.denied = if begins { some } else { Vec::new() };
            }
            Self::Reads(fault) => {
                let kind = match fault {
                    ReadFault::Throttled => FaultKind::Throttle { reason: String::new() },
                    ReadFault::Slow => FaultKind::Slow { by: Duration::from_secs(3) },
                    ReadFault::Garbage => FaultKind::Answer { body: "<html>".into() },
                    ReadFault::Broken | ReadFault::Denied => FaultKind::refuse(500),
                };
                let every = [
                    Operation::GetFunctionConfiguration,
                    Operation::GetFunctionConcurrency,
                    Operation::GetProvisionedConcurrencyConfig,
                    Operation::GetAccountSettings,
                ];
                let fault = Fault { kind, when: When::Probability(0.7) };
                let of = |operation| (operation, vec![fault.clone()]);
                scenario.reads.faults = if begins { every.map(of).into() } else { Default::default() };
            }
            Self::Account(concurrency) => {
                scenario.account.concurrency = if begins { concurrency } else { 1_000 }
            }
            Self::Metrics(fault) => {
                let slow = |seconds| FaultKind::Slow { by: Duration::from_secs(seconds) };
                let kind = match fault {
                    MetricFault::Throttled => FaultKind::Throttle { reason: String::new() },
                    MetricFault::Denied => FaultKind::refuse(403),
                    MetricFault::Down => FaultKind::refuse(503),
                    MetricFault::Broken => FaultKind::refuse(500),
                    MetricFault::Slow => slow(8),
                    MetricFault::Late => slow(60),
                    MetricFault::Reset => FaultKind::Reset,
                };
                let when = When::Probability(0.8);
                scenario.metrics = if begins { vec![Fault { kind, when }] } else { Vec::new() };
            }
            _ => {}
        }
    }
}
