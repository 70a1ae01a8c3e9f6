//! The facts about deployed functions, read over HTTP and kept in a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use warmd::aws::AwsControl;
use warmd::aws::connector::Dialer;
use warmd::domain::fleet::{Fleet, OnRequest, Target};
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::preflight::{ExecutionModel, Lookup, Read};
use warmd::emulator::{Emulator, Operation, Profile, Scenario};
use warmd::engine::ports::Clock;
use warmd::service::facts::{FactsKeeper, ReadFacts};
use warmd::service::store::{DocumentStore, Durability, Memory};

use crate::server::{Server, answer};
use crate::{Connect, clients_through, emulator_dialer};

struct Fixed(DateTime<Utc>);

impl Clock for Fixed {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

fn clock() -> Fixed {
    Fixed("2026-11-20T09:00:00Z".parse().unwrap())
}

fn fleet(functions: &[&str]) -> Fleet {
    let hour = Duration::from_secs(3600);
    let on_request =
        OnRequest { max_concurrency: 5, max_for: hour, coalesce: Duration::from_secs(60), hold_for: hour };
    let bare =
        |name: &&str| Target::bare(&FunctionRef::parse(name).unwrap(), Region::parse("eu-west-2").unwrap());
    let target = |name| Target { on_request: Some(on_request), ..bare(name) };
    Fleet::new(functions.iter().map(target).collect())
}

fn reader(dialer: Dialer) -> Option<Arc<dyn ReadFacts>> {
    Some(Arc::new(AwsControl::without_retries(Arc::new(clients_through(dialer)))))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test(start_paused = true)]
async fn denied_operations_are_facts_of_every_process() {
    let mut scenario = Scenario {
        denied: vec![Operation::GetFunctionConcurrency, Operation::GetAccountSettings],
        default: None,
        ..Scenario::default()
    };
    scenario = scenario.with("kept", Profile { provisioned: Some(4), ..Profile::python() });
    let durable = [("DurableConfig".to_owned(), serde_json::json!({ "ExecutionTimeout": 60 }))];
    scenario = scenario
        .with("durable", Profile { configuration: durable.into_iter().collect(), ..Profile::python() });
    let emulator = Emulator::new(scenario);
    let fleet = fleet(&["kept:1", "durable", "gone:nowhere"]);
    let store = DocumentStore::new(Arc::new(Memory::default()), Durability::Durable);
    let keeper = FactsKeeper::new(store.clone(), reader(emulator_dialer(&emulator, |_| Connect::Serve)));
    let report = keeper.refresh(&fleet, soon(), &clock()).await;
    assert_eq!((report.unavailable, report.is_throttled), (None, false));
    let observed = emulator.observe();
    assert_eq!((observed.reads.len(), observed.invocations.len()), (report.reads, 0));

    let other = FactsKeeper::new(store, None);
    let (snapshot, unavailable) = other.load(&fleet, clock().0, soon()).await;
    assert_eq!(unavailable, None);
    let [kept, durable, gone] = &fleet.targets[..] else { panic!() };
    let kept = snapshot.of(kept).unwrap();
    assert_eq!((&kept.seen.provisioned, &kept.seen.invoke), (&Lookup::Known(Some(4)), &Lookup::NotRead));
    assert!(
        matches!(&kept.seen.reserved, Lookup::Denied(reason) if reason.starts_with("User: arn:aws:iam::"))
    );
    assert_eq!(kept.failed.keys().collect::<Vec<_>>(), [&Read::Reserved]);
    let durable = snapshot.of(durable).unwrap().seen.configuration.known().unwrap();
    assert_eq!((durable.model, durable.version.as_deref()), (ExecutionModel::Durable, Some("$LATEST")));
    assert_eq!(snapshot.of(gone).unwrap().seen.configuration, Lookup::Missing);
    assert_eq!(snapshot.limits(&fleet.targets[0]), None);
    assert!(matches!(&snapshot.observations(&fleet).accounts[0].limits, Lookup::Denied(_)));
}

#[tokio::test(start_paused = true)]
async fn a_throttle_ends_the_refresh_without_retries() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = Server::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { answer(429, r#"{"Type":"User","message":"Rate exceeded"}"#) }
    });
    let keeper = FactsKeeper::new(DocumentStore::memory(), reader(server.dialer()));
    let fleet = fleet(&["a", "b", "c", "d"]);
    let report = keeper.refresh(&fleet, soon(), &clock()).await;
    assert_eq!((report.reads, report.is_throttled, count.load(Ordering::Relaxed)), (1, true, 1));
    assert!(keeper.snapshot(&fleet, clock().0).of(&fleet.targets[0]).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_answers_does_not_hold_a_tick_up() {
    let emulator = Emulator::new(Scenario::default());
    let keeper =
        FactsKeeper::new(DocumentStore::memory(), reader(emulator_dialer(&emulator, |_| Connect::Mute)));
    let fleet = fleet(&["a", "b"]);
    let targets: Vec<&Target> = fleet.targets.iter().collect();
    let within = async |limit: u64, work: &mut (dyn Future<Output = ()> + Unpin)| {
        let begun = Instant::now();
        work.await;
        assert!(begun.elapsed() <= Duration::from_millis(limit), "{:?}", begun.elapsed());
    };
    within(2_010, &mut Box::pin(keeper.read_unknown_limits(&targets, clock().0))).await;
    within(
        2_010,
        &mut Box::pin(async { assert_eq!(keeper.read_now(targets[0], None, clock().0).await, None) }),
    )
    .await;
    within(
        10_000,
        &mut Box::pin(async { assert!(keeper.refresh(&fleet, soon(), &clock()).await.failures > 0) }),
    )
    .await;
}
