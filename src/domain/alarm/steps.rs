//! The changes that lead from the alarms that exist to those that are wanted.

use std::collections::BTreeMap;

use super::{Alarm, marker, prefix};
use crate::domain::capacity::Owner;

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The alarm is created.
    Create(Alarm),
    /// The alarm exists, and is changed.
    Update(Alarm),
    /// The alarm is as wanted.
    Keep(String),
    /// The alarm is deleted.
    Delete {
        /// Its name.
        name: String,
        /// True for a composite alarm. A request deletes one of them at most.
        is_composite: bool,
    },
}

/// Alarms of others that have wanted names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {} not made by warmd with this prefix, and {} not changed", .0.join(", "),
    if .0.len() == 1 { "was" } else { "were" }, if .0.len() == 1 { "is" } else { "are" })]
pub struct Foreign(pub Vec<String>);

/// Returns the steps, in an order in which each rule of a composite alarm names alarms that exist: metric alarms are put
/// before composite ones, and deleted after them. Alarms of the owner that are not wanted are deleted. With
/// `keep_actions`, the alarms that exist keep their actions; whether actions are enabled is always kept.
///
/// # Errors
/// [`Foreign`]: no step must be taken.
pub fn steps(
    wanted: Vec<Alarm>,
    found: &[Alarm],
    owner: &Owner,
    keep_actions: bool,
) -> Result<Vec<Step>, Foreign> {
    let by_name: BTreeMap<&str, &Alarm> = found.iter().map(|alarm| (alarm.name.as_str(), alarm)).collect();
    let known = |alarm: &Alarm| by_name.get(alarm.name.as_str()).copied();
    let is_foreign = |alarm: &&Alarm| known(alarm).is_some_and(|known| !is_of(known, owner));
    let foreign: Vec<String> = wanted.iter().filter(is_foreign).map(|alarm| alarm.name.clone()).collect();
    if !foreign.is_empty() {
        return Err(Foreign(foreign));
    }
    let (composite, metric): (Vec<Alarm>, Vec<Alarm>) = wanted.into_iter().partition(Alarm::is_composite);
    let left: Vec<&Alarm> = found
        .iter()
        .filter(|alarm| !composite.iter().chain(&metric).any(|wanted| wanted.name == alarm.name))
        .collect();
    let deleted = deletions(left, owner);
    let put = metric.into_iter().chain(composite).map(|mut alarm| {
        let Some(known) = known(&alarm) else { return Step::Create(alarm) };
        if keep_actions {
            alarm.actions = known.actions.clone();
        }
        alarm.actions.enabled = known.actions.enabled;
        if alarm == *known { Step::Keep(alarm.name) } else { Step::Update(alarm) }
    });
    Ok(put.chain(deleted).collect())
}

/// Returns the deletion of those alarms that belong to the owner.
pub fn deletions<'a>(found: impl IntoIterator<Item = &'a Alarm>, owner: &Owner) -> Vec<Step> {
    let own = found.into_iter().filter(|alarm| is_of(alarm, owner));
    let mut own: Vec<(bool, &str)> = own.map(|alarm| (!alarm.is_composite(), alarm.name.as_str())).collect();
    own.sort_unstable();
    let delete =
        |(is_metric, name): (bool, &str)| Step::Delete { name: name.to_owned(), is_composite: !is_metric };
    own.into_iter().map(delete).collect()
}

/// Returns true if an alarm belongs to the owner.
fn is_of(alarm: &Alarm, owner: &Owner) -> bool {
    alarm.name.starts_with(&prefix(owner)) && alarm.description.ends_with(&marker(owner))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::alarm::{Actions, Condition, Watched, burn_rate};
    use crate::domain::coverage::BurnAlarm;

    fn owner(name: &str) -> Owner {
        Owner::parse(name).unwrap()
    }

    fn wanted(name: &str, topic: Option<&str>) -> Vec<Alarm> {
        let watched = Watched {
            namespace: "warmd",
            dimensions: BTreeMap::new(),
            objective: "99",
            subject: "The fleet",
            marker: &marker(&owner("a")),
            actions: Actions::notify(topic),
        };
        burn_rate(name, &BurnAlarm::FAST, &watched).to_vec()
    }

    fn shown(steps: &[Step]) -> String {
        let line = |step: &Step| match step {
            Step::Create(alarm) => format!("create {}", alarm.name),
            Step::Update(alarm) => format!("update {}", alarm.name),
            Step::Keep(name) => format!("keep {name}"),
            Step::Delete { name, is_composite } => format!("delete {name} {is_composite}"),
        };
        steps.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn children_are_put_first_and_deleted_last() {
        let (new, old) = (wanted("warmd-a-new", None), wanted("warmd-a-old", None));
        insta::assert_snapshot!(shown(&steps(new, &old, &owner("a"), true).unwrap()), @"
        create warmd-a-new-long
        create warmd-a-new-short
        create warmd-a-new
        delete warmd-a-old true
        delete warmd-a-old-long false
        delete warmd-a-old-short false
        ");
    }

    #[test]
    fn what_is_as_wanted_is_kept() {
        let found = wanted("warmd-a-x", Some("arn:theirs"));
        let all = |topic, keep| shown(&steps(wanted("warmd-a-x", topic), &found, &owner("a"), keep).unwrap());
        let kept = "keep warmd-a-x-long\nkeep warmd-a-x-short\nkeep warmd-a-x";
        assert_eq!(all(None, true), kept);
        assert_eq!(all(Some("arn:theirs"), false), kept);
        assert!(all(Some("arn:ours"), false).ends_with("\nupdate warmd-a-x"));
        let mut changed = found.clone();
        changed[0].condition = Condition::Other;
        changed[2].actions.enabled = false;
        let steps = steps(wanted("warmd-a-x", Some("arn:ours")), &changed, &owner("a"), false).unwrap();
        assert_eq!(shown(&steps), "update warmd-a-x-long\nkeep warmd-a-x-short\nupdate warmd-a-x");
        let Step::Update(whole) = &steps[2] else { panic!("{steps:?}") };
        assert!(!whole.actions.enabled, "actions that somebody disabled stay disabled");
    }

    #[test]
    fn alarms_of_others_are_neither_changed_nor_deleted() {
        // The owner a-b has the prefix of the owner a.
        let mut theirs = wanted("warmd-a-b-fleet", None);
        for alarm in &mut theirs {
            alarm.description = alarm.description.replace(&marker(&owner("a")), &marker(&owner("a-b")));
        }
        let mut found = theirs.clone();
        found.push(Alarm { description: "by hand".to_owned(), ..wanted("warmd-a-hand", None).remove(2) });
        found.push(Alarm { name: "warmd-other".to_owned(), ..wanted("x", None).remove(2) });
        assert_eq!(deletions(&found, &owner("a")), []);
        assert_eq!(deletions(&found, &owner("a-b")).len(), 3);
        assert_eq!(steps(Vec::new(), &found, &owner("a"), true), Ok(Vec::new()));
        let refused = steps(wanted("warmd-a-b-fleet", None), &found, &owner("a"), true).unwrap_err();
        insta::assert_snapshot!(refused, @"warmd-a-b-fleet-long, warmd-a-b-fleet-short, warmd-a-b-fleet were not made by warmd with this prefix, and are not changed");
    }
}
