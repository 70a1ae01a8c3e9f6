//! The planner with a state store that is volatile, lost, slow, or has odd documents.

use super::*;

#[tokio::test]
async fn the_schedule_alone_decides_without_a_durable_store() {
    let planner = volatile();
    for _ in 0..2 {
        assert_eq!(names(&plan(&planner, "09:00:00").await), ["a", "b"]);
    }
    assert_eq!(names(&plan(&planner, "09:01:00").await), [""; 0]);
}

/// A store whose first answer to a write is lost, so that the client repeats the write and gets a conflict.
#[derive(Debug, Default)]
struct Forgetful(Memory, AtomicBool);

impl ObjectStore for Forgetful {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        self.0.get(key, known)
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        Box::pin(async move {
            let put = self.0.put(key, bytes, condition).await;
            let is_repeated = self.1.swap(true, Ordering::Relaxed);
            if is_repeated { put } else { Err(PutError::Conflict) }
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.0.list()
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_is_found_again() {
    let planner = durable(Forgetful::default());
    let tick = plan(&planner, "09:00:00").await;
    assert_eq!(names(&tick), ["a", "b"]);
    assert_eq!(names(&plan(&planner, "09:00:00").await), [""; 0], "another delivery");
    let undone = vec![Unfinished::new(&tick.due[0].target, 2, UnfinishedReason::Deadline)];
    let _ = record(&planner, &tick, &report("09:00:00", undone), "09:00:10").await;
    assert_eq!(names(&plan(&planner, "09:01:00").await), ["a"]);
}

/// A store that fails.
#[derive(Debug)]
pub(super) struct Failing;

impl Failing {
    fn error() -> ObjectStoreError {
        ObjectStoreError::from("away".to_owned())
    }
}

impl ObjectStore for Failing {
    fn get<'a>(&'a self, _: &'a str, _: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        Box::pin(ready(Err(Self::error())))
    }

    fn put<'a>(&'a self, _: &'a str, _: Vec<u8>, _: Condition<'a>) -> StoreFuture<'a, Version, PutError> {
        Box::pin(ready(Err(Self::error().into())))
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        Box::pin(ready(Err(Self::error())))
    }
}

#[tokio::test]
async fn the_fleet_stays_warm_without_the_store() {
    let planner = durable(Failing);
    let tick = plan(&planner, "09:00:00").await;
    assert_eq!(names(&tick), ["a", "b"]);
    let _ = record(&planner, &tick, &report("09:00:00", Vec::new()), "09:00:01").await;
    assert!(planner.take_shard("a1", at("09:00:00")).await.0.is_some(), "a shard is served");
    assert!(
        planner.take_shard("a1", at("09:00:01")).await.0.is_none(),
        "and not twice by the same environment"
    );
    let asked = RequestTerms { at: at("09:00:00"), concurrency: 1, keep_for: None, reason: None };
    let fleet = fleet();
    let round = planner.request(&fleet, &[ask(&fleet.targets[0], &asked)], asked.at).await.unwrap();
    assert_eq!(
        (names(&round), round.health),
        (vec!["a"], StoreHealth::Unavailable),
        "a round needs no store"
    );
    let asked = RequestTerms { keep_for: Some(Duration::from_secs(60)), ..asked };
    let kept = planner.request(&fleet, &[ask(&fleet.targets[0], &asked)], asked.at).await;
    assert!(kept.is_err(), "a request that is kept needs it");
    let backlog = BacklogTerms {
        at: asked.at,
        pipeline: None,
        messages: 90_000,
        rate: 300.into(),
        per_environment: 30_000.into(),
        hold_for: None,
        reason: None,
    };
    let backlog = Ask::new(&fleet.targets[0], AskTerms::Backlog(backlog)).unwrap();
    assert_eq!(backlog.number(), 3);
    assert!(planner.request(&fleet, &[backlog], asked.at).await.is_err(), "a backlog needs it");
}

/// A store that answers after a second, or never.
#[derive(Debug)]
struct Slow {
    store: Directory,
    hangs: Arc<AtomicBool>,
}

impl Slow {
    async fn answer(&self) {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl ObjectStore for Slow {
    fn get<'a>(&'a self, key: &'a str, known: Option<&'a Version>) -> StoreFuture<'a, Fetched> {
        Box::pin(async move {
            self.answer().await;
            self.store.get(key, known).await
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        bytes: Vec<u8>,
        condition: Condition<'a>,
    ) -> StoreFuture<'a, Version, PutError> {
        Box::pin(async move {
            self.answer().await;
            self.store.put(key, bytes, condition).await
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<(String, Version)>> {
        self.store.list()
    }
}

fn pause_a(pauses: &mut Pauses) {
    let pause = Pause { until: at("10:00:00"), reason: "migration".to_owned() };
    pauses.functions.insert(FunctionRef::parse("a").unwrap(), pause);
}

#[tokio::test(start_paused = true)]
async fn a_hung_store_delays_a_tick_by_three_seconds_and_pauses_stay_known() {
    let folder = tempfile::tempdir().unwrap();
    let hangs = Arc::new(AtomicBool::new(false));
    let slow = || Slow { store: Directory::new(folder.path()), hangs: Arc::clone(&hangs) };
    let (planner, started_late) = (durable(slow()), durable(slow()));
    durable(Directory::new(folder.path())).documents().update(PAUSES, pause_a).await.unwrap();
    let took = async |planner: &TickPlanner, time: &str| {
        let started = Instant::now();
        let plan = plan(planner, time).await;
        (names(&plan).join(" "), plan.health, started.elapsed().as_secs(), plan.pauses_unknown)
    };
    // One second for three documents at the same time, and one for the claim.
    assert_eq!(took(&planner, "09:00:00").await, ("b".to_owned(), StoreHealth::Sound, 2, false));
    hangs.store(true, Ordering::Relaxed);
    let without = ("b".to_owned(), StoreHealth::Unavailable, 3, false);
    assert_eq!(took(&planner, "09:05:00").await, without, "the pauses as they were read before");
    let never = ("a b".to_owned(), StoreHealth::Unavailable, 3, true);
    assert_eq!(took(&started_late, "09:05:00").await, never, "a process that never read the pauses");
    let started = Instant::now();
    let late = plan(&started_late, "09:05:00").await;
    let ended = report("09:05:00", Vec::new());
    let noted = record(&started_late, &late, &ended, "09:05:01").await;
    assert_eq!(noted, StoreHealth::Unavailable);
    assert_eq!(started.elapsed(), 2 * READ_WITHIN, "recording has the same limit");
}

#[tokio::test]
async fn unknown_pauses_are_in_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let planner = durable(Directory::new(folder.path()));
    std::fs::write(folder.path().join("pauses.1.json"), "not json").unwrap();
    let first = tick(&planner, "09:00:00").await;
    assert_eq!((names(&first), first.health), (vec!["a", "b"], StoreHealth::Unavailable));
    assert!(status(planner.documents()).await.unwrap().pauses_unknown);
    std::fs::remove_file(folder.path().join("pauses.1.json")).unwrap();
    assert_eq!(tick(&planner, "09:05:00").await.health, StoreHealth::Sound);
    assert!(!status(planner.documents()).await.unwrap().pauses_unknown);
}

#[tokio::test(start_paused = true)]
async fn a_claim_ends_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let process = || durable(Directory::new(folder.path()));
    let (one, two) = (process(), process());
    let running = plan(&one, "09:00:00").await;
    assert_eq!(names(&running), ["a", "b"]);
    tokio::time::sleep(Duration::from_secs(65)).await;
    assert_eq!(names(&plan(&two, "09:01:05").await), [""; 0], "the claim was renewed twice");
    drop(running);
    tokio::time::sleep(Duration::from_secs(64)).await;
    let taken = plan(&two, "09:02:09").await;
    assert_eq!(names(&taken), ["a", "b"], "the claim ended at 09:02");
    let _ = record(&two, &taken, &report("09:02:09", Vec::new()), "09:02:10").await;
    assert_eq!(names(&plan(&two, "09:03:10").await), [""; 0]);
}

#[tokio::test]
async fn pauses_use_the_system_clock() {
    let planner = durable(Memory::default());
    planner.documents().update(PAUSES, pause_a).await.unwrap();
    let previous = Minute::of(at("10:00:00"));
    let early = planner.plan(&fleet(), at("10:00:20"), previous.plus(-1), at("09:59:50")).await;
    assert_eq!((names(&early), early.skipped.len()), (vec!["b"], 1), "an early event does not end a pause");
    let targets = fleet();
    let asked = RequestTerms { at: at("10:00:20"), concurrency: 1, keep_for: None, reason: None };
    let request =
        planner.request(&targets, &[ask(&targets.targets[0], &asked)], at("09:59:50")).await.unwrap();
    assert_eq!(request.skipped[0].skip_reason(), Some(SkipReason::Paused));
}

#[tokio::test]
async fn times_in_the_future_are_repaired() {
    let planner = durable(Memory::default());
    let tomorrow = at("09:00:00") + TimeDelta::days(1);
    let ahead = planner.plan(&fleet(), tomorrow, Minute::of(tomorrow).plus(-1), tomorrow).await;
    let tick = TickReport { tick: tomorrow, ..report("09:00:00", Vec::new()) };
    let fleet = fleet();
    let results = Results { fleet: &fleet, plan: &ahead, sent: &ahead.due, report: &tick };
    let _ = planner.record(results, RecordKind::Tick, None, tomorrow).await;
    assert_eq!(names(&self::tick(&planner, "09:05:00").await), ["a", "b"]);
    assert_eq!(names(&self::tick(&planner, "09:05:00").await), [""; 0], "repaired");
    assert_eq!(status(planner.documents()).await.unwrap().tick, Some(at("09:05:00")));
}

#[tokio::test]
async fn a_document_that_has_grown_too_large_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let store = Directory::new(folder.path());
    // The document of an earlier version: 70 requests with reasons of 240 kB.
    let reason = "r".repeat(240_000);
    let request = |minute: u32| {
        let time = at(&format!("08:{minute:02}:00"));
        serde_json::json!({ "concurrency": 1, "asked": time, "since": time, "until": at("10:00:00"), "reason": reason })
    };
    let targets: serde_json::Map<_, _> =
        (0..70).map(|index| (format!("f{index:02} eu-west-2"), request(index % 60))).collect();
    let document = serde_json::json!({ "targets": targets }).to_string();
    assert!(document.len() > 16_000_000);
    std::fs::write(folder.path().join("requests.1.json"), document).unwrap();
    let planner = durable(store.clone());
    let asked = RequestTerms {
        at: at("09:00:00"),
        concurrency: 1,
        keep_for: Some(Duration::from_secs(60)),
        reason: None,
    };
    let fleet = fleet();
    let kept = planner.request(&fleet, &[ask(&fleet.targets[0], &asked)], asked.at).await.unwrap();
    assert_eq!(names(&kept), ["a"]);
    let requests: Requests = planner.documents().read(REQUESTS).await.unwrap();
    assert!(requests.targets.contains_key(&id("a")) && !requests.targets.contains_key(&id("f00")));
    let Fetched::Object { bytes, .. } = store.get("requests.json", None).await.unwrap() else { panic!() };
    let bytes = bytes.len();
    assert!(bytes <= records::MOST_BYTES && bytes > records::MOST_BYTES / 2, "{bytes}");
}
