//! The keeper of capacity on a small model of the control plane, with paused time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::*;
use crate::domain::calendar::{DaySet, Hours, Opening, Window};
use crate::domain::capacity::{
    Activity, By, CapacityReport, ChangeErrorKind, Fallback, Managed, Provisioned, Strategy,
};
use crate::domain::fleet::{Fleet, Role, Target};
use crate::domain::function::Region;
use crate::domain::records::{Capacities, PAUSES, Pause, Pauses, Snapshot};
use crate::domain::schedule::Minute;
use crate::engine::ports::{
    Condition, Fetched, ObjectStore, ObjectStoreError, PutError, StoreFuture, Version,
};
use crate::engine::stop::stop;
use crate::service::planner::TickPlanner;
use crate::service::planner::tests::ask;
use crate::service::store::{DocumentStore, Durability, Memory};

use self::model::{Model, at};

pub(in crate::service) mod model;
mod operate;
mod robust;

/// The region of all targets.
fn region() -> Region {
    Region::parse("eu-west-2").unwrap()
}

fn target(function: &str, strategy: Strategy) -> Target {
    let time = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    let opening = Opening::Weekly(DaySet::DAILY, Hours::Between { start: time(8), end: Some(time(18)) });
    Target {
        memory_mb: Some(1_024),
        windows: vec![Window::new("day", chrono_tz::UTC, opening, 10)],
        strategy,
        interval_minutes: 1,
        ..Target::example(function, "eu-west-2", Vec::new())
    }
}

fn provisioned(by: By) -> Strategy {
    Strategy::Provisioned(Provisioned { by, fallback: Fallback::Pings })
}

fn direct(function: &str) -> Target {
    target(function, provisioned(By::Direct))
}

const SCALED: By = By::Autoscaling { max: 50, utilization: 70 };

fn scaled(function: &str) -> Target {
    target(function, provisioned(SCALED))
}

/// A store whose writes can fail.
#[derive(Debug, Default)]
struct Flaky {
    objects: Memory,
    fails: AtomicBool,
}

impl ObjectStore for Flaky {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        self.objects.get(key, known)
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        if self.fails.load(Ordering::Relaxed) {
            let error = ObjectStoreError::from("503 Slow Down".to_owned());
            return Box::pin(async move { Err(PutError::Failed(error)) });
        }
        self.objects.put(key, bytes, condition)
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.objects.list()
    }
}

/// A process with a keeper.
struct Rig {
    model: Arc<Model>,
    store: Arc<Flaky>,
    documents: DocumentStore,
    keeper: CapacityKeeper,
    planner: TickPlanner,
    fleet: Fleet,
}

impl Rig {
    fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        Self::of(Arc::default(), Arc::default(), targets)
    }

    fn of(model: Arc<Model>, store: Arc<Flaky>, targets: impl IntoIterator<Item = Target>) -> Self {
        let objects: Arc<dyn ObjectStore> = store.clone();
        let documents = DocumentStore::new(objects, Durability::Durable);
        let keeper = CapacityKeeper::new(documents.clone(), model.clone(), true);
        let planner = TickPlanner::new(documents.clone());
        Self { model, store, documents, keeper, planner, fleet: Fleet::new(targets.into_iter().collect()) }
    }

    /// Another process with the same store and control plane.
    fn restarted(&self, targets: impl IntoIterator<Item = Target>) -> Self {
        Self::of(self.model.clone(), self.store.clone(), targets)
    }

    /// Serves the capacity of a tick. Returns the reports, and the number of functions that are due to be pinged.
    async fn tick(&self, time: &str) -> (Vec<CapacityReport>, usize) {
        self.model.set_now(at(time));
        let now = at(time);
        let plan = self.planner.plan(&self.fleet, now, Minute::of(now).plus(-1), now).await;
        let reports = match &plan.capacity {
            Some(capacity) => self.work(capacity, now, Duration::from_secs(30)).await,
            None => Vec::new(),
        };
        (reports, plan.due.len())
    }

    async fn work(&self, plan: &CapacityPlan, now: DateTime<Utc>, within: Duration) -> Vec<CapacityReport> {
        let (_stopper, stop) = stop();
        let until = Instant::now() + within;
        let context = Context { plan, facts: &Snapshot::default(), now, until, stop: &stop };
        let reports = self.keeper.tick(&context).await;
        assert!(Instant::now() <= until.min(Instant::now() + Duration::from_secs(11)));
        reports
    }

    /// Serves ticks of every minute in [`from`, `until`). Returns the last reports, and the whole cost.
    async fn run(&self, from: &str, until: &str) -> (Vec<CapacityReport>, f64) {
        let (mut now, mut cost, mut last) = (at(from), 0.0, Vec::new());
        while now < at(until) {
            last = self.tick(&now.format("%Y-%m-%dT%H:%M").to_string()).await.0;
            cost += last.iter().filter_map(usd).sum::<f64>();
            now += TimeDelta::minutes(1);
        }
        (last, cost)
    }

    async fn document(&self) -> Capacities {
        self.documents.read(&Capacities::document(region())).await.unwrap()
    }

    /// Returns the environments by function, and what was changed since the last call.
    fn taken(&self) -> Vec<String> {
        self.model.taken()
    }
}

fn usd(report: &CapacityReport) -> Option<f64> {
    report.cost_usd.map(|cost| cost.to_string().parse().unwrap())
}

/// Describes reports in a line.
fn line(reports: &[CapacityReport]) -> String {
    let one = |report: &CapacityReport| {
        let number = |number: Option<u32>| number.map_or("?".to_owned(), |number| number.to_string());
        let reason = report.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!(
            "{} {}/{} of {} {}{reason}",
            report.id.label(),
            number(report.available),
            number(report.requested),
            report.desired,
            report.status.name()
        )
    };
    reports.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[tokio::test(start_paused = true)]
async fn capacity_opens_and_closes_with_the_window_and_pings_fill_the_gap() {
    for of in [direct as fn(&str) -> Target, scaled] {
        let rig = Rig::new([of("f:live")]);
        let mut lines = Vec::new();
        for time in ["07:58", "08:00", "08:01", "08:02", "08:03", "17:59", "18:00", "18:01"] {
            let (reports, due) = rig.tick(&format!("2026-11-20T{time}")).await;
            let changes = reports[0].changes.iter().filter(|change| !change.contains("action")).cloned();
            let changes = changes.collect::<Vec<_>>().join(", ");
            lines.push(format!("{time} {} | {due} | {changes}", line(&reports)));
        }
        let lines = lines.join("\n");
        match of("f:live").strategy.by().unwrap() {
            By::Direct => insta::assert_snapshot!(lines, @"
                07:58 f:live 0/0 of 0 closed | 0 | 
                08:00 f:live 0/0 of 10 in-progress | 1 | put provisioned concurrency 10
                08:01 f:live 0/10 of 10 in-progress | 1 | 
                08:02 f:live 10/10 of 10 ready | 1 | 
                08:03 f:live 10/10 of 10 ready | 0 | 
                17:59 f:live 10/10 of 10 ready | 1 | 
                18:00 f:live 10/10 of 0 in-progress | 0 | delete provisioned concurrency
                18:01 f:live 0/0 of 0 closed | 0 |
                "),
            By::Autoscaling { .. } => insta::assert_snapshot!(lines, @"
                07:58 f:live 0/0 of 0 closed | 0 | register scalable target 0 to 0, put scaling policy warmd-warmd-utilization at 70%
                08:00 f:live 0/10 of 10 in-progress | 1 | 
                08:01 f:live 0/10 of 10 in-progress | 1 | 
                08:02 f:live 10/10 of 10 ready | 1 | 
                08:03 f:live 10/10 of 10 ready | 0 | 
                17:59 f:live 10/10 of 10 ready | 1 | 
                18:00 f:live 0/0 of 0 closed | 0 | 
                18:01 f:live 0/0 of 0 closed | 0 |
                "),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_with_pings_costs_nothing() {
    let rig = Rig::new([target("f:live", Strategy::Pings)]);
    let (reports, due) = rig.tick("2026-11-20T09:00").await;
    assert_eq!((reports.len(), due), (0, 1));
    assert_eq!(rig.taken(), [""; 0]);
    assert!(!rig.documents.names().await.unwrap().contains("capacity-eu-west-2"));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_made_is_never_changed() {
    // A configuration, a scalable target, and a policy on the scalable target of warmd.
    for of in [direct as fn(&str) -> Target, scaled] {
        let rig = Rig::new([of("f:live")]);
        rig.model.provision("f:live", 3);
        let (reports, due) = rig.tick("2026-11-20T09:00").await;
        assert_eq!(line(&reports), "f:live 3/3 of 10 conflict (foreign-configuration)");
        assert_eq!((rig.taken(), due), (vec![], 1), "the fallback applies");
        rig.run("2026-11-20T17:55", "2026-11-20T18:10").await;
        assert_eq!(rig.taken(), [""; 0]);
        assert!(rig.document().await.targets.values().all(|kept| kept.made.is_none()));
    }
    for of in [direct as fn(&str) -> Target, scaled] {
        let rig = Rig::new([of("f:live")]);
        rig.model.scale("f:live", (0, 5), Some("other"));
        let (reports, _) = rig.tick("2026-11-20T09:00").await;
        assert_eq!(line(&reports), "f:live 0/0 of 10 conflict (foreign-scalable-target)");
        assert_eq!(rig.taken(), [""; 0]);
    }
    let rig = Rig::new([scaled("f:live")]);
    rig.run("2026-11-20T09:00", "2026-11-20T09:05").await;
    rig.model.state().scalable.get_mut("f:live").unwrap().policies.insert("theirs".to_owned(), 50);
    rig.taken();
    let (reports, _) = rig.run("2026-11-20T09:05", "2026-11-20T10:10").await;
    assert_eq!(line(&reports), "f:live 10/10 of 10 conflict (foreign-policy)");
    rig.taken();
    rig.run("2026-11-20T17:58", "2026-11-20T18:05").await;
    assert_eq!(rig.taken(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_between_the_record_and_the_change_leaves_nothing_foreign() {
    for answers in [true, false] {
        let rig = Rig::new([direct("f:live")]);
        rig.model.state().hangs_on_change = true;
        let now = at("2026-11-20T09:00");
        rig.model.set_now(now);
        let plan = rig.planner.plan(&rig.fleet, now, Minute::of(now).plus(-1), now).await;
        let plan = plan.capacity.clone().unwrap();
        let working = rig.work(&plan, now, Duration::from_secs(30));
        assert!(tokio::time::timeout(Duration::from_secs(1), working).await.is_err(), "it is killed");
        assert_eq!(
            rig.document().await.targets.values().next().unwrap().made.as_ref().unwrap().numbers,
            [10]
        );
        rig.model.state().hangs_on_change = false;
        if answers {
            rig.model.provision("f:live", 10);
        }
        let next = rig.restarted([direct("f:live")]);
        let (reports, _) = next.run("2026-11-20T09:01", "2026-11-20T09:05").await;
        assert_eq!(line(&reports), "f:live 10/10 of 10 ready");
        let (reports, _) = next.run("2026-11-20T18:00", "2026-11-20T18:02").await;
        assert_eq!(line(&reports), "f:live 0/0 of 0 closed");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_store_nothing_is_changed() {
    for of in [direct as fn(&str) -> Target, scaled] {
        let rig = Rig::new([of("f:live")]);
        rig.store.fails.store(true, Ordering::Relaxed);
        let (reports, due) = rig.tick("2026-11-20T09:00").await;
        assert_eq!(line(&reports), "f:live 0/0 of 10 unknown (state-unavailable)");
        assert_eq!((rig.taken(), due), (vec![], 1));
        rig.store.fails.store(false, Ordering::Relaxed);
        let (reports, _) = rig.run("2026-11-20T09:01", "2026-11-20T09:05").await;
        assert_eq!(line(&reports), "f:live 10/10 of 10 ready");
    }
    // A process without a lasting store makes nothing.
    let mut rig = Rig::new([direct("f:live")]);
    rig.planner = TickPlanner::new(DocumentStore::memory());
    let (reports, _) = rig.tick("2026-11-20T09:00").await;
    assert_eq!(line(&reports), "f:live ?/? of 10 unknown (state-unavailable)");
    assert_eq!(rig.taken(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn refused_changes_wait_and_are_tried_again() {
    let rig = Rig::new([direct("f:live")]);
    rig.run("2026-11-20T17:50", "2026-11-20T17:55").await;
    for (kind, expected) in [
        (ChangeErrorKind::AliasWeights, "waiting (alias-weights)"),
        (ChangeErrorKind::FunctionUpdating, "waiting (function-updating)"),
        (ChangeErrorKind::Throttled, "waiting (throttled)"),
        (ChangeErrorKind::AccessDenied, "refused (access-denied)"),
    ] {
        rig.model.state().refuses = Some(kind);
        let (reports, _) = rig.tick("2026-11-20T18:01").await;
        assert_eq!(line(&reports), format!("f:live 10/10 of 0 {expected}"));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    rig.model.state().refuses = None;
    let (_, cost) = rig.run("2026-11-20T18:10", "2026-11-20T18:12").await;
    assert!(cost > 0.0, "the closing that could not be done is paid for");
    assert_eq!(rig.model.up("f:live"), None);
}

#[tokio::test(start_paused = true)]
async fn what_the_configuration_no_longer_names_is_removed() {
    for of in [direct as fn(&str) -> Target, scaled] {
        let rig = Rig::new([of("f:1")]);
        rig.run("2026-11-20T09:00", "2026-11-20T09:05").await;
        assert_eq!(rig.model.up("f:1"), Some(10));
        // The qualifier was changed.
        let next = rig.restarted([of("f:2")]);
        rig.taken();
        let (reports, _) = next.tick("2026-11-20T09:05").await;
        assert_eq!(reports[1].strategy, Strategy::Pings);
        assert!(line(&reports).ends_with("f:1 10/10 of 0 in-progress (left-over)"), "{}", line(&reports));
        let (reports, _) = next.run("2026-11-20T09:06", "2026-11-20T09:09").await;
        assert_eq!(line(&reports), "f:2 10/10 of 10 ready");
        assert_eq!(rig.model.up("f:1"), None);
        assert!(!rig.model.state().scalable.contains_key("f:1"));
        assert_eq!(next.document().await.targets.len(), 1);
        // Pings instead of capacity. A part of the configuration removes nothing.
        let mut pings = next.restarted([target("f:2", Strategy::Pings)]);
        pings.keeper = CapacityKeeper::new(pings.documents.clone(), pings.model.clone(), false);
        pings.run("2026-11-20T09:09", "2026-11-20T09:11").await;
        assert_eq!(rig.model.up("f:2"), Some(10));
        let pings = pings.restarted([target("f:2", Strategy::Pings)]);
        let (reports, _) = pings.run("2026-11-20T09:11", "2026-11-20T09:14").await;
        assert_eq!((line(&reports).as_str(), rig.model.up("f:2")), ("", None));
    }
}

#[tokio::test(start_paused = true)]
async fn the_role_of_what_is_left_over_must_be_known() {
    let role = || Some(Arc::new(Role { arn: "arn:aws:iam::1:role/r".to_owned(), external_id: None }));
    let rig = Rig::new([Target { role: role(), ..direct("f:1") }]);
    rig.run("2026-11-20T09:00", "2026-11-20T09:03").await;
    let next = rig.restarted([target("g", Strategy::Pings)]);
    let (reports, _) = next.tick("2026-11-20T09:07").await;
    let expected = "f:1 10/10 of 0 unknown (role arn:aws:iam::1:role/r is not in the configuration)";
    assert_eq!(line(&reports), expected);
    assert!(usd(&reports[0]).is_some_and(|cost| cost > 0.0), "it costs: {reports:?}");
    let next = rig.restarted([Target { role: role(), ..target("g", Strategy::Pings) }]);
    next.run("2026-11-20T09:08", "2026-11-20T09:10").await;
    assert_eq!(rig.model.up("f:1"), None);
}

#[tokio::test(start_paused = true)]
async fn scalable_targets_that_are_recorded_nowhere_are_found_by_their_tag() {
    let rig = Rig::new([scaled("f:live")]);
    rig.model.scale("lost:live", (5, 5), Some("warmd"));
    rig.model.scale("theirs:live", (5, 5), Some("other"));
    rig.model.scale("by-hand:live", (5, 5), None);
    rig.run("2026-11-20T09:00", "2026-11-20T09:04").await;
    assert_eq!(rig.model.up("lost:live"), None);
    assert_eq!([rig.model.up("theirs:live"), rig.model.up("by-hand:live")], [Some(5), Some(5)]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_freezes_and_its_end_resumes() {
    for of in [direct as fn(&str) -> Target, scaled] {
        let rig = Rig::new([of("f:live")]);
        rig.run("2026-11-20T17:50", "2026-11-20T17:54").await;
        let pause = |pauses: &mut Pauses| {
            pauses.all = Some(Pause { until: at("2026-11-20T18:30"), reason: "deployment".to_owned() });
        };
        rig.documents.update(PAUSES, pause).await.unwrap();
        let (reports, cost) = rig.run("2026-11-20T17:54", "2026-11-20T18:30").await;
        assert_eq!(line(&reports), "f:live 10/10 of 0 paused");
        assert!(cost > 0.0);
        let (reports, _) = rig.run("2026-11-20T18:30", "2026-11-20T18:33").await;
        assert_eq!(line(&reports), "f:live 0/0 of 0 closed");
    }
}

#[tokio::test(start_paused = true)]
async fn two_processes_count_the_cost_once() {
    for of in [direct as fn(&str) -> Target, scaled] {
        let rig = Rig::new([of("f:live")]);
        let other = rig.restarted([of("f:live")]);
        let mut cost = 0.0;
        let mut now = at("2026-11-20T08:00");
        while now < at("2026-11-20T18:30") {
            let time = now.format("%Y-%m-%dT%H:%M").to_string();
            let (one, two) = (rig.tick(&time).await.0, other.tick(&time).await.0);
            cost += one.iter().chain(&two).filter_map(usd).sum::<f64>();
            now += TimeDelta::minutes(1);
        }
        let price = price();
        let seconds = cost / price / 10.0;
        assert!((36_000.0 - 1.0..=36_000.0 + 600.0).contains(&seconds), "{seconds}");
    }
}

/// The price of a GB-second.
fn price() -> f64 {
    use crate::domain::cost::{Item, PriceBook};
    use crate::domain::function::Architecture;
    let item = Item::ProvisionedIdle(Architecture::Arm64);
    PriceBook::embedded().price(&item, region()).unwrap().to_string().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_gap_of_two_days_is_counted_from_the_activities() {
    for denied in [false, true] {
        let rig = Rig::new([scaled("f:live")]);
        rig.run("2026-11-20T17:50", "2026-11-20T18:10").await;
        // The scheduled actions open and close on both days.
        rig.model.set_now(at("2026-11-22T20:00"));
        rig.model.state().denies_activities = denied;
        let (reports, _) = rig.tick("2026-11-22T20:00").await;
        assert_eq!(line(&reports), "f:live 0/0 of 0 closed");
        let seconds = usd(&reports[0]).unwrap() / price() / 10.0;
        assert!((72_000.0..=72_600.0).contains(&seconds), "{seconds}");
        // Nothing is counted twice.
        let (_, cost) = rig.run("2026-11-22T20:01", "2026-11-22T20:05").await;
        assert!(cost.abs() < 1e-12);
        // A closed target is read once an hour, and costs nothing until then.
        let (reports, _) = rig.tick("2026-11-22T20:31").await;
        assert_eq!(usd(&reports[0]), Some(0.0));
    }
}

#[test]
fn a_read_that_could_not_be_counted_does_not_end_a_gap() {
    use crate::domain::capacity::Status;
    use crate::domain::records::{Kept, Seen};
    let now = at("2026-11-20T18:30");
    let requested = Some(0);
    let seen = Seen {
        at: now - TimeDelta::minutes(1),
        desired: 0,
        requested,
        allocated: requested,
        available: requested,
        status: Status::Closed,
        reason: None,
    };
    let mut kept = Kept { seen: Some(seen), ..Kept::default() };
    kept.meter.advance(at("2026-11-20T18:00"), 0);
    let gap = |kept: &Kept| task::Task::new(scaled("f:live"), Some(kept), false, now).gap(now);
    assert_eq!(gap(&kept), None, "nothing was up");
    kept.meter.advance(at("2026-11-20T18:01"), 10);
    assert_eq!(gap(&kept), Some(at("2026-11-20T18:01")));
}

#[tokio::test(start_paused = true)]
async fn many_targets_stay_within_the_rate() {
    let rig = Rig::new((0..400).map(|index| direct(&format!("f{index}:live"))));
    for (minute, least) in [40, 80, 120].into_iter().enumerate() {
        rig.model.state().requests = 0;
        let begun = Instant::now();
        rig.tick(&format!("2026-11-20T09:{minute:02}")).await;
        let (requests, took) = (rig.model.state().requests, begun.elapsed());
        assert!(requests <= 162 && took <= Duration::from_secs(21), "{requests} in {took:?}");
        let up = (0..400).filter(|index| rig.model.up(&format!("f{index}:live")) == Some(10)).count();
        assert!(up >= least, "{up}");
        tokio::time::sleep(Duration::from_secs(60).saturating_sub(took)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_or_throttled_control_plane_ends_soon() {
    for hangs in [true, false] {
        let rig = Rig::new((0..20).map(|index| direct(&format!("f{index}:live"))));
        rig.model.state().hangs = hangs;
        rig.model.state().throttles = !hangs;
        let begun = Instant::now();
        let (reports, due) = rig.tick("2026-11-20T09:00").await;
        assert_eq!((reports.len(), due), (20, 20));
        assert!(begun.elapsed() <= Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(rig.model.state().requests <= 8, "{}", rig.model.state().requests);
        assert_eq!(rig.taken(), [""; 0]);
        let known = reports.iter().filter(|report| report.available.is_some()).count();
        assert_eq!(known, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_is_not_reported_for_another_number() {
    let rig = Rig::new([direct("f:live")]);
    let (reports, _) = rig.run("2026-11-20T17:55", "2026-11-20T18:00").await;
    assert_eq!(line(&reports), "f:live 10/10 of 10 ready");
    rig.model.state().throttles = true;
    let (reports, _) = rig.tick("2026-11-20T18:00").await;
    assert_eq!(line(&reports), "f:live 10/10 of 0 waiting (throttled)");
    let next = rig.restarted([direct("f:live"), direct("g:live")]);
    let (reports, _) = next.tick("2026-11-20T18:01").await;
    let expected = "f:live 10/10 of 0 waiting (throttled); g:live ?/? of 0 waiting (throttled)";
    assert_eq!(line(&reports), expected);
}

#[tokio::test(start_paused = true)]
async fn managed_instances_follow_the_alias() {
    let managed = || target("f:live", Strategy::Managed(Managed { floor: 3, max: 100 }));
    let rig = Rig::new([managed()]);
    let (reports, due) = rig.tick("2026-11-20T09:00").await;
    assert_eq!((line(&reports).as_str(), due), ("f:live 0/0 of 10 in-progress", 0));
    let (reports, _) = rig.run("2026-11-20T09:01", "2026-11-20T09:04").await;
    assert_eq!(line(&reports), "f:live 10/10 of 10 ready");
    rig.model.state().version = "8".to_owned();
    rig.run("2026-11-20T09:04", "2026-11-20T09:10").await;
    let state = rig.model.state().scaling.clone();
    assert_eq!((state["7"], state["8"]), ((3, 100), (10, 100)));
}

#[tokio::test(start_paused = true)]
async fn a_request_changes_its_targets_only() {
    use crate::domain::fleet::OnRequest;
    use crate::domain::records::RequestTerms;
    let hour = Duration::from_secs(3_600);
    let rule = OnRequest {
        max_concurrency: 20,
        max_for: hour,
        coalesce: Duration::from_secs(60),
        hold_for: crate::domain::backlog::DEFAULT_HOLD,
    };
    let asked = |of: Target| Target { on_request: Some(rule), ..of };
    let rig = Rig::new([asked(direct("f:live")), asked(direct("g:live"))]);
    let now = at("2026-11-20T20:00");
    rig.model.set_now(now);
    let terms = RequestTerms { at: now, concurrency: 20, keep_for: Some(hour), reason: None };
    let plan = rig.planner.request(&rig.fleet, &[ask(&rig.fleet.targets[0], &terms)], now).await.unwrap();
    let reports = rig.work(plan.capacity.as_ref().unwrap(), now, Duration::from_secs(30)).await;
    assert_eq!((line(&reports).as_str(), plan.due.len()), ("f:live 0/0 of 20 in-progress", 1));
    assert_eq!(rig.taken(), ["f:live put provisioned concurrency 20"]);
    let (reports, _) = rig.run("2026-11-20T20:01", "2026-11-20T20:05").await;
    assert_eq!(line(&reports), "f:live 20/20 of 20 ready; g:live 0/0 of 0 closed");
    let (reports, _) = rig.run("2026-11-20T21:00", "2026-11-20T21:03").await;
    assert_eq!(line(&reports), "f:live 0/0 of 0 closed; g:live 0/0 of 0 closed");
}
