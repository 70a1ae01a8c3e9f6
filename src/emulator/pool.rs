//! The environments of all functions.
//!
//! The pool is pure: time is an argument, counted from the emulator's origin, and never goes back. The end of a run is
//! known when it starts, so nothing has to be released. As on Lambda, a request whose caller disconnects occupies its
//! environment to the end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// The key of the environments that may serve a request: the version of a function in an account and region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The account and region, the scope of the account's concurrency.
    pub scope: String,
    /// The function's name, the scope of reserved concurrency.
    pub function: String,
    /// The version that executes.
    pub version: String,
    /// The tenant of a function with tenant isolation.
    pub tenant: Option<String>,
    /// The qualifier whose provisioned environments these are; `None` on demand.
    pub provisioned: Option<String>,
}

/// The concurrency limit of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConcurrencyLimit {
    /// The function's reserved concurrency.
    Reserved(u32),
    /// The account's unreserved concurrency.
    Shared(u32),
    /// Provisioned environments of a function without a reservation. Their number is the limit.
    Provisioned,
}

/// The reason why a request is throttled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Throttle {
    /// The account's concurrency is in use.
    Concurrency,
    /// The function's reserved concurrency is in use.
    ReservedConcurrency,
    /// More than ten requests a second for each unit of the account's concurrency.
    Rate,
    /// More than ten requests a second for each unit of the function's reserved concurrency.
    ReservedRate,
}

/// The kind of environment that a request is placed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// An idle environment, initialised.
    Idle,
    /// An idle environment that was reset after a crash or a timeout. It initialises again.
    Reset,
    /// A provisioned environment that was initialised ahead, for its first request.
    Prepared,
    /// A new environment. The function's code is cached.
    NewWithCode,
    /// A new environment. The function's code must be fetched first.
    New,
}

/// The occupancy of an environment by a request. Instants are counted from the origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occupancy {
    /// The instant when the environment is free again.
    pub until: Duration,
    /// The instant when the environment is removed if it stays idle: `until` plus the idle life.
    pub idle_until: Duration,
    /// The instant when a new environment is recycled, after the run in progress.
    pub recycled_at: Duration,
    /// The instant when the code has been fetched, if it was not cached.
    pub code_from: Duration,
    /// The instant until which the code stays cached after this run.
    pub code_until: Duration,
    /// The environment's health after the run.
    pub health: EnvironmentHealth,
}

/// The health of an environment after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EnvironmentHealth {
    /// Unchanged.
    Healthy,
    /// Reset: its process has ended, its place in the pool remains.
    Reset,
}

/// The environment of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The environment's number. A reset gives it a new one.
    pub environment: u64,
    /// The kind of environment.
    pub placement: Placement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Environment {
    id: u64,
    needs_init: bool,
    recycled_at: Duration,
    gone_at: Duration,
}

/// The environments of one [`Key`].
#[derive(Debug, Default)]
struct Group {
    busy: BinaryHeap<Reverse<(Duration, Environment)>>,
    /// In the order in which they became idle, newest last.
    idle: Vec<Environment>,
    /// No idle environment is removed before this instant. Saves a search through all of them.
    none_gone_before: Duration,
    code_from: Duration,
    code_until: Duration,
}

impl Group {
    /// Removes the oldest idle environments until there are at most `most` with the busy ones.
    fn trim(&mut self, most: u32) {
        let surplus = (self.busy.len() + self.idle.len()).saturating_sub(most as usize);
        self.idle.drain(..surplus.min(self.idle.len()));
    }

    /// Advances the group to `now`: ends runs and removes idle environments.
    fn advance(&mut self, now: Duration) {
        while let Some(Reverse((until, environment))) = self.busy.peek().copied() {
            if until > now {
                break;
            }
            self.busy.pop();
            self.none_gone_before = self.none_gone_before.min(environment.gone_at);
            self.idle.push(environment);
        }
        if self.none_gone_before <= now {
            self.idle.retain(|environment| environment.gone_at > now);
            let next = self.idle.iter().map(|environment| environment.gone_at).min();
            self.none_gone_before = next.unwrap_or(Duration::MAX);
        }
    }
}

/// Requests in flight and requests of the present second.
#[derive(Debug, Default)]
struct Load {
    ends: BinaryHeap<Reverse<Duration>>,
    second: u64,
    requests: u32,
}

impl Load {
    /// Admits one more request at `now`, and counts it for the rate.
    ///
    /// # Errors
    /// The limit that is exceeded.
    fn admit(&mut self, now: Duration, concurrency: u32) -> Result<(), Exceeded> {
        while self.ends.peek().is_some_and(|Reverse(end)| *end <= now) {
            self.ends.pop();
        }
        if self.ends.len() >= concurrency as usize {
            return Err(Exceeded::Concurrency);
        }
        if self.second != now.as_secs() {
            (self.second, self.requests) = (now.as_secs(), 0);
        }
        // Lambda's quota: ten requests a second for each unit of concurrency.
        if self.requests >= concurrency.saturating_mul(10) {
            return Err(Exceeded::Rate);
        }
        self.requests += 1;
        Ok(())
    }
}

enum Exceeded {
    Concurrency,
    Rate,
}

/// All environments of all functions.
#[derive(Debug, Default)]
pub(super) struct Pool {
    made: u64,
    groups: BTreeMap<Key, Group>,
    shared: BTreeMap<String, Load>,
    reserved: BTreeMap<(String, String), Load>,
}

impl Pool {
    /// Returns true when fewer than `count` environments of `key` are busy at `now`. Removes idle ones above `count`.
    pub(super) fn has_free(&mut self, now: Duration, key: &Key, count: u32) -> bool {
        self.groups.get_mut(key).map_or(0, |group| {
            group.advance(now);
            group.trim(count);
            group.busy.len()
        }) < count as usize
    }

    /// Removes idle environments of each key that `is_of` returns true for, so that at most `most` are left at `now`.
    pub(super) fn trim(&mut self, is_of: impl Fn(&Key) -> bool, most: u32, now: Duration) {
        if most == 0 {
            self.retain(|key| !is_of(key));
        }
        for (_, group) in self.groups.iter_mut().filter(|(key, _)| is_of(key)) {
            group.advance(now);
            group.trim(most);
        }
    }

    /// Ends the environments whose key `keep` returns false for, after the runs in progress.
    pub(super) fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        self.groups.retain(|key, _| keep(key));
    }

    /// Places a request at `now` in the newest idle environment, or in a new one. `occupancy` calculates the occupancy
    /// from the kind of environment. The check of the limit and the reservation are one step.
    ///
    /// # Errors
    /// The reason of the throttle.
    pub(super) fn place(
        &mut self,
        now: Duration,
        key: &Key,
        limit: ConcurrencyLimit,
        occupancy: impl FnOnce(Placement) -> Occupancy,
    ) -> Result<Assignment, Throttle> {
        let mut unlimited = Load::default();
        let (load, concurrency) = match limit {
            ConcurrencyLimit::Reserved(concurrency) => {
                (self.reserved.entry((key.scope.clone(), key.function.clone())).or_default(), concurrency)
            }
            ConcurrencyLimit::Shared(concurrency) => {
                (self.shared.entry(key.scope.clone()).or_default(), concurrency)
            }
            ConcurrencyLimit::Provisioned => (&mut unlimited, u32::MAX),
        };
        load.admit(now, concurrency).map_err(|exceeded| match (exceeded, limit) {
            (Exceeded::Concurrency, ConcurrencyLimit::Reserved(_)) => Throttle::ReservedConcurrency,
            (Exceeded::Concurrency, _) => Throttle::Concurrency,
            (Exceeded::Rate, ConcurrencyLimit::Reserved(_)) => Throttle::ReservedRate,
            (Exceeded::Rate, _) => Throttle::Rate,
        })?;
        let group = self.groups.entry(key.clone()).or_default();
        group.advance(now);

        let idle = group.idle.pop();
        let code_gone = group.code_until <= now;
        let placement = match &idle {
            Some(environment) if environment.needs_init => Placement::Reset,
            Some(_) => Placement::Idle,
            None if key.provisioned.is_some() => Placement::Prepared,
            None if code_gone || group.code_from > now => Placement::New,
            None => Placement::NewWithCode,
        };
        let occupancy = occupancy(placement);
        let mut environment = idle.unwrap_or_else(|| {
            self.made += 1;
            Environment {
                id: self.made,
                needs_init: false,
                recycled_at: occupancy.recycled_at,
                gone_at: Duration::ZERO,
            }
        });
        let assignment = Assignment { environment: environment.id, placement };

        group.code_from = match placement {
            Placement::New if code_gone => occupancy.code_from,
            Placement::New => group.code_from.min(occupancy.code_from),
            Placement::Idle | Placement::Reset | Placement::Prepared | Placement::NewWithCode => {
                group.code_from
            }
        };
        group.code_until = group.code_until.max(occupancy.code_until);
        environment.gone_at = occupancy.idle_until.min(environment.recycled_at).max(occupancy.until);
        environment.needs_init = occupancy.health == EnvironmentHealth::Reset;
        if environment.needs_init {
            self.made += 1;
            environment.id = self.made;
        }
        group.busy.push(Reverse((occupancy.until, environment)));
        load.ends.push(Reverse(occupancy.until));
        Ok(assignment)
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
