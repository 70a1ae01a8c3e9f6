//! The environments of all functions: who runs where, since when, until when.
//!
//! Pure: time is an argument, counted from the emulator's origin, and never goes back. An environment's run is known
//! when it starts, so nothing has to be released: a request whose caller hangs up still occupies its environment to
//! the end, as it does on Lambda.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

/// Which environments may serve a request: those of one version of one function in one place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Account and region: what an account's concurrency is counted over.
    pub place: String,
    /// The function's name: what reserved concurrency is counted over.
    pub function: String,
    /// The version that executes.
    pub version: String,
}

/// The concurrency that holds for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// The function has concurrency of its own.
    Reserved(u32),
    /// It shares what the account has left unreserved.
    Shared(u32),
}

/// Why a request finds no environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// As many requests as the account may run are running.
    Concurrency,
    /// As many requests as the function has reserved are running.
    ReservedConcurrency,
    /// More than ten requests a second for each unit of the account's concurrency.
    Rate,
    /// More than ten requests a second for each unit of the function's reserved concurrency.
    ReservedRate,
}

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// An idle environment, initialised.
    Idle,
    /// An idle environment that was reset after a crash or a timeout: it has to initialise again.
    Reset,
    /// A new environment; the function's code is cached near by.
    NewWithCode,
    /// A new environment whose code has to be fetched first.
    New,
}

/// How a request occupies the environment it met. Instants are counted from the origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stay {
    /// When the environment is free again.
    pub until: Duration,
    /// When the environment goes if nobody calls: `until` plus the idle life.
    pub idle_until: Duration,
    /// When a new environment is recycled, however busy it is kept (at the end of the run in progress).
    pub recycled_at: Duration,
    /// When the code has arrived. Only matters when it was not there.
    pub code_from: Duration,
    /// Until when the code stays cached after this run.
    pub code_until: Duration,
    /// Whether the environment comes out of it unharmed.
    pub health: Health,
}

/// How an environment comes out of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// As it was.
    Well,
    /// Reset: its process is gone, its place is kept.
    Reset,
}

/// Where a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// Distinct for every environment, and for what a reset makes of one.
    pub environment: u64,
    /// What was met there.
    pub met: Met,
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
    /// By the time they became idle, newest last.
    idle: Vec<Environment>,
    /// No idle environment goes before this instant: spares looking at each of them every time.
    none_gone_before: Duration,
    code_from: Duration,
    code_until: Duration,
}

impl Group {
    /// Brings the group to `now`: runs end, idle environments go.
    fn settle(&mut self, now: Duration) {
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
    /// Whether one more request fits at `now`; counts it against the rate if it does.
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
        // Lambda's quota: requests a second at most ten times the concurrency.
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
    groups: HashMap<Key, Group>,
    shared: HashMap<String, Load>,
    reserved: HashMap<(String, String), Load>,
}

impl Pool {
    /// Finds an environment for a request at `now` and occupies it: the newest idle one, else a new one. `stay` is
    /// told what was met and says how long it takes. Check and reservation are this one step.
    pub(super) fn place(
        &mut self,
        now: Duration,
        key: &Key,
        limit: Limit,
        stay: impl FnOnce(Met) -> Stay,
    ) -> Result<Placement, Refusal> {
        let load = match limit {
            Limit::Reserved(concurrency) => {
                let load = self.reserved.entry((key.place.clone(), key.function.clone())).or_default();
                load.admit(now, concurrency).map_err(|exceeded| match exceeded {
                    Exceeded::Concurrency => Refusal::ReservedConcurrency,
                    Exceeded::Rate => Refusal::ReservedRate,
                })?;
                load
            }
            Limit::Shared(concurrency) => {
                let load = self.shared.entry(key.place.clone()).or_default();
                load.admit(now, concurrency).map_err(|exceeded| match exceeded {
                    Exceeded::Concurrency => Refusal::Concurrency,
                    Exceeded::Rate => Refusal::Rate,
                })?;
                load
            }
        };
        let group = self.groups.entry(key.clone()).or_default();
        group.settle(now);

        let idle = group.idle.pop();
        let code_gone = group.code_until <= now;
        let met = match &idle {
            Some(environment) if environment.needs_init => Met::Reset,
            Some(_) => Met::Idle,
            None if code_gone || group.code_from > now => Met::New,
            None => Met::NewWithCode,
        };
        let stay = stay(met);
        let mut environment = idle.unwrap_or_else(|| {
            self.made += 1;
            Environment {
                id: self.made,
                needs_init: false,
                recycled_at: stay.recycled_at,
                gone_at: Duration::ZERO,
            }
        });
        let placement = Placement { environment: environment.id, met };

        group.code_from = match met {
            Met::New if code_gone => stay.code_from,
            Met::New => group.code_from.min(stay.code_from),
            Met::Idle | Met::Reset | Met::NewWithCode => group.code_from,
        };
        group.code_until = group.code_until.max(stay.code_until);
        environment.gone_at = stay.idle_until.min(environment.recycled_at).max(stay.until);
        environment.needs_init = stay.health == Health::Reset;
        if environment.needs_init {
            self.made += 1;
            environment.id = self.made;
        }
        group.busy.push(Reverse((stay.until, environment)));
        load.ends.push(Reverse(stay.until));
        Ok(placement)
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
