//! The requests that the provisioned environments of a qualifier serve.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// The requests a second that each provisioned environment serves; more spill over. Source: Lambda quotas.
const REQUESTS_PER_SECOND: u32 = 10;
/// The seconds for which peaks are kept.
const KEPT: u64 = 6 * 3600;

/// The requests in flight, and their highest numbers in the seconds past.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Load {
    ends: BinaryHeap<Reverse<Duration>>,
    /// The requests of the present second.
    rate: (u64, u32),
    peaks: BTreeMap<u64, Peak>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Peak {
    /// The highest number of requests in flight at the start of one.
    started: u32,
    /// The number in flight at the beginning of the second.
    before: u32,
}

impl Load {
    /// Returns true if `available` environments may serve one more request in this second.
    pub(in crate::emulator) fn admits(&self, now: Duration, available: u32) -> bool {
        let requests = if self.rate.0 == now.as_secs() { self.rate.1 } else { 0 };
        requests < available.saturating_mul(REQUESTS_PER_SECOND)
    }

    /// Counts a request that occupies an environment from `from` to `until`.
    pub(in crate::emulator) fn start(&mut self, from: Duration, until: Duration) {
        let second = from.as_secs();
        self.rate = (second, if self.rate.0 == second { self.rate.1.saturating_add(1) } else { 1 });
        while self.ends.peek().is_some_and(|Reverse(end)| *end <= from) {
            self.ends.pop();
        }
        self.ends.push(Reverse(until));
        let started = &mut self.peaks.entry(second).or_default().started;
        *started = (*started).max(u32::try_from(self.ends.len()).unwrap_or(u32::MAX));
        for later in (second + 1..).take_while(|later| Duration::from_secs(*later) < until) {
            self.peaks.entry(later).or_default().before += 1;
        }
        while self.peaks.first_key_value().is_some_and(|(first, _)| *first + KEPT < second) {
            self.peaks.pop_first();
        }
    }

    /// Returns the highest number of requests in flight in the minute that ends at `end`, in whole seconds; 0 without
    /// any.
    pub(super) fn peak(&self, end: Duration) -> u32 {
        let end = end.as_secs();
        let minute = self.peaks.range(end.saturating_sub(60)..end);
        minute.map(|(_, peak)| peak.started.max(peak.before)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn peaks_are_the_highest_overlap_of_a_minute() {
        let mut load = Load::default();
        for (from, until) in
            [(1_000, 2_000), (1_500, 2_500), (2_000, 2_100), (59_900, 130_000), (59_950, 60_000)]
        {
            load.start(ms(from), ms(until));
        }
        let peaks = [0, 1, 2, 60, 61, 62, 120, 180, 189, 190].map(|end| load.peak(ms(end * 1000)));
        assert_eq!(peaks, [0, 0, 2, 2, 2, 2, 1, 1, 1, 0]);
    }

    #[test]
    fn ten_requests_a_second_for_each_environment() {
        let mut load = Load::default();
        let mut served = |from: u64, requests: u64| {
            let mut count = 0;
            for at in from..from + requests {
                if load.admits(ms(at), 2) {
                    load.start(ms(at), ms(at + 1));
                    count += 1;
                }
            }
            count
        };
        assert_eq!(
            [served(1_000, 30), served(1_500, 30), served(2_000, 30), served(9_000, 5)],
            [20, 0, 20, 5]
        );
        assert!(!load.admits(ms(20_000), 0));
    }

    #[test]
    fn peaks_are_not_kept_forever() {
        let mut load = Load::default();
        for second in 0..KEPT + 5000 {
            load.start(ms(second * 1000), ms(second * 1000 + 10));
        }
        assert_eq!(load.peaks.len() as u64, KEPT + 1);
    }
}
