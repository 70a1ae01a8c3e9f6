//! Two writers: somebody else's capacity on the same qualifier, two stacks in an account, and two processes of one.

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};
use warmd::domain::capacity::CapacityReport;
use warmd::domain::cost::{Item, PriceBook};
use warmd::domain::fleet::Fleet;
use warmd::domain::function::{Architecture, Region};
use warmd::emulator::{Operation, Profile, Scenario};

use super::world::{Process, REGION, World, fleet, kept, shown};

/// What somebody else makes on the function `f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Foreign {
    /// A provisioned concurrency configuration of 2.
    Configuration,
    /// A scalable target of another stack, from 2 to 3.
    Target,
    /// A scalable target without the tag.
    Untagged,
    /// A policy on the scalable target of warmd.
    Policy,
    /// A scheduled action on the scalable target of warmd.
    Action,
}

impl Foreign {
    fn reason(self, is_first: bool) -> &'static str {
        match self {
            Self::Configuration if is_first => "foreign-configuration",
            Self::Configuration => "foreign-change",
            Self::Target | Self::Untagged => "foreign-scalable-target",
            Self::Policy => "foreign-policy",
            Self::Action => "foreign-scheduled-action",
        }
    }

    fn make(self, world: &World) {
        let register = |tags: Value| {
            // A qualifier has one scalable target.
            world.deregister();
            let target = json!({ "MinCapacity": 2, "MaxCapacity": 3, "Tags": tags });
            world.scale(Operation::RegisterScalableTarget, "f", target);
        };
        match self {
            Self::Configuration => world.emulator.put_provisioned(REGION, "f", "live", 2).unwrap(),
            Self::Target => register(json!({ "warmd:owner": "another" })),
            Self::Untagged => register(json!({ "team": "orders" })),
            Self::Policy => {
                let metric = json!({ "PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization" });
                let settings = json!({ "TargetValue": 0.5, "PredefinedMetricSpecification": metric });
                let policy = json!({
                    "PolicyName": "theirs",
                    "PolicyType": "TargetTrackingScaling",
                    "TargetTrackingScalingPolicyConfiguration": settings,
                });
                world.scale(Operation::PutScalingPolicy, "f", policy);
            }
            Self::Action => {
                let action = json!({
                    "ScheduledActionName": "theirs",
                    "Schedule": "at(2026-12-24T00:00:00)",
                    "ScalableTargetAction": { "MinCapacity": 2, "MaxCapacity": 4 },
                });
                world.scale(Operation::PutScheduledAction, "f", action);
            }
        }
    }

    fn remove(self, world: &World) {
        match self {
            Self::Configuration => world.emulator.put_provisioned(REGION, "f", "live", 0).unwrap(),
            Self::Target | Self::Untagged => {
                world.deregister();
                world.emulator.put_provisioned(REGION, "f", "live", 0).unwrap();
            }
            Self::Policy => {
                world.scale(Operation::DeleteScalingPolicy, "f", json!({ "PolicyName": "theirs" }));
            }
            Self::Action => {
                world.scale(
                    Operation::DeleteScheduledAction,
                    "f",
                    json!({ "ScheduledActionName": "theirs" }),
                );
            }
        }
    }
}

impl World {
    /// Deregisters the scalable target of the function `f`, if there is one.
    fn deregister(&self) {
        if self.bounds("f").is_some() {
            self.scale(Operation::DeregisterScalableTarget, "f", json!({}));
        }
    }

    /// Describes everything on the qualifier of the function `f`.
    fn state(&self) -> Value {
        json!([self.requested("f"), self.scaling("f")])
    }

    fn invocations(&self) -> u64 {
        self.emulator.observe().of("f").count() as u64
    }
}

fn functions(names: &[&str], owner: &str, by: &str) -> Fleet {
    let function = |name: &&str| {
        format!(
            "  {name}:live: {{ strategy: provisioned, provisioned: {{ by: {by} }}, \
             windows: [{{ days: daily, hours: \"09:00-18:00\", concurrency: 4 }}] }}\n"
        )
    };
    let functions: String = names.iter().map(function).collect();
    fleet(&format!("capacity: {{ owner: {owner} }}\nfunctions:\n{functions}"))
}

async fn world() -> World {
    let profile = || Profile { prepare: Duration::from_secs(45), ..Profile::default() };
    World::new(Scenario::default().with("f", profile()).with("g", profile())).await
}

/// Serves ticks with a conflict: it is named, pings replace the capacity, and nothing of the other owner is changed.
async fn lose(world: &World, process: &Process, fleet: &Fleet, reason: &str, what: &str) {
    let (state, pings) = (world.state(), world.invocations());
    for _ in 0..70 {
        let reports = process.tick().await;
        let expected = format!("of 4 conflict ({reason})");
        assert!(shown(&reports).ends_with(&expected), "{what}: {}", shown(&reports));
    }
    assert_eq!(world.state(), state, "{what}");
    // Four environments each minute, but for the minutes before the conflict is known.
    assert!(world.invocations() >= pings + 4 * 68, "{what}: {} pings", world.invocations() - pings);
    let released = world.release(fleet).await;
    assert!(released.iter().all(|report| report.changes.is_empty()), "{what}: {released:?}");
    assert_eq!(world.state(), state, "{what}: after the release");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_made_first_wins_until_it_goes_away() {
    for by in ["direct", "autoscaling, max: 9"] {
        for foreign in [Foreign::Configuration, Foreign::Target, Foreign::Untagged] {
            let (world, fleet) = (world().await, functions(&["f"], "warmd", by));
            let what = format!("{by}, {foreign:?}");
            foreign.make(&world);
            let process = world.process(fleet.clone());
            // A scalable target has its configuration.
            lose(&world, &process, &fleet, foreign.reason(true), &what).await;
            assert!(kept(&world.capacities().await, "f").is_none_or(|kept| kept.made.is_none()), "{what}");
            foreign.remove(&world);
            assert_eq!(shown(&process.ticks(4).await), "f 4/4 of 4 ready", "{what}");
            let pings = world.invocations();
            process.ticks(3).await;
            assert_eq!(world.invocations(), pings, "{what}: the pings end");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_makes_later_wins_until_it_goes_away() {
    use Foreign::{Action, Configuration, Policy, Target, Untagged};
    let direct = [Configuration, Target, Untagged];
    let scaled = [Target, Untagged, Policy, Action];
    for (by, kinds) in [("direct", &direct[..]), ("autoscaling, max: 9", &scaled)] {
        for foreign in kinds {
            let (world, fleet) = (world().await, functions(&["f"], "warmd", by));
            let what = format!("{by}, {foreign:?}");
            let process = world.process(fleet.clone());
            assert_eq!(shown(&process.ticks(4).await), "f 4/4 of 4 ready", "{what}");
            foreign.make(&world);
            // Policies and actions are compared hourly.
            process.ticks(if matches!(foreign, Policy | Action) { 61 } else { 2 }).await;
            later(&world, &process, *foreign, &what).await;
            foreign.remove(&world);
            assert_eq!(shown(&process.ticks(4).await), "f 4/4 of 4 ready", "{what}");
            world.release(&fleet).await;
            assert_eq!(world.state(), json!([0, [[], [], []]]), "{what}");
        }
    }
}

/// Serves ticks with what somebody else has made beside what warmd had made.
async fn later(world: &World, process: &Process, foreign: Foreign, what: &str) {
    let state = world.state();
    for _ in 0..10 {
        let reports = process.tick().await;
        let expected = format!("of 4 conflict ({})", foreign.reason(false));
        assert!(shown(&reports).ends_with(&expected), "{what}: {}", shown(&reports));
    }
    assert_eq!(world.state(), state, "{what}");
}

#[tokio::test(start_paused = true)]
async fn two_stacks_do_not_touch_each_other() {
    for by in ["direct", "autoscaling, max: 9"] {
        let one = world().await;
        // One name is the beginning of the other.
        let (first, second) = (functions(&["f"], "a", by), functions(&["g"], "a-b", by));
        let other = World::over(one.emulator.clone(), Arc::clone(&one.clock));
        let (ours, theirs) = (one.process(first.clone()), other.process(second.clone()));
        // All scalable targets of the account are listed hourly.
        for _ in 0..130 {
            let (ours, theirs) = tokio::join!(ours.tick(), theirs.tick());
            assert_eq!((ours.len(), theirs.len()), (1, 1), "{by}");
        }
        let both = (ours.tick().await, theirs.tick().await);
        assert_eq!((shown(&both.0), shown(&both.1)), ("f 4/4 of 4 ready".into(), "g 4/4 of 4 ready".into()));
        let before = json!([one.requested("g"), one.scaling("g")]);
        let released = one.release(&first).await;
        assert_eq!(released.len(), 1, "{}", shown(&released));
        assert_eq!((one.requested("f"), one.requested("g")), (0, 4), "{by}");
        assert_eq!(json!([one.requested("g"), one.scaling("g")]), before, "{by}");
        // The same qualifier in both: the first one has it.
        let third = World::over(one.emulator.clone(), Arc::clone(&one.clock));
        let process = third.process(functions(&["g"], "a", by));
        let expected = if by == "direct" { "foreign-configuration" } else { "foreign-scalable-target" };
        assert_eq!(shown(&process.ticks(3).await), format!("g 4/4 of 4 conflict ({expected})"));
        third.release(&functions(&["g"], "a", by)).await;
        assert_eq!(json!([one.requested("g"), one.scaling("g")]), before, "{by}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_processes_of_a_stack_count_the_cost_once() {
    for by in ["direct", "autoscaling, max: 9"] {
        let world = world().await;
        let fleet = functions(&["f", "g"], "warmd", by);
        let (one, two) = (world.process(fleet.clone()), world.process(fleet.clone()));
        let mut all: Vec<CapacityReport> = Vec::new();
        for minute in 0..90 {
            let (ours, theirs) = match minute % 3 {
                0 => (one.tick().await, two.tick().await),
                _ => tokio::join!(one.tick(), two.tick()),
            };
            let is_conflict = |report: &CapacityReport| report.reason.is_some();
            assert!(
                !ours.iter().chain(&theirs).any(is_conflict),
                "{by}: {} {}",
                shown(&ours),
                shown(&theirs)
            );
            all.extend(ours.into_iter().chain(theirs));
        }
        all.extend(world.release(&fleet).await);
        let item = Item::ProvisionedIdle(Architecture::default());
        let price = PriceBook::embedded().price(&item, Region::parse(REGION).unwrap()).unwrap();
        for function in ["f", "g"] {
            let costs = all.iter().filter(|report| report.id.name.as_str() == function);
            let seconds = costs.filter_map(|report| report.cost_usd).sum::<rust_decimal::Decimal>() / price;
            let billed = world.emulator.provisioned(REGION, function, "live").unwrap().environment_seconds;
            let difference = seconds.round().to_i64().unwrap() - i64::try_from(billed).unwrap();
            // One step for the opening of four environments, and one for their end.
            assert!(
                billed >= 4 * 90 * 60 && difference.abs() <= 2 * 4 * 300,
                "{by}: {seconds}, billed {billed}"
            );
        }
    }
}
