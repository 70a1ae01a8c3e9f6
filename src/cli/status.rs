//! `warmd status`: shows the records in the state store.

mod coverage;
mod json;
mod known;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use self::json::StatusObject;
pub use self::json::{FunctionObject, PauseObject};
use self::known::{Coverage, Known, by_region, read_facts, read_guards};
pub use self::known::{labels, seconds};
use self::text::shown;
use super::error::Failure;
use super::exit::Exit;
use super::options::StateArgs;
use super::output::{print, print_json, print_message};
use super::select::near;
use super::value_parsers;
use crate::domain::clean::clean;
use crate::domain::function::FunctionRef;
use crate::domain::records::{Backlog, PAUSES, Pauses, REQUESTS, Requests, Status};
use crate::engine::ports::Clock;
use crate::service::capacity::read_documents;
use crate::service::clock::SystemClock;
use crate::service::planner;
use crate::service::spending::spending;
use crate::service::store::before;

/// `warmd status`.
#[derive(Debug, Args)]
#[command(after_help = "\
The last tick is one of the schedule. Warm Requests, shards and manual runs appear as rounds only. A
pipeline is cold if a stage has fewer environments than wanted, and `unknown` if that is not known.
Unsafe handlers took a ping for work (`warmd canary`). An open breaker lets one ping pass each 15
minutes. Targets are backed off after throttles, and each clean round doubles their pings. Capacity
is what the last tick saw of provisioned concurrency and managed instances, with the price of what
was up, without invocations; a pause freezes it, and it costs on. `warmd capacity status` reads it.
Coverage is the share of window minutes in which the wanted environments were proven warm, over the
period of the objective (`slo`), of the last hours and days that the history has. Budgets are those
of the last tick, with the known cost of the month in UTC. Times more than a minute ahead are shown
as `in the future`. If a part of the state store cannot be read, the rest is shown, and the exit
code is 1.")]
pub struct StatusArgs {
    /// Function or pipeline to show, as in the configuration. [default: all]
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: Option<FunctionRef>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The state store.
    #[command(flatten)]
    pub state: StateArgs,
}

/// Shows the last tick, the pauses and the active requests. Documents that cannot be read are shown as unknown.
///
/// # Errors
/// The store has no record of the function.
pub async fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    let store = args.state.open_existing("no state store").await?;
    let now = SystemClock.now();
    let deadline = Instant::now() + WITHIN;
    let (status, pauses, requests, capacity, spending) = tokio::join!(
        before(deadline, planner::status(&store)),
        before(deadline, store.read::<Pauses>(PAUSES)),
        before(deadline, store.read::<Requests>(REQUESTS)),
        read_documents(&store, None, deadline),
        before(deadline, spending(&store, now)),
    );
    let budgets = spending.map(|spending| spending.budgets);
    let (facts, guards, coverage) = match &status {
        Ok(status) => {
            let (facts, guards) = tokio::join!(
                read_facts(&store, status, now, deadline),
                by_region(status, |region| read_guards(&store, region, deadline)),
            );
            let deadline = Instant::now() + COVERAGE_WITHIN;
            (facts, guards, Coverage::read(&store, status, now, deadline).await)
        }
        Err(unavailable) => (Err(unavailable.clone()), Err(unavailable.clone()), Ok(None)),
    };
    let mut known = Known { status, pauses, requests, facts, guards, capacity, coverage, budgets };
    if let Ok(pauses) = &mut known.pauses {
        pauses.prune(now);
    }
    if let Ok(requests) = &mut known.requests {
        requests.targets.retain(|_, request| now < request.until);
        requests
            .retain_backlogs(|_, backlog| backlog.is_future(now) || backlog.number(now, backlog.most) > 0);
    }
    if let Some(function) = &args.function {
        only(function, &mut known)?;
    }
    if args.json {
        print_json(&StatusObject::new(&known, now))?;
    } else {
        print(&shown(&known, now))?;
    }
    let failures: BTreeSet<String> = known.failures().collect();
    for failure in &failures {
        print_message(&format!("error: {failure}"));
    }
    Ok(if failures.is_empty() { Exit::Success } else { Exit::Failed })
}

/// The timeout of reads from the store.
const WITHIN: Duration = Duration::from_secs(10);
/// The timeout of reading the history: 28 days of 10,000 targets are 6.7 million rows.
const COVERAGE_WITHIN: Duration = Duration::from_secs(120);

/// Removes the records of all other functions and pipelines.
fn only(function: &FunctionRef, known: &mut Known) -> Result<(), Failure> {
    let label = function.to_string();
    let (none, nothing) = (Status::default(), Requests::default());
    let status = known.status.as_ref().unwrap_or(&none);
    let requests = known.requests.as_ref().unwrap_or(&nothing);
    let mut names =
        labels(status.targets.keys().chain(requests.targets.keys()).chain(requests.backlogs.keys()));
    names.extend(labels(known.capacities().map(|(id, _)| id)));
    names.extend(known.pauses.iter().flat_map(|pauses| pauses.functions.keys()).map(ToString::to_string));
    names.extend(known.pauses.iter().flat_map(|pauses| pauses.pipelines.keys().cloned()));
    names.extend(status.pipelines.iter().map(|last| last.name.clone()));
    names.extend(requests.backlogs.values().flatten().filter_map(|backlog| backlog.pipeline.clone()));
    if !names.contains(&label) && known.failures().next().is_none() {
        let hint = match near(&label, || names.iter().map(String::as_str)) {
            Some(near) => format!("\nhint: did you mean `{}`?", clean(near)),
            None => String::new(),
        };
        return Err(Failure::Usage(format!("the state store has no record of \"{label}\"{hint}")));
    }
    if let Ok(status) = &mut known.status {
        status.targets.retain(|id, _| function.is_of(id));
        status.pipelines.retain(|last| last.name == label);
    }
    if let Ok(requests) = &mut known.requests {
        requests.targets.retain(|id, _| function.is_of(id));
        let is_its = |backlog: &Backlog| backlog.pipeline.as_ref() == Some(&label);
        requests.retain_backlogs(|id, backlog| function.is_of(id) || is_its(backlog));
    }
    if let Ok(pauses) = &mut known.pauses {
        pauses.functions.retain(|known, _| known == function);
        pauses.pipelines.retain(|name, _| *name == label);
    }
    for facts in known.facts.iter_mut().flat_map(BTreeMap::values_mut) {
        facts.functions.retain(|id, _| function.is_of(id));
    }
    for capacities in known.capacity.iter_mut().flat_map(BTreeMap::values_mut) {
        Arc::make_mut(capacities).targets.retain(|id, _| function.is_of(id));
    }
    for coverage in known.coverage.iter_mut().flatten() {
        coverage.objectives.retain(|id| function.is_of(id));
    }
    if let Ok(budgets) = &mut known.budgets {
        budgets.retain(|scope, _| scope.function().is_some_and(|id| function.is_of(id)));
    }
    let whole = FunctionRef { qualifier: None, ..function.clone() };
    for guards in known.guards.iter_mut().flat_map(BTreeMap::values_mut) {
        guards.contacts.retain(|id, _| whole.is_of(id));
        guards.health.retain(|id, _| function.is_of(id));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::history::Objectives;
    use crate::service::store::Unavailable;

    fn known(requests: &Requests) -> Known {
        Known {
            status: Ok(Status::default()),
            pauses: Ok(Pauses::default()),
            requests: Ok(requests.clone()),
            facts: Ok::<_, Unavailable>(BTreeMap::new()),
            guards: Ok(BTreeMap::new()),
            capacity: Ok(BTreeMap::new()),
            coverage: Ok(None),
            budgets: Ok(BTreeMap::new()),
        }
    }

    #[test]
    fn a_history_that_cannot_be_read_is_a_failure() {
        let known = Known {
            coverage: Err(Unavailable("no answer in time".to_owned())),
            ..known(&Requests::default())
        };
        assert_eq!(
            known.failures().collect::<Vec<_>>(),
            [known.coverage.as_ref().err().unwrap().to_string()]
        );
        let objectives = Objectives::new(&BTreeMap::new(), SystemClock.now());
        let unread = vec!["\"history-eu-west-2-2026-11-20.gz\": it is damaged at byte 0".to_owned()];
        let coverage = Ok(Some(Coverage { objectives, unread }));
        let known = Known { coverage, ..known };
        assert_eq!(
            known.failures().collect::<Vec<_>>(),
            [
                r#"a part of the history cannot be read: "history-eu-west-2-2026-11-20.gz": it is damaged at byte 0"#
            ]
        );
    }

    #[test]
    fn a_pipeline_is_shown_with_its_requests() {
        let backlog = |pipeline: &str| {
            format!(
                r#"{{"pipeline":{pipeline},"messages":9,"rate":"3","per_environment":"3","most":3,
                "asked":"2026-11-20T09:00:00Z","hold_until":"2026-11-20T09:05:00Z","until":"2026-11-20T09:30:00Z",
                "round":{{"at":"2026-11-20T09:00:00Z","environments":3}},"worked_off":"0",
                "counted":"2026-11-20T09:00:00Z","reached":null,"reason":null}}"#
            )
        };
        let [own, nlp, other] = ["null", "\"nlp\"", "\"other\""].map(backlog);
        let document = format!(
            r#"{{"targets":{{}},"backlogs":{{"f eu-west-2":[{own},{nlp},{other}],"nlp eu-west-2":[{own}],"g eu-west-2":[{own}]}}}}"#
        );
        let requests: Requests = serde_json::from_str(&document).unwrap();
        let shown = |name: &str| {
            let mut known = known(&requests);
            only(&FunctionRef::parse(name).unwrap(), &mut known).map_err(|error| error.to_string())?;
            let backlogs = known.requests.unwrap().backlogs;
            let shown = backlogs.iter().flat_map(|(id, all)| {
                all.iter()
                    .map(move |one| format!("{} {}", id.label(), one.pipeline.as_deref().unwrap_or("-")))
            });
            Ok::<_, String>(shown.collect::<Vec<_>>().join(", "))
        };
        // `nlp` is a function as well.
        assert_eq!(shown("nlp").unwrap(), "f nlp, nlp -");
        assert_eq!(shown("other").unwrap(), "f other");
        assert_eq!(shown("f").unwrap(), "f -, f nlp, f other");
        assert!(shown("none").is_err());
    }
}
