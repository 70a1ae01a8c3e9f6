//! A small model of provisioned concurrency, Application Auto Scaling and managed instances.

use std::sync::MutexGuard;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::domain::capacity::{
    Bounds, Change, ChangeError, ProvisionedState, ProvisionedStatus, ScalableTarget, ScalingConfig,
    ScalingPolicy, ScheduledAction,
};
use crate::domain::function::{FunctionRef, Identity, Qualifier};
use crate::domain::preflight::Lookup;
use crate::domain::routing::Routing;
use crate::engine::capacity::{CapacityControl, Listed, Place};

/// Parses a UTC time in minutes.
pub(in crate::service) fn at(minute: &str) -> DateTime<Utc> {
    format!("{minute}:00Z").parse().unwrap()
}

/// The time that environments take to become available.
const PREPARED_IN: TimeDelta = TimeDelta::minutes(2);

#[derive(Default)]
pub(in crate::service) struct Model(Mutex<State>);

#[derive(Default)]
pub(in crate::service) struct State {
    now: DateTime<Utc>,
    /// The environments, and the time of the last change.
    provisioned: BTreeMap<String, (u32, DateTime<Utc>)>,
    pub scalable: BTreeMap<String, Scalable>,
    pub scaling: BTreeMap<String, (u32, u32)>,
    /// The version behind each alias.
    pub version: String,
    activities: BTreeMap<String, Vec<Activity>>,
    changes: Vec<String>,
    pub requests: u32,
    pub hangs: bool,
    pub hangs_on_change: bool,
    pub throttles: bool,
    pub refuses: Option<ChangeErrorKind>,
    pub denies_activities: bool,
    pub denies_policies: bool,
    /// Reads of provisioned concurrency fail.
    pub fails_numbers: bool,
    /// Changes of these functions are answered with a server error.
    pub broken: Vec<String>,
    /// Scaling activities fail with this error.
    pub fails_scaling: Option<ChangeError>,
    /// The tags that were read.
    pub owners_read: u32,
}

#[derive(Default)]
pub(in crate::service) struct Scalable {
    bounds: Bounds,
    pub owner: Option<String>,
    is_suspended: bool,
    pub policies: BTreeMap<String, u32>,
    actions: BTreeMap<String, ScheduledAction>,
}

impl State {
    fn set(&mut self, function: &str, number: u32, time: DateTime<Utc>) {
        let before = self.provisioned.get(function).map_or(0, |(number, _)| *number);
        if number == 0 {
            self.provisioned.remove(function);
        } else if number != before {
            self.provisioned.insert(function.to_owned(), (number, time));
        }
        if number != before {
            let activity = Activity {
                started: time,
                ended: Some(time),
                to: Some(number),
                is_successful: true,
                failure: None,
            };
            self.activities.entry(function.to_owned()).or_default().push(activity);
        }
    }

    /// Moves the environments of a scalable target into its bounds.
    fn clamp(&mut self, function: &str, time: DateTime<Utc>) {
        let Bounds { min, max } = self.scalable[function].bounds;
        if let Some(error) = self.fails_scaling.clone() {
            let (started, ended, failure) = (time, Some(time), Some(error));
            let activity = Activity { started, ended, to: Some(min), is_successful: false, failure };
            self.activities.entry(function.to_owned()).or_default().push(activity);
            return;
        }
        let number = self.provisioned.get(function).map_or(0, |(number, _)| *number);
        self.set(function, number.clamp(min, max), time);
    }

    fn act(&mut self) {
        let now = self.now;
        let time = |action: &ScheduledAction| {
            let time = action.schedule.strip_prefix("at(").unwrap().strip_suffix(")").unwrap();
            format!("{time}Z").parse::<DateTime<Utc>>().unwrap()
        };
        let mut due = Vec::new();
        for (function, scalable) in &mut self.scalable {
            if !scalable.is_suspended {
                let passed = scalable.actions.extract_if(.., |_, action| time(action) <= now);
                due.extend(
                    passed.map(|(_, action)| (time(&action), function.clone(), action.bounds.unwrap())),
                );
            }
        }
        due.sort_by_key(|(time, ..)| *time);
        for (time, function, bounds) in due {
            self.scalable.get_mut(&function).unwrap().bounds = bounds;
            self.clamp(&function, time);
        }
    }

    fn change(&mut self, function: &str, change: &Change) {
        let now = self.now;
        match change.clone() {
            Change::PutProvisioned(number) => self.set(function, number.get(), now),
            Change::DeleteProvisioned => self.set(function, 0, now),
            Change::Register { bounds, suspend, owner } => {
                let is_new = !self.scalable.contains_key(function);
                let scalable = self.scalable.entry(function.to_owned()).or_default();
                scalable.bounds = bounds.unwrap_or(scalable.bounds);
                scalable.is_suspended = suspend.unwrap_or(scalable.is_suspended);
                if is_new {
                    scalable.owner = owner;
                }
                self.clamp(function, now);
            }
            Change::Deregister => drop(self.scalable.remove(function)),
            Change::PutScaling { version, bounds: Bounds { min, max } } => {
                self.scaling.insert(version.as_str().to_owned(), (min, max));
            }
            other => {
                let scalable = self.scalable.get_mut(function).unwrap();
                match other {
                    Change::Tag { owner, .. } => scalable.owner = Some(owner),
                    Change::PutPolicy { name, utilization } => {
                        scalable.policies.insert(name, utilization);
                    }
                    Change::DeletePolicy(name) => drop(scalable.policies.remove(&name)),
                    Change::PutAction(action) => {
                        assert!(scalable.actions.insert(action.name.clone(), action).is_none());
                    }
                    Change::DeleteAction(name) => drop(scalable.actions.remove(&name)),
                    _ => unreachable!(),
                }
            }
        }
    }

    fn listed(&self, function: &str) -> Option<ScalableTarget> {
        let Scalable { bounds, is_suspended, .. } = self.scalable.get(function)?;
        Some(ScalableTarget {
            arn: format!("arn:{function}"),
            bounds: *bounds,
            is_suspended: *is_suspended,
            owner: Lookup::NotRead,
        })
    }
}

impl Model {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn set_now(&self, now: DateTime<Utc>) {
        let mut state = self.state();
        if state.version.is_empty() {
            state.version = "7".to_owned();
        }
        state.now = now;
        state.act();
    }

    /// Makes a configuration that is not warmd's.
    pub fn provision(&self, function: &str, number: u32) {
        self.state().provisioned.insert(function.to_owned(), (number, DateTime::UNIX_EPOCH));
    }

    /// Makes a scalable target.
    pub fn scale(&self, function: &str, (min, max): (u32, u32), owner: Option<&str>) {
        let mut state = self.state();
        let (bounds, owner) = (Bounds { min, max }, owner.map(str::to_owned));
        state.scalable.insert(function.to_owned(), Scalable { bounds, owner, ..Scalable::default() });
        state.clamp(function, DateTime::UNIX_EPOCH);
    }

    /// Returns the environments that are requested.
    pub fn up(&self, function: &str) -> Option<u32> {
        self.state().provisioned.get(function).map(|(number, _)| *number)
    }

    /// Returns the changes since the last call.
    pub fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.state().changes)
    }

    fn read<'a, T: Send + 'a>(
        &'a self,
        of: impl FnOnce(&mut State) -> T + Send + 'a,
    ) -> BoxFuture<'a, Lookup<T>> {
        async move {
            self.state().requests += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let hangs = self.state().hangs;
            if hangs {
                std::future::pending::<()>().await;
            }
            let mut state = self.state();
            match state.throttles {
                true => Lookup::Throttled("slow down".to_owned()),
                false => Lookup::Known(of(&mut state)),
            }
        }
        .boxed()
    }
}

impl CapacityControl for Model {
    fn provisioned<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Option<ProvisionedState>>> {
        let function = of.id.label();
        if self.state().fails_numbers {
            return async { Lookup::Failed("500".to_owned()) }.boxed();
        }
        self.read(move |state| {
            let (requested, since) = *state.provisioned.get(&function)?;
            let is_ready = state.now - since >= PREPARED_IN;
            let available = if is_ready { requested } else { 0 };
            let status = if is_ready { ProvisionedStatus::Ready } else { ProvisionedStatus::InProgress };
            Some(ProvisionedState { requested, allocated: available, available, status, reason: None })
        })
    }

    fn alias<'a>(&'a self, _: Place<'a>) -> BoxFuture<'a, Lookup<Routing>> {
        self.read(|state| Routing::to(Qualifier::parse(&state.version).unwrap()))
    }

    fn is_updating<'a>(&'a self, _: Place<'a>) -> BoxFuture<'a, Lookup<bool>> {
        self.read(|_| false)
    }

    fn scaling<'a>(&'a self, _: Place<'a>, version: &'a Qualifier) -> BoxFuture<'a, Lookup<ScalingConfig>> {
        self.read(|state| {
            let bounds =
                state.scaling.get(version.as_str()).map(|(min, max)| Bounds { min: *min, max: *max });
            ScalingConfig { requested: bounds, applied: bounds }
        })
    }

    fn scalable_targets<'a>(
        &'a self,
        region: Region,
        _: Option<&'a Arc<Role>>,
        ids: Option<&'a [Identity]>,
    ) -> BoxFuture<'a, Lookup<Vec<Listed>>> {
        self.read(move |state| {
            let functions = state.scalable.keys().map(|function| (function.clone(), state.listed(function)));
            let listed = functions.map(|(function, scalable)| Listed {
                id: FunctionRef::parse(&function).unwrap().identity(region),
                scalable: scalable.unwrap(),
            });
            listed.filter(|listed| ids.is_none_or(|ids| ids.contains(&listed.id))).collect()
        })
    }

    fn owner<'a>(&'a self, _: Place<'a>, arn: &'a str) -> BoxFuture<'a, Lookup<Option<String>>> {
        self.state().owners_read += 1;
        self.read(|state| state.scalable.get(arn.strip_prefix("arn:").unwrap())?.owner.clone())
    }

    fn policies<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Vec<ScalingPolicy>>> {
        let function = of.id.label();
        if self.state().denies_policies {
            return async { Lookup::Denied("no".to_owned()) }.boxed();
        }
        self.read(move |state| {
            let policies = state.scalable.get(&function).into_iter().flat_map(|scalable| &scalable.policies);
            policies.map(|(name, of)| ScalingPolicy { name: name.clone(), utilization: Some(*of) }).collect()
        })
    }

    fn actions<'a>(&'a self, of: Place<'a>) -> BoxFuture<'a, Lookup<Vec<ScheduledAction>>> {
        let function = of.id.label();
        self.read(move |state| {
            let actions = state.scalable.get(&function).into_iter().flat_map(|scalable| &scalable.actions);
            actions.map(|(_, action)| action.clone()).collect()
        })
    }

    fn activities<'a>(&'a self, of: Place<'a>, since: DateTime<Utc>) -> BoxFuture<'a, Lookup<Vec<Activity>>> {
        let function = of.id.label();
        if self.state().denies_activities {
            return async { Lookup::Denied("no".to_owned()) }.boxed();
        }
        self.read(move |state| {
            let activities = state.activities.get(&function).into_iter().flatten();
            activities.filter(|activity| activity.started >= since).cloned().collect()
        })
    }

    fn last_utilization<'a>(
        &'a self,
        _: Place<'a>,
        _: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> BoxFuture<'a, Lookup<Option<DateTime<Utc>>>> {
        self.read(move |_| Some(until))
    }

    fn change<'a>(&'a self, of: Place<'a>, change: &'a Change) -> BoxFuture<'a, Result<(), ChangeError>> {
        async move {
            self.state().requests += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            if self.state().hangs_on_change {
                std::future::pending::<()>().await;
            }
            let mut state = self.state();
            if let Some(kind) = state.refuses {
                return Err(ChangeError { kind, message: "no".to_owned() });
            }
            let function = of.id.label();
            if state.broken.contains(&function) {
                return Err(ChangeError { kind: ChangeErrorKind::Unknown, message: "500".to_owned() });
            }
            state.changes.push(format!("{function} {change}"));
            state.change(&function, change);
            Ok(())
        }
        .boxed()
    }
}
