//! Capacity over HTTP: the service with the real SDK against the emulator, on virtual time. Random schedules under
//! faults, two writers, and processes that are killed.

mod killed;
mod random;
mod world;
mod writers;

/// Runs fleets with these seeds.
async fn run(seeds: [u64; 3]) {
    let mut figures = random::Figures::default();
    for seed in seeds {
        figures += random::run(seed, 10, 120).await;
    }
    assert!(figures.violations.is_empty(), "{}", figures.violations.join("\n"));
    assert!(figures.reached > 500 && figures.ours > 0, "{figures:?}");
    let kinds = ["killed", "restarted"].map(|kind| figures.faults.contains_key(kind));
    assert_eq!(kinds, [true, true], "{:?}", figures.faults);
}

#[tokio::test(start_paused = true)]
async fn random_schedules_reach_their_numbers_and_leave_nothing() {
    run([1, 2, 3]).await;
}

#[tokio::test(start_paused = true)]
async fn more_random_schedules_reach_their_numbers_and_leave_nothing() {
    run([4, 5, 54]).await;
}
