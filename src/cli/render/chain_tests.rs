//! Chains of pipelines in plans, explanations, comparisons and differences.

use super::*;
use crate::cli::render::{Fit, diff};
use crate::domain::backlog::{Metric, Rule};
use crate::domain::calendar::{DaySet, Opening};
use crate::domain::chain::tests::{days, nlp};
use crate::domain::chain::{totals, windows};
use crate::domain::difference::difference;
use crate::domain::fleet::{Fleet, OnRequest};
use crate::domain::plan::TargetPlan;
use crate::domain::schedule::explain_windows;

fn planned(fleet: &Fleet, style: Style) -> String {
    plan(&Chain::new(fleet, &fleet.pipelines[0], days("2026-11-23", 1)), style)
}

fn explained(fleet: &Fleet, at: &str) -> String {
    let minute = Minute::of(at.parse().unwrap());
    let pipeline = &fleet.pipelines[0];
    let period = crate::domain::plan::Period { from: minute, until: minute };
    let stage = |stage| {
        let windows = windows(fleet, pipeline, stage);
        StageAt { explanation: explain_windows(windows.iter().copied(), minute), windows }
    };
    let stages: Vec<_> = pipeline.stages.iter().map(stage).collect();
    explain(&Chain::new(fleet, pipeline, period), minute, &stages, Style::default())
}

#[test]
fn a_plan_shows_stages_latency_and_payloads() {
    insta::assert_snapshot!(planned(&nlp(), Style::default()), @"

    pipeline nlp (us-east-1)
      STAGE                            ENVIRONMENTS  PER BACKLOG  TAKES   RATE    COLD START
      1 preprocess:live                           1        6,000     20  600/s       10.0 s*
      2 encode-a:live + encode-b:live             2                   1  300/s  8.0 s, 9.0 s
      3 infer:live                                2          300      1  300/s       10.0 s*
      cold latency  37.0 s* one after the other, 10.0 s* overlapped
      * assumed: init_duration
      load while open 600/s: 21,600,000 requests in this period
      payload of infer:live, 2.00 MB through S3: a PUT and a GET for each request
        ROUTE               PER REQUEST  IN THIS PERIOD
        same-region          $0.0000054         $116.64
        nat-gateway           $0.000173       $3,737.62
        interface-endpoint  $0.00004265         $921.30
        internet              $0.000173       $3,587.66
      payloads are a cost of the users' requests, and not part of the totals
    ");
}

#[test]
fn names_are_shortened_on_a_terminal_and_escaped() {
    let mut fleet = nlp();
    let name: std::sync::Arc<str> = "\u{1b}[2Jnlp".into();
    fleet.pipelines[0].name = name.clone();
    let windows = fleet.targets.iter_mut().flat_map(|target| &mut target.windows);
    windows.for_each(|window| window.pipeline = Some(name.clone()));
    fleet.targets[2].windows.clear();
    let style = Style { fit: Fit::Terminal(100), color: false };
    let shown = planned(&fleet, style);
    assert!(shown.lines().all(|line| line.chars().count() <= crate::cli::render::WIDTH), "{shown}");
    let ends: Vec<&str> = shown.lines().filter(|line| line.starts_with(['p', '!'])).collect();
    insta::assert_snapshot!(ends.join("\n"), @r"
    pipeline \u{1b}[2Jnlp (us-east-1)
    ! encode-b:live is never warmed for this pipeline
    ");
}

#[test]
fn unknown_prices_are_shown_as_unknown() {
    let mut fleet = nlp();
    fleet.pipelines[0].region = crate::domain::function::Region::parse("me-south-1").unwrap();
    let shown = planned(&fleet, Style::default());
    let rows: Vec<&str> = shown.lines().filter(|line| line.contains("same-region")).collect();
    insta::assert_snapshot!(rows.join("\n"), @"    same-region             unknown         unknown");
}

#[test]
fn an_explanation_shows_the_windows_with_the_number_of_each_stage() {
    insta::assert_snapshot!(explained(&nlp(), "2026-11-23T07:59:00Z"), @"
    pipeline nlp (us-east-1) at Mon 23 Nov 2026 07:59 UTC (07:59 UTC)
      STAGE                            ENVIRONMENTS  PER BACKLOG  TAKES   RATE    COLD START
      1 preprocess:live                           1        6,000     20  600/s       10.0 s*
      2 encode-a:live + encode-b:live             2                   1  300/s  8.0 s, 9.0 s
      3 infer:live                                2          300      1  300/s       10.0 s*
      cold latency  37.0 s* one after the other, 10.0 s* overlapped
      * assumed: init_duration

      WINDOW           STATE    OPENS                 CLOSES                 BY STAGE
    ↗ nlp: windows[0]  leading  Mon 23 Nov 08:00 UTC  Mon 23 Nov 18:00 UTC  1 · 2 · 2

    next change: to 0 · 0 · 0 at Mon 23 Nov 18:00 UTC
    ");
    insta::assert_snapshot!(explained(&nlp(), "2026-11-23T18:00:00Z"), @"
    pipeline nlp (us-east-1) at Mon 23 Nov 2026 18:00 UTC (18:00 UTC)
      STAGE                            ENVIRONMENTS  PER BACKLOG  TAKES   RATE    COLD START
      1 preprocess:live                           0        6,000     20  600/s       10.0 s*
      2 encode-a:live + encode-b:live             0                   1  300/s  8.0 s, 9.0 s
      3 infer:live                                0          300      1  300/s       10.0 s*
      cold latency  37.0 s* one after the other, 10.0 s* overlapped
      * assumed: init_duration

      WINDOW           STATE   OPENS                 CLOSES                 BY STAGE
    - nlp: windows[0]  closed  Tue 24 Nov 08:00 UTC  Tue 24 Nov 18:00 UTC  0 · 0 · 0

    next change: to 1 · 2 · 2 at Tue 24 Nov 07:59 UTC
    ");
    let mut fleet = nlp();
    for target in &mut fleet.targets {
        target.windows.clear();
    }
    for stage in &mut fleet.pipelines[0].stages {
        stage.windows.clear();
    }
    assert!(explained(&fleet, "2026-11-23T18:00:00Z").ends_with("no window is enabled\n"));
}

#[test]
fn windows_of_one_label_are_shown_each() {
    let mut fleet = nlp();
    let windows = fleet.targets.iter_mut().map(|target| &mut target.windows);
    let of_stages = fleet.pipelines[0].stages.iter_mut().map(|stage| &mut stage.windows);
    for windows in windows.chain(of_stages) {
        let mut night = windows[0].clone();
        let hours = crate::domain::calendar::Hours::parse("20:00-22:00").unwrap();
        night.opening = Opening::Weekly(DaySet::DAILY, hours);
        night.concurrency += 7;
        windows.push(night);
    }
    // The windows of a disabled function are those of its stage.
    fleet.targets[0].windows.clear();
    let shown = explained(&fleet, "2026-11-23T21:00:00Z");
    let rows: Vec<&str> = shown.lines().filter(|line| line.contains("windows[0]")).collect();
    insta::assert_snapshot!(rows.join("\n"), @"
    - nlp: windows[0]  closed  Tue 24 Nov 08:00 UTC  Tue 24 Nov 18:00 UTC  0 · 0 · 0
    ✓ nlp: windows[0]  open    Mon 23 Nov 20:00 UTC  Mon 23 Nov 22:00 UTC  8 · 9 · 9
    ");
}

#[test]
fn a_difference_shows_backlogs_and_the_time_that_they_are_held() {
    let metric = |queue: &str| Metric {
        namespace: "AWS/SQS".to_owned(),
        name: "Waiting".to_owned(),
        dimensions: [("QueueName".to_owned(), queue.to_owned())].into(),
        statistic: "Maximum",
    };
    let rule = |queue, per_environment: u32, max, pipeline: Option<&str>| Rule {
        metric: metric(queue).into(),
        per_environment: per_environment.into(),
        max,
        pipeline: pipeline.map(Into::into),
    };
    let held = |minutes: u64| OnRequest {
        max_concurrency: 9,
        max_for: Duration::from_secs(600),
        coalesce: Duration::from_secs(60),
        hold_for: Duration::from_secs(60 * minutes),
    };
    let fleet = |backlogs, minutes: u64| {
        let mut fleet = Fleet::new(nlp().targets.split_off(3));
        fleet.targets[0].backlogs = backlogs;
        fleet.targets[0].on_request = Some(held(minutes));
        fleet
    };
    let period = days("2026-11-23", 1);
    let shown = |old: &Fleet, new: &Fleet| {
        let difference = difference(old, new, period);
        let settings = difference.changes.iter().flat_map(|change| &change.settings);
        let lines = settings.map(|(name, before, after)| format!("{name}: {before} → {after}"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let none = fleet(Vec::new(), 5);
    let one = fleet(vec![rule("orders", 18_000, 100, None)], 5);
    let two = vec![rule("orders", 18_000, 80, None), rule("all", 300, 300, Some("nlp"))];
    insta::assert_snapshot!(shown(&none, &one), @"backlog: none → Maximum of AWS/SQS/Waiting {QueueName=orders} ÷ 18000, up to 100");
    insta::assert_snapshot!(shown(&one, &fleet(two, 2)), @"
    on_request: up to 9 for 600s, coalesced within 60s, held for 300s → up to 9 for 600s, coalesced within 60s, held for 120s
    backlog: Maximum of AWS/SQS/Waiting {QueueName=orders} ÷ 18000, up to 100 → Maximum of AWS/SQS/Waiting {QueueName=orders} ÷ 18000, up to 80 + Maximum of AWS/SQS/Waiting {QueueName=all} ÷ 300, up to 300 for pipeline nlp
    ");
}

#[test]
fn a_comparison_has_the_sum_of_all_functions() {
    let fleet = nlp();
    let period = days("2026-11-23", 1);
    let plans: Vec<TargetPlan<'_>> =
        fleet.targets.iter().map(|target| TargetPlan::new(target, period, &fleet.prices)).collect();
    let comparisons: Vec<_> = plans.iter().map(|plan| plan.compare(&fleet.prices)).collect();
    let sums = totals(&fleet.pipelines[0], &plans, &comparisons);
    insta::assert_snapshot!(compare(&fleet.pipelines[0], &sums, true, Style::default()), @"

    pipeline nlp (us-east-1): the sum of 4 functions
      OPTION                   COLD STARTS    TOTAL  NOTE
    > pings                             42   $0.00*  cheapest
      provisioned, in windows            0   $0.18*
      provisioned, always                0   $0.32*
      managed instances                  0  $59.12*
      EC2 instances                      0  $51.40*
      no warming                   unknown  unknown
    ");
}

#[test]
fn a_difference_shows_pipelines_before_functions() {
    let (old, mut new) = (nlp(), nlp());
    let period = days("2026-11-23", 1);
    let none = Fleet::new(Vec::new());
    let added = difference(&none, &new, period);
    insta::assert_snapshot!(diff::table(&added, period, Style::default()), @"
    + pipeline nlp (us-east-1)
        stages preprocess:live, encode-a:live + encode-b:live, infer:live
        load 600/s
        preprocess:live: environments 1
        encode-a:live + encode-b:live: environments 2
        infer:live: environments 2
        infer:live: payload 2.00 MB via s3

      FUNCTION         REGION     HIGHEST  PINGS    COST
    + preprocess:live  us-east-1        1    121  $0.00*
    + encode-a:live    us-east-1        2    242  $0.00*
    + encode-b:live    us-east-1        2    242  $0.00*
    + infer:live       us-east-1        2    242  $0.00*

    1 pipeline: 1 added, 0 changed, 0 removed; 4 targets: 4 added, 0 changed, 0 removed; pings of these in the 1d from 2026-11-23 00:00 UTC: 0 → 847

      OWNER         COST BEFORE  COST AFTER
      payments                       $0.00*
      warmd itself                   $0.36*
      total               $0.00      $0.36*

      estimates at list prices, without free tiers; * depends on assumptions, which `warmd plan` lists
    ");
    new.pipelines[0].stages[2].payload = None;
    new.pipelines[0].stages[2].per_backlog = Some(100);
    let changed = difference(&old, &new, period);
    insta::assert_snapshot!(diff::table(&changed, period, Style::default()), @"
    ~ pipeline nlp (us-east-1)
        infer:live: per_backlog 300 → 100
        infer:live: payload 2.00 MB via s3 → none

    1 pipeline: 0 added, 1 changed, 0 removed; no target changes in the 1d from 2026-11-23 00:00 UTC
    ");
    insta::assert_snapshot!(diff::markdown(&changed, period), @"
    **warmd**: 1 pipeline: 0 added, 1 changed, 0 removed; no target changes in the 1d from 2026-11-23 00:00 UTC

    | | pipeline | region | changes |
    |---|---|---|---|
    | `~` | nlp | us-east-1 | <code>infer&#58;live&#58; per&#95;backlog</code> 300 → 100; <code>infer&#58;live&#58; payload</code> <code>2&#46;00 MB via s3</code> → none |
    ");
    insta::assert_snapshot!(diff::markdown(&difference(&old, &none, period), period).lines().take(7).collect::<Vec<_>>().join("\n"), @"
    **warmd**: 1 pipeline: 0 added, 0 changed, 1 removed; 4 targets: 0 added, 0 changed, 4 removed; pings of these in the 1d from 2026-11-23 00:00 UTC: 847 → 0

    | | pipeline | region | changes |
    |---|---|---|---|
    | `-` | nlp | us-east-1 | stages <code>preprocess&#58;live&#44; encode-a&#58;live &#43; encode-b&#58;live&#44; infer&#58;live</code>; load <code>600&#47;s</code>; <code>preprocess&#58;live&#58; environments</code> 1; <code>encode-a&#58;live &#43; encode-b&#58;live&#58; environments</code> 2; <code>infer&#58;live&#58; environments</code> 2; <code>infer&#58;live&#58; payload</code> <code>2&#46;00 MB via s3</code> |

    | | function | region | highest | pings | cost | other |
    ");
}
