//! Probes of emulated functions, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use warmd::aws::AwsLambda;
use warmd::domain::cost::PriceBook;
use warmd::domain::fleet::Target;
use warmd::domain::function::{FunctionRef, Region};
use warmd::domain::probe::{HoldSearch, IdlePlan, Ramp, Start, interval};
use warmd::domain::records::{PAUSES, Pause, Pauses};
use warmd::emulator::profile::Span;
use warmd::emulator::{Emulator, Profile, Scenario};
use warmd::engine::ports::Clock;
use warmd::engine::stop::{Stop, stop};
use warmd::engine::tick::Engine;
use warmd::service::probe::{Ended, Observe, ProbePause, Prober};
use warmd::service::store::DocumentStore;

use crate::{Connect, emulator_dialer, lambda_through};

/// A clock that follows the virtual time.
#[derive(Debug)]
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> DateTime<Utc> {
        let start: DateTime<Utc> = "2026-11-20T09:00:00Z".parse().unwrap();
        start + TimeDelta::from_std(self.0.elapsed()).unwrap()
    }
}

struct Silent;

impl Observe for Silent {}

fn minutes(number: u64) -> Duration {
    Duration::from_secs(number * 60)
}

/// Returns an engine over an emulator in which `f` has this profile.
fn engine(profile: Profile) -> Engine<AwsLambda> {
    let emulator = Emulator::new(Scenario::default().with("f", profile));
    let lambda = lambda_through(emulator_dialer(&emulator, |_| Connect::Serve));
    Engine::new(lambda, PriceBook::embedded(), 1_000)
}

fn target() -> Target {
    Target::bare(&FunctionRef::parse("f").unwrap(), Region::parse("us-east-1").unwrap())
}

/// Probes `f` with this profile at these gaps in minutes.
async fn idle(profile: Profile, gaps: &[u64], is_until_cold: bool) -> IdlePlan {
    let engine = engine(profile);
    let clock = Virtual(Instant::now());
    let (_stopper, stop) = stop();
    let prober = Prober::new(&engine, target(), &clock, stop);
    let instants = gaps.iter().scan(0, |at, gap| {
        *at += gap;
        Some(minutes(*at))
    });
    let mut plan = IdlePlan::new(&instants.collect::<Vec<_>>(), 1, is_until_cold);
    assert_eq!(prober.idle(&mut plan, &Silent).await, Ok(Ended::Complete));
    assert_eq!(prober.spent().pings, plan.gaps().0.len() as u64);
    assert!(prober.spent().cost.total.is_some_and(|total| total.is_sign_positive() && !total.is_zero()));
    plan
}

fn in_minutes(plan: &IdlePlan) -> (Option<u64>, Option<u64>) {
    let bracket = plan.bracket();
    let minutes = |gap: Option<Duration>| gap.map(|gap| gap.as_secs() / 60);
    (minutes(bracket.longest_warm), minutes(bracket.shortest_cold))
}

const ARTICLE: [u64; 5] = [0, 6, 10, 15, 30];

#[tokio::test(start_paused = true)]
async fn the_idle_life_of_model_serving_is_between_15_and_30_minutes() {
    let profile = Profile { idle_life: Span::from(minutes(20)), ..Profile::model_serving() };
    let plan = idle(profile, &ARTICLE, false).await;
    assert_eq!(in_minutes(&plan), (Some(15), Some(30)));
    let starts: Vec<_> = plan.gaps().0.iter().filter_map(|gap| gap.ping.start).map(Start::name).collect();
    assert_eq!(starts, ["cold", "warm", "warm", "warm", "cold"]);
}

#[tokio::test(start_paused = true)]
async fn a_container_image_shows_three_regimes() {
    let plan = idle(Profile::container_image(), &ARTICLE, false).await;
    assert_eq!(in_minutes(&plan), (None, Some(6)));
    // One start with the fetch of the image cannot be told from the others.
    assert_eq!(plan.gaps().1, None);

    let gaps = [0, 70, 70, 70, 70, 6, 6, 6, 6, 6, 1, 1];
    let plan = idle(Profile::container_image(), &gaps, false).await;
    let (gaps, threshold) = plan.gaps();
    let starts: Vec<_> = gaps.iter().filter_map(|gap| gap.ping.start).map(Start::name).collect();
    let expected = [["cold"; 5], ["semi-cold"; 5]].concat();
    assert_eq!(starts, [expected, vec!["warm"; 2]].concat());
    assert!(threshold.is_some_and(|threshold| threshold > Duration::from_secs(7)));
    let total = |start: Start| {
        let of_kind = gaps.iter().filter(move |gap| gap.ping.start == Some(start));
        of_kind.map(|gap| gap.ping.total()).max().unwrap()
    };
    assert!(total(Start::Cold) > Duration::from_secs(89), "{:?}", total(Start::Cold));
    assert!(total(Start::SemiCold) < Duration::from_secs(8), "{:?}", total(Start::SemiCold));
    assert!(total(Start::Warm) < Duration::from_millis(200), "{:?}", total(Start::Warm));
}

#[tokio::test(start_paused = true)]
async fn a_bisection_finds_the_idle_life_to_a_minute() {
    for life in [90, 301, 1_234, 4_000] {
        let life = Duration::from_secs(life);
        let profile = Profile { idle_life: Span::from(life), ..Profile::python() };
        let bracket = idle(profile, &ARTICLE, true).await.bracket();
        let (warm, cold) = (bracket.longest_warm.unwrap(), bracket.shortest_cold.unwrap());
        assert!(warm < life && life <= cold, "{life:?}: {bracket:?}");
        assert!(cold - warm <= minutes(1) + Duration::from_secs(2), "{life:?}: {bracket:?}");
        assert_eq!(interval(&bracket, 5).is_some(), life >= minutes(3), "{life:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn parallel_users_meet_a_cold_start_each() {
    let engine = engine(Profile { idle_life: Span::from(minutes(20)), ..Profile::model_serving() });
    let clock = Virtual(Instant::now());
    let (_stopper, stop) = stop();
    let prober = Prober::new(&engine, target(), &clock, stop);
    let ramp = Ramp { users: vec![3, 6, 9, 18], length: minutes(5) };
    let hold = Duration::from_secs(1);
    let first = prober.contact(hold).await.unwrap().unwrap();
    let (steps, ended) = prober.parallel(&ramp, hold, first, &Silent).await.unwrap();
    assert_eq!(ended, Ended::Complete);
    let cold: Vec<usize> = steps.iter().map(|step| step.cold_starts).collect();
    assert_eq!(cold, [3, 3, 3, 9]);
    let environments: Vec<Option<usize>> = steps.iter().map(|step| step.environments).collect();
    assert_eq!(environments, [3, 6, 9, 18].map(Some));
    assert!(steps.iter().all(|step| step.errors == 0 && step.requests > step.step.users as usize * 20));
    assert_eq!(prober.spent().pings, steps.iter().map(|step| step.requests as u64).sum::<u64>());
}

#[tokio::test(start_paused = true)]
async fn the_shortest_proven_hold_is_found() {
    let engine = engine(Profile::python());
    let clock = Virtual(Instant::now());
    let (_stopper, stop) = stop();
    let prober = Prober::new(&engine, target(), &clock, stop);
    let mut search = HoldSearch::default();
    let number = std::num::NonZeroU32::new(20).unwrap();
    assert_eq!(prober.find_hold(number, &mut search, &Silent).await, Ok(Ended::Complete));
    let hold = search.proven().unwrap();
    assert!((5..=200).contains(&hold.as_millis()), "{hold:?}");
}

/// Stops the probe at the ping with this number.
struct StopAt(std::sync::atomic::AtomicUsize, warmd::engine::stop::Stopper);

impl Observe for StopAt {
    fn pinged(&self, _: &warmd::domain::probe::Measured) {
        if self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            self.1.stop();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_probe_keeps_what_it_has_measured() {
    let engine = engine(Profile::python());
    let clock = Virtual(Instant::now());
    let (stopper, stop): (_, Stop) = stop();
    let prober = Prober::new(&engine, target(), &clock, stop);
    let mut plan = IdlePlan::new(&[0, 1, 2, 3, 4].map(minutes), 1, false);
    let observer = StopAt(3.into(), stopper);
    assert_eq!(prober.idle(&mut plan, &observer).await, Ok(Ended::Stopped));
    assert_eq!(plan.gaps().0.len(), 3);
    assert_eq!(plan.bracket().longest_warm, Some(minutes(1)));
}

async fn pauses(documents: &DocumentStore, clock: &dyn Clock) -> Vec<String> {
    let mut pauses: Pauses = documents.read(PAUSES).await.unwrap();
    pauses.prune(clock.now());
    pauses.functions.into_values().map(|pause| pause.reason).collect()
}

#[tokio::test(start_paused = true)]
async fn the_pause_of_a_probe_outlives_it_in_no_case() {
    let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
    let documents = DocumentStore::memory();
    let function = FunctionRef::parse("f").unwrap();
    let begin = || ProbePause::begin(documents.clone(), function.clone(), Arc::clone(&clock));

    let pause = begin().await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(minutes(1)).await;
        assert_eq!(pauses(&documents, &*clock).await, ["probe"]);
    }
    pause.end().await.unwrap();
    assert_eq!(pauses(&documents, &*clock).await, [""; 0]);

    // The process is killed: nothing renews the pause.
    drop(begin().await.unwrap());
    tokio::time::sleep(minutes(3)).await;
    assert_eq!(pauses(&documents, &*clock).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_pause_of_an_operator_is_kept() {
    let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
    let documents = DocumentStore::memory();
    let function = FunctionRef::parse("f").unwrap();
    let until = clock.now() + TimeDelta::minutes(10);
    let pause = |pauses: &mut Pauses| {
        pauses.functions.insert(function.clone(), Pause { until, reason: "migration".to_owned() });
    };
    documents.update(PAUSES, pause).await.unwrap();
    let pause = ProbePause::begin(documents.clone(), function.clone(), Arc::clone(&clock)).await.unwrap();
    assert_eq!(pauses(&documents, &*clock).await, ["migration"]);
    tokio::time::sleep(minutes(12)).await;
    assert_eq!(pauses(&documents, &*clock).await, ["probe"], "the other one has ended");
    pause.end().await.unwrap();
    assert_eq!(pauses(&documents, &*clock).await, [""; 0]);
}
