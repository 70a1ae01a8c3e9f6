//! The pauses of the fleet, of functions and of pipelines.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::keyed;
use crate::domain::calendar::{Opening, Window};
use crate::domain::clean::clean;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Identity};

/// The pauses of the fleet and of single functions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pauses {
    /// The pause of everything.
    pub all: Option<Pause>,
    /// The pauses by function, as it is configured, in all its regions.
    #[serde(with = "keyed")]
    pub functions: BTreeMap<FunctionRef, Pause>,
    /// The pauses by pipeline, in all its regions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pipelines: BTreeMap<String, Pause>,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The end, this instant not included.
    pub until: DateTime<Utc>,
    /// The reason as text.
    pub reason: String,
}

impl Pauses {
    /// Returns the pause of a target: of several the one that ends last. A target is paused with its pipelines if all of
    /// its windows and backlogs belong to paused ones.
    pub fn of(&self, target: &Target, now: DateTime<Utc>) -> Option<&Pause> {
        let own = self.of_function(&target.id, now);
        own.into_iter().chain(self.of_pipelines(target, now)).max_by_key(|pause| pause.until)
    }

    /// Returns the pause of a function or of the fleet, without those of pipelines: of both the one that ends last.
    pub fn of_function(&self, id: &Identity, now: DateTime<Utc>) -> Option<&Pause> {
        let own = self.functions.iter().filter(|(function, _)| function.is_of(id)).map(|(_, pause)| pause);
        self.all.iter().chain(own).filter(|pause| now < pause.until).max_by_key(|pause| pause.until)
    }

    /// Returns the pause of a pipeline.
    pub fn of_pipeline(&self, name: &str, now: DateTime<Utc>) -> Option<&Pause> {
        self.pipelines.get(name).filter(|pause| now < pause.until)
    }

    /// Returns the pause that ends first of those of a target's pipelines, if everything of the target belongs to paused
    /// ones.
    fn of_pipelines(&self, target: &Target, now: DateTime<Utc>) -> Option<&Pause> {
        if self.pipelines.is_empty() {
            return None;
        }
        let windows = target.windows.iter().map(|window| &window.pipeline);
        let owners = windows.chain(target.backlogs.iter().map(|rule| &rule.pipeline));
        let pauses: Option<Vec<&Pause>> =
            owners.map(|owner| self.of_pipeline(owner.as_deref()?, now)).collect();
        pauses?.into_iter().min_by_key(|pause| pause.until)
    }

    /// Drops pauses that have ended.
    pub fn prune(&mut self, now: DateTime<Utc>) {
        self.all.take_if(|pause| pause.until <= now);
        self.functions.retain(|_, pause| pause.until > now);
        self.pipelines.retain(|_, pause| pause.until > now);
    }
}

/// Returns the fleet without the windows and backlogs of pipelines that are paused at `now`. A target that has no others
/// keeps its windows, so that it is due and skipped as paused; windows without environments stand for its backlogs.
pub fn with_pauses<'f>(fleet: Cow<'f, Fleet>, pauses: Option<&Pauses>, now: DateTime<Utc>) -> Cow<'f, Fleet> {
    let Some(pauses) = pauses.filter(|pauses| pauses.pipelines.values().any(|pause| now < pause.until))
    else {
        return fleet;
    };
    let is_paused = |owner: &Option<Arc<str>>| {
        owner.as_deref().is_some_and(|name| pauses.of_pipeline(name, now).is_some())
    };
    let mut fleet = fleet;
    for target in &mut fleet.to_mut().targets {
        if pauses.of_pipelines(target, now).is_none() {
            target.windows.retain(|window| !is_paused(&window.pipeline));
            target.backlogs.retain(|rule| !is_paused(&rule.pipeline));
            continue;
        }
        for rule in target.backlogs.drain(..) {
            let never = Opening::Once(now, TimeDelta::zero());
            let window = Window::new("backlog", chrono_tz::UTC, never, 0);
            target.windows.push(Window { pipeline: rule.pipeline, ..window });
        }
    }
    fleet
}

impl std::fmt::Display for Pause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let until = self.until.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "paused until {until}: {}", clean(&self.reason))
    }
}
