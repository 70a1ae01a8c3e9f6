//! Warnings about the whole fleet: unused names, functions that are configured by name and by ARN, and quotas.

use std::collections::{HashMap, HashSet};

use rust_decimal::Decimal;

use super::{Location, Problem, Resolver};
use crate::config::problem::MOST_PROBLEMS;
use crate::domain::capacity::{By, MOST_TARGETS, Provisioned, REQUESTS_PER_ENVIRONMENT, Strategy};
use crate::domain::fleet::Target;
use crate::domain::function::{AccountId, Identity, account_of};
use crate::domain::parse::quoted;

/// The scalable targets of an account and region without a warning. Other software has some too.
const MANY_TARGETS: usize = 400;

impl Resolver<'_, '_> {
    /// Returns warnings about calendars and named windows that nothing uses.
    pub(super) fn unused(&self) -> Vec<Problem> {
        let calendars =
            self.calendars.iter().map(|(name, named)| ("calendar", name, named.location, named.used));
        let windows = self.windows.iter().map(|(name, named)| ("window", name, named.location, named.used));
        let mut unused: Vec<_> = calendars.chain(windows).filter(|(.., used)| !used).collect();
        unused.sort_by_key(|(_, _, location, _)| order(*location));
        let mut warnings: Vec<_> = unused
            .iter()
            .take(MOST_PROBLEMS)
            .map(|(kind, name, location, _)| {
                self.warning(*location, format!("unused {kind} {}", quoted(name)))
            })
            .collect();
        if let Some((.., location, _)) = unused.get(MOST_PROBLEMS) {
            let more = unused.len() - MOST_PROBLEMS;
            warnings.push(self.warning(*location, format!("{more} more unused names from here on")));
        }
        warnings
    }

    /// Finds functions that are configured by name and by ARN. This is an error where a role gives the account of the
    /// name. Elsewhere the name is in warmd's own account, which is not known here, so it is a warning.
    pub(super) fn duplicates(&mut self) -> Vec<Problem> {
        // The map of a large fleet takes much memory.
        if self.targets.iter().all(|(target, _)| target.id.account.is_none()) {
            return Vec::new();
        }
        // The tenants of a function are configured at one place.
        let by_name: HashMap<Identity, (&Target, Location)> = self
            .targets
            .iter()
            .filter(|(target, _)| target.id.account.is_none())
            .map(|(target, locations)| (target.id.without_tenant(), (target, locations.function)))
            .collect();
        let (mut certain, mut possible) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for (target, locations) in &self.targets {
            let Some(account) = &target.id.account else { continue };
            let id = Identity { account: None, ..target.id.without_tenant() };
            let Some((named, location)) =
                by_name.get(&id).filter(|_| seen.insert(target.id.without_tenant()))
            else {
                continue;
            };
            let mut both = [*location, locations.function];
            both.sort_by_key(|location| order(*location));
            match named.role.as_ref().and_then(|role| account_of(&role.arn)) {
                Some(known) if known == account.as_str() => {
                    certain.push((both, format!("{id} is configured by name and by ARN")));
                }
                Some(_) => {}
                None if target.is_warmed() && named.is_warmed() => {
                    let account = account.as_str();
                    let is_capacity = target.strategy.is_capacity() || named.strategy.is_capacity();
                    let what = if is_capacity { "kept warm" } else { "pinged" };
                    let message = format!("{id} is {what} twice if warmd runs in account {account}");
                    possible.push((both, message));
                }
                None => {}
            }
        }
        for ([first, second], message) in certain {
            let problem = self.error(second, message).hint(MERGE).related(self.position(first));
            self.reject::<()>(problem);
        }
        let mut warnings: Vec<Problem> = possible
            .iter()
            .take(MOST_PROBLEMS)
            .map(|([first, second], message)| {
                self.warning(*second, message.clone())
                    .hint("it is configured by name and by ARN: remove one of the two, or use two ARNs")
                    .related(self.position(*first))
            })
            .collect();
        if let Some(([_, second], _)) = possible.get(MOST_PROBLEMS) {
            let more = possible.len() - MOST_PROBLEMS;
            let message = format!("{more} more functions from here on may be pinged twice");
            warnings.push(self.warning(*second, message));
        }
        warnings
    }

    /// Returns warnings about provisioned concurrency near or beyond quotas: scalable targets of an account and region,
    /// and the rate of requests of an environment.
    pub(super) fn beyond_quotas(&self) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let mut scaled: HashMap<_, usize> = HashMap::new();
        for (target, locations) in self.targets.iter().filter(|(target, _)| target.is_warmed()) {
            let Strategy::Provisioned(Provisioned { by, .. }) = target.strategy else { continue };
            if let By::Autoscaling { .. } = by {
                let role = target.role.as_ref().and_then(|role| account_of(&role.arn));
                let account = target.id.account.as_ref().map(AccountId::as_str).or(role);
                let count = scaled.entry((account, target.region())).or_default();
                *count += 1;
                if *count == MANY_TARGETS + 1 {
                    let message = format!(
                        "more than {MANY_TARGETS} scalable targets in {} from here on; the quota is {MOST_TARGETS}",
                        target.region()
                    );
                    let hint = "raise the quota of Application Auto Scaling, or set `by: direct` for some";
                    warnings.push(self.warning(locations.function, message).hint(hint));
                }
            }
            let windows = target.windows.iter().map(|window| window.concurrency.saturating_add(target.spare));
            if let (Some(traffic), Some(highest)) = (target.assume.traffic, windows.max()) {
                let served = u64::from(highest) * u64::from(REQUESTS_PER_ENVIRONMENT);
                let rate = traffic.requests_per_second.normalize();
                if rate > served.into() && warnings.len() < MOST_PROBLEMS {
                    let message = format!(
                        "{highest} provisioned environments serve {served} of {rate} requests a second"
                    );
                    let hint = format!(
                        "raise the number of a window to {}: each serves {REQUESTS_PER_ENVIRONMENT} a second",
                        (rate / Decimal::from(REQUESTS_PER_ENVIRONMENT)).ceil()
                    );
                    warnings.push(self.warning(locations.function, message).hint(hint));
                }
            }
        }
        warnings
    }

    pub(super) fn warning(&self, location: Location, message: String) -> Problem {
        self.error(location, message).into_warning()
    }
}

/// The hint for a function that is configured twice.
pub(super) const MERGE: &str = "merge the two: a function can have several windows";

fn order(location: Location) -> (usize, usize) {
    (location.file, location.span.start())
}
