use std::time::Duration;

use super::*;

fn totals(groups: &[(usize, u64)]) -> Vec<Duration> {
    let group = |(number, ms): &(usize, u64)| {
        (0..*number as u64).map(|n| Duration::from_millis(*ms + n)).collect::<Vec<_>>()
    };
    groups.iter().flat_map(group).collect()
}

#[test]
fn five_samples_on_each_side_and_a_factor_of_three_tell_semi_cold_starts_apart() {
    let threshold = semi_cold_below(&totals(&[(5, 90_000), (5, 6_500)])).unwrap();
    assert!((7_000..90_000).contains(&threshold.as_millis()), "{threshold:?}");
    for unclear in [
        &[(4, 90_000), (5, 6_500)][..],
        &[(5, 90_000), (4, 6_500)],
        &[(5, 15_000), (5, 6_500)],
        &[(9, 90)],
        &[],
    ] {
        assert_eq!(semi_cold_below(&totals(unclear)), None, "{unclear:?}");
    }
}

#[test]
fn the_largest_gap_decides() {
    // Three groups: the gap of a factor of 20 has too few samples above it, and no other gap counts.
    assert_eq!(semi_cold_below(&totals(&[(6, 1_000), (6, 4_000), (2, 90_000)])), None);
}

#[test]
fn the_threshold_is_without_the_hold() {
    const HOLD: Duration = Duration::from_secs(10);
    let sample = |wait: Duration| Measured {
        sent: Duration::from_secs(1),
        received: Duration::from_secs(1) + HOLD + wait,
        hold: HOLD,
        start: Some(Start::Cold),
        init: None,
        duration: None,
        billed: None,
        memory_mb: None,
        environment: None,
        failure: None,
    };
    let mut samples: Vec<Measured> = totals(&[(5, 4_000), (5, 1_000)]).into_iter().map(sample).collect();
    let threshold = classify(samples.iter_mut()).unwrap();
    assert!((1_004..4_000).contains(&threshold.as_millis()), "{threshold:?}");
    let starts: Vec<_> = samples.iter().filter_map(|sample| sample.start).collect();
    assert_eq!(starts, [[Start::Cold; 5], [Start::SemiCold; 5]].concat());
}
