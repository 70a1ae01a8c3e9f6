use proptest::prelude::*;

use super::*;

const IDLE: u64 = 300;
const CODE: u64 = 3600;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key(function: &str) -> Key {
    Key { place: "1/eu".to_owned(), function: function.to_owned(), version: "1".to_owned() }
}

/// A stay from `now` for `busy` seconds, with 10 s for the code to arrive.
fn stay(now: u64, busy: u64, health: Health) -> Stay {
    let until = now + busy;
    Stay {
        until: s(until),
        idle_until: s(until + IDLE),
        recycled_at: s(now + 7200),
        code_from: s(now + 10),
        code_until: s(until + CODE),
        health,
    }
}

fn place(pool: &mut Pool, now: u64, busy: u64) -> (u64, Met) {
    let placed =
        pool.place(s(now), &key("f"), Limit::Shared(1000), |_| stay(now, busy, Health::Well)).unwrap();
    (placed.environment, placed.met)
}

#[test]
fn requests_in_turn_share_one_environment_and_the_newest_idle_one_is_taken() {
    let mut pool = Pool::default();
    assert_eq!(place(&mut pool, 0, 20), (1, Met::New));
    assert_eq!(place(&mut pool, 11, 4), (2, Met::NewWithCode), "the first is busy, the code is there");
    assert_eq!(place(&mut pool, 30, 1), (1, Met::Idle), "1 became idle at 20, 2 at 15");
    assert_eq!(place(&mut pool, 32, 1), (1, Met::Idle));
    assert_eq!(place(&mut pool, 32, 1), (2, Met::Idle));
}

#[test]
fn an_environment_is_free_at_the_very_instant_its_run_ends() {
    let mut pool = Pool::default();
    place(&mut pool, 0, 20);
    assert_eq!(place(&mut pool, 20, 1), (1, Met::Idle));
}

#[test]
fn six_at_once_are_six_full_cold_starts() {
    let mut pool = Pool::default();
    for n in 1..=6 {
        assert_eq!(place(&mut pool, 0, 20), (n, Met::New));
    }
    assert_eq!(place(&mut pool, 9, 20), (7, Met::New), "the code is still on its way");
    assert_eq!(place(&mut pool, 11, 1), (8, Met::NewWithCode));
}

#[test]
fn environments_go_before_the_code_does() {
    let mut pool = Pool::default();
    place(&mut pool, 0, 20);
    assert_eq!(place(&mut pool, 319, 1), (1, Met::Idle), "idle for 299 s");
    assert_eq!(place(&mut pool, 620, 1), (2, Met::NewWithCode), "idle for 300 s");
    assert_eq!(place(&mut pool, 621 + CODE, 1), (3, Met::New), "the code has gone too");
}

#[test]
fn a_busy_life_ends_at_recycling() {
    let mut pool = Pool::default();
    for now in (0..7200).step_by(100) {
        assert_eq!(place(&mut pool, now, 1).0, 1);
    }
    assert_eq!(place(&mut pool, 7200, 1), (2, Met::NewWithCode));
}

#[test]
fn a_reset_environment_keeps_its_place_and_initialises_again_under_another_name() {
    let mut pool = Pool::default();
    let crash = |pool: &mut Pool, now, health| {
        pool.place(s(now), &key("f"), Limit::Shared(9), |_| stay(now, 1, health)).unwrap()
    };
    assert_eq!(crash(&mut pool, 0, Health::Reset).environment, 1);
    assert_eq!(crash(&mut pool, 2, Health::Well), Placement { environment: 2, met: Met::Reset });
    assert_eq!(crash(&mut pool, 4, Health::Well), Placement { environment: 2, met: Met::Idle });
}

#[test]
fn reserved_and_shared_concurrency_are_counted_apart_and_refused_with_their_reasons() {
    let mut pool = Pool::default();
    let mut ask = |now: u64, function: &str, limit| {
        pool.place(s(now), &key(function), limit, |_| stay(now, 10, Health::Well))
            .map(|placed| placed.environment)
    };
    assert_eq!(ask(0, "mine", Limit::Reserved(1)), Ok(1));
    assert_eq!(ask(0, "mine", Limit::Reserved(1)), Err(Refusal::ReservedConcurrency));
    assert_eq!(ask(0, "a", Limit::Shared(2)), Ok(2));
    assert_eq!(ask(0, "b", Limit::Shared(2)), Ok(3));
    assert_eq!(ask(9, "a", Limit::Shared(2)), Err(Refusal::Concurrency));
    assert_eq!(ask(10, "a", Limit::Shared(2)), Ok(2), "the run has ended");
    assert_eq!(ask(10, "none", Limit::Reserved(0)), Err(Refusal::ReservedConcurrency));
}

#[test]
fn ten_requests_a_second_for_each_unit_of_concurrency() {
    let mut pool = Pool::default();
    let mut ask = |now_ms: u64, limit| {
        let now = Duration::from_millis(now_ms);
        let until = now + Duration::from_millis(1);
        let stay = Stay { until, idle_until: until + s(IDLE), ..stay(0, 1, Health::Well) };
        pool.place(now, &key("f"), limit, |_| stay).map(|_| ())
    };
    for n in 0..10 {
        assert_eq!(ask(n * 2, Limit::Shared(1)), Ok(()));
        assert_eq!(ask(n * 2, Limit::Reserved(1)), Ok(()));
    }
    assert_eq!(ask(30, Limit::Shared(1)), Err(Refusal::Rate));
    assert_eq!(ask(30, Limit::Reserved(1)), Err(Refusal::ReservedRate));
    assert_eq!(ask(1000, Limit::Shared(1)), Ok(()));
}

#[test]
fn versions_and_places_share_no_environment() {
    let mut pool = Pool::default();
    let mut ask = |key: Key| {
        pool.place(s(0), &key, Limit::Shared(9), |_| stay(0, 0, Health::Well)).unwrap().environment
    };
    assert_eq!(ask(key("f")), 1);
    assert_eq!(ask(key("f")), 1);
    assert_eq!(ask(Key { version: "2".to_owned(), ..key("f") }), 2);
    assert_eq!(ask(Key { place: "1/us".to_owned(), ..key("f") }), 3);
}

/// The same pool, told as plainly as can be: a list of every environment that ever was, searched whole each time.
#[derive(Default)]
struct Plain {
    environments: Vec<PlainEnvironment>,
    names: u64,
    code: Option<(Duration, Duration)>,
    limit: usize,
}

struct PlainEnvironment {
    name: u64,
    free_at: Duration,
    gone_at: Duration,
    recycled_at: Duration,
    needs_init: bool,
}

impl Plain {
    fn place(&mut self, now: Duration, stay: Stay) -> Option<(u64, Met)> {
        if self.environments.iter().filter(|e| e.free_at > now).count() >= self.limit {
            return None;
        }
        let newest = self
            .environments
            .iter_mut()
            .filter(|e| e.free_at <= now && e.gone_at > now)
            .max_by_key(|e| (e.free_at, e.name));
        let code = self.code.filter(|(_, until)| *until > now);
        let (name, met) = match &newest {
            Some(e) if e.needs_init => (e.name, Met::Reset),
            Some(e) => (e.name, Met::Idle),
            None => {
                self.names += 1;
                let there = code.is_some_and(|(from, _)| from <= now);
                (self.names, if there { Met::NewWithCode } else { Met::New })
            }
        };
        let arrival = if met == Met::New { stay.code_from } else { Duration::MAX };
        let from = code.map_or(arrival, |(from, _)| from.min(arrival));
        self.code = Some((from, stay.code_until.max(self.code.map_or(Duration::ZERO, |(_, until)| until))));

        let mut next_name = name;
        if stay.health == Health::Reset {
            self.names += 1;
            next_name = self.names;
        }
        let recycled_at = newest.as_ref().map_or(stay.recycled_at, |e| e.recycled_at);
        let after = PlainEnvironment {
            name: next_name,
            free_at: stay.until,
            gone_at: stay.idle_until.min(recycled_at).max(stay.until),
            recycled_at,
            needs_init: stay.health == Health::Reset,
        };
        match newest {
            Some(e) => *e = after,
            None => self.environments.push(after),
        }
        Some((name, met))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Pauses, run times, idle lives and crashes of any kind: the pool and the plain list agree on each request.
    #[test]
    fn the_pool_agrees_with_a_plain_list(
        limit in 1_u32..8,
        asks in proptest::collection::vec((0_u64..40, 1_u64..60, 1_u64..80, 0_u64..200, 0_u8..8), 1..120),
    ) {
        let mut pool = Pool::default();
        let mut plain = Plain { limit: limit as usize, ..Plain::default() };
        let mut now = Duration::ZERO;
        for (n, (pause, busy, idle, code, dice)) in asks.into_iter().enumerate() {
            // A nanosecond for each request, so that no two runs end together: the order would be arbitrary.
            now += s(pause) + Duration::from_nanos(1);
            let until = now + s(busy) + Duration::from_nanos(1000 * n as u64);
            let stay = Stay {
                until,
                idle_until: until + s(idle),
                recycled_at: now + s(400),
                code_from: now + s(5),
                code_until: until + s(idle + code),
                health: if dice == 0 { Health::Reset } else { Health::Well },
            };
            let placed = pool.place(now, &key("f"), Limit::Shared(limit), |_| stay);
            let expected = plain.place(now, stay);
            prop_assert_eq!(placed.ok().map(|placed| (placed.environment, placed.met)), expected);
        }
    }
}

/// Poisson arrivals at 0.9 requests a second that run for 1.991 s, with an idle life of ten minutes: a published simulation
/// of the newest-first pool made 0.00135 of them cold, AWS measured 0.0015, and the formula of estimates says 0.00125.
#[test]
fn poisson_arrivals_are_cold_as_often_as_the_formula_says() {
    const RATE: f64 = 0.9;
    const REQUESTS: u32 = 400_000;
    let run = Duration::from_secs_f64(1.991);
    let idle = Duration::from_secs(600);
    let mut pool = Pool::default();
    let mut chance = super::super::chance::Chance::of(2026, "poisson");
    let mut now = Duration::ZERO;
    let mut cold = 0_u32;
    for _ in 0..REQUESTS {
        now += Duration::from_secs_f64(-(1.0 - chance.uniform()).ln() / RATE);
        let stay = |_| Stay {
            until: now + run,
            idle_until: now + run + idle,
            recycled_at: Duration::MAX,
            code_from: now,
            code_until: Duration::MAX,
            health: Health::Well,
        };
        let placed = pool.place(now, &key("f"), Limit::Shared(1000), stay).unwrap();
        cold += u32::from(matches!(placed.met, Met::New | Met::NewWithCode));
    }
    let simulated = f64::from(cold) / f64::from(REQUESTS);
    let formula = crate::domain::cost::cold_starts_per_second(RATE, run, idle) / RATE;
    assert_eq!(format!("{formula:.5}"), "0.00125");
    // The formula takes pauses to be exponential, which they are nearly: a tenth off, as the published simulation is.
    assert!((0.00120..0.00145).contains(&simulated), "simulated {simulated:.5}, formula {formula:.5}");
    assert!((simulated / formula - 1.0).abs() < 0.15, "simulated {simulated:.5}, formula {formula:.5}");
}
