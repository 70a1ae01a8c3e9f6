//! The numbers of the stages, the result of a pipeline, and the functions that belong together.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use insta::assert_snapshot;

use super::*;
use crate::domain::backlog::{Reading, Readings};
use crate::domain::calendar::{DaySet, Hours, Opening};
use crate::domain::capacity::{CapacityReport, Managed, Strategy};
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{FunctionRef, Tenant};
use crate::domain::round::Verdict;
use crate::domain::schedule::Minute;
use crate::domain::tick::{RoundRecord, SkipReason, TickReport, Unfinished, UnfinishedReason};

fn at() -> DateTime<Utc> {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

fn target(function: &str) -> Target {
    Target::example(function, "eu-west-2", Vec::new())
}

fn id(function: &str) -> Identity {
    FunctionRef::parse(function).unwrap().identity(Region::parse("eu-west-2").unwrap())
}

fn need(stages: &[(&[&str], u32)]) -> PipelineNeed {
    let stage = |(parts, number): &(&[&str], u32)| (parts.iter().map(|part| id(part)).collect(), *number);
    let region = Region::parse("eu-west-2").unwrap();
    let stages = stages.iter().map(stage).collect();
    PipelineNeed { name: "nlp".into(), region, stages, unwarmed: Vec::new(), elsewhere: Vec::new() }
}

fn tick(rounds: Vec<RoundRecord>) -> TickReport {
    TickReport { rounds, ..TickReport::empty(at(), None) }
}

fn reached(function: &str, desired: u32, reached: Option<u32>) -> RoundRecord {
    let verdict = if reached.is_none() { Verdict::Unproven } else { Verdict::Reached };
    RoundRecord::example(&target(function), desired, verdict, reached)
}

/// Describes the result of one pipeline.
fn shown(need: &PipelineNeed, tick: &TickReport) -> String {
    match &report(std::slice::from_ref(need), tick)[..] {
        [] => "elsewhere".to_owned(),
        [PipelineReport { warm: Some(true), cold_stages, .. }] if cold_stages.is_empty() => "warm".to_owned(),
        [PipelineReport { warm: None, cold_stages, .. }] if cold_stages.is_empty() => "unknown".to_owned(),
        [PipelineReport { warm: Some(false), cold_stages, .. }] => {
            format!("cold: {}", cold_stages.join(", "))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pipeline_is_as_warm_as_its_coldest_stage() {
    let need = need(&[(&["pre:live"], 1), (&["a:live", "b:live"], 2), (&["infer:live"], 3), (&["never"], 0)]);
    let shown = |infer: Option<u32>, b: Option<u32>| {
        let rounds =
            vec![reached("pre:live", 1, Some(1)), reached("a:live", 2, Some(2)), reached("b:live", 2, b)];
        // Another pipeline wants more of the last function.
        shown(&need, &tick([rounds, vec![reached("infer:live", 5, infer)]].concat()))
    };
    assert_eq!(shown(Some(5), Some(2)), "warm");
    assert_eq!(shown(Some(3), Some(2)), "warm", "five are wanted, three by this pipeline");
    assert_eq!(shown(Some(2), Some(2)), "cold: infer:live");
    assert_eq!(shown(Some(2), Some(1)), "cold: a:live + b:live, infer:live");
    assert_eq!(shown(None, Some(2)), "unknown");
    assert_eq!(shown(None, Some(0)), "cold: a:live + b:live", "one cold stage is enough");
}

#[test]
fn the_reason_of_a_skip_decides() {
    let need = need(&[(&["pre"], 1), (&["infer:live"], 3)]);
    let of = |reason| {
        let skipped = RoundRecord::skipped(&target("infer:live"), 3, reason);
        shown(&need, &tick(vec![reached("pre", 1, Some(1)), skipped]))
    };
    let lines = SkipReason::ALL.map(|reason| format!("{:17} {}", reason.name(), of(reason)));
    assert_snapshot!(lines.join("\n"), @"
    in-flight         unknown
    no-room           cold: infer:live
    too-large         cold: infer:live
    deadline          cold: infer:live
    dry-run           unknown
    paused            cold: infer:live
    coalesced         warm
    updating          unknown
    update-failed     warm
    custom-payload    cold: infer:live
    served            warm
    durable           cold: infer:live
    managed-instances unknown
    switched-off      cold: infer:live
    needs-tenants     cold: infer:live
    inactive          cold: infer:live
    provisioned       warm
    no-headroom       cold: infer:live
    budget            cold: infer:live
    breaker           cold: infer:live
    unsafe            cold: infer:live
    denied            cold: infer:live
    ");
    // Fewer environments than the pipeline wants were covered.
    let lowered = RoundRecord::skipped(&target("infer:live"), 2, SkipReason::Provisioned);
    assert_eq!(shown(&need, &tick(vec![lowered])), "unknown");
}

#[test]
fn rounds_without_a_result_are_cold_or_on_the_bus() {
    let need = need(&[(&["pre"], 1), (&["infer:live"], 3)]);
    let of = |reason| {
        let unfinished = vec![Unfinished::new(&target("infer:live"), 3, reason)];
        shown(&need, &TickReport { unfinished, ..tick(vec![reached("pre", 1, Some(1))]) })
    };
    for reason in [
        UnfinishedReason::Deadline,
        UnfinishedReason::InFlight,
        UnfinishedReason::TooLarge,
        UnfinishedReason::Unexpected,
    ] {
        assert_eq!(of(reason), "cold: infer:live", "{reason:?}");
    }
    assert_eq!(of(UnfinishedReason::HandedOn), "unknown", "one of two is on the bus");
    let handed_on = |function| Unfinished::new(&target(function), 3, UnfinishedReason::HandedOn);
    let on_the_bus = |rounds| {
        let unfinished = vec![handed_on("pre"), handed_on("infer:live")];
        shown(&need, &TickReport { unfinished, ..tick(rounds) })
    };
    assert_eq!(on_the_bus(Vec::new()), "elsewhere");
    assert_eq!(on_the_bus(vec![reached("pre", 1, Some(0))]), "cold: pre", "another tenant");
    let cold =
        TickReport { unfinished: vec![handed_on("infer:live")], ..tick(vec![reached("pre", 1, Some(0))]) };
    assert_eq!(shown(&need, &cold), "cold: pre");
    // The same tick, as the process of a shard with one of the functions reports it.
    let shard = PipelineNeed { elsewhere: vec![id("infer:live")], ..need.clone() };
    assert_eq!(shown(&shard, &tick(vec![reached("pre", 1, Some(1))])), "unknown");
    assert_eq!(shown(&shard, &tick(vec![reached("pre", 1, Some(0))])), "cold: pre");
    // Pings that were all refused prove nothing, and nothing was warmed.
    let short = |desired| RoundRecord::example(&target("infer:live"), desired, Verdict::Short, None);
    assert_eq!(shown(&need, &tick(vec![short(3)])), "cold: infer:live");
    assert_eq!(shown(&need, &tick(vec![short(9)])), "unknown", "3 of 9 may have been reached");
    // A function that was not due, and one without a number.
    assert_eq!(shown(&need, &tick(vec![reached("pre", 1, Some(1))])), "warm");
    let disabled = PipelineNeed { unwarmed: vec![id("infer:live")], ..need };
    assert_eq!(shown(&disabled, &tick(vec![reached("pre", 1, Some(1))])), "cold: infer:live");
}

#[test]
fn available_capacity_is_warm() {
    let need = need(&[(&["pre"], 1), (&["infer:live"], 3)]);
    let managed = Strategy::Managed(Managed { floor: 0, max: 9 });
    let infer = Target { strategy: managed, ..target("infer:live") };
    let of = |available, round: Option<SkipReason>| {
        let capacity = CapacityReport { available, ..CapacityReport::new(&infer, 3) };
        let rounds = round.map(|reason| RoundRecord::skipped(&infer, 3, reason)).into_iter().collect();
        shown(&need, &TickReport { capacity: vec![capacity], ..tick(rounds) })
    };
    assert_eq!((of(Some(3), None), of(Some(2), None), of(None, None)).0, "warm");
    assert_eq!((of(Some(2), None), of(None, None)), ("cold: infer:live".to_owned(), "unknown".to_owned()));
    assert_eq!(of(Some(4), Some(SkipReason::DryRun)), "warm");
    assert_eq!(of(Some(2), Some(SkipReason::ManagedInstances)), "cold: infer:live");
    assert_eq!(of(None, Some(SkipReason::Provisioned)), "unknown");
}

#[test]
fn a_function_is_as_warm_as_its_coldest_tenant() {
    let tenant = |name: &str, number| {
        let mut tenant = target("infer:live");
        tenant.id.tenant = Some(Tenant::parse(name).unwrap());
        RoundRecord::example(&tenant, 3, Verdict::Reached, Some(number))
    };
    let need = need(&[(&["infer:live"], 3)]);
    assert_eq!(shown(&need, &tick(vec![tenant("red", 3), tenant("blue", 3)])), "warm");
    assert_eq!(shown(&need, &tick(vec![tenant("red", 3), tenant("blue", 2)])), "cold: infer:live");
}

fn window(number: u32) -> Window {
    let opening = Opening::Weekly(DaySet::DAILY, Hours::parse("08:00-18:00").unwrap());
    Window { pipeline: Some("nlp".into()), ..Window::new("nlp", chrono_tz::UTC, opening, number) }
}

/// A pipeline of `pre` and `infer:live`, with windows of 1 and 2 environments from 08:00 to 18:00.
fn fleet() -> Fleet {
    let mut pipeline = Pipeline::example("nlp", &[vec![id("pre")], vec![id("infer:live")]]);
    let mut targets = Vec::new();
    for (stage, number) in pipeline.stages.iter_mut().zip([1, 2]) {
        stage.windows.push(window(number));
        targets.push(Target { windows: stage.windows.clone(), ..target(&stage.label()) });
    }
    Fleet { pipelines: vec![pipeline], ..Fleet::new(targets) }
}

fn numbers(fleet: &Fleet, readings: &Readings, time: &str, in_tick: &str) -> String {
    let at = Minute::of(format!("2026-11-20T{time}:00Z").parse().unwrap());
    let needs = needs(fleet, readings, at, |target| target.label == in_tick);
    let shown = |need: &PipelineNeed| {
        let stages: Vec<String> = need.stages.iter().map(|(_, number)| number.to_string()).collect();
        let unwarmed: String = need.unwarmed.iter().map(|id| format!(" without {}", id.label())).collect();
        format!("{} {}{unwarmed}", need.name, stages.join(" "))
    };
    needs.iter().map(shown).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_stage_has_the_highest_number_of_its_windows_requests_and_metrics() {
    let mut fleet = fleet();
    let none = Readings::new();
    assert_eq!(numbers(&fleet, &none, "09:00", "pre"), "nlp 1 2");
    assert_eq!(numbers(&fleet, &none, "07:59", "pre"), "", "closed");
    assert_eq!(numbers(&fleet, &none, "09:00", "other"), "", "no function is in the tick");
    // A window of the function itself, and a request for it, are not the pipeline's.
    let request = |pipeline: Option<&str>, number| {
        let once = Opening::Once(at(), TimeDelta::minutes(5));
        let window = Window::new("request", chrono_tz::UTC, once, number);
        Window { pipeline: pipeline.map(Arc::from), ..window }
    };
    fleet.targets[1].windows.extend([request(None, 9), request(Some("ocr"), 9)]);
    assert_eq!(numbers(&fleet, &none, "09:00", "pre"), "nlp 1 2");
    fleet.targets[1].windows.push(request(Some("nlp"), 5));
    assert_eq!(numbers(&fleet, &none, "09:00", "pre"), "nlp 1 5");
    assert_eq!(numbers(&fleet, &none, "09:05", "pre"), "nlp 1 2", "the request has ended");
    let reading = |number| Reading {
        number: 40,
        by_pipeline: vec![("ocr".into(), 40), ("nlp".into(), number)],
        age: None,
    };
    let readings = |number| Readings::from([(id("infer:live"), reading(number))]);
    assert_eq!(numbers(&fleet, &readings(7), "09:00", "pre"), "nlp 1 7");
    assert_eq!(numbers(&fleet, &readings(0), "09:00", "pre"), "nlp 1 5");
    // The schedule adds the spare ones to windows and requests. Those of a metric include them.
    fleet.targets[1].spare = 2;
    assert_eq!(numbers(&fleet, &readings(0), "09:00", "pre"), "nlp 1 7");
    assert_eq!(numbers(&fleet, &readings(9), "09:00", "pre"), "nlp 1 9");
    assert_eq!(numbers(&fleet, &readings(1), "07:00", "pre"), "nlp 0 3 without pre without infer:live");
}

#[test]
fn a_disabled_function_has_no_number() {
    let mut fleet = fleet();
    fleet.targets[1].windows.clear();
    assert_eq!(numbers(&fleet, &Readings::new(), "09:00", "pre"), "nlp 1 2 without infer:live");
    fleet.targets.truncate(1);
    assert_eq!(numbers(&fleet, &Readings::new(), "09:00", "pre"), "nlp 1 2 without infer:live");
}

#[test]
fn a_shard_has_the_numbers_of_windows_and_those_of_its_rounds() {
    let fleet = fleet();
    let of = |time: &str, rounds: &[(&str, Option<u32>)]| {
        let rounds: Vec<(Identity, Option<u32>)> = rounds.iter().map(|(name, to)| (id(name), *to)).collect();
        let at = Minute::of(format!("2026-11-20T{time}:00Z").parse().unwrap());
        let needs = needs_of_rounds(&fleet, at, rounds.iter().map(|(id, raised_to)| (id, *raised_to)));
        let shown = |need: PipelineNeed| {
            let numbers: Vec<String> = need.stages.iter().map(|(_, number)| number.to_string()).collect();
            let elsewhere: String =
                need.elsewhere.iter().map(|id| format!(" without {}", id.label())).collect();
            format!("{}{elsewhere}", numbers.join(" "))
        };
        needs.into_iter().map(shown).collect::<Vec<_>>().join("; ")
    };
    let both = [("pre", None), ("infer:live", None)];
    assert_eq!(of("09:00", &both), "1 2");
    assert_eq!(of("09:00", &[("pre", None), ("infer:live", Some(300))]), "1 300", "a request or a metric");
    assert_eq!(of("21:00", &[("pre", Some(15)), ("infer:live", Some(300))]), "15 300");
    assert_eq!(of("21:00", &both), "", "the functions have windows of their own");
    assert_eq!(of("09:00", &[("other", Some(9))]), "");
    // Both are due at the opening and each five minutes.
    assert_eq!(of("08:00", &[("pre", None)]), "1 2 without infer:live");
    assert_eq!(of("09:00", &[("infer:live", None)]), "1 2 without pre");
    assert_eq!(of("09:01", &[("pre", None)]), "1 2", "not due: as it was");
}

#[test]
fn a_round_has_the_number_above_that_of_the_windows() {
    let mut fleet = fleet();
    let at = Minute::of(at());
    let raised = |fleet: &Fleet, numbers: [u32; 2]| {
        let need = need(&[(&["pre"], numbers[0]), (&["infer:live"], numbers[1])]);
        let raised = raised(fleet, &[need], at);
        ["pre", "infer:live"].map(|name| raised.get(&id(name)).copied())
    };
    assert_eq!(raised(&fleet, [1, 2]), [None, None]);
    assert_eq!(raised(&fleet, [15, 300]), [Some(15), Some(300)]);
    fleet.targets[1].spare = 2;
    assert_eq!(raised(&fleet, [1, 4]), [None, None]);
    assert_eq!(raised(&fleet, [2, 5]), [Some(2), Some(5)]);
}

#[test]
fn groups_with_a_common_function_are_one() {
    let ids = |names: &[&str]| names.iter().map(|name| id(name)).collect::<Vec<_>>();
    let one = Pipeline::example("one", &[ids(&["pre"]), ids(&["a", "b"]), ids(&["infer"])]);
    let two = Pipeline::example("two", &[ids(&["c", "b"]), ids(&["last"])]);
    let three = Pipeline::example("three", &[ids(&["x", "y"])]);
    let bonds = Bonds::of(&[one, two, three]);
    let stage = |name: &str| bonds.stage(&id(name));
    assert!(stage("a").is_some() && stage("a") == stage("b") && stage("b") == stage("c"));
    assert!(stage("x").is_some() && stage("x") == stage("y") && stage("x") != stage("a"));
    assert_eq!([stage("pre"), stage("infer"), stage("unknown")], [None; 3]);
    let pipeline = |name: &str| bonds.pipeline(&id(name));
    assert!(["a", "b", "c", "infer", "last"].iter().all(|name| pipeline(name) == pipeline("pre")));
    assert!(pipeline("pre").is_some() && pipeline("x") != pipeline("pre") && pipeline("unknown").is_none());
    let tenant = Identity { tenant: Some(Tenant::parse("red").unwrap()), ..id("a") };
    assert_eq!((bonds.stage(&tenant), bonds.pipeline(&tenant)), (stage("a"), pipeline("a")));
}
