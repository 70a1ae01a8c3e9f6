//! Findings: differences between the configuration and the deployed functions.

use std::collections::{HashMap, HashSet};

use super::allowance::{Pool, Room, allowance};
use super::peak::{Peak, peak};
use super::{
    AccountLimits, AccountObservation, Deployed, ExecutionModel, FunctionState, Lookup, Observations, Read,
    TargetObservation, UpdateStatus, account_id, is_in_account,
};
use crate::domain::fleet::{Fleet, Hold, Limits, Target};
use crate::domain::routing::Routing;
use crate::domain::schedule::Minute;
use crate::domain::text::{count, elapsed, grouped};
use crate::domain::tick::SkipReason;

/// Requests per second for each concurrent execution. Source: Lambda quotas.
const REQUESTS_PER_EXECUTION: u64 = 10;

const REMOVE: &str = "remove it from the configuration";

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Warming fails or does harm.
    Error,
    /// Warming works, but has less effect, or a reported value is wrong.
    Warning,
}

/// A difference between a target and the deployed function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The target's index in the fleet.
    pub target: usize,
    /// The index of the window that the finding is about; `None` for the target as a whole.
    pub window: Option<usize>,
    /// The severity.
    pub severity: Severity,
    /// The difference.
    pub message: String,
    /// An instruction that resolves the finding, or Lambda's reason.
    pub hint: Option<String>,
}

impl Finding {
    fn error(target: usize, message: String) -> Self {
        Self { target, window: None, severity: Severity::Error, message, hint: None }
    }

    fn warning(target: usize, message: String) -> Self {
        Self { severity: Severity::Warning, ..Self::error(target, message) }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds Lambda's reason as the hint, if there is one.
    fn reason(self, reason: Option<&String>) -> Self {
        match reason {
            Some(reason) => self.hint(format!("Lambda reports: {reason}")),
            None => self,
        }
    }

    /// Locates the finding at the window of `target` with a round of `pings`.
    fn at_window(self, target: &Target, pings: u32) -> Self {
        let has = |concurrency: u32| concurrency.saturating_add(target.spare) == pings;
        Self { window: target.windows.iter().position(|window| has(window.concurrency)), ..self }
    }
}

/// Returns the findings in the order of the fleet. Targets without rounds are left out.
pub fn findings(fleet: &Fleet, seen: &Observations, now: Minute) -> Vec<Finding> {
    let accounts: Vec<Account<'_>> =
        seen.accounts.iter().map(|account| Account::of(account, fleet, seen)).collect();
    let mut found = Vec::new();
    let mut names = HashSet::new();
    for (index, (target, observed)) in fleet.targets.iter().zip(&seen.targets).enumerate() {
        // The tenants of a function have the same findings.
        let mut is_first = || names.insert((target.id.without_tenant(), target.role.as_deref()));
        if target.is_warmed() && is_first() {
            let account = accounts.iter().find(|account| account.has(target));
            let limits = account.and_then(|account| account.seen.limits.known());
            found.extend(of_target(index, target, observed, limits, &fleet.limits));
        }
    }
    found.extend(shared_reservations(fleet, seen, now));
    found.extend(accounts.iter().filter_map(|account| account.excess(fleet, seen, now)));
    found.sort_by_key(|finding| finding.target);
    found
}

fn name(target: &Target) -> String {
    format!("`{}` in {}", target.label, target.region())
}

fn of_target(
    index: usize,
    target: &Target,
    seen: &TargetObservation,
    account: Option<&AccountLimits>,
    limits: &Limits,
) -> Vec<Finding> {
    let it = name(target);
    if seen.invoke == Lookup::Missing || seen.configuration == Lookup::Missing {
        // Reserved concurrency belongs to the function. If it is known, only the qualifier is missing.
        let message = match &target.id.qualifier {
            Some(qualifier) if seen.reserved.known().is_some() => {
                format!("`{}` in {} has no version or alias `{qualifier}`", target.id.name, target.region())
            }
            Some(_) => format!("the function, version or alias {it} does not exist"),
            None => format!("the function {it} does not exist"),
        };
        return vec![Finding::error(index, message)];
    }
    let mut found = Vec::new();
    let deployed = seen.configuration.known();
    if let Lookup::Denied(reason) = &seen.invoke {
        let arn = deployed.and_then(|deployed| deployed.arn.clone()).unwrap_or_else(|| target.arn(None));
        let action = Read::Invoke.action();
        found.push(Finding::error(index, format!("no permission to invoke {it}")).hint(format!(
            "allow {action} on {arn}; `warmd iam` prints the policies\nLambda reports: {reason}"
        )));
    }
    found.extend(deployed.into_iter().flat_map(|deployed| of_deployment(index, target, deployed)));
    found.extend(seen.alias.known().and_then(|routing| of_routing(index, target, routing)));
    found.extend(of_concurrency(index, target, seen, account, limits));
    found.extend(deployed.into_iter().flat_map(|deployed| of_settings(index, target, deployed)));
    found
}

/// Returns the finding about routing weights.
fn of_routing(index: usize, target: &Target, routing: &Routing) -> Option<Finding> {
    let versions: Vec<String> = routing
        .versions()
        .map(|(version, weight)| format!("{:.0}% to version {version}", weight.share() * 100.0))
        .collect();
    let (it, pings) = (name(target), count(target.highest().into(), "ping"));
    let message =
        format!("{it} has routing weights, {}: each version gets rounds of {pings}", versions.join(", "));
    routing.is_weighted().then(|| {
        Finding::warning(index, message).hint("complete the deployment, or expect the cost of each version")
    })
}

/// Returns the findings about state, update, model and hold.
fn of_deployment(index: usize, target: &Target, deployed: &Deployed) -> Vec<Finding> {
    let it = name(target);
    let error = |message| Finding::error(index, message);
    let warning = |message| Finding::warning(index, message);
    let state = match deployed.state {
        FunctionState::Active => None,
        FunctionState::Inactive => Some(
            warning(format!("{it} is inactive: its next invocation fails"))
                .hint("invoke it once: that invocation fails and reactivates the function"),
        ),
        FunctionState::Pending => {
            Some(warning(format!("{it} is still being created and cannot be invoked yet")))
        }
        FunctionState::Failed => Some(error(format!("the creation of {it} failed: every invocation fails"))),
        FunctionState::Off => Some(error(format!("{it} is deactivated or being deleted"))),
    };
    let update = match deployed.update {
        UpdateStatus::Successful => None,
        UpdateStatus::InProgress => {
            let message = format!("an update of {it} is in progress: these findings may change");
            Some(warning(message).hint("check again after the update"))
        }
        UpdateStatus::Failed => {
            Some(warning(format!("the last update of {it} failed: the previous deployment is still active")))
        }
    };
    let tenant = target.tenant().filter(|_| deployed.model != ExecutionModel::PerTenant);
    let tenant = tenant.map(|_| {
        error(format!("{it} does not use tenant isolation: Lambda rejects pings, because they name a tenant"))
            .hint("remove `tenants`")
    });
    let model = match deployed.model {
        ExecutionModel::OnDemand => None,
        ExecutionModel::Durable => Some(
            error(format!("{it} is a durable function: every ping begins a durable execution")).hint(REMOVE),
        ),
        ExecutionModel::PerTenant if target.tenant().is_some() => None,
        ExecutionModel::PerTenant => Some(
            error(format!("{it} uses tenant isolation: Lambda rejects pings, because they name no tenant"))
                .hint("add the tenants whose environments to keep warm, such as `tenants: [a, b]`"),
        ),
        ExecutionModel::Managed => Some(
            warning(format!(
                "{it} runs on managed instances, which have no cold starts: warming has no effect"
            ))
            .hint("set the minimum number of environments in its function scaling configuration"),
        ),
        ExecutionModel::SnapStart => Some(warning(format!(
            "{it} uses SnapStart: its cold starts are short, and warming has less effect"
        ))),
    };
    let hold = match (target.hold, deployed.timeout) {
        (Hold::Fixed(hold), Some(timeout)) if hold >= timeout && target.protocol.honours_hold() => {
            Some(error(format!(
                "the hold of {} is not shorter than the timeout of {it}, {}: every ping times out",
                elapsed(hold),
                elapsed(timeout)
            )))
        }
        _ => None,
    };
    let state = state.map(|finding| finding.reason(deployed.state_reason.as_ref()));
    let update = update.map(|finding| finding.reason(deployed.update_reason.as_ref()));
    [state, update, tenant, model, hold].into_iter().flatten().collect()
}

/// Returns the findings about reserved, unreserved and provisioned concurrency.
fn of_concurrency(
    index: usize,
    target: &Target,
    seen: &TargetObservation,
    account: Option<&AccountLimits>,
    limits: &Limits,
) -> Vec<Finding> {
    let it = name(target);
    let pings = target.highest();
    let allowed = allowance(target, pings, Some(seen), account, limits);
    let room = match (allowed.refusal, &allowed.room) {
        (Some(SkipReason::SwitchedOff), _) => Some(Finding::error(
            index,
            format!("{it} is disabled: its reserved concurrency is 0, so every invocation is throttled"),
        )),
        (_, Some(room)) if room.limit < pings => Some(shrinks(index, target, room, seen, account, limits)),
        _ => None,
    };
    let round = count(pings.into(), "ping");
    let provisioned = seen.provisioned.known().copied().flatten().map(|provisioned| {
        let environments = count(provisioned.into(), "provisioned environment");
        match pings.checked_sub(provisioned) {
            None | Some(0) => Finding::warning(
                index,
                format!("{it} has {environments} for rounds of {round}: warming has no effect"),
            )
            .hint(REMOVE),
            Some(others) => Finding::warning(
                index,
                format!(
                    "{it} has {environments}, which receive pings first: of {round} at most {} reach others",
                    grouped(others.into())
                ),
            ),
        }
    });
    room.into_iter().chain(provisioned).collect()
}

/// Returns the finding about a round that is larger than its room.
fn shrinks(
    index: usize,
    target: &Target,
    room: &Room,
    seen: &TargetObservation,
    account: Option<&AccountLimits>,
    limits: &Limits,
) -> Finding {
    let it = name(target);
    let number = |number: u32| grouped(number.into());
    let pings = target.highest();
    let round = count(pings.into(), "ping");
    let lowered = match room.limit {
        0 => "its rounds are skipped".to_owned(),
        limit => format!("its rounds are lowered to {}", number(limit)),
    };
    let (whole, message, hint) = match (&room.pool, account) {
        (Pool::Account(..), Some(account)) => {
            let unreserved = account.unreserved;
            let hint =
                "raise `limits.account_share`, request a higher quota, or reduce `concurrency`".to_owned();
            let message = if unreserved < pings {
                format!(
                    "a round of {round} to {it} exceeds the account's unreserved concurrency of {}: {lowered}",
                    number(unreserved)
                )
            } else {
                format!(
                    "a round of {round} to {it} exceeds {}% of the account's unreserved concurrency of {}: {lowered}",
                    limits.account_share,
                    number(unreserved)
                )
            };
            (unreserved, message, hint)
        }
        (Pool::Function(_), _) | (Pool::Account(..), None) => {
            let reserved = seen.reserved.known().copied().flatten().unwrap_or_default();
            let hint = format!(
                "reserve more than {}, lower `limits.leave_free`, or reduce `concurrency`",
                number(pings)
            );
            let message = if reserved < pings {
                format!(
                    "{it} has a reserved concurrency of {}, less than its largest round of {round}: {lowered}",
                    number(reserved)
                )
            } else {
                format!(
                    "a round of {round} leaves less than {} of the reserved concurrency of {it} to its users: {lowered}",
                    number(limits.leave_free)
                )
            };
            (reserved, message, hint)
        }
    };
    let finding =
        if whole < pings { Finding::error(index, message) } else { Finding::warning(index, message) };
    finding.hint(hint).at_window(target, pings)
}

/// Returns the findings about configured settings that differ from the deployed ones.
fn of_settings(index: usize, target: &Target, deployed: &Deployed) -> Vec<Finding> {
    let it = name(target);
    let warning = |message| Finding::warning(index, message);
    let memory =
        deployed.memory_mb.zip(target.memory_mb).filter(|(deployed, configured)| deployed != configured);
    let memory = memory.map(|(deployed, configured)| {
        warning(format!(
            "{it} has {} MB of memory, but {} MB is configured: its cost estimate is wrong",
            grouped(deployed.into()),
            grouped(configured.into())
        ))
        .hint(format!("set `memory: {deployed}MB`"))
    });
    let timeout =
        deployed.timeout.zip(target.timeout).filter(|(deployed, configured)| deployed != configured);
    let timeout = timeout.map(|(deployed, configured)| {
        warning(format!(
            "{it} has a timeout of {}, but {} is configured",
            elapsed(deployed),
            elapsed(configured)
        ))
        .hint(format!("set `timeout: {}s`", deployed.as_secs()))
    });
    let architecture = deployed.architecture.filter(|deployed| *deployed != target.architecture);
    let architecture = architecture.map(|deployed| {
        let (deployed, configured) = (deployed.as_str(), target.architecture.as_str());
        warning(format!("{it} is {deployed}, but estimated as {configured}: its cost estimate is wrong"))
            .hint(format!("set `architecture: {deployed}`"))
    });
    [memory, timeout, architecture].into_iter().flatten().collect()
}

/// Finds functions with several qualifiers whose rounds together use up their reserved concurrency. The finding is
/// reported for the target with the most pings.
fn shared_reservations(fleet: &Fleet, seen: &Observations, now: Minute) -> Vec<Finding> {
    let mut functions: HashMap<_, (u32, Vec<(usize, &Target)>)> = HashMap::new();
    for (index, (target, observed)) in fleet.targets.iter().zip(&seen.targets).enumerate() {
        if let Some(Some(reserved @ 1..)) = observed.reserved.known() {
            let known = functions.entry((target.id.function(), target.role.as_deref()));
            known.or_insert_with(|| (*reserved, Vec::new())).1.push((index, target));
        }
    }
    let functions = functions.into_values().filter(|(_, targets)| targets.len() > 1);
    let found = functions.filter_map(|(reserved, targets)| {
        // A single large round is reported by `of_concurrency`.
        let peak =
            peak(&targets, now).filter(|peak| peak.pings >= u64::from(reserved) && peak.targets > 1)?;
        let target = fleet.targets.get(peak.largest)?;
        let together = together(&peak, target, &format!(" of `{}`", target.id.name));
        let message =
            format!("{together}; the function has a reserved concurrency of {}", grouped(reserved.into()));
        let finding = Finding::warning(peak.largest, format!("{message}: the rounds wait for each other"));
        Some(finding.hint("reserve more, or spread the rounds with `stagger: true`"))
    });
    found.collect()
}

/// Describes the peak of several targets. `largest` has the most pings.
fn together(peak: &Peak, largest: &Target, function: &str) -> String {
    format!(
        "{} to {}{function} are due at the same time in {} at {}, most of them to `{}`",
        count(peak.pings, "ping"),
        count(peak.targets as u64, "target"),
        largest.region(),
        peak.minute.instant().format("%Y-%m-%d %H:%M UTC"),
        largest.label,
    )
}

/// An account in a region.
struct Account<'s> {
    seen: &'s AccountObservation,
    /// The account id, if known.
    id: Option<&'s str>,
}

impl<'s> Account<'s> {
    fn of(account: &'s AccountObservation, fleet: &Fleet, seen: &'s Observations) -> Self {
        let id = account_id(account.role.as_deref(), fleet.targets.iter().zip(&seen.targets));
        Self { seen: account, id }
    }

    /// Returns true if the target belongs to the account. A target that is configured by ARN may not.
    fn has(&self, target: &Target) -> bool {
        self.seen.region == target.region()
            && self.seen.role == target.role
            && is_in_account(&target.id, self.id)
    }

    /// Returns a finding if the pings due in one minute exceed the account's unreserved concurrency. It is reported for
    /// the target with the most pings.
    fn excess(&self, fleet: &Fleet, seen: &Observations, now: Minute) -> Option<Finding> {
        let limits = *self.seen.limits.known()?;
        let pairs = fleet.targets.iter().zip(&seen.targets).enumerate();
        let members: Vec<(usize, &Target)> = pairs
            // Functions with reserved concurrency do not use the unreserved concurrency.
            .filter(|(_, (_, observed))| !matches!(observed.reserved, Lookup::Known(Some(_))))
            .filter(|(_, (target, _))| self.has(target))
            .map(|(index, (target, _))| (index, target))
            .collect();
        let peak = peak(&members, now)?;
        // A single large round is reported by `of_concurrency`.
        if peak.pings <= u64::from(limits.unreserved) || peak.targets < 2 {
            return None;
        }
        let target = fleet.targets.get(peak.largest)?;
        let mut message = format!(
            "{}; the account has an unreserved concurrency of {}",
            together(&peak, target, ""),
            grouped(limits.unreserved.into())
        );
        let rate = u64::from(limits.concurrent).saturating_mul(REQUESTS_PER_EXECUTION);
        if peak.pings > rate {
            message.push_str(&format!(", and a rate limit of {} per second", count(rate, "request")));
        }
        message.push_str(": the rounds wait for room");
        let hint =
            "spread the rounds with `stagger: true`, raise `limits.account_share`, or request a higher quota";
        Some(Finding::warning(peak.largest, message).hint(hint))
    }
}
