//! 10,000 random rounds of the emulator's model: no ping is called preinitialized if its init began after the request.

use std::time::Duration;

use super::super::handler;
use super::super::log::{self, Context};
use super::super::pool::{ConcurrencyLimit, Key, Pool};
use super::super::profile::{Ahead, HoldBehavior, LogFormat, Network, Package, Preset, Span};
use super::*;
use crate::domain::protocol::Protocol;
use crate::domain::round::{
    Answer, Attempt, Known, Outcome, PingResult, RawInvocation, RoundReport, classify,
};

/// The time of the round, from the emulator's origin.
const ROUND: Duration = Duration::from_secs(3_600);

/// A round of a random function.
struct Round {
    profile: Profile,
    /// The hold that the pings request.
    hold: Duration,
    pings: usize,
    /// The environments that are idle before the round.
    idle: usize,
    /// The provisioned environments, which were never used.
    provisioned: usize,
}

/// A ping, and the truth about it.
struct Ping {
    result: PingResult,
    /// True if the init of its environment began before the request was sent.
    began_before: bool,
    /// True if the init ended before the request was sent.
    ended_before: bool,
    /// The time that it waited for the handler, network included.
    waited: Duration,
    start: Start,
    placement: Placement,
}

impl Round {
    fn random(rng: &mut SeededRng) -> Self {
        let ms = Duration::from_millis;
        let mut up_to = |most: u64| (rng.uniform() * most as f64) as u64;
        let hold = ms(if up_to(5) == 0 { 0 } else { 5 + up_to(200) });
        let behavior = match up_to(3) {
            0 => HoldBehavior::AsRequested,
            1 => HoldBehavior::Ignored,
            _ => HoldBehavior::Fixed(ms(up_to(250))),
        };
        let keeps = match behavior {
            HoldBehavior::AsRequested => true,
            HoldBehavior::Ignored => hold.is_zero(),
            HoldBehavior::Fixed(fixed) => fixed >= hold,
        };
        // A handler that breaks the hold is alike on every ping, and so is its network: where they vary by more than
        // the hold, an extension can hide it.
        let ping = Span::between(ms(0), ms(if keeps { up_to(8) } else { 0 }));
        let sigma = if keeps { up_to(10) as f64 / 10.0 } else { 0.0 };
        let extension = match up_to(4) {
            0 => Span::millis(0),
            1 => Span::between(ms(0), ms(up_to(400))),
            2 => Span::millis(up_to(400)),
            // About as long as the hold.
            _ => Span::from(hold + ms(up_to(4))),
        };
        let ahead = Ahead { share: up_to(5) as f64 / 4.0, by: Span::between(ms(0), ms(up_to(3_000))) };
        let profile = Profile {
            package: if up_to(2) == 0 { Package::Zip } else { Package::Image },
            fetch: Span::between(ms(0), ms(up_to(300))),
            init: Span::between(ms(1), ms(1 + up_to(1_500))),
            ahead: Some(ahead).filter(|_| up_to(4) > 0),
            log: if up_to(2) == 0 { LogFormat::Text } else { LogFormat::Json },
            network: Network { median: ms(up_to(80)), sigma },
            hold: behavior,
            ping,
            extension,
            ..Profile::python()
        };
        let [idle, provisioned] = [up_to(4) as usize, up_to(8).saturating_sub(5) as usize];
        Self { profile, hold, pings: 1 + up_to(8) as usize, idle, provisioned }
    }

    fn key(provisioned: bool) -> Key {
        Key {
            scope: "s".to_owned(),
            function: "f".to_owned(),
            version: "1".to_owned(),
            tenant: None,
            provisioned: provisioned.then(|| "live".to_owned()),
        }
    }

    fn run(&self, rng: &mut SeededRng) -> Vec<Ping> {
        let Self { profile, .. } = self;
        let mut pool = Pool::default();
        for _ in 0..self.idle {
            let work = (Duration::from_millis(100), HandlerOutcome::Success);
            let samples = Samples::new(profile, rng, "1", work);
            let earlier = ROUND - Duration::from_secs(60);
            let occupy = |placement| {
                Execution::new(earlier, placement, profile, &samples).occupancy(profile, &samples)
            };
            pool.place(earlier, &Self::key(false), ConcurrencyLimit::Shared(100), occupy).unwrap();
        }
        let mut arrivals: Vec<Duration> =
            (0..self.pings).map(|_| rng.network_delay(profile.network)).collect();
        arrivals.sort_unstable();
        arrivals
            .into_iter()
            .enumerate()
            .map(|(index, there)| self.ping(index, there, &mut pool, rng))
            .collect()
    }

    /// Runs the ping that arrives `there` after it was sent.
    fn ping(&self, index: usize, there: Duration, pool: &mut Pool, rng: &mut SeededRng) -> Ping {
        let Self { profile, hold, .. } = self;
        let hold = match profile.hold {
            HoldBehavior::AsRequested => *hold,
            HoldBehavior::Ignored => Duration::ZERO,
            HoldBehavior::Fixed(fixed) => fixed,
        };
        let work = hold + rng.within(profile.ping);
        let samples = Samples::new(profile, rng, "1", (work, HandlerOutcome::Success));
        let (arrived, is_provisioned) = (ROUND + there, index < self.provisioned);
        let mut ran = None;
        let placed =
            pool.place(arrived, &Self::key(is_provisioned), ConcurrencyLimit::Shared(100), |placement| {
                let execution = Execution::new(arrived, placement, profile, &samples);
                let occupancy = execution.occupancy(profile, &samples);
                ran = Some(execution);
                occupancy
            });
        let (assignment, execution) = (placed.unwrap(), ran.unwrap());
        let received = execution.answered + rng.network_delay(profile.network) - ROUND;

        let request_id = rng.uuid();
        let context =
            Context { request_id: &request_id, version: "1", time: "2026-11-20T09:00:00Z".parse().unwrap() };
        let kind = if is_provisioned { "provisioned-concurrency" } else { "on-demand" };
        let id = format!("e{}", assignment.environment);
        let answer = Answer::Responded {
            function_error: None,
            log_result: Some(log::tail(&execution, profile, context)),
            payload: handler::answer(Preset::Warmd, &id, kind).to_string().into_bytes(),
            executed_version: Some("1".to_owned()),
            request_id: Some(request_id.clone()),
        };
        let raw = RawInvocation { sent: Duration::ZERO, received, answer };
        let ahead = samples.ahead.filter(|_| execution.start == Start::Preinitialized);
        let prepared = assignment.placement == Placement::Prepared;
        let ended_by = |time: Duration| ahead.is_some_and(|ahead| ahead > there + time);
        Ping {
            result: classify(&Protocol::Warmd, raw),
            began_before: prepared || ended_by(Duration::ZERO),
            ended_before: prepared || ended_by(execution.init.unwrap_or_default()),
            waited: received - work,
            start: execution.start,
            placement: assignment.placement,
        }
    }
}

#[test]
fn no_init_that_began_after_the_request_is_called_preinitialized() {
    let (mut claimed, mut missed, mut by_hold, mut after) = (0, 0, 0, 0);
    for seed in 0..10_000 {
        let mut rng = SeededRng::new(seed, "rounds");
        let round = Round::random(&mut rng);
        let pings = round.run(&mut rng);
        let hold = Some(round.hold).filter(|hold| !hold.is_zero());
        let results = pings.iter().map(|ping| ping.result.clone()).collect();
        let attempt = Attempt { hold, handler_hold: hold, pings: results, resent: 0 }.with_starts();
        let has_warm = attempt.pings.iter().any(|ping| ping.outcome == Outcome::Warm);
        let keeps = round.profile.hold == HoldBehavior::AsRequested;
        let is_proven = match hold {
            Some(_) => keeps && has_warm && round.profile.extension.most.is_zero(),
            None => !matches!(round.profile.hold, HoldBehavior::Fixed(_)),
        };
        let (slack, mut longest) = (Duration::from_millis(2), Duration::ZERO);
        for (ping, result) in pings.iter().zip(&attempt.pings) {
            let is_claimed = result.outcome == Outcome::Preinitialized;
            assert!(!is_claimed || ping.began_before, "seed {seed}: {result:?}");
            after += u32::from(!ping.began_before && result.outcome == Outcome::Cold);
            let init = result.report.as_ref().and_then(|report| report.init_ms).unwrap_or(0.0);
            // The whole init came before, and it was longer than the rest.
            let rest = result.received.saturating_sub(round.hold) + slack;
            let is_long = rest.as_secs_f64() * 1e3 < init;
            if ping.ended_before && is_long && is_proven {
                assert!(is_claimed, "seed {seed}: {result:?}");
                by_hold += u32::from(hold.is_some());
            }
            if is_claimed && ping.placement != Placement::Prepared {
                longest = longest.max(ping.waited);
            }
            claimed += u32::from(is_claimed);
            missed += u32::from(ping.ended_before && !is_claimed);
        }

        let report = RoundReport::new(1, &[attempt], true, Known::default());
        let on_demand = || pings.iter().filter(|ping| ping.placement != Placement::Prepared);
        let new = on_demand().filter(|ping| !matches!(ping.start, Start::Warm)).count();
        let kinds = report.counts.new_environments();
        assert_eq!((kinds.cold + kinds.preinitialized) as usize, new, "seed {seed}");
        assert_eq!(kinds.preinitialized > 0, report.waited_at_most.is_some(), "seed {seed}");
        assert!(!keeps || longest <= report.waited_at_most.unwrap_or_default(), "seed {seed}: {longest:?}");
        let proven = report.reached.unwrap_or(0) as usize;
        assert!(proven <= pings.len() && report.cold_starts == u32::try_from(new).ok(), "seed {seed}");
    }
    assert!(claimed > 5_000 && after > 5_000 && by_hold > 300, "{claimed} {missed} {by_hold} {after}");
}
