//! Months under budgets: what is sent, what is spent, and what is reported.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::sync::atomic::AtomicU32;

use rust_decimal::Decimal;

use super::*;
use crate::domain::budget::{Budget, Level, OnExceed, SPENDING, Scope, Spending};
use crate::domain::cost::self_usage::{BUDGET_READS, BUDGET_WRITES};
use crate::domain::function::Identity;
use crate::domain::shard::BudgetOf;
use crate::domain::tick::RoundRecord;
use crate::engine::ports::{Condition, Fetched, ObjectStoreError, PutError, StoreFuture, Version};
use crate::service::spending::{Channel, Reached, SpendingKeeper, spending};

const RUNS: [(&str, Script); 1] = [("f", Script::Runs(Duration::from_secs(1)))];

fn usd(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn budget(monthly_usd: &str, on_exceed: OnExceed) -> Budget {
    Budget { monthly_usd: usd(monthly_usd), on_exceed, stop_capacity: false }
}

fn day(number: u32) -> Window {
    let hours = Hours::Between { start: "08:00:00".parse().unwrap(), end: "18:00:00".parse().ok() };
    Window::new("day", chrono_tz::UTC, Opening::Weekly(DaySet::DAILY, hours), number)
}

/// A function of 128 MB with ten environments from 08:00 to 18:00 and a round an hour: 3,000 pings in November.
fn hourly() -> Target {
    Target { windows: vec![day(10)], interval_minutes: 60, memory_mb: Some(128), ..target("f") }
}

/// The cost of one ping of a second: a request, and 128 MB on arm64.
fn per_ping() -> Decimal {
    usd("0.0000002") + usd("0.0000133334") / usd("8")
}

impl Harness {
    fn of(fleet: Fleet, objects: Arc<dyn ObjectStore>) -> Self {
        Self::with_fleet(&RUNS, fleet, DocumentStore::new(objects, Durability::Durable))
    }

    fn set(&self, now: DateTime<Utc>) {
        let ahead = now.signed_duration_since(self.clock.now()).num_seconds();
        self.clock.ahead.fetch_add(ahead, Ordering::SeqCst);
    }

    /// Serves a tick of the schedule at `now`.
    async fn tick(&self, now: DateTime<Utc>) -> TickReport {
        self.set(now);
        self.report(Trigger::Schedule { at: now, previous: Minute::of(now).plus(-1) }).await
    }

    async fn report(&self, trigger: Trigger) -> TickReport {
        let budget = TimeBudget::fixed(Duration::from_secs(900));
        self.service.serve(trigger, &budget, &Parts::default()).await.unwrap().report
    }

    async fn spending(&self) -> Spending {
        spending(&self.documents, self.clock.now()).await.unwrap()
    }

    async fn spent(&self) -> Decimal {
        self.spending().await.sum(|_| true).usd()
    }

    /// The events about budgets.
    fn levels(&self) -> Vec<serde_json::Value> {
        let events = self.sink.events.lock().unwrap();
        let own = events.iter().filter(|event| event.detail_type == "Warm Budget Exceeded");
        own.map(|event| serde_json::from_str(&event.detail).unwrap()).collect()
    }

    /// The levels that the metric counts.
    fn counted(&self) -> f64 {
        let batches = self.sink.batches.lock().unwrap();
        let data = batches.iter().flat_map(|batch| &batch.data);
        data.filter(|datum| datum.name == "BudgetExceeded").map(|datum| datum.value).sum()
    }
}

fn shown(round: &RoundRecord) -> String {
    let by = round.capped_by.as_deref().unwrap_or("-");
    let skipped = round.skip_reason().map_or("sent", SkipReason::name);
    format!("{} of {:?} by {by}: {skipped}", round.desired, round.capped_from)
}

#[tokio::test(start_paused = true)]
async fn the_lowest_of_several_budgets_counts_and_is_named() {
    let unlimited = budget("1000", OnExceed::Stop);
    // Three hundred rounds are left.
    let own = Budget { monthly_usd: per_ping() * Decimal::from(2_150), ..budget("1", OnExceed::Reduce) };
    let f = Target { budget: Some(own), ..hourly() };
    let owner_budgets = BTreeMap::from([("nlp".to_owned(), budget("0.0000001", OnExceed::Stop))]);
    let mut fleet = Fleet { budget: Some(unlimited), owner_budgets, ..Fleet::new(vec![f]) };
    let harness = Harness::of(fleet.clone(), Arc::new(Memory::default()));
    let report = harness.tick(at("2026-11-01T08:00:00Z")).await;
    // The estimate is that of cold starts: one ping shows the cost.
    assert_eq!(shown(&report.rounds[0]), "1 of Some(10) by functions.f.budget: sent");
    let report = harness.tick(at("2026-11-01T09:00:00Z")).await;
    assert_eq!(shown(&report.rounds[0]), "7 of Some(10) by functions.f.budget: sent");
    // Another process with another configuration: the owner has a budget, which is used up.
    fleet.targets[0].owner = Some("nlp".to_owned());
    let other = Harness::with_fleet(&RUNS, fleet, harness.documents.clone());
    let report = other.tick(at("2026-11-01T10:00:00Z")).await;
    assert_eq!(shown(&report.rounds[0]), "10 of Some(10) by owners.nlp.budget: budget");
    let [detail] = &other.levels()[..] else { panic!("{:?}", other.levels()) };
    let spent = detail["spent_usd"].as_str().unwrap().parse::<Decimal>().unwrap();
    assert!(spent > Decimal::ZERO);
    let mut detail = detail.clone();
    detail["spent_usd"] = serde_json::Value::Null;
    insta::assert_snapshot!(detail, @r#"{"version":1,"scope":"owner","owner":"nlp","function":null,"region":null,"month":"2026-11","level":100,"monthly_usd":"0.0000001","spent_usd":null,"unknown":0,"on_exceed":"stop"}"#);
}

#[tokio::test(start_paused = true)]
async fn two_processes_share_the_budget_and_report_each_level_once() {
    let fleet = || {
        let budget =
            Some(Budget { monthly_usd: per_ping() * Decimal::from(60), ..budget("1", OnExceed::Stop) });
        Fleet { budget, ..Fleet::new(vec![hourly()]) }
    };
    let one = Harness::of(fleet(), Arc::new(Memory::default()));
    let two = Harness::with_fleet(&RUNS, fleet(), one.documents.clone());
    let mut sent = Vec::new();
    for hour in 8..18 {
        let now = at(&format!("2026-11-02T{hour:02}:00:00Z"));
        let harness = if hour % 2 == 0 { &one } else { &two };
        sent.push(harness.tick(now).await.rounds.iter().map(RoundRecord::pings).sum::<u32>());
    }
    assert_eq!(sent, [10, 10, 10, 10, 10, 10, 0, 0, 0, 0]);
    let levels =
        |harness: &Harness| harness.levels().iter().map(|it| it["level"].clone()).collect::<Vec<_>>();
    // The fifth round reaches 83 %, the sixth 100 %.
    assert_eq!((levels(&one), levels(&two)), (vec![80.into()], vec![100.into()]));
    // A Warm Request obeys, a deployment too, and an operator does not.
    one.set(at("2026-11-02T18:01:00Z"));
    let asked = WarmRequest { at: Some(one.clock.now()), ..request() };
    assert_eq!(shown(&one.report(Trigger::Request(asked)).await.rounds[0]), "2 of Some(2) by budget: budget");
    let report = one.report(Trigger::Warm { warm: warm(), region: region() }).await;
    assert_eq!(shown(&report.rounds[0]), "2 of None by -: sent");
    assert_eq!(one.spent().await.round_dp(10), (per_ping() * Decimal::from(62)).round_dp(10));
}

#[tokio::test(start_paused = true)]
async fn a_shard_has_the_limit_of_its_dispatcher_and_a_document_of_its_own() {
    let f = Target { budget: Some(budget("5", OnExceed::Reduce)), ..hourly() };
    let harness = Harness::of(Fleet::new(vec![f]), Arc::new(Memory::default()));
    let now = at("2026-11-02T08:00:00Z");
    harness.set(now);
    let mut sent = shard(None);
    sent.tick = now;
    sent.rounds[0].concurrency = 10.try_into().unwrap();
    sent.rounds[0].budget = Some((BudgetOf::Function, 3.try_into().unwrap()));
    // As it arrives by the bus.
    let detail = sent.detail();
    assert_eq!(detail["rounds"][0]["budget_function"], 3);
    let planner = TickPlanner::new(harness.documents.clone());
    planner.record_shards(&[sent.clone()], now).await;
    let report = harness.report(Trigger::Shard { at: None, shard: sent }).await;
    assert_eq!(shown(&report.rounds[0]), "3 of Some(10) by functions.f.budget: sent");
    let main: Spending = harness.documents.read(SPENDING).await.unwrap();
    assert!(main.spread && main.targets.is_empty());
    assert_eq!(harness.spent().await.round_dp(10), (per_ping() * Decimal::from(3)).round_dp(10));
    // The tick that follows counts it, and reports.
    let report = harness.tick(at("2026-11-02T09:00:00Z")).await;
    assert_eq!(report.rounds[0].pings(), 10);
    let standing = &harness.spending().await.budgets[&Scope::Function(report.rounds[0].id.clone())];
    assert_eq!(standing.spent.pings, 13);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_waited_is_skipped_once_the_budget_is_used_up() {
    for on_exceed in [OnExceed::Stop, OnExceed::Reduce, OnExceed::Warn] {
        // Two rounds of ten.
        let own = Budget { monthly_usd: per_ping() * Decimal::from(20), ..budget("1", on_exceed) };
        let fleet = Fleet { budget: Some(own), ..Fleet::new(vec![hourly()]) };
        let sender = Harness::of(fleet.clone(), Arc::new(Memory::default()));
        let mut sent = Vec::new();
        for minute in 0..4 {
            let now = at(&format!("2026-11-02T08:0{minute}:00Z"));
            sender.set(now);
            let mut part = shard(None);
            part.tick = now;
            part.rounds[0].concurrency = 10.try_into().unwrap();
            TickPlanner::new(sender.documents.clone()).record_shards(&[part.clone()], now).await;
            // The tick of the sender, with its own rounds in another process: it counts the shards.
            let keeper = SpendingKeeper::new(sender.documents.clone());
            keeper.load(&fleet, false, now).await.unwrap();
            keeper.record(&fleet, &TickReport::empty(now, None), None, now).await.1.unwrap();
            let receiver = Harness::with_fleet(&RUNS, fleet.clone(), sender.documents.clone());
            receiver.set(now);
            let report = receiver.report(Trigger::Shard { at: None, shard: part }).await;
            sent.push(shown(&report.rounds[0]));
        }
        let sends = "10 of None by -: sent";
        let later = if on_exceed == OnExceed::Warn { sends } else { "10 of Some(10) by budget: budget" };
        assert_eq!(sent, [sends, sends, later, later], "{on_exceed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_durable_store_a_process_counts_its_own_cost() {
    let budget = Some(Budget { monthly_usd: per_ping() * Decimal::from(15), ..budget("1", OnExceed::Stop) });
    let fleet = Fleet { budget, ..Fleet::new(vec![hourly()]) };
    let harness = Harness::with_fleet(&RUNS, fleet, DocumentStore::memory());
    let mut sent = Vec::new();
    for hour in 8..12 {
        let report = harness.tick(at(&format!("2026-11-02T{hour:02}:00:00Z"))).await;
        sent.push(report.rounds.iter().map(RoundRecord::pings).sum::<u32>());
    }
    assert_eq!(sent, [10, 10, 0, 0]);
    assert_eq!(harness.counted(), 1.0, "133 % at once");
}

/// A store that loses the answers of some writes of the spending, or fails them.
#[derive(Debug, Default)]
struct Lossy {
    objects: Memory,
    /// The next writes whose answer is lost.
    loses: AtomicU32,
    /// True if nothing can be read or written.
    fails: std::sync::atomic::AtomicBool,
}

impl ObjectStore for Lossy {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        if self.fails.load(Ordering::SeqCst) {
            return Box::pin(async { Err(ObjectStoreError::from("503 Slow Down".to_owned())) });
        }
        self.objects.get(key, known)
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        let failed = || PutError::Failed(ObjectStoreError::from("no answer".to_owned()));
        if self.fails.load(Ordering::SeqCst) {
            return Box::pin(async move { Err(failed()) });
        }
        let is_spending = key == "spending.json" && self.loses.load(Ordering::SeqCst) > 0;
        if !is_spending {
            return self.objects.put(key, bytes, condition);
        }
        let left = self.loses.fetch_sub(1, Ordering::SeqCst);
        Box::pin(async move {
            self.objects.put(key, bytes, condition).await?;
            // The client repeats it, and finds its own write; or gives up.
            Err(if left.is_multiple_of(2) { PutError::Conflict } else { failed() })
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.objects.list()
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_counts_no_cost_twice_and_loses_no_level() {
    for loses in [1, 2] {
        let store = Arc::new(Lossy::default());
        let budget =
            Some(Budget { monthly_usd: per_ping() * Decimal::from(12), ..budget("1", OnExceed::Warn) });
        let fleet = Fleet { budget, ..Fleet::new(vec![hourly()]) };
        let harness = Harness::of(fleet, store.clone());
        store.loses.store(loses, Ordering::SeqCst);
        harness.tick(at("2026-11-02T08:00:00Z")).await;
        store.loses.store(0, Ordering::SeqCst);
        harness.tick(at("2026-11-02T08:01:00Z")).await;
        assert_eq!(
            harness.spent().await.round_dp(10),
            (per_ping() * Decimal::from(10)).round_dp(10),
            "{loses}"
        );
        let levels: Vec<_> = harness.levels().iter().map(|it| it["level"].clone()).collect();
        assert_eq!(levels, [80], "{loses}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_level_is_reported_until_the_metric_and_the_bus_have_it() {
    let budget = Some(Budget { monthly_usd: per_ping() * Decimal::from(12), ..budget("1", OnExceed::Warn) });
    let fleet = Fleet { budget, ..Fleet::new(vec![hourly()]) };
    let sends = Harness::of(fleet.clone(), Arc::new(Memory::default()));
    let now = at("2026-11-02T08:00:00Z");
    sends.set(now);
    let report = sends.report(Trigger::Warm { warm: warm(), region: region() }).await;
    let nothing = TickReport { rounds: Vec::new(), ..report.clone() };
    let costs = TickReport { rounds: [&report.rounds[..]; 5].concat(), ..report };
    // A process that ends after its write.
    let keeper = || SpendingKeeper::new(sends.documents.clone());
    let levels = |reached: &[Reached]| reached.iter().map(|it| it.level).collect::<Vec<_>>();
    assert_eq!(levels(&keeper().record(&fleet, &costs, None, now).await.0), [Level::Exceeded]);
    // Another one, whose bus does not answer.
    let second = keeper();
    let (reached, _) = second.record(&fleet, &nothing, None, now).await;
    assert_eq!(levels(&reached), [Level::Exceeded]);
    second.reported(&reached, Channel::Metric);
    second.acknowledge(&reached, now).await.unwrap();
    let (reached, _) = second.record(&fleet, &nothing, None, now).await;
    assert!(second.unreported(&reached, Channel::Metric).is_empty(), "it counts once");
    assert_eq!(levels(&second.unreported(&reached, Channel::Bus)), [Level::Exceeded]);
    second.reported(&reached, Channel::Bus);
    second.acknowledge(&reached, now).await.unwrap();
    for keeper in [second, keeper()] {
        assert!(keeper.record(&fleet, &nothing, None, now).await.0.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_store_is_replaced_by_what_the_process_knows() {
    let store = Arc::new(Lossy::default());
    let budget = Some(Budget { monthly_usd: per_ping() * Decimal::from(25), ..budget("1", OnExceed::Stop) });
    let fleet = Fleet { budget, ..Fleet::new(vec![hourly()]) };
    let harness = Harness::of(fleet, store.clone());
    assert_eq!(harness.tick(at("2026-11-02T08:00:00Z")).await.rounds[0].pings(), 10);
    store.fails.store(true, Ordering::SeqCst);
    let mut sent = Vec::new();
    for hour in 9..13 {
        let now = at(&format!("2026-11-02T{hour:02}:00:00Z"));
        harness.set(now);
        let trigger = Trigger::Schedule { at: now, previous: Minute::of(now).plus(-1) };
        let limit = TimeBudget::fixed(Duration::from_secs(900));
        let outcome = harness.service.serve(trigger, &limit, &Parts::default()).await.unwrap();
        assert_eq!(outcome.health, StoreHealth::Unavailable);
        sent.push(outcome.report.rounds.iter().map(RoundRecord::pings).sum::<u32>());
    }
    assert_eq!(sent, [10, 10, 0, 0]);
    store.fails.store(false, Ordering::SeqCst);
    harness.tick(at("2026-11-02T13:00:00Z")).await;
    assert_eq!(harness.spent().await.round_dp(10), (per_ping() * Decimal::from(30)).round_dp(10));
    let levels: Vec<_> = harness.levels().iter().map(|it| it["level"].clone()).collect();
    assert_eq!(levels, [100]);
}

#[tokio::test(start_paused = true)]
async fn a_hostile_document_stops_nothing_that_it_should_not() {
    let spent = |usd: &str| format!(r#"{{"pings_usd":"{usd}","pings":1}}"#);
    let document = |month: i32, targets: &str| {
        format!(
            r#"{{"month":{month},"targets":{{{targets}}},"budgets":{{"owner":5,"planet x":{{}},"fleet":[]}},"reported":{{"moon":"near","fleet":"huge"}}}}"#
        )
    };
    let (this, next) = (2026 * 12 + 10, 2026 * 12 + 11);
    let huge = "79228162514264337593543950335";
    for (name, text, pings) in [
        ("a future month", document(next, &format!(r#""f eu-west-2":{}"#, spent("100"))), 10),
        ("the last month", document(i32::MAX, &format!(r#""f eu-west-2":{}"#, spent("100"))), 10),
        ("negative", document(this, &format!(r#""f eu-west-2":{}"#, spent("-100"))), 10),
        ("an unknown function", document(this, &format!(r#""g eu-west-2":{}"#, spent("0.1"))), 10),
        ("huge", document(this, &format!(r#""f eu-west-2":{0},"g eu-west-2":{0}"#, spent(huge))), 0),
        ("no function", document(this, &format!(r#""\u001b[2J":{}"#, spent("100"))), 10),
    ] {
        let objects = Arc::new(Memory::default());
        objects.put("spending.json", text.into_bytes(), Condition::New).await.unwrap();
        let fleet = Fleet { budget: Some(budget("1", OnExceed::Stop)), ..Fleet::new(vec![hourly()]) };
        let harness = Harness::of(fleet, objects);
        let report = harness.tick(at("2026-11-02T08:00:00Z")).await;
        assert_eq!(report.rounds.iter().map(RoundRecord::pings).sum::<u32>(), pings, "{name}");
        let written = harness.spending().await;
        let own: Vec<&Identity> = written.budgets.keys().filter_map(Scope::function).collect();
        assert!(own.is_empty() && written.budgets.len() == 1, "{name}: {:?}", written.budgets);
        let expected = if pings == 0 { Level::Exceeded } else { Level::Within };
        assert_eq!(written.budgets[&Scope::Fleet].level(), expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn shards_in_a_queue_count_until_their_cost_is_known() {
    let own = Budget { monthly_usd: per_ping() * Decimal::from(45), ..budget("1", OnExceed::Stop) };
    let fleet = Fleet { budget: Some(own), ..Fleet::new(vec![hourly()]) };
    let harness = Harness::of(fleet.clone(), Arc::new(Memory::default()));
    // Ten pings show the cost.
    harness.tick(at("2026-11-02T08:00:00Z")).await;
    let part = |minute: i64| {
        let mut part = shard(None);
        part.tick = at("2026-11-02T09:00:00Z") + TimeDelta::minutes(minute);
        part.rounds[0].concurrency = 10.try_into().unwrap();
        part
    };
    // Each tick is served by another process. The fifth shard would exceed the budget by more than its own pings.
    let (mut allowed, mut parts) = (Vec::new(), Vec::new());
    for minute in 0..6 {
        let (keeper, part) = (SpendingKeeper::new(harness.documents.clone()), part(minute));
        let budgets = keeper.load(&fleet, false, part.tick).await.unwrap();
        let is_allowed = budgets.caps.lowest(&fleet.targets[0], 10).is_none();
        allowed.push(is_allowed);
        if is_allowed {
            TickPlanner::new(harness.documents.clone()).record_shards(from_ref(&part), part.tick).await;
            keeper.reserve(&fleet, from_ref(&part), part.tick).await.unwrap();
            parts.push(part);
        }
        // What is only reserved is not reported as spent.
        assert_eq!(budgets.standings[&Scope::Fleet].level(), Level::Within);
    }
    assert_eq!(allowed, [true, true, true, true, false, false]);
    // Three of them are served late; one is lost, and counts for half an hour.
    let mut now = at("2026-11-02T09:10:00Z");
    for part in parts.into_iter().take(3) {
        let receiver = Harness::with_fleet(&RUNS, fleet.clone(), harness.documents.clone());
        receiver.set(now);
        let report = receiver.report(Trigger::Shard { at: None, shard: part }).await;
        assert_eq!(shown(&report.rounds[0]), "10 of None by -: sent");
    }
    for (minutes, expected) in [(1, false), (20, false), (9, true)] {
        now += TimeDelta::minutes(minutes);
        let budgets = SpendingKeeper::new(harness.documents.clone()).load(&fleet, false, now).await.unwrap();
        let is_allowed = budgets.caps.lowest(&fleet.targets[0], 10).is_none();
        assert_eq!((is_allowed, budgets.standings[&Scope::Fleet].spent.pings), (expected, 40), "{now}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cost_of_a_removed_function_counts_for_its_owner() {
    let of = |name: &str, owner: &str| Target {
        owner: Some(owner.to_owned()),
        windows: vec![day(10)],
        interval_minutes: 60,
        memory_mb: Some(128),
        ..target(name)
    };
    let fleet = |targets: Vec<Target>| {
        let budget = Budget { monthly_usd: per_ping() * Decimal::from(25), ..budget("1", OnExceed::Stop) };
        let owner_budgets = ["nlp", "ml"].map(|owner| (owner.to_owned(), budget)).into();
        Fleet { owner_budgets, ..Fleet::new(targets) }
    };
    let runs = ["f", "g"].map(|name| (name, Script::Runs(Duration::from_secs(1))));
    let documents = DocumentStore::new(Arc::new(Memory::default()), Durability::Durable);
    let mut spent = Vec::new();
    for (hour, targets) in [
        (8, vec![of("f", "nlp"), of("g", "nlp")]),
        // `f` is removed, and `g` changes its owner.
        (9, vec![of("g", "ml")]),
        (10, vec![of("g", "nlp")]),
        (11, vec![of("f", "ml"), of("g", "nlp")]),
    ] {
        // A process for each configuration.
        let harness = Harness::with_fleet(&runs, fleet(targets), documents.clone());
        harness.tick(at(&format!("2026-11-02T{hour:02}:00:00Z"))).await;
        let spending = harness.spending().await;
        let pings = |owner: &str| spending.budgets[&Scope::Owner(owner.to_owned())].spent.pings;
        spent.push((pings("nlp"), pings("ml")));
    }
    // In the third hour the budget of `nlp` is used up, with the pings of `f`.
    assert_eq!(spent, [(20, 0), (10, 20), (30, 0), (30, 20)]);
}

/// A store that counts the requests for the spending.
#[derive(Debug, Default)]
struct Counting {
    objects: Memory,
    requests: Mutex<(u64, u64)>,
}

impl ObjectStore for Counting {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        self.requests.lock().unwrap().0 += u64::from(key.starts_with(SPENDING));
        self.objects.get(key, known)
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        self.requests.lock().unwrap().1 += u64::from(key.starts_with(SPENDING));
        self.objects.put(key, bytes, condition)
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.objects.list()
    }
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_a_tick_are_those_of_the_estimate() {
    let store = Arc::new(Counting::default());
    let fleet = Fleet { budget: Some(budget("100", OnExceed::Stop)), ..Fleet::new(vec![hourly()]) };
    let harness = Harness::of(fleet, store.clone());
    harness.tick(at("2026-11-02T08:00:00Z")).await;
    let counted = std::mem::take(&mut *store.requests.lock().unwrap());
    assert_eq!(counted, (BUDGET_READS, BUDGET_WRITES));
    // Without a cost, nothing is written.
    harness.tick(at("2026-11-02T08:01:00Z")).await;
    assert_eq!(*store.requests.lock().unwrap(), (BUDGET_READS, 0));
}
