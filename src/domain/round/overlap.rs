//! Lower bounds of the number of runs at the same time: the core overlap and the work bound.

use super::busy_interval::BusyInterval;

/// The approximate number of (interval, ping) pairs in the work bound, which limits the search to a few milliseconds.
const WORK_BOUND_PAIRS: usize = 65_536;

/// The minimum number of interval starts that the work bound tries.
const MIN_STARTS: usize = 8;

/// Returns the maximum of core overlap and work bound. The work bound is skipped when it cannot exceed `known`.
pub(super) fn most_at_a_time(runs: &[BusyInterval], known: u32) -> u32 {
    let most = count(runs.len());
    if most == 0 {
        return 0;
    }
    // One run is one environment, however short it was.
    let cores = core_overlap(runs).max(1);
    if cores.max(known) >= most { cores } else { cores.max(work_bound(runs)) }
}

/// Returns the maximum number of cores that share an instant. The core of a cold run extends back to the start of the
/// attempt, unless cold runs alone account for the number, which is then evidence of cold starts.
fn core_overlap(runs: &[BusyInterval]) -> u32 {
    let new = count(runs.iter().filter(|run| run.is_new).count());
    if new > 0 {
        let with_new = most_at_once(
            runs.iter().map(|run| (if run.is_new { i64::MIN } else { run.latest_start }, run.earliest_end)),
        );
        if with_new > new {
            return with_new;
        }
    }
    most_at_once(runs.iter().map(|run| (run.latest_start, run.earliest_end)))
}

/// Returns the maximum number of half-open intervals that share a point. Adjacent intervals do not, because an
/// environment can run two invocations back to back.
fn most_at_once(intervals: impl Iterator<Item = (i64, i64)>) -> u32 {
    let (mut starts, mut ends): (Vec<i64>, Vec<i64>) = intervals.filter(|(start, end)| start < end).unzip();
    starts.sort_unstable();
    ends.sort_unstable();
    let mut ended = ends.iter().peekable();
    let (mut open, mut most) = (0_u32, 0_u32);
    for start in starts {
        while ended.next_if(|end| **end <= start).is_some() {
            open -= 1;
        }
        open += 1;
        most = most.max(open);
    }
    most
}

/// Returns the maximum number of environments that the work inside any interval [a, b] requires.
///
/// The minimum work of run i inside [a, b] is at one of its two extremes, the earliest or the latest start: with l = r
/// − h, min(|[s, s + d] ∩ [a, b]|, |[l, l + d] ∩ [a, b]|). For a fixed a, this is a ramp in b with slope 1 from max(l,
/// a) until all of d, or the part of an early run after a, is counted. The quotient work ÷ (b − a) is therefore maximal
/// where some ramp ends, and one sweep over the sorted ends tries all candidates for b. Candidates for a are all s and
/// l, or an even selection of them above [`WORK_BOUND_PAIRS`]. Every interval that is tried gives a valid lower bound.
fn work_bound(runs: &[BusyInterval]) -> u32 {
    let mut starts_tried: Vec<i64> = runs.iter().flat_map(|run| [run.sent, run.latest_start]).collect();
    starts_tried.sort_unstable();
    starts_tried.dedup();
    let tried = (WORK_BOUND_PAIRS / runs.len().max(1)).max(MIN_STARTS);
    let step = starts_tried.len().div_ceil(tried).max(1);

    let mut best = 0;
    let mut bends: Vec<(i64, i64)> = Vec::with_capacity(2 * runs.len());
    for a in starts_tried.into_iter().step_by(step) {
        bends.clear();
        for run in runs {
            let rises = run.latest_start.max(a);
            let height = run.busy.min(run.earliest_end - a);
            if height > 0 {
                bends.push((rises, 1));
                bends.push((rises + height, -1));
            }
        }
        best = best.max(most_per_time(a, &mut bends));
    }
    best
}

/// Returns the maximum of ⌈work ÷ (b − a)⌉, where the work up to b is a sum of ramps, given by the `bends` (instant,
/// change of slope) at their ends.
fn most_per_time(a: i64, bends: &mut [(i64, i64)]) -> u32 {
    bends.sort_unstable();
    let (mut work, mut slope, mut at) = (0_i128, 0_i64, a);
    let mut best = 0;
    for &mut (b, change) in bends {
        work += i128::from(slope) * i128::from(b - at);
        at = b;
        slope += change;
        if change < 0 && b > a {
            let length = i128::from(b - a);
            best = best.max((work + length - 1) / length);
        }
    }
    u32::try_from(best).unwrap_or(0)
}

/// Converts a number of pings. A round has at most 100,000.
fn count(pings: usize) -> u32 {
    u32::try_from(pings).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::round::Outcome;
    use crate::domain::round::model::{cases, ping};

    #[test]
    fn runs_without_common_core_have_work_bound() {
        let pings = (0..50).map(|_| ping(Outcome::Warm, 0.0, 60.0, 25.0));
        let runs: Vec<BusyInterval> = pings.filter_map(|ping| BusyInterval::likely(&ping)).collect();
        assert_eq!((core_overlap(&runs), work_bound(&runs)), (0, 21));
    }

    /// Returns the minimum work of a run inside [a, b], from the definition.
    fn least_inside(run: &BusyInterval, a: i64, b: i64) -> i64 {
        let inside = |start: i64| (b.min(start + run.busy) - a.max(start)).max(0);
        (0..=10).map(|i| inside(run.sent + (run.latest_start - run.sent) * i / 10)).min().unwrap_or(0)
    }

    fn some_runs() -> impl Strategy<Value = Vec<BusyInterval>> {
        let run = (0_i64..30, 0_i64..20, 1_i64..20).prop_map(|(sent, slack, busy)| BusyInterval {
            sent,
            latest_start: sent + slack,
            earliest_end: sent + busy,
            busy,
            is_new: false,
        });
        prop::collection::vec(run, 1..10)
    }

    proptest! {
        #![proptest_config(cases(256))]

        /// The sweep finds the same bound as trying every interval of whole numbers, or one less, because it skips
        /// starts where two extremes cross.
        #[test]
        fn sweep_agrees_with_trying_every_interval(runs in some_runs()) {
            let mut best = 0;
            for a in 0..70 {
                for b in a + 1..71 {
                    let work: i64 = runs.iter().map(|run| least_inside(run, a, b)).sum();
                    best = best.max((work + b - a - 1) / (b - a));
                }
            }
            let found = i64::from(work_bound(&runs));
            prop_assert!(found <= best, "{found} > {best}");
            prop_assert!(found + 1 >= best, "{found} below {best} by more than one");
        }

        #[test]
        fn most_at_once_agrees_with_definition(intervals in prop::collection::vec((0_i64..50, 0_i64..50), 0..20)) {
            let at = |t: i64| intervals.iter().filter(|(start, end)| *start <= t && t < *end).count();
            let most = (0..50).map(at).max().unwrap_or(0);
            prop_assert_eq!(most_at_once(intervals.iter().copied()) as usize, most);
        }
    }
}
