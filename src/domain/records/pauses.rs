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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::backlog::{Metric, Rule};
    use crate::domain::calendar::{DaySet, Hours};
    use crate::domain::schedule::{Minute, desired};

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-11-20T{time}:00Z").parse().unwrap()
    }

    fn window(pipeline: Option<&str>, number: u32) -> Window {
        let opening = Opening::Weekly(DaySet::DAILY, Hours::AllDay);
        Window { pipeline: pipeline.map(Arc::from), ..Window::new("w", chrono_tz::UTC, opening, number) }
    }

    fn rule(pipeline: Option<&str>) -> Rule {
        let (namespace, name) = ("AWS/SQS".to_owned(), "Depth".to_owned());
        let metric = Arc::new(Metric { namespace, name, dimensions: BTreeMap::new(), statistic: "Maximum" });
        let per_environment = rust_decimal::Decimal::TEN;
        Rule { metric, per_environment, max: 5, pipeline: pipeline.map(Arc::from) }
    }

    fn pauses(pipelines: &[(&str, &str)]) -> Pauses {
        let pause = |(name, until): &(&str, &str)| {
            ((*name).to_owned(), Pause { until: at(until), reason: (*name).to_owned() })
        };
        Pauses { pipelines: pipelines.iter().map(pause).collect(), ..Pauses::default() }
    }

    fn target(windows: Vec<Window>, backlogs: Vec<Rule>) -> Target {
        Target { windows, backlogs, ..Target::example("f:live", "eu-west-2", Vec::new()) }
    }

    #[test]
    fn a_target_is_paused_with_all_of_its_pipelines() {
        let (nlp, ocr) = (Some("nlp"), Some("ocr"));
        let both = pauses(&[("nlp", "10:00"), ("ocr", "11:00")]);
        let of = |pauses: &Pauses, target: &Target, time: &str| {
            pauses.of(target, at(time)).map(|pause| pause.reason.clone())
        };
        let shared = target(vec![window(nlp, 2), window(ocr, 1)], vec![rule(nlp)]);
        assert_eq!(of(&both, &shared, "09:00").as_deref(), Some("nlp"), "the first to end ends it");
        assert_eq!(of(&both, &shared, "10:00"), None);
        assert_eq!(of(&pauses(&[("nlp", "10:00")]), &shared, "09:00"), None);
        let own = target(vec![window(nlp, 2), window(None, 1)], Vec::new());
        assert_eq!(of(&both, &own, "09:00"), None);
        assert_eq!(of(&both, &target(vec![window(nlp, 2)], vec![rule(None)]), "09:00"), None);
        assert_eq!(of(&both, &target(Vec::new(), Vec::new()), "09:00"), None);
        // A longer pause of the function, and a request for the function itself.
        let mut function = both.clone();
        let longer = Pause { until: at("12:00"), reason: "function".to_owned() };
        function.functions.insert(FunctionRef::parse("f:live").unwrap(), longer);
        assert_eq!(of(&function, &shared, "09:00").as_deref(), Some("function"));
        assert_eq!(both.of_function(&shared.id, at("09:00")), None);
        let mut ended = both.clone();
        ended.prune(at("10:00"));
        assert_eq!(ended.pipelines.keys().collect::<Vec<_>>(), ["ocr"]);
    }

    #[test]
    fn a_paused_pipeline_takes_away_its_windows_and_backlogs() {
        let nlp = Some("nlp");
        let fleet = Fleet::new(vec![
            target(vec![window(nlp, 5), window(None, 2)], vec![rule(nlp), rule(None)]),
            target(vec![window(nlp, 5)], vec![rule(nlp)]),
            target(Vec::new(), vec![rule(nlp)]),
            target(vec![window(Some("ocr"), 1)], Vec::new()),
        ]);
        let paused = pauses(&[("nlp", "10:00")]);
        let numbers = |time: &str| -> Vec<(u32, usize, bool)> {
            let fleet = with_pauses(Cow::Borrowed(&fleet), Some(&paused), at(time));
            let number = |target: &Target| {
                let desired = desired(target, Minute::of(at(time)));
                (desired, target.backlogs.len(), paused.of(target, at(time)).is_some())
            };
            fleet.targets.iter().map(number).collect()
        };
        assert_eq!(numbers("09:00"), [(2, 1, false), (5, 0, true), (0, 0, true), (1, 0, false)]);
        assert_eq!(numbers("10:00"), [(5, 2, false), (5, 1, false), (0, 1, false), (1, 0, false)]);
        let untouched = with_pauses(Cow::Borrowed(&fleet), Some(&Pauses::default()), at("09:00"));
        assert!(matches!(untouched, Cow::Borrowed(_)));
    }
}
