use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::probe::Start;

const ARTICLE: [u64; 5] = [0, 6, 16, 31, 61];

fn minutes(number: u64) -> Duration {
    Duration::from_secs(number * 60)
}

fn plan(repeats: usize, is_until_cold: bool) -> IdlePlan {
    IdlePlan::new(&ARTICLE.map(minutes), repeats, is_until_cold)
}

/// A function on a clock of its own, with one environment at most.
struct Function {
    now: Duration,
    life: Duration,
    init: Duration,
    /// The begin of the environment, and the end of its last run.
    environment: Option<(Duration, Duration)>,
    network: Duration,
}

impl Function {
    fn new(life: Duration, init: Duration) -> Self {
        Self { now: Duration::ZERO, life, init, environment: None, network: Duration::from_millis(15) }
    }

    fn ping(&mut self) -> Measured {
        const RUN: Duration = Duration::from_millis(65);
        const REPLACED_AFTER: Duration = Duration::from_secs(2 * 3_600);
        let sent = self.now;
        let arrived = sent + self.network;
        let alive = self
            .environment
            .filter(|(begun, ended)| arrived - *ended < self.life && arrived - *begun < REPLACED_AFTER);
        let init = if alive.is_some() { Duration::ZERO } else { self.init };
        let ended = arrived + init + RUN;
        self.environment = Some((alive.map_or(arrived, |(begun, _)| begun), ended));
        self.now = ended + self.network;
        Measured {
            sent,
            received: self.now,
            hold: Duration::ZERO,
            start: Some(if alive.is_some() { Start::Warm } else { Start::Cold }),
            init: alive.is_none().then_some(init),
            duration: Some(RUN),
            billed: Some(RUN),
            memory_mb: Some(512),
            environment: None,
            failure: None,
        }
    }

    fn probe(&mut self, plan: &mut IdlePlan) {
        let mut pings = 0;
        while let Some(gap) = plan.next() {
            self.now += gap;
            let ping = self.ping();
            plan.note(ping, false);
            pings += 1;
            assert!(pings < 500, "{plan:?}");
        }
    }
}

fn in_minutes(bracket: Bracket) -> (Option<u64>, Option<u64>) {
    let minutes = |gap: Option<Duration>| gap.map(|gap| gap.as_secs() / 60);
    (minutes(bracket.longest_warm), minutes(bracket.shortest_cold))
}

#[test]
fn the_articles_instants_are_gaps_of_6_10_15_and_30_minutes() {
    let plan = plan(1, false);
    assert_eq!((plan.pings(), plan.length()), (5, minutes(61)));
    assert_eq!(plan.gaps, [0, 6, 10, 15, 30].map(minutes));
}

#[test]
fn a_life_of_20_minutes_is_between_15_and_30() {
    let mut plan = plan(1, false);
    Function::new(minutes(20), Duration::from_secs(6)).probe(&mut plan);
    assert_eq!(in_minutes(plan.bracket()), (Some(15), Some(30)));
    let starts: Vec<_> = plan.gaps().0.iter().filter_map(|gap| gap.ping.start).map(Start::name).collect();
    assert_eq!(starts, ["cold", "warm", "warm", "warm", "cold"]);
}

#[test]
fn a_life_of_5_minutes_is_below_6_although_the_first_start_takes_90_seconds() {
    let mut plan = plan(1, false);
    Function::new(minutes(5), Duration::from_secs(90)).probe(&mut plan);
    assert_eq!(in_minutes(plan.bracket()), (None, Some(6)));
}

#[test]
fn repeats_go_on_from_the_last_ping() {
    let mut plan = plan(3, false);
    assert_eq!((plan.pings(), plan.length()), (13, minutes(183)));
    Function::new(minutes(20), Duration::from_secs(6)).probe(&mut plan);
    assert_eq!(plan.gaps().0.len(), 13);
    assert_eq!(in_minutes(plan.bracket()), (Some(15), Some(30)));
}

#[test]
fn disturbed_and_failed_pings_have_no_effect() {
    let mut plan = IdlePlan::new(&[0, 6, 12, 18].map(minutes), 1, false);
    let mut function = Function::new(minutes(20), Duration::from_secs(6));
    for (index, is_disturbed) in [false, true, false, false].into_iter().enumerate() {
        function.now += plan.next().unwrap();
        let ping = function.ping();
        let ping = if index == 2 { Measured { start: None, ..ping } } else { ping };
        plan.note(ping, is_disturbed);
    }
    assert_eq!(plan.bracket(), Bracket::default(), "disturbed, failed, and after a failed one");
}

#[test]
fn an_environment_that_may_have_been_replaced_proves_nothing() {
    // Warm for 95 minutes, then replaced for its age.
    let mut plan = IdlePlan::new(&(0..=13).map(|step| minutes(step * 10)).collect::<Vec<_>>(), 1, false);
    Function::new(minutes(20), Duration::from_secs(1)).probe(&mut plan);
    assert!(plan.gaps().0.iter().skip(1).any(|gap| gap.ping.start == Some(Start::Cold)));
    assert_eq!(in_minutes(plan.bracket()), (Some(10), None));
}

#[test]
fn an_interval_needs_five_repeats() {
    let bracket = Bracket { longest_warm: Some(minutes(15)), shortest_cold: Some(minutes(30)) };
    assert_eq!(interval(&bracket, 4), None);
    assert_eq!(interval(&bracket, 5), Some(minutes(12)));
    // Four fifths of 14 minutes are 11 minutes and 12 seconds.
    assert_eq!(interval(&Bracket { longest_warm: Some(minutes(14)), ..bracket }, 5), Some(minutes(11)));
    assert_eq!(interval(&Bracket { longest_warm: Some(minutes(1)), ..bracket }, 5), None);
    // The life differs: the shortest one counts.
    assert_eq!(interval(&Bracket { shortest_cold: Some(minutes(10)), ..bracket }, 5), Some(minutes(8)));
}

#[test]
fn gaps_with_invocations_of_others_have_no_effect() {
    let begun: DateTime<Utc> = "2026-11-20T09:00:10Z".parse().unwrap();
    let marked = |invocations: &[(i64, u64)]| -> Vec<bool> {
        let mut plan = IdlePlan::new(&[0, 6, 16].map(minutes), 1, false);
        Function::new(minutes(20), Duration::from_secs(6)).probe(&mut plan);
        let minute = |after: i64| Minute::of(begun).plus(after);
        plan.mark(begun, &invocations.iter().map(|(after, number)| (minute(*after), *number)).collect());
        plan.gaps().0.iter().map(|gap| gap.is_disturbed).collect()
    };
    assert_eq!(marked(&[(0, 1), (6, 1), (16, 1)]), [false; 3], "the pings of the probe");
    assert_eq!(marked(&[]), [false; 3], "no metrics yet");
    assert_eq!(marked(&[(0, 1), (3, 1), (6, 1), (16, 1)]), [false, true, false]);
    assert_eq!(marked(&[(0, 1), (6, 2), (16, 1)]), [false, true, true], "in the minute of a ping");
    assert_eq!(marked(&[(0, 1), (6, 1), (16, 1), (17, u64::MAX)]), [false; 3], "after the probe");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_bracket_has_the_truth(life_s in 30_u64..7_000, init_ms in 10_u64..90_000, repeats in 1_usize..3) {
        let life = Duration::from_secs(life_s);
        for is_until_cold in [false, true] {
            let mut plan = plan(repeats, is_until_cold);
            Function::new(life, Duration::from_millis(init_ms)).probe(&mut plan);
            let Bracket { longest_warm, shortest_cold } = plan.bracket();
            prop_assert!(longest_warm.is_none_or(|warm| warm < life), "{:?}", plan.bracket());
            prop_assert!(shortest_cold.is_none_or(|cold| cold >= life), "{:?}", plan.bracket());
            if is_until_cold && life < minutes(88) && life > minutes(1) {
                let width = shortest_cold.unwrap() - longest_warm.unwrap_or_default();
                prop_assert!(width <= minutes(1) + Duration::from_secs(1), "{:?}", plan.bracket());
            }
        }
    }
}
