//! Tests of the keeper of facts, with a scripted control plane.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;

use super::*;
use crate::domain::fleet::OnRequest;
use crate::domain::future::later;
use crate::domain::preflight::Deployed;
use crate::domain::routing::{Routing, Weight};
use crate::engine::ports::{
    Clock, Condition, Control, DryRun, DryRunOutcome, ObjectStore, PutError, StoreFuture,
};
use crate::service::store::Memory as MemoryStore;

fn target(function: &str) -> Target {
    let minute = Duration::from_secs(60);
    let on_request = OnRequest {
        max_concurrency: 5,
        max_for: minute,
        coalesce: minute,
        hold_for: crate::domain::backlog::DEFAULT_HOLD,
    };
    Target { on_request: Some(on_request), ..Target::example(function, "eu-west-2", Vec::new()) }
}

fn fleet<'a>(functions: impl IntoIterator<Item = &'a str>) -> Fleet {
    Fleet::new(functions.into_iter().map(target).collect())
}

fn start() -> DateTime<Utc> {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

/// A clock that follows the paused time.
struct PausedClock(Instant, DateTime<Utc>);

impl PausedClock {
    fn at(now: DateTime<Utc>) -> Self {
        Self(Instant::now(), now)
    }
}

impl Clock for PausedClock {
    fn now(&self) -> DateTime<Utc> {
        later(self.1, TimeDelta::from_std(self.0.elapsed()).unwrap())
    }
}

/// Records the reads. The name of a function is its behaviour.
#[derive(Debug, Default)]
struct Scripted {
    reads: Mutex<Vec<(Instant, String)>>,
    /// The account limits; those of the default value hang.
    account: Lookup<AccountLimits>,
    /// Added to the code of every function.
    deployment: AtomicUsize,
}

impl Scripted {
    fn new() -> Arc<Self> {
        let limits = AccountLimits { concurrent: 1000, unreserved: 900 };
        Arc::new(Self { account: Lookup::Known(limits), ..Self::default() })
    }

    async fn answer<T>(&self, what: &str, of: &Identity, answer: T) -> Lookup<T> {
        self.reads.lock().unwrap().push((Instant::now(), format!("{what} {}", of.label())));
        tokio::time::sleep(Duration::from_millis(10)).await;
        match of.name.as_str() {
            "hangs" => std::future::pending().await,
            "throttled" => Lookup::Throttled("slow down".to_owned()),
            "denied" if what != "reserved" => Lookup::Denied("no".to_owned()),
            "lost" => Lookup::Unreachable("no route".to_owned()),
            _ => Lookup::Known(answer),
        }
    }

    /// Returns the reads since the last call.
    fn taken(&self) -> Vec<String> {
        self.reads.lock().unwrap().drain(..).map(|(_, what)| what).collect()
    }
}

impl Control for Scripted {
    async fn invoke(&self, _: &Identity, _: Option<&Arc<Role>>, _: &DryRun) -> Lookup<DryRunOutcome> {
        panic!("a tick makes no dry run")
    }

    async fn configuration(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Deployed> {
        let deployment = self.deployment.load(Ordering::Relaxed);
        let version = of.qualifier.as_ref().map_or("$LATEST", Qualifier::as_str);
        let version = if version == "live" { (deployment + 1).to_string() } else { version.to_owned() };
        let code_sha256 = Some(format!("code of {version}"));
        let deployed = Deployed { version: Some(version), code_sha256, ..Deployed::default() };
        self.answer("configuration", of, deployed).await
    }

    async fn alias(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Routing> {
        let version = (self.deployment.load(Ordering::Relaxed) + 1).to_string();
        let mut routing = Routing::to(Qualifier::parse(&version).unwrap());
        let other = Qualifier::parse("99").unwrap();
        routing
            .others
            .extend(Weight::new(0.1).filter(|_| of.name.as_str() == "split").map(|weight| (other, weight)));
        self.answer("alias", of, routing).await
    }

    async fn provisioned(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        self.answer("provisioned", of, None).await
    }

    async fn reserved(&self, of: &Identity, _: Option<&Arc<Role>>) -> Lookup<Option<u32>> {
        self.answer("reserved", &Identity { qualifier: None, ..of.clone() }, Some(7)).await
    }

    async fn account(&self, region: Region, _: Option<&Arc<Role>>) -> Lookup<AccountLimits> {
        self.reads.lock().unwrap().push((Instant::now(), format!("account {region}")));
        match &self.account {
            Lookup::NotRead => std::future::pending().await,
            limits => limits.clone(),
        }
    }
}

/// Counts the objects that are returned in full.
#[derive(Debug, Default)]
struct CountedStore {
    objects: MemoryStore,
    full: AtomicUsize,
}

impl ObjectStore for CountedStore {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        Box::pin(async move {
            let fetched = self.objects.get(key, known).await;
            self.full
                .fetch_add(usize::from(matches!(fetched, Ok(Fetched::Object { .. }))), Ordering::Relaxed);
            fetched
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        on: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        self.objects.put(key, bytes, on)
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.objects.list()
    }
}

fn durable(store: &Arc<CountedStore>) -> DocumentStore {
    DocumentStore::new(Arc::clone(store) as Arc<dyn ObjectStore>, Durability::Durable)
}

fn keeper(store: &Arc<CountedStore>, control: &Arc<Scripted>) -> FactsKeeper {
    FactsKeeper::new(durable(store), Some(Arc::clone(control) as Arc<dyn ReadFacts>))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn load(keeper: &FactsKeeper, fleet: &Fleet, now: DateTime<Utc>) -> Snapshot {
    let (snapshot, unavailable) = keeper.load(fleet, now, soon()).await;
    assert_eq!(unavailable, None);
    snapshot
}

#[tokio::test(start_paused = true)]
async fn each_function_is_read_once_for_its_qualifiers() {
    let (store, control) = (Arc::default(), Scripted::new());
    let fleet = fleet(["f", "f:live", "g"]);
    let keeper = keeper(&store, &control);
    let clock = PausedClock::at(start());
    let report = keeper.refresh(&fleet, soon(), &clock).await;
    assert_eq!((report.reads, report.failures, report.unavailable), (8, 0, None));
    let mut reads = control.taken();
    reads.sort();
    assert_eq!(
        reads,
        [
            "account eu-west-2",
            "alias f:live",
            "configuration f",
            "configuration f:live",
            "configuration g",
            "provisioned f:live",
            "reserved f",
            "reserved g",
        ]
    );
    let live = load(&keeper, &fleet, clock.now()).await.of(&fleet.targets[1]).unwrap().seen.clone();
    assert_eq!((live.invoke, live.reserved), (Lookup::NotRead, Lookup::Known(Some(7))));
    assert_eq!(live.provisioned, Lookup::Known(None));
    // Nothing is due for an hour.
    assert_eq!(keeper.refresh(&fleet, soon(), &clock).await.reads, 0);
    let later = PausedClock::at(start() + TimeDelta::minutes(61));
    assert_eq!(keeper.refresh(&fleet, soon(), &later).await.reads, 8);
    // Another process has the same facts.
    let other = FactsKeeper::new(durable(&store), None);
    let snapshot = load(&other, &fleet, later.now()).await;
    assert!(fleet.targets.iter().all(|target| snapshot.of(target).is_some()));
    assert_eq!(snapshot.limits(&fleet.targets[0]).unwrap().unreserved, 900);
    assert_eq!(other.refresh(&fleet, soon(), &later).await, RefreshReport::default());
}

#[tokio::test(start_paused = true)]
async fn five_reads_a_second_for_ten_seconds() {
    let names: Vec<String> = (0..100).map(|index| format!("f{index}")).collect();
    let fleet = fleet(names.iter().map(String::as_str));
    let (store, control) = (Arc::default(), Scripted::new());
    let keeper = keeper(&store, &control);
    let begun = Instant::now();
    let clock = PausedClock::at(start());
    let report = keeper.refresh(&fleet, soon(), &clock).await;
    assert!((8_900..=10_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert!((40..=50).contains(&report.reads), "{report:?}");
    let times: Vec<Instant> = control.reads.lock().unwrap().iter().map(|(at, _)| *at).collect();
    assert!(times.windows(6).all(|six| six[5] - six[0] >= Duration::from_millis(999)));
    // The next refreshes read the rest, and end earlier if there is less time.
    control.taken();
    let short = keeper.refresh(&fleet, Instant::now() + Duration::from_secs(2), &clock).await;
    assert!((7..=10).contains(&short.reads), "{short:?}");
    let rest = [keeper.refresh(&fleet, soon(), &clock).await, keeper.refresh(&fleet, soon(), &clock).await];
    let again = control.taken();
    assert!(again.iter().all(|read| !read.ends_with(" f0")), "{again:?}");
    let more = keeper.refresh(&fleet, soon(), &clock).await.reads
        + keeper.refresh(&fleet, soon(), &clock).await.reads;
    let sum = report.reads + short.reads + rest.map(|report| report.reads).iter().sum::<usize>() + more;
    // Reads that were cut are repeated.
    assert!((201..=225).contains(&sum), "{sum}");
    assert_eq!(keeper.refresh(&fleet, soon(), &clock).await.reads, 0);
    assert_eq!(keeper.refresh(&fleet, Instant::now(), &clock).await.reads, 0);
}

#[tokio::test(start_paused = true)]
async fn doubtful_targets_are_read_first_and_a_doubt_outlives_the_process() {
    let (store, control) = (Arc::default(), Scripted::new());
    let fleet = fleet(["f", "g", "h"]);
    let first = keeper(&store, &control);
    let clock = PausedClock::at(start());
    first.refresh(&fleet, soon(), &clock).await;
    control.taken();
    first.doubt([fleet.targets[1].id.clone(), target("unknown").id]);
    let grown = super::tests::fleet(["f", "g", "h", "new"]);
    first.refresh(&grown, soon(), &clock).await;
    assert_eq!(control.taken()[..2], ["configuration g", "configuration new"]);
    // No time for a read: another process reads it.
    first.doubt([fleet.targets[2].id.clone()]);
    let report = first.refresh(&grown, Instant::now() + Duration::from_millis(4), &clock).await;
    assert_eq!((report.reads, report.unavailable), (1, None));
    control.taken();
    let second = keeper(&store, &control);
    load(&second, &grown, clock.now()).await;
    second.refresh(&grown, soon(), &clock).await;
    assert_eq!(control.taken(), ["configuration h", "reserved h"]);
    assert_eq!(second.refresh(&grown, soon(), &clock).await.reads, 0);
}

#[tokio::test(start_paused = true)]
async fn reads_that_hang_are_cut_and_a_throttle_ends_the_refresh() {
    let (store, control) = (Arc::default(), Scripted::new());
    let clock = PausedClock::at(start());
    let hanging = fleet(["hangs", "f"]);
    let keeper = keeper(&store, &control);
    let begun = Instant::now();
    let report = keeper.refresh(&hanging, soon(), &clock).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(report.failures, 1);
    // The other function of the account was read meanwhile, and the hanging one is not repeated in this refresh.
    assert_eq!(control.taken().iter().filter(|read| read.ends_with(" hangs")).count(), 1);
    assert!(keeper.snapshot(&hanging, clock.now()).of(&hanging.targets[1]).is_some());

    let throttling = fleet(["throttled", "f1", "f2", "f3", "f4", "f5", "f6"]);
    let report = keeper.refresh(&throttling, soon(), &clock).await;
    assert!(report.is_throttled && report.reads <= 2, "{report:?}");
    assert!(keeper.snapshot(&throttling, clock.now()).of(&throttling.targets[0]).is_none());
    // First contacts send no reads either for a while.
    control.taken();
    assert_eq!(keeper.read_now(&throttling.targets[1], None, clock.now()).await, None);
    assert_eq!(control.taken(), [""; 0]);
    tokio::time::advance(QUIET_FOR).await;
    assert!(keeper.read_now(&throttling.targets[1], None, clock.now()).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn denied_reads_are_repeated_hourly() {
    let (store, control) = (Arc::default(), Scripted::new());
    let fleet = fleet(["denied"]);
    let keeper = keeper(&store, &control);
    keeper.refresh(&fleet, soon(), &PausedClock::at(start())).await;
    control.taken();
    let refreshed = async |minutes| {
        keeper.doubt([fleet.targets[0].id.clone()]);
        keeper.refresh(&fleet, soon(), &PausedClock::at(start() + TimeDelta::minutes(minutes))).await;
        control.taken()
    };
    assert_eq!(refreshed(5).await, ["reserved denied"]);
    assert_eq!(refreshed(55).await, ["reserved denied"]);
    let mut all = refreshed(62).await;
    all.sort();
    assert_eq!(all, ["account eu-west-2", "configuration denied", "reserved denied"]);
    let snapshot = keeper.snapshot(&fleet, start() + TimeDelta::minutes(63));
    let seen = &snapshot.of(&fleet.targets[0]).unwrap().seen;
    assert_eq!(
        (&seen.configuration, &seen.reserved),
        (&Lookup::Denied("no".to_owned()), &Lookup::Known(Some(7)))
    );
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_document_is_not_fetched_again() {
    let store: Arc<CountedStore> = Arc::default();
    let control = Scripted::new();
    let fleet = fleet(["f"]);
    let (writer, reader) = (keeper(&store, &control), FactsKeeper::new(durable(&store), None));
    let clock = PausedClock::at(start());
    load(&writer, &fleet, clock.now()).await;
    writer.refresh(&fleet, soon(), &clock).await;
    let fetched = || store.full.load(Ordering::Relaxed);
    load(&writer, &fleet, clock.now()).await;
    assert_eq!(fetched(), 0, "the writer knows its own document");
    for _ in 0..3 {
        assert!(load(&reader, &fleet, clock.now()).await.of(&fleet.targets[0]).is_some());
    }
    assert_eq!(fetched(), 1);
    control.deployment.store(2, Ordering::Relaxed);
    writer.refresh(&fleet, soon(), &PausedClock::at(start() + TimeDelta::hours(2))).await;
    load(&reader, &fleet, start() + TimeDelta::hours(2)).await;
    assert_eq!(fetched(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_writers_keep_the_newer_of_two_entries() {
    let (store, control) = (Arc::default(), Scripted::new());
    let (both, own) = (fleet(["f:live", "g"]), fleet(["f:live"]));
    let (first, second) = (keeper(&store, &control), keeper(&store, &control));
    first.refresh(&both, soon(), &PausedClock::at(start())).await;
    // The second has read nothing from the store, and has a newer entry.
    control.deployment.store(2, Ordering::Relaxed);
    let report = second.refresh(&own, soon(), &PausedClock::at(start() + TimeDelta::minutes(1))).await;
    assert_eq!(report.unavailable, None);
    let third = FactsKeeper::new(durable(&store), None);
    let snapshot = load(&third, &both, start() + TimeDelta::minutes(1)).await;
    let version = |target: &Target| {
        snapshot.of(target).unwrap().seen.configuration.known().unwrap().version.clone().unwrap()
    };
    assert_eq!([version(&both.targets[0]), version(&both.targets[1])], ["3", "$LATEST"]);
    // The older entry of the first does not return.
    first.doubt([both.targets[1].id.clone()]);
    first.refresh(&both, soon(), &PausedClock::at(start() + TimeDelta::minutes(2))).await;
    let snapshot = load(&third, &both, start() + TimeDelta::minutes(2)).await;
    let facts = snapshot.of(&both.targets[0]).unwrap();
    assert_eq!(facts.seen.configuration.known().unwrap().version.as_deref(), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_store_leaves_the_facts_of_the_process() {
    let store: Arc<CountedStore> = Arc::default();
    let control = Scripted::new();
    let fleet = fleet(["f"]);
    let keeper = keeper(&store, &control);
    let garbage = b"{\"functions\": 7}".to_vec();
    store.put("facts-eu-west-2.json", garbage, Condition::Always).await.unwrap();
    let report = keeper.refresh(&fleet, soon(), &PausedClock::at(start())).await;
    assert!(report.unavailable.unwrap().0.contains("`facts-eu-west-2` cannot be read"));
    let (snapshot, unavailable) = keeper.load(&fleet, start(), soon()).await;
    assert!(unavailable.is_some() && snapshot.of(&fleet.targets[0]).is_some());
    // They are written as soon as the store can be written again.
    store.put("facts-eu-west-2.json", b"{}".to_vec(), Condition::Always).await.unwrap();
    assert_eq!(keeper.refresh(&fleet, soon(), &PausedClock::at(start())).await, RefreshReport::default());
    let other = FactsKeeper::new(durable(&store), None);
    assert!(load(&other, &fleet, start()).await.of(&fleet.targets[0]).is_some());
}

#[tokio::test(start_paused = true)]
async fn unknown_limits_are_read_once_and_within_two_seconds() {
    let targets = [target("f"), target("g"), Target { id: FAR.clone(), ..target("far") }];
    let targets: Vec<&Target> = targets.iter().collect();
    let fleet = Fleet::new(targets.iter().map(|target| (*target).clone()).collect());
    for (control, known) in [(Scripted::new(), true), (Arc::default(), false)] {
        let store = Arc::default();
        let keeper = keeper(&store, &control);
        let begun = Instant::now();
        keeper.read_unknown_limits(&targets, start()).await;
        assert!(begun.elapsed() <= READ_WITHIN);
        keeper.read_unknown_limits(&targets, start()).await;
        assert_eq!(control.taken(), ["account eu-west-2", "account us-east-1"]);
        let snapshot = keeper.snapshot(&fleet, start());
        assert!(targets.iter().all(|target| snapshot.limits(target).is_some() == known));
        // The refresh writes them, and repeats failures after five minutes.
        keeper.refresh(&Fleet::new(Vec::new()), soon(), &PausedClock::at(start())).await;
    }
}

static FAR: std::sync::LazyLock<Identity> =
    std::sync::LazyLock::new(|| Target::example("far", "us-east-1", Vec::new()).id);

#[tokio::test(start_paused = true)]
async fn first_contact_reads_the_executed_version() {
    let (store, control) = (Arc::default(), Scripted::new());
    let fleet = fleet(["f:live", "hangs", "denied"]);
    let [live, hangs, denied] = &fleet.targets[..] else { panic!() };
    let keeper = keeper(&store, &control);
    control.deployment.store(0, Ordering::Relaxed);
    let code = |seen: Option<TargetObservation>| seen?.configuration.known()?.code_sha256.clone();
    let read = async |version| code(keeper.read_now(live, version, start()).await).unwrap();
    assert_eq!(read(None).await, "code of 1");
    assert_eq!(control.taken(), ["configuration f:live", "reserved f", "provisioned f:live", "alias f:live"]);
    // What is known is not read again, except the configuration.
    assert_eq!(read(Some("1")).await, "code of 1");
    assert_eq!(control.taken(), ["configuration f:live"]);
    control.deployment.store(1, Ordering::Relaxed);
    assert_eq!(read(Some("2")).await, "code of 2");
    assert_eq!(control.taken(), ["configuration f:live"]);
    // An alias with two versions.
    assert_eq!(read(Some("1")).await, "code of 1");
    assert_eq!(control.taken(), ["configuration f:live", "configuration f:1"]);
    let snapshot = keeper.snapshot(&fleet, start());
    assert_eq!(code(Some(snapshot.of(live).unwrap().seen.clone())).unwrap(), "code of 2");
    // A version that a server made up.
    assert_eq!(read(Some("no version!")).await, "code of 2");

    let begun = Instant::now();
    assert_eq!(keeper.read_now(hangs, None, start()).await, None);
    assert_eq!(begun.elapsed(), READ_WITHIN);
    let seen = keeper.read_now(denied, None, start()).await.unwrap();
    assert_eq!(seen.configuration, Lookup::Denied("no".to_owned()));
    // Many first contacts at the same time do not exceed the rate of the account.
    control.taken();
    let many: Vec<Target> = (0..50).map(|index| target(&format!("f{index}"))).collect();
    let seen = join_all(many.iter().map(|target| keeper.read_now(target, None, start()))).await;
    let reads = control.taken().len();
    assert!((15..=21).contains(&reads), "{reads}");
    assert!(seen.iter().filter(|seen| seen.is_some()).count() >= 10);
}

#[tokio::test(start_paused = true)]
async fn only_one_refresh_runs_and_nothing_is_stored_without_a_store() {
    let control = Scripted::new();
    let keeper = FactsKeeper::new(DocumentStore::memory(), Some(Arc::clone(&control) as Arc<dyn ReadFacts>));
    let fleet = fleet(["f", "g"]);
    let clock = PausedClock::at(start());
    let (first, second) =
        tokio::join!(keeper.refresh(&fleet, soon(), &clock), keeper.refresh(&fleet, soon(), &clock));
    assert_eq!((first.reads, second), (5, RefreshReport::default()));
    assert!(load(&keeper, &fleet, clock.now()).await.of(&fleet.targets[0]).is_some());
    // Targets that are no longer configured are forgotten after two days.
    let fewer = Fleet::new(vec![target("g")]);
    keeper.refresh(&fewer, soon(), &PausedClock::at(start() + TimeDelta::days(3))).await;
    let held = keeper.memory().facts(target("g").region()).unwrap().functions.len();
    assert_eq!(held, 1);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_seen_by_the_alias_and_noted_once() {
    let (store, control) = (Arc::default(), Scripted::new());
    let fleet = fleet(["f:live", "g"]);
    let keeper = keeper(&store, &control);
    let id = fleet.targets[0].id.clone();
    let at = |minutes| PausedClock::at(start() + TimeDelta::minutes(minutes));
    keeper.refresh(&fleet, soon(), &at(0)).await;
    assert_eq!(keeper.take_deployed(), BTreeMap::new(), "the first sight");
    control.taken();
    // An unchanged alias is read alone, once in an interval, and not written.
    let version = async || match store.get("facts-eu-west-2.json", None).await.unwrap() {
        Fetched::Object { version, .. } => version,
        other => panic!("{other:?}"),
    };
    let written = version().await;
    keeper.refresh(&fleet, soon(), &at(4)).await;
    assert_eq!(control.taken(), [""; 0]);
    keeper.refresh(&fleet, soon(), &at(5)).await;
    assert_eq!((control.taken(), keeper.take_deployed()), (vec!["alias f:live".to_owned()], BTreeMap::new()));
    assert_eq!(written, version().await);
    // A changed one is read with the rest, which shows no second deployment.
    control.deployment.store(1, Ordering::Relaxed);
    keeper.refresh(&fleet, soon(), &at(10)).await;
    assert_eq!(control.taken(), ["alias f:live", "configuration f:live", "reserved f", "provisioned f:live"]);
    let noted = keeper.take_deployed();
    assert_eq!(noted.keys().collect::<Vec<_>>(), [&id]);
    assert!(noted[&id] >= start() + TimeDelta::minutes(10));
    keeper.refresh(&fleet, soon(), &at(15)).await;
    assert_eq!((control.taken().len(), keeper.take_deployed()), (1, BTreeMap::new()));
    // A refresh that is cut keeps what it has seen, and the rest is read first.
    control.deployment.store(2, Ordering::Relaxed);
    keeper.refresh(&fleet, Instant::now() + Duration::from_millis(40), &at(20)).await;
    assert_eq!(keeper.take_deployed().len(), 1);
    control.taken();
    keeper.refresh(&fleet, soon(), &at(21)).await;
    assert_eq!(control.taken()[0], "configuration f:live");
    assert_eq!(keeper.take_deployed(), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn unknown_aliases_are_read_before_the_first_rounds() {
    let (store, control) = (Arc::default(), Scripted::new());
    let names: Vec<String> = (0..30).map(|index| format!("f{index}:live")).collect();
    let many = fleet(names.iter().map(String::as_str).chain(["split:live", "g", "g:7"]));
    let keeper = keeper(&store, &control);
    let targets: Vec<&Target> = many.targets.iter().rev().collect();
    let begun = Instant::now();
    assert!(keeper.read_aliases(&targets, start()).await);
    assert!(begun.elapsed() <= READ_WITHIN);
    let read = control.taken();
    assert!(
        read.len() == MOST_FIRST_ALIASES && read.iter().all(|read| read.starts_with("alias ")),
        "{read:?}"
    );
    let snapshot = keeper.snapshot(&many, start());
    let known = |target: &Target| snapshot.of(target).is_some_and(|facts| facts.seen.alias.known().is_some());
    assert!(known(targets[2]) && !known(&many.targets[0]));
    assert!(!keeper.read_aliases(&targets, start()).await, "at most twenty in the life of a process");
    // The rest of these facts is unknown, and read first.
    keeper.refresh(&Fleet::new(vec![targets[2].clone()]), soon(), &PausedClock::at(start())).await;
    assert!(control.taken().contains(&"configuration split:live".to_owned()));
    assert_eq!(keeper.take_deployed(), BTreeMap::new());
    // A service that does not answer delays the rounds by two seconds, and one that denies is asked once.
    let odd = fleet(["hangs:live", "denied:live"]);
    let targets: Vec<&Target> = odd.targets.iter().collect();
    let keeper = super::tests::keeper(&Arc::default(), &control);
    let begun = Instant::now();
    assert!(keeper.read_aliases(&targets, start()).await);
    assert_eq!(begun.elapsed(), READ_WITHIN);
    let denied = keeper.snapshot(&odd, start()).of(targets[1]).unwrap().clone();
    assert!(denied.is_alias_denied() && keeper.memory().has_warned);
    control.taken();
    assert!(!keeper.read_aliases(&targets, start()).await);
    assert_eq!(control.taken(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn weights_older_than_a_minute_are_read_again_before_a_round() {
    let (store, control) = (Arc::default(), Scripted::new());
    let fleet = fleet(["f:live", "split:live"]);
    let keeper = keeper(&store, &control);
    let targets: Vec<&Target> = fleet.targets.iter().collect();
    keeper.refresh(&fleet, soon(), &PausedClock::at(start())).await;
    control.taken();
    let read = async |seconds| {
        keeper.read_aliases(&targets, start() + TimeDelta::seconds(seconds)).await;
        control.taken()
    };
    assert_eq!(read(59).await, [""; 0]);
    assert_eq!(read(300).await, ["alias split:live"]);
    assert_eq!(read(301).await, [""; 0]);
    // Another routing: the rest is read first, for the guards of the next round.
    assert_eq!(keeper.take_deployed(), BTreeMap::new());
    control.deployment.store(1, Ordering::Relaxed);
    assert_eq!(read(400).await, ["alias split:live"]);
    assert_eq!(keeper.take_deployed().keys().collect::<Vec<_>>(), [&targets[1].id]);
    keeper.refresh(&fleet, soon(), &PausedClock::at(start() + TimeDelta::seconds(401))).await;
    assert!(control.taken().contains(&"configuration split:live".to_owned()));
    keeper.note_throttle(&Lookup::<()>::Throttled("slow down".to_owned()));
    assert_eq!(read(600).await, [""; 0]);
    let now = start() + TimeDelta::seconds(600);
    assert!(keeper.snapshot(&fleet, now).of(targets[1]).unwrap().has_old_weights(now));
}

/// The service spawns ticks.
#[test]
fn futures_of_the_keeper_can_be_sent() {
    fn is_send(_: impl Send) {}
    let keeper = FactsKeeper::new(DocumentStore::memory(), None);
    let (fleet, target) = (fleet([]), target("f"));
    let clock = crate::service::clock::SystemClock;
    is_send(async {
        keeper.load(&fleet, start(), soon()).await;
        keeper.read_unknown_limits(&[&target], start()).await;
        keeper.read_now(&target, None, start()).await;
        keeper.refresh(&fleet, soon(), &clock).await;
    });
}
