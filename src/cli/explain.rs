//! `warmd explain`: the desired number of a target at a minute.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::app::App;
use super::chain::{self, ChangeObject, Explained};
use super::configuration;
use super::deployed::Deployed;
use super::error::Failure;
use super::exit::Exit;
use super::options::{Configs, Only, StateArgs};
use super::output::{print, print_json};
use super::plan::BacklogObject;
use super::render::budget::BudgetObject;
use super::render::guards::Guarded;
use super::render::{self, Style};
use super::select;
use super::status::{PauseObject, seconds};
use super::value_parsers;
use crate::domain::budget::{Scope, Spending, Standing, standings};
use crate::domain::capacity::{Bounds, By, Finding, Outlook, findings, outlook, stop};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Region, Tenant};
use crate::domain::guard::{Decision, Knowledge};
use crate::domain::records::{with_pauses, with_requests};
use crate::domain::schedule::{Explanation, Minute, WindowView, explain as explanation};
use crate::domain::tick::SkipReason;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// `warmd explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd explain storefront-ssr:live
  warmd explain nlp-inference:live --region us-east-1 --at 2026-10-25T00:30:00Z --json

A pipeline is shown stage by stage, with the windows that give the numbers and the time that cold
starts add to a request. Spare environments are shown with the functions.

For provisioned concurrency and managed instances it shows the number wanted, its bounds and the
scheduled actions that Application Auto Scaling carries out without warmd. In JSON they are
`capacity`.

Budgets of the function, of its owner and of the fleet are shown with what they do when they are
used up, and with --state with what has been spent in this month.

With --state or --live, it also shows what the guards of a tick would do now with a round of that
number, or with the largest round if the number is 0: skip it, lower it, or send one ping first.
With --state they use the stored facts and results of rounds, with --live the deployed function as
it is. Exit code 1 if --live cannot read it for another reason than a missing permission.")]
pub struct ExplainArgs {
    /// Function or pipeline: NAME, NAME:QUALIFIER or ARN, as in the configuration.
    #[arg(value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: FunctionRef,
    /// Region, if it is configured in several.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Option<Region>,
    /// Tenant, if the function is configured for several.
    #[arg(long, value_name = "TENANT", value_parser = value_parsers::tenant)]
    pub tenant: Option<Tenant>,
    /// Minute to explain, RFC 3339. [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = value_parsers::instant)]
    pub at: Option<DateTime<Utc>>,
    /// Also read the deployed function, and show what the guards of a tick would do now. No handler runs.
    #[arg(long)]
    pub live: bool,
    /// The state store: requests and pauses apply.
    #[command(flatten)]
    pub state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// The configuration.
    #[command(flatten)]
    pub configs: Configs,
}

#[derive(Serialize)]
struct ExplainObject<'e> {
    function: &'e str,
    region: Region,
    tenant: Option<&'e str>,
    at: Minute,
    local: String,
    zone: &'static str,
    #[serde(rename = "target")]
    desired: u32,
    due: bool,
    windows: &'e [WindowView<'e>],
    next_change: Option<ChangeObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<PauseObject<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guards: Option<GuardsObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<CapacityObject>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    backlogs: Vec<BacklogObject<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    budgets: Vec<BudgetObject>,
}

/// The capacity, and the scheduled actions that are ahead.
#[derive(Serialize)]
struct CapacityObject {
    strategy: &'static str,
    by: Option<&'static str>,
    desired: u32,
    min: u32,
    max: u32,
    scheduled_actions: usize,
    next_action: Option<ActionObject>,
    last_action: Option<ActionObject>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct ActionObject {
    at: Minute,
    min: u32,
    max: u32,
}

impl CapacityObject {
    fn new(target: &Target, outlook: &Outlook) -> Self {
        let action = |&(at, Bounds { min, max }): &(Minute, Bounds)| ActionObject { at, min, max };
        let Outlook { desired, bounds: Bounds { min, max }, actions, next: _ } = outlook;
        Self {
            strategy: target.strategy.name(),
            by: target.strategy.by().map(By::name),
            desired: *desired,
            min: *min,
            max: *max,
            scheduled_actions: actions.len(),
            next_action: actions.first().map(action),
            last_action: actions.last().map(action),
            findings: findings(target, &[], Minute::from_epoch(0)),
        }
    }
}

/// The decision of the guards on a round.
#[derive(Serialize)]
struct GuardsObject {
    #[serde(rename = "target")]
    allowed: u32,
    capped_from: Option<u32>,
    capped_by: Option<String>,
    backed_off_from: Option<u32>,
    skipped: Option<SkipReason>,
    first_ping: Option<&'static str>,
    #[serde(rename = "unsafe")]
    unsafe_because: Option<String>,
    next_try: Option<String>,
    /// True if the deployed function is known.
    known: bool,
}

impl GuardsObject {
    fn new(guarded: &Guarded<'_>) -> Self {
        let Guarded { desired, decision, .. } = guarded;
        let capped = decision.capped(*desired).filter(|capped| capped.to > 0);
        let (allowed, terms, skipped) = match decision {
            Decision::Send(pings, terms) => (pings.get(), Some(terms), None),
            Decision::Skip(reason) => (0, None, Some(*reason)),
        };
        let capped = capped.map(|capped| (capped.from, capped.by.to_string()));
        let skipping = guarded.known.budget.filter(|_| skipped == Some(SkipReason::Budget));
        let capped = capped.or_else(|| Some((desired.get(), skipping?.scope.setting())));
        Self {
            allowed,
            capped_from: capped.as_ref().map(|(from, _)| *from),
            capped_by: capped.map(|(_, by)| by),
            backed_off_from: terms.and_then(|terms| terms.backed_off_from),
            skipped,
            first_ping: terms.and_then(|terms| terms.first).map(|first| first.purpose.name()),
            unsafe_because: guarded.unsafe_because(),
            next_try: guarded.next_try().map(seconds),
            known: guarded.known.facts.is_some(),
        }
    }
}

/// Prints the explanation.
///
/// # Errors
/// An invalid configuration, an unknown function, or an ambiguous region.
pub async fn explain(args: &ExplainArgs, style: Style) -> Result<Exit, Failure> {
    let fleet = configuration::load(&args.configs, &Only::default()).await?;
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let minute = Minute::of(at);
    let (requests, pauses) = args.state.known().await?;
    let fleet = with_pauses(with_requests(&fleet, &requests, at), Some(&pauses), at);
    if let Some(pipeline) = select::pipeline(&fleet, &args.function, args.region)? {
        let function_only = [("--live", args.live), ("--tenant", args.tenant.is_some())];
        if let Some((option, _)) = function_only.into_iter().find(|(_, is_given)| *is_given) {
            let name = &args.function;
            return Err(Failure::Usage(format!("{option} needs a function, and `{name}` is a pipeline")));
        }
        let explained = Explained { fleet: &fleet, pipeline, minute, pauses: &pauses };
        chain::explain(explained, args.json, style)?;
        return Ok(Exit::Success);
    }
    let target = select::target(&fleet, &args.function, args.region, args.tenant.as_ref())?;
    let pause = pauses.of(target, at);
    let explanation = explanation(target, minute);
    let (deployed, exit) = deployed(args, &fleet, target).await?;
    let now = deployed.as_ref().map_or_else(|| SystemClock.now(), |deployed| deployed.now);
    let budgets = match &deployed {
        Some(deployed) if args.state.location().is_some() => deployed.budgets.standings.clone(),
        _ => standings(&fleet, &Spending::default(), now),
    };
    let budgets: Vec<(Scope, Standing)> = Scope::of(target)
        .filter_map(|scope| budgets.get_key_value(&scope))
        .map(|(scope, it)| (scope.clone(), it.clone()))
        .collect();
    let is_known = args.state.location().is_some();
    // What a budget leaves until the end of its month.
    let stopped = deployed.as_ref().and_then(|it| stop(target, &it.budgets.standings, minute));
    let outlook = outlook(stopped.as_ref().map_or(target, |(left, _)| left), &fleet.owner, minute);
    // The guards decide on rounds.
    let desired = NonZeroU32::new(explanation.desired).or(NonZeroU32::new(target.highest()));
    let desired = desired.filter(|_| target.is_pinged());
    let judged = deployed.as_ref().zip(desired);
    let cap = judged.and_then(|(deployed, desired)| deployed.budgets.caps.lowest(target, desired.get()));
    let guarded = judged.map(|(deployed, desired)| {
        let decision = deployed.decide(&fleet, target, desired, true);
        let known = Knowledge { budget: cap.as_ref(), ..deployed.of(target) };
        Guarded { target, desired, decision, known, now: deployed.now }
    });
    if args.json {
        let (paused, guards) = (pause.map(PauseObject::new), guarded.as_ref().map(GuardsObject::new));
        let capacity = outlook.as_ref().map(|outlook| CapacityObject::new(target, outlook));
        let mut object = object(target, minute, &explanation);
        if let Some(Outlook { desired, next, .. }) = outlook {
            object.desired = desired;
            object.next_change = next.map(ChangeObject::new);
        }
        let budgets = budgets.iter().map(|(scope, it)| BudgetObject::new(scope, it, is_known, now));
        let budgets = budgets.collect();
        print_json(&ExplainObject { paused, guards, capacity, budgets, ..object })?;
    } else {
        // A pause overrides the schedule.
        if let Some(pause) = pause {
            print(&format!("{} ({}) is {pause}\n", target.id.shown(), target.region()))?;
        }
        print(&render::explain::explain(target, minute, &explanation, outlook.as_ref(), style))?;
        if let Some(guarded) = &guarded {
            print(&render::guards::guards(guarded))?;
        }
        for (scope, standing) in &budgets {
            print(&render::budget::line(scope, standing, is_known, now))?;
        }
    }
    Ok(exit)
}

/// Returns what is known about the deployed function: live, or as it is stored; `None` if neither is asked for.
async fn deployed(
    args: &ExplainArgs,
    fleet: &Fleet,
    target: &Target,
) -> Result<(Option<Deployed>, Exit), Failure> {
    let now = SystemClock.now();
    let stored = match args.state.location() {
        None => None,
        Some(_) => {
            let stored = Deployed::stored(&args.state.open().await?, fleet, now).await;
            Some(stored.map_err(|unavailable| Failure::Unexpected(unavailable.to_string()))?)
        }
    };
    if !args.live {
        return Ok((stored, Exit::Success));
    }
    let own = Fleet { targets: vec![target.clone()], ..fleet.clone() };
    let live = Deployed::live(&App::aws().await, &own, now).await;
    let exit = live.report_unchecked();
    Ok((Some(live.with_records_of(stored.unwrap_or_default())), exit))
}

fn object<'e>(target: &'e Target, minute: Minute, explanation: &'e Explanation<'_>) -> ExplainObject<'e> {
    let zone = render::plan::first_zone(target);
    ExplainObject {
        function: &target.label,
        region: target.region(),
        tenant: target.tenant(),
        at: minute,
        local: minute.instant().with_timezone(&zone).to_rfc3339_opts(chrono::SecondsFormat::Secs, false),
        zone: zone.name(),
        desired: explanation.desired,
        due: explanation.due.is_some(),
        windows: &explanation.windows,
        next_change: explanation.next_change.map(ChangeObject::new),
        paused: None,
        guards: None,
        capacity: None,
        backlogs: BacklogObject::of(target),
        budgets: Vec::new(),
    }
}
