//! Deployments: the round that follows an event of CloudTrail.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use futures_util::future::BoxFuture;

use super::*;
use crate::domain::fleet::Role;
use crate::domain::function::{Identity, Qualifier, Tenant};
use crate::domain::preflight::{AccountLimits, Deployed, FunctionState, Lookup, UpdateStatus};
use crate::domain::records::{Code, Facts, Guards, PAUSES, Pause, Pauses};
use crate::domain::routing::{Routing, Weight};
use crate::service::Outcome;
use crate::service::facts::ReadFacts;

const RUNS: Script = Script::Runs(Duration::from_secs(1));

/// An alias of a version, with a weight for another one.
fn weights(version: &str, other: &str) -> Lookup<Routing> {
    let parse = |number| Qualifier::parse(number).unwrap();
    let others = BTreeMap::from([(parse(other), Weight::new(0.1).unwrap())]);
    Lookup::Known(Routing { version: parse(version), others })
}

/// The control plane, with a scripted answer for the configuration.
struct Plane {
    began: Instant,
    /// The answers, each from a second on; `None` hangs.
    answers: Vec<(u64, Option<Lookup<Deployed>>)>,
    alias: Mutex<Lookup<Routing>>,
    reads: Mutex<Vec<String>>,
}

impl Plane {
    fn new(answers: &[(u64, Option<Lookup<Deployed>>)]) -> Arc<Self> {
        let alias = Mutex::new(weights("7", "8"));
        Arc::new(Self { began: Instant::now(), answers: answers.to_vec(), alias, reads: Mutex::default() })
    }

    fn route(&self, alias: Lookup<Routing>) {
        *self.alias.lock().unwrap() = alias;
    }

    fn read(&self, what: &str, of: &Identity) {
        let read = format!("{what} {} {}", of.label(), self.began.elapsed().as_secs());
        self.reads.lock().unwrap().push(read);
    }

    /// Returns the reads since the last call, each with its second.
    fn reads(&self) -> String {
        self.reads.lock().unwrap().drain(..).collect::<Vec<_>>().join(", ")
    }
}

impl ReadFacts for Plane {
    fn configuration<'a>(
        &'a self,
        of: &'a Identity,
        _: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<Deployed>> {
        self.read("configuration", of);
        let second = self.began.elapsed().as_secs();
        let answer = self.answers.iter().rev().find(|(from, _)| *from <= second).unwrap().1.clone();
        Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }

    fn alias<'a>(&'a self, of: &'a Identity, _: Option<&'a Arc<Role>>) -> BoxFuture<'a, Lookup<Routing>> {
        self.read("alias", of);
        let alias = self.alias.lock().unwrap().clone();
        Box::pin(async { alias })
    }

    fn provisioned<'a>(
        &'a self,
        _: &'a Identity,
        _: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<Option<u32>>> {
        Box::pin(async { Lookup::Known(None) })
    }

    fn reserved<'a>(
        &'a self,
        _: &'a Identity,
        _: Option<&'a Arc<Role>>,
    ) -> BoxFuture<'a, Lookup<Option<u32>>> {
        Box::pin(async { Lookup::Known(None) })
    }

    fn account<'a>(&'a self, _: Region, _: Option<&'a Arc<Role>>) -> BoxFuture<'a, Lookup<AccountLimits>> {
        Box::pin(async { Lookup::Known(AccountLimits { concurrent: 1_000, unreserved: 1_000 }) })
    }
}

fn deployed(update: UpdateStatus, state: FunctionState) -> Option<Lookup<Deployed>> {
    let code_sha256 = Some("code".to_owned());
    Some(Lookup::Known(Deployed { update, state, code_sha256, ..Deployed::default() }))
}

fn ready() -> Option<Lookup<Deployed>> {
    deployed(UpdateStatus::Successful, FunctionState::Active)
}

fn updating() -> Option<Lookup<Deployed>> {
    deployed(UpdateStatus::InProgress, FunctionState::Active)
}

fn durable() -> DocumentStore {
    DocumentStore::new(Arc::new(Memory::default()), Durability::Durable)
}

/// A process with these targets.
struct Process {
    harness: Harness,
    plane: Arc<Plane>,
    ids: Vec<Identity>,
}

impl Process {
    fn new(targets: Vec<Target>, documents: DocumentStore, plane: Arc<Plane>) -> Self {
        let ids = targets.iter().map(|target| target.id.clone()).collect();
        let functions = [("f", RUNS), ("g", RUNS), ("hung", HUNG), ("broken", Script::Denies)];
        let mut harness = Harness::with_fleet(&functions, Fleet::new(targets), documents);
        let service = Arc::get_mut(&mut harness.service).unwrap();
        service.guard(plane.clone());
        service.policy.refreshes_facts = true;
        Self { harness, plane, ids }
    }

    fn of(function: &str, answers: &[(u64, Option<Lookup<Deployed>>)]) -> Self {
        Self::new(vec![target(function)], durable(), Plane::new(answers))
    }

    /// Serves an event within so many seconds. Returns the rounds, and the seconds that it took.
    async fn serve_within(&self, event: Deployment, seconds: u64) -> (String, u64) {
        let (began, budget) = (Instant::now(), TimeBudget::fixed(Duration::from_secs(seconds)));
        let trigger = Trigger::Deployed(event);
        let outcome = self.harness.service.serve(trigger, &budget, &Parts::default()).await.unwrap();
        let shown = |round: &RoundRecord| {
            let result = round.skip_reason().map_or("sent", SkipReason::name);
            format!("{} {} {result}", round.id.shown(), round.desired)
        };
        let rounds: Vec<String> = outcome.report.rounds.iter().map(shown).collect();
        assert_eq!(outcome.health, StoreHealth::Sound);
        (rounds.join(", "), began.elapsed().as_secs())
    }

    async fn serve(&self, event: Deployment) -> (String, u64) {
        self.serve_within(event, 900).await
    }

    fn pings(&self) -> usize {
        self.harness.scripted.sent.lock().unwrap().len()
    }

    /// Returns the targets that the next tick serves because of a deployment.
    async fn pending(&self) -> Vec<String> {
        let served: Served = self.harness.documents.read(SERVED).await.unwrap();
        let now = crate::engine::ports::Clock::now(&*self.harness.clock);
        let due = self.ids.iter().filter(|id| served.deployments.is_due(id, now));
        due.map(Identity::shown).collect()
    }
}

fn sent(rounds: &str, seconds: u64) -> (String, u64) {
    (rounds.to_owned(), seconds)
}

#[tokio::test(start_paused = true)]
async fn the_round_follows_once_the_update_is_complete() {
    let pending = deployed(UpdateStatus::Successful, FunctionState::Pending);
    let process = Process::of("f:live", &[(0, updating()), (2, pending), (3, ready())]);
    assert_eq!(process.serve(deployment("f:live")).await, sent("f:live 2 sent", 5));
    // Two for each version.
    assert_eq!(process.pings(), 4);
    assert_eq!(
        process.plane.reads(),
        "configuration f:live 0, configuration f:live 1, configuration f:live 2, configuration f:live 4, alias f:live 4"
    );
    assert_eq!(process.pending().await, [""; 0]);
    // The other processes know the routing, and that the target was served.
    let facts: Facts = process.harness.documents.read(&Facts::document(region())).await.unwrap();
    let seen = &facts.functions[&process.ids[0]].seen;
    assert!(seen.alias.known().unwrap().is_weighted() && seen.configuration.known().is_some(), "{seen:?}");
    let served: Served = process.harness.documents.read(SERVED).await.unwrap();
    assert_eq!(served.targets[&process.ids[0]], Minute::of(at(TICK)).epoch());
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_not_complete_in_time_is_left_to_the_next_tick() {
    let denied = || Some(Lookup::Denied("no".to_owned()));
    let throttled = || Some(Lookup::Throttled("slow down".to_owned()));
    for (answers, within, seconds) in [
        (vec![(0, updating())], 900, 14),
        (vec![(0, updating()), (16, ready())], 900, 14),
        (vec![(0, updating())], 10, 8),
        // A read is awaited for two seconds.
        (vec![(0, None)], 900, 15),
        (vec![(0, Some(Lookup::Failed("503".to_owned())))], 900, 14),
        (vec![(0, denied())], 900, 0),
        (vec![(0, Some(Lookup::Missing))], 900, 0),
        (vec![(0, updating()), (2, throttled())], 900, 2),
    ] {
        let process = Process::of("f", &answers);
        let served = process.serve_within(deployment("f"), within).await;
        assert_eq!(served, sent("f 2 updating", seconds), "{answers:?}");
        assert_eq!((process.pings(), process.pending().await), (0, vec!["f".to_owned()]), "{answers:?}");
    }
    let process = Process::of("f", &[(0, None), (3, ready())]);
    assert_eq!(process.serve(deployment("f")).await, sent("f 2 sent", 5), "the third read");
}

/// Serves the tick of a minute after nine. Returns its outcome and the number of its pings.
async fn tick(process: &Process, minute: i64) -> (Outcome, usize) {
    let at = at(TICK) + TimeDelta::minutes(minute);
    let now = crate::engine::ports::Clock::now(&*process.harness.clock);
    tokio::time::sleep((at - now).to_std().unwrap()).await;
    let pings = process.pings();
    let trigger = Trigger::Schedule { at, previous: Minute::of(at).plus(-1) };
    let budget = TimeBudget::fixed(Duration::from_secs(900));
    let outcome = process.harness.service.serve(trigger, &budget, &Parts::default()).await.unwrap();
    (outcome, process.pings() - pings)
}

/// Serves the ticks of these minutes after nine. Returns the pings of each, and whether the deployment is pending then.
async fn ticks(process: &Process, minutes: RangeInclusive<i64>) -> Vec<(usize, bool)> {
    let mut served = Vec::new();
    for minute in minutes {
        let (_, pings) = tick(process, minute).await;
        served.push((pings, !process.pending().await.is_empty()));
    }
    served
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_pending_until_a_round_follows_the_end_of_the_update() {
    let hourly = || vec![Target { interval_minutes: 60, ..target("f") }];
    // The update ends at 09:02:10. The round of 09:03 reaches the new code, and that of 09:04 is known to do so.
    let answers = [(0, updating()), (120, ready())];
    let process = Process::new(hourly(), durable(), Plane::new(&answers));
    assert_eq!(process.serve(deployment("f")).await, sent("f 2 updating", 14));
    let expected = [(2, true), (2, true), (2, true), (2, false), (0, false)];
    assert_eq!(ticks(&process, 1..=5).await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_round_of_a_tick_during_the_wait_ends_no_deployment() {
    let documents = durable();
    let event = Process::new(vec![target("f")], documents.clone(), Plane::new(&[(0, updating())]));
    // It has not read the update.
    let other = Process::new(vec![target("f")], documents, Plane::new(&[(0, ready())]));
    let tick = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let _ = other.harness.serve(scheduled()).await.unwrap();
    };
    let (served, ()) = tokio::join!(event.serve(deployment("f")), tick);
    assert_eq!((served, other.pings()), (sent("f 2 updating", 14), 2));
    assert_eq!(event.pending().await, ["f"]);
}

#[tokio::test(start_paused = true)]
async fn a_ping_during_an_update_is_no_contact_with_the_new_code() {
    let mut process = Process::of("f", &[(0, updating()), (120, ready())]);
    Arc::get_mut(&mut process.harness.service).unwrap().policy.checks_contact = true;
    let contacts = async || {
        let guards: Guards = process.harness.documents.read(&Guards::document(region())).await.unwrap();
        guards.contacts.into_values().flatten().map(|contact| contact.code).collect::<Vec<_>>()
    };
    assert_eq!(process.serve(deployment("f")).await, sent("f 2 updating", 14));
    for minute in 1..=3 {
        // The contact precedes the round.
        assert_eq!(ticks(&process, minute..=minute).await, [(3, true)], "{minute}");
        assert_eq!(contacts().await, []);
    }
    assert_eq!(ticks(&process, 4..=5).await, [(3, false), (2, false)]);
    assert_eq!(contacts().await, [Code::Sha256("code".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_allows_one_ping_after_a_deployment() {
    let process = Process::of("broken", &[(0, ready())]);
    let pings = async |minutes| -> Vec<usize> {
        ticks(&process, minutes).await.into_iter().map(|(pings, _)| pings).collect()
    };
    assert_eq!(pings(1..=4).await, vec![2, 2, 2, 0]);
    let event = Deployment { at: Some(at("2026-11-20T09:03:58Z")), ..deployment("broken") };
    let before = process.pings();
    assert_eq!(process.serve(event).await.0, "broken 2 breaker");
    assert_eq!((process.pings() - before, process.pending().await), (1, vec![]));
    assert_eq!(pings(5..=7).await, vec![0; 3], "it fails, and no minute tries it again");
}

#[tokio::test(start_paused = true)]
async fn versions_are_pinged_by_a_routing_that_was_read_shortly_before() {
    let target = Target { interval_minutes: 5, ..target("f:live") };
    let process = Process::new(vec![target], durable(), Plane::new(&[(0, ready())]));
    let round = async |minute| {
        let (mut outcome, _) = tick(&process, minute).await;
        let sent = outcome.report.rounds.remove(0);
        let versions = sent.sent().unwrap().versions.iter().map(|round| round.record.id.shown());
        let versions: Vec<String> = versions.collect();
        versions.join(", ")
    };
    assert_eq!(round(5).await, "f:7, f:8");
    process.plane.route(weights("8", "9"));
    assert_eq!(round(10).await, "f:8, f:9");
    process.plane.route(Lookup::Failed("503".to_owned()));
    assert_eq!(round(15).await, "", "the weights are unknown, and the alias is pinged");
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_a_failed_update() {
    let failed = deployed(UpdateStatus::Failed, FunctionState::Active);
    let process = Process::of("f", &[(0, updating()), (1, failed)]);
    assert_eq!(process.serve(deployment("f")).await, sent("f 2 update-failed", 1));
    assert_eq!((process.pings(), process.pending().await), (0, vec![]));
    assert!(process.harness.metrics().iter().all(|names| !names.contains("RoundsShort")));
}

#[tokio::test(start_paused = true)]
async fn an_alias_without_its_routing_waits_for_the_next_tick() {
    let lost = Lookup::Unreachable("no route".to_owned());
    let throttled = Lookup::Throttled("slow down".to_owned());
    let denied = Lookup::Denied("no".to_owned());
    for (alias, rounds, seconds) in [
        (lost, "f:live 2 updating", 14),
        (throttled, "f:live 2 updating", 0),
        // The alias is pinged as before.
        (denied, "f:live 2 sent", 1),
    ] {
        let plane = Plane::new(&[(0, ready())]);
        plane.route(alias);
        let process = Process::new(vec![target("f:live")], durable(), plane);
        assert_eq!(process.serve(deployment("f:live")).await, sent(rounds, seconds));
    }
}

#[tokio::test(start_paused = true)]
async fn several_events_within_thirty_seconds_are_one() {
    let documents = durable();
    let processes: Vec<Process> = (0..3)
        .map(|_| {
            Process::new(
                vec![target("f:live")],
                documents.clone(),
                Plane::new(&[(0, updating()), (5, ready())]),
            )
        })
        .collect();
    let [one, two, three] = &processes[..] else { panic!() };
    let served = tokio::join!(
        one.serve(deployment("f:live")),
        two.serve(deployment("f:live")),
        three.serve(deployment("f:live"))
    );
    let mut rounds = [served.0.0, served.1.0, served.2.0];
    rounds.sort();
    assert_eq!(rounds, ["f:live 2 coalesced", "f:live 2 coalesced", "f:live 2 sent"]);
    let pings = || processes.iter().map(Process::pings).sum::<usize>();
    assert_eq!((pings(), one.pending().await), (4, vec![]));
    // Later than the round: the next tick serves it.
    let late = Deployment { at: None, ..deployment("f:live") };
    assert_eq!(two.serve(late.clone()).await, sent("f:live 2 coalesced", 0));
    assert_eq!((pings(), two.pending().await), (4, vec!["f:live".to_owned()]));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(three.serve(late).await.0, "f:live 2 sent");
    assert_eq!(pings(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_before_the_round_leaves_it_to_a_later_tick() {
    let process = Process::of("f", &[(0, updating())]);
    let serving = process.serve(deployment("f"));
    assert!(tokio::time::timeout(Duration::from_secs(5), serving).await.is_err());
    assert_eq!(process.pending().await, [""; 0], "its claim holds");
    tokio::time::sleep(Duration::from_secs(24)).await;
    assert_eq!(process.pending().await, [""; 0]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(process.pending().await, ["f"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_a_process_coalesces_its_own_events() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    let broken = Arc::new(crate::service::store::Directory::new(file));
    for (documents, health) in [
        (DocumentStore::memory(), StoreHealth::Sound),
        (DocumentStore::new(broken, Durability::Durable), StoreHealth::Unavailable),
    ] {
        let process = Process::new(vec![target("f")], documents.clone(), Plane::new(&[(0, ready())]));
        let other = Process::new(vec![target("f")], documents, Plane::new(&[(0, ready())]));
        for (process, pings) in [(&process, 2), (&process, 2), (&other, 2)] {
            let served = process.harness.serve(Trigger::Deployed(deployment("f"))).await;
            assert_eq!((served, process.pings()), (Ok(health), pings));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_about_no_target_have_no_effect() {
    let closed = Target { windows: Vec::new(), ..target("f:closed") };
    let process = Process::new(vec![target("f"), closed], durable(), Plane::new(&[(0, ready())]));
    let theirs = Region::parse("us-east-1").unwrap();
    for (event, of) in [
        (deployment("unknown"), "unknown"),
        (deployment("f:other"), "another alias"),
        (Deployment { region: theirs, ..deployment("f") }, "another region"),
        (deployment("f:closed"), "a number of 0"),
    ] {
        assert_eq!(process.serve(event).await, sent("", 0), "{of}");
    }
    let ignored = Trigger::Ignored("the call failed".to_owned());
    assert_eq!(process.harness.serve(ignored).await, Ok(StoreHealth::Sound));
    assert_eq!((process.pings(), process.plane.reads()), (0, String::new()));
    assert_eq!(process.harness.metrics(), [], "no metric at all");
    let served: Served = process.harness.documents.read(SERVED).await.unwrap();
    assert!(served.deployments.is_empty(), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn every_tenant_has_its_round_and_the_function_is_read_once() {
    let of_tenant = |name: &str, tenant: &str| {
        let target = target(name);
        Target { id: Identity { tenant: Tenant::parse(tenant).ok(), ..target.id.clone() }, ..target }
    };
    let tenants = vec![of_tenant("f", "a"), of_tenant("f:$LATEST", "b"), target("f:live"), target("g")];
    let process = Process::new(tenants, durable(), Plane::new(&[(0, ready())]));
    assert_eq!(process.serve(deployment("f")).await.0, "f@a 2 sent, f:$LATEST@b 2 sent");
    assert_eq!((process.pings(), process.plane.reads()), (4, "configuration f:$LATEST 0".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_number_is_that_of_a_tick() {
    let process = Process::of("f", &[(0, ready())]);
    let kept = WarmRequest {
        subject: Subject::Function(FunctionRef::parse("f").unwrap(), Need::Environments(5)),
        keep_for: Some(Duration::from_secs(600)),
        ..request()
    };
    let _ = process.harness.serve(Trigger::Request(kept)).await.unwrap();
    assert_eq!(process.pings(), 5);
    assert_eq!(process.serve(deployment("f")).await.0, "f 5 sent");
    let pause = Pause { until: at("2026-11-20T10:00:00Z"), reason: "migration".to_owned() };
    let change = |pauses: &mut Pauses| pauses.all = Some(pause.clone());
    process.harness.documents.update(PAUSES, change).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let later = Deployment { at: None, ..deployment("f") };
    assert_eq!(process.serve(later).await.0, "f 5 paused");
    assert_eq!((process.pings(), process.pending().await), (10, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_a_tick_serves_and_a_late_event_are_left_to_the_next_tick() {
    let process = Process::new(vec![target("hung"), target("f")], durable(), Plane::new(&[(0, ready())]));
    let service = Arc::clone(&process.harness.service);
    let tick = tokio::spawn(async move {
        let budget = TimeBudget::fixed(Duration::from_secs(900));
        service.serve(scheduled(), &budget, &Parts::default()).await
    });
    // The claim on the target whose round has ended is over.
    tokio::time::sleep(Duration::from_secs(40)).await;
    let pings = process.pings();
    let now = Deployment { at: None, ..deployment("hung") };
    assert_eq!(process.serve(now).await, sent("hung 2 in-flight", 0));
    let long_ago = Deployment { at: Some(at("2026-11-20T08:57:00Z")), ..deployment("f") };
    assert_eq!(process.serve(long_ago).await, sent("", 0));
    assert_eq!((process.pings(), process.pending().await), (pings, vec!["hung".to_owned(), "f".to_owned()]));
    tick.abort();
}

#[tokio::test(start_paused = true)]
async fn a_round_that_could_not_be_sent_is_left_to_the_next_tick() {
    // A round of this process is in flight, and no other process knows it.
    let process = Process::of("hung", &[(0, ready())]);
    let service = Arc::clone(&process.harness.service);
    tokio::spawn(async move {
        let budget = TimeBudget::fixed(Duration::from_secs(900));
        service
            .serve(
                Trigger::Warm {
                    warm: DirectWarm { function: FunctionRef::parse("hung").unwrap(), ..warm() },
                    region: region(),
                },
                &budget,
                &Parts::default(),
            )
            .await
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(process.serve(deployment("hung")).await, sent("hung 2 in-flight", 0));
    assert_eq!(process.pending().await, ["hung"]);
}
