//! The execution of the steps that lead to the wanted alarms.

use std::iter::Peekable;

use crate::domain::alarm::Step;
use crate::engine::observability::Observability;
use crate::engine::ports::CallError;

/// The alarms of one DeleteAlarms request. Source: CloudWatch API reference, 2026-11.
const MOST_DELETIONS: usize = 100;

/// Steps that ended at a failure. Those before it are done, and a repetition does the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// The alarms of the call that failed.
    pub names: Vec<String>,
    /// The reason.
    pub reason: CallError,
    /// The number of alarms with further changes.
    pub left: usize,
}

/// Takes the steps in their order until one fails. `done` gets a word, such as `created`, and the name of each alarm.
///
/// # Errors
/// [`Incomplete`].
pub async fn apply(
    port: &impl Observability,
    steps: Vec<Step>,
    mut done: impl FnMut(&'static str, &str),
) -> Result<(), Incomplete> {
    let mut steps = steps.into_iter().peekable();
    while let Some(step) = steps.next() {
        let (word, names, result) = match step {
            Step::Keep(name) => ("unchanged", vec![name], Ok(())),
            Step::Create(alarm) => {
                let result = port.put_alarm(&alarm).await;
                ("created", vec![alarm.name], result)
            }
            Step::Update(alarm) => {
                let result = port.put_alarm(&alarm).await;
                ("updated", vec![alarm.name], result)
            }
            Step::Delete { name, is_composite } => {
                let mut names = vec![name];
                if !is_composite {
                    names.extend(deleted_together(&mut steps));
                }
                let result = port.delete_alarms(&names).await;
                ("deleted", names, result)
            }
        };
        if let Err(reason) = result {
            let left = steps.filter(|step| !matches!(step, Step::Keep(_))).count();
            return Err(Incomplete { names, reason, left });
        }
        names.iter().for_each(|name| done(word, name));
    }
    Ok(())
}

/// Takes the following deletions of metric alarms that fit into one request with another.
fn deleted_together(steps: &mut Peekable<impl Iterator<Item = Step>>) -> Vec<String> {
    let is_metric = |step: &Step| matches!(step, Step::Delete { is_composite: false, .. });
    let mut names = Vec::new();
    while names.len() + 1 < MOST_DELETIONS
        && let Some(Step::Delete { name, .. }) = steps.next_if(is_metric)
    {
        names.push(name);
    }
    names
}
