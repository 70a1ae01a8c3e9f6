use proptest::prelude::*;

use super::*;

const IDLE: u64 = 300;
const CODE: u64 = 3600;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key(function: &str) -> Key {
    Key {
        scope: "1/eu".to_owned(),
        function: function.to_owned(),
        version: "1".to_owned(),
        tenant: None,
        provisioned: None,
    }
}

/// An occupancy from `now` for `busy` seconds, with 10 s for the code to arrive.
fn occupancy(now: u64, busy: u64, health: EnvironmentHealth) -> Occupancy {
    let until = now + busy;
    Occupancy {
        until: s(until),
        idle_until: s(until + IDLE),
        recycled_at: s(now + 7200),
        code_from: s(now + 10),
        code_until: s(until + CODE),
        health,
    }
}

fn place(pool: &mut Pool, now: u64, busy: u64) -> (u64, Placement) {
    let placed = pool
        .place(s(now), &key("f"), ConcurrencyLimit::Shared(1000), |_| {
            occupancy(now, busy, EnvironmentHealth::Healthy)
        })
        .unwrap();
    (placed.environment, placed.placement)
}

#[test]
fn the_newest_idle_environment_serves_the_next_request() {
    let mut pool = Pool::default();
    assert_eq!(place(&mut pool, 0, 20), (1, Placement::New));
    assert_eq!(place(&mut pool, 11, 4), (2, Placement::NewWithCode), "the first is busy, the code is cached");
    assert_eq!(place(&mut pool, 30, 1), (1, Placement::Idle), "1 became idle at 20, 2 at 15");
    assert_eq!(place(&mut pool, 32, 1), (1, Placement::Idle));
    assert_eq!(place(&mut pool, 32, 1), (2, Placement::Idle));
}

#[test]
fn an_environment_is_free_at_the_instant_its_run_ends() {
    let mut pool = Pool::default();
    place(&mut pool, 0, 20);
    assert_eq!(place(&mut pool, 20, 1), (1, Placement::Idle));
}

#[test]
fn six_concurrent_requests_are_six_full_cold_starts() {
    let mut pool = Pool::default();
    for n in 1..=6 {
        assert_eq!(place(&mut pool, 0, 20), (n, Placement::New));
    }
    assert_eq!(place(&mut pool, 9, 20), (7, Placement::New), "the code is still being fetched");
    assert_eq!(place(&mut pool, 11, 1), (8, Placement::NewWithCode));
}

#[test]
fn environments_are_removed_before_the_cached_code() {
    let mut pool = Pool::default();
    place(&mut pool, 0, 20);
    assert_eq!(place(&mut pool, 319, 1), (1, Placement::Idle), "idle for 299 s");
    assert_eq!(place(&mut pool, 620, 1), (2, Placement::NewWithCode), "idle for 300 s");
    assert_eq!(place(&mut pool, 621 + CODE, 1), (3, Placement::New), "the code is no longer cached");
}

#[test]
fn a_busy_environment_is_recycled() {
    let mut pool = Pool::default();
    for now in (0..7200).step_by(100) {
        assert_eq!(place(&mut pool, now, 1).0, 1);
    }
    assert_eq!(place(&mut pool, 7200, 1), (2, Placement::NewWithCode));
}

#[test]
fn a_reset_environment_keeps_its_place_and_initialises_again_with_a_new_number() {
    let mut pool = Pool::default();
    let place = |pool: &mut Pool, now, health| {
        pool.place(s(now), &key("f"), ConcurrencyLimit::Shared(9), |_| occupancy(now, 1, health)).unwrap()
    };
    assert_eq!(place(&mut pool, 0, EnvironmentHealth::Reset).environment, 1);
    assert_eq!(
        place(&mut pool, 2, EnvironmentHealth::Healthy),
        Assignment { environment: 2, placement: Placement::Reset }
    );
    assert_eq!(
        place(&mut pool, 4, EnvironmentHealth::Healthy),
        Assignment { environment: 2, placement: Placement::Idle }
    );
}

#[test]
fn reserved_and_shared_concurrency_are_counted_separately() {
    let mut pool = Pool::default();
    let mut request = |now: u64, function: &str, limit| {
        pool.place(s(now), &key(function), limit, |_| occupancy(now, 10, EnvironmentHealth::Healthy))
            .map(|placed| placed.environment)
    };
    assert_eq!(request(0, "mine", ConcurrencyLimit::Reserved(1)), Ok(1));
    assert_eq!(request(0, "mine", ConcurrencyLimit::Reserved(1)), Err(Throttle::ReservedConcurrency));
    assert_eq!(request(0, "a", ConcurrencyLimit::Shared(2)), Ok(2));
    assert_eq!(request(0, "b", ConcurrencyLimit::Shared(2)), Ok(3));
    assert_eq!(request(9, "a", ConcurrencyLimit::Shared(2)), Err(Throttle::Concurrency));
    assert_eq!(request(10, "a", ConcurrencyLimit::Shared(2)), Ok(2), "the run has ended");
    assert_eq!(request(10, "none", ConcurrencyLimit::Reserved(0)), Err(Throttle::ReservedConcurrency));
}

#[test]
fn ten_requests_a_second_for_each_unit_of_concurrency() {
    let mut pool = Pool::default();
    let mut request = |now_ms: u64, limit| {
        let now = Duration::from_millis(now_ms);
        let until = now + Duration::from_millis(1);
        let occupancy =
            Occupancy { until, idle_until: until + s(IDLE), ..occupancy(0, 1, EnvironmentHealth::Healthy) };
        pool.place(now, &key("f"), limit, |_| occupancy).map(|_| ())
    };
    for n in 0..10 {
        assert_eq!(request(n * 2, ConcurrencyLimit::Shared(1)), Ok(()));
        assert_eq!(request(n * 2, ConcurrencyLimit::Reserved(1)), Ok(()));
    }
    assert_eq!(request(30, ConcurrencyLimit::Shared(1)), Err(Throttle::Rate));
    assert_eq!(request(30, ConcurrencyLimit::Reserved(1)), Err(Throttle::ReservedRate));
    assert_eq!(request(1000, ConcurrencyLimit::Shared(1)), Ok(()));
}

#[test]
fn versions_and_regions_share_no_environment() {
    let mut pool = Pool::default();
    let mut request = |key: Key| {
        pool.place(s(0), &key, ConcurrencyLimit::Shared(9), |_| occupancy(0, 0, EnvironmentHealth::Healthy))
            .unwrap()
            .environment
    };
    assert_eq!(request(key("f")), 1);
    assert_eq!(request(key("f")), 1);
    assert_eq!(request(Key { version: "2".to_owned(), ..key("f") }), 2);
    assert_eq!(request(Key { scope: "1/us".to_owned(), ..key("f") }), 3);
    assert_eq!(request(Key { tenant: Some("a".to_owned()), ..key("f") }), 4);
}

/// A reference model of the pool: a list of all environments, searched completely for each request.
#[derive(Default)]
struct Model {
    environments: Vec<ModelEnvironment>,
    names: u64,
    code: Option<(Duration, Duration)>,
    limit: usize,
}

struct ModelEnvironment {
    name: u64,
    free_at: Duration,
    gone_at: Duration,
    recycled_at: Duration,
    needs_init: bool,
}

impl Model {
    fn place(&mut self, now: Duration, occupancy: Occupancy) -> Option<(u64, Placement)> {
        if self.environments.iter().filter(|e| e.free_at > now).count() >= self.limit {
            return None;
        }
        let newest = self
            .environments
            .iter_mut()
            .filter(|e| e.free_at <= now && e.gone_at > now)
            .max_by_key(|e| (e.free_at, e.name));
        let code = self.code.filter(|(_, until)| *until > now);
        let (name, placement) = match &newest {
            Some(e) if e.needs_init => (e.name, Placement::Reset),
            Some(e) => (e.name, Placement::Idle),
            None => {
                self.names += 1;
                let there = code.is_some_and(|(from, _)| from <= now);
                (self.names, if there { Placement::NewWithCode } else { Placement::New })
            }
        };
        let arrival = if placement == Placement::New { occupancy.code_from } else { Duration::MAX };
        let from = code.map_or(arrival, |(from, _)| from.min(arrival));
        self.code =
            Some((from, occupancy.code_until.max(self.code.map_or(Duration::ZERO, |(_, until)| until))));

        let mut next_name = name;
        if occupancy.health == EnvironmentHealth::Reset {
            self.names += 1;
            next_name = self.names;
        }
        let recycled_at = newest.as_ref().map_or(occupancy.recycled_at, |e| e.recycled_at);
        let after = ModelEnvironment {
            name: next_name,
            free_at: occupancy.until,
            gone_at: occupancy.idle_until.min(recycled_at).max(occupancy.until),
            recycled_at,
            needs_init: occupancy.health == EnvironmentHealth::Reset,
        };
        match newest {
            Some(e) => *e = after,
            None => self.environments.push(after),
        }
        Some((name, placement))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The pool and the reference model agree for any pauses, run times, idle lives and crashes.
    #[test]
    fn the_pool_agrees_with_the_reference_model(
        limit in 1_u32..8,
        requests in proptest::collection::vec((0_u64..40, 1_u64..60, 1_u64..80, 0_u64..200, 0_u8..8), 1..120),
    ) {
        let mut pool = Pool::default();
        let mut model = Model { limit: limit as usize, ..Model::default() };
        let mut now = Duration::ZERO;
        for (n, (pause, busy, idle, code, dice)) in requests.into_iter().enumerate() {
            // A nanosecond per request, so that no two runs end together, in an arbitrary order.
            now += s(pause) + Duration::from_nanos(1);
            let until = now + s(busy) + Duration::from_nanos(1000 * n as u64);
            let occupancy = Occupancy {
                until,
                idle_until: until + s(idle),
                recycled_at: now + s(400),
                code_from: now + s(5),
                code_until: until + s(idle + code),
                health: if dice == 0 { EnvironmentHealth::Reset } else { EnvironmentHealth::Healthy },
            };
            let placed = pool.place(now, &key("f"), ConcurrencyLimit::Shared(limit), |_| occupancy);
            let expected = model.place(now, occupancy);
            prop_assert_eq!(placed.ok().map(|placed| (placed.environment, placed.placement)), expected);
        }
    }
}

/// Poisson arrivals at 0.9 requests a second that run for 1.991 s, with an idle life of ten minutes: a published
/// simulation of a newest-first pool has 0.00135 cold starts per request, AWS measured 0.0015, and the formula of
/// estimates gives 0.00125.
#[test]
fn poisson_arrivals_have_the_cold_starts_of_the_formula() {
    const RATE: f64 = 0.9;
    const REQUESTS: u32 = 400_000;
    let run = Duration::from_secs_f64(1.991);
    let idle = Duration::from_secs(600);
    let mut pool = Pool::default();
    let mut rng = super::super::random::SeededRng::new(2026, "poisson");
    let mut now = Duration::ZERO;
    let mut cold = 0_u32;
    for _ in 0..REQUESTS {
        now += Duration::from_secs_f64(-(1.0 - rng.uniform()).ln() / RATE);
        let occupancy = |_| Occupancy {
            until: now + run,
            idle_until: now + run + idle,
            recycled_at: Duration::MAX,
            code_from: now,
            code_until: Duration::MAX,
            health: EnvironmentHealth::Healthy,
        };
        let placed = pool.place(now, &key("f"), ConcurrencyLimit::Shared(1000), occupancy).unwrap();
        cold += u32::from(matches!(placed.placement, Placement::New | Placement::NewWithCode));
    }
    let simulated = f64::from(cold) / f64::from(REQUESTS);
    let formula = crate::domain::cost::cold_starts_per_second(RATE, run, idle) / RATE;
    assert_eq!(format!("{formula:.5}"), "0.00125");
    // The formula assumes exponential pauses, which is nearly right: the published simulation differs by a tenth too.
    assert!((0.00120..0.00145).contains(&simulated), "simulated {simulated:.5}, formula {formula:.5}");
    assert!((simulated / formula - 1.0).abs() < 0.15, "simulated {simulated:.5}, formula {formula:.5}");
}
