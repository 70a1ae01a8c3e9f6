//! A handler that took a ping for work, and `warmd canary clear` while the daemon runs.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use warmd::aws::{AwsControl, AwsLambda, CloudWatch, EventBridge};
use warmd::config;
use warmd::domain::schedule::Minute;
use warmd::emulator::{Emulator, Fault, FaultKind, Profile, Scenario};
use warmd::engine::ports::Clock;
use warmd::service::budget::TimeBudget;
use warmd::service::live_config::LiveConfig;
use warmd::service::store::DocumentStore;
use warmd::service::{Observer, Policy, Service, Trigger};

use crate::{Connect, clients_through, emulator_dialer};

/// A clock that the test sets.
struct Manual(Mutex<DateTime<Utc>>);

impl Clock for Manual {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

struct Silent;

impl Observer for Silent {}

const FLEET: &str = "version: 1
defaults: { region: eu-west-2, interval: 1m }
functions:
  orders:live: { windows: [{ days: daily, hours: all-day, concurrency: 3 }] }
";

#[tokio::test(start_paused = true)]
async fn a_cleared_handler_gets_one_ping_at_the_next_tick_of_the_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").to_str().unwrap().to_owned();
    let file = folder.path().join("fleet.yaml");
    std::fs::write(&file, FLEET).unwrap();
    let error = FaultKind::FunctionError { error_type: "KeyError".to_owned() };
    let faulty = Profile { faults: vec![Fault::first(1, error)], ..Profile::python() };
    let emulator = Emulator::new(Scenario::default().with("orders", faulty));
    let clients = Arc::new(clients_through(emulator_dialer(&emulator, |_| Connect::Serve)));
    let fleet = config::load(&[file], None).unwrap().fleet;
    let documents = DocumentStore::open(Some(&state), |_| Err(String::new())).unwrap();
    let lambda = AwsLambda::new(Arc::clone(&clients));
    let capacity = Box::new(|_, _| Ok(500));
    let mut service: Service<AwsLambda, CloudWatch, EventBridge> =
        Service::new(lambda, LiveConfig::fixed(fleet), documents, capacity, None).unwrap();
    service.guard(Arc::new(AwsControl::without_retries(clients)));
    service.policy = Policy { checks_contact: true, refreshes_facts: true, ..Policy::default() };
    let clock = Arc::new(Manual(Mutex::new("2026-11-20T09:00:00Z".parse().unwrap())));
    service.clock = Arc::clone(&clock) as Arc<dyn Clock>;

    let tick = async || {
        let at = clock.now();
        let trigger = Trigger::Schedule { at, previous: Minute::of(at).plus(-1) };
        let budget = TimeBudget::fixed(Duration::from_secs(60));
        let report = service.serve(trigger, &budget, &Silent).await.unwrap().report;
        *clock.0.lock().unwrap() += TimeDelta::minutes(1);
        let round = &report.rounds[0];
        (round.verdict().name(), round.pings(), emulator.observe().invocations.len())
    };
    assert_eq!(tick().await, ("unsafe", 1, 1));
    assert_eq!(tick().await, ("unsafe", 0, 1), "nothing more is sent");

    let clear = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmd"));
        let output = command.args(["canary", "clear", "orders:live", "--state", &state]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let cleared = "orders cleared in eu-west-2: its next round begins with one ping\n";
    assert_eq!(clear(), (Some(0), cleared.to_owned()));
    let (verdict, pings, _) = tick().await;
    assert_eq!((verdict, pings), ("reached", 1 + 3));
    assert_eq!(tick().await.1, 3, "trusted");
    assert_eq!(clear(), (Some(0), "orders was not unsafe\n".to_owned()));
    assert_eq!(tick().await.1, 3, "trusted handlers are not cleared");
}
