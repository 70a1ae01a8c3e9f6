//! The course of a burst: the queue and the environments in use, second by second, and the waits of the requests.

use std::collections::VecDeque;

use rust_decimal::Decimal;

use super::arrivals::{Arrivals, MOST_SECONDS, Rate};

/// The time in seconds for which a course is computed: that of the longest arrivals, and another day.
const HORIZON: usize = 2 * MOST_SECONDS;

/// The time that Lambda keeps an idle environment, in seconds: the shortest seen in load tests. Lambda guarantees none.
pub(super) const IDLE_LIFE: usize = 300;

/// A burst and the environments that serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burst {
    /// The arrivals.
    pub arrivals: Arrivals,
    /// The requests a second of one environment.
    pub rate: Rate,
    /// The time in seconds from the start of a launch until the environment serves.
    pub launch: usize,
    /// The most environments; `None` without a limit.
    pub max: Option<u64>,
}

/// The queue and the environments in use. The first entries are those of second 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// W(t) in parts of a request, see [`Rate`].
    parts: Vec<u64>,
    /// N(t).
    pub in_use: Vec<u64>,
    /// The parts that make one request.
    per_request: u64,
}

/// The waits of requests in whole seconds, from the end of the second in which a request arrives to the end of the
/// second in which it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// The longest wait.
    pub longest: usize,
    /// The shortest time within which at least 99 % of all requests are served.
    pub p99: usize,
}

impl Course {
    /// Returns the number of seconds.
    pub fn seconds(&self) -> usize {
        self.parts.len()
    }

    /// Returns W(t) in requests: a fraction if the rate is one, because an environment may have begun a request.
    pub fn waiting(&self, second: usize) -> Decimal {
        let parts = second.checked_sub(1).and_then(|index| self.parts.get(index)).copied().unwrap_or(0);
        (Decimal::from(parts) / Decimal::from(self.per_request)).normalize()
    }

    /// Returns N(t).
    pub fn environments(&self, second: usize) -> u64 {
        second.checked_sub(1).and_then(|index| self.in_use.get(index)).copied().unwrap_or(0)
    }

    /// Returns the first second from which on the queue stays empty; `None` if it does not empty within two days.
    pub fn empty_at(&self) -> Option<usize> {
        let busy = self.parts.iter().rposition(|parts| *parts > 0).map_or(0, |index| index + 1);
        (busy < self.parts.len()).then_some(busy + 1)
    }

    /// Returns the waits of all requests, `None` if the queue does not empty.
    pub fn waits(&self, arrivals: &Arrivals) -> Option<Waits> {
        self.empty_at()?;
        // The number of requests by their wait.
        let mut by_wait = vec![0_u64; self.parts.len() + 1];
        let (mut done, mut arrived) = (0, 1);
        for (second, parts) in (1..).zip(&self.parts) {
            // A request that is served in part still waits.
            let done_now = arrivals.by(second) - parts.div_ceil(self.per_request);
            while done < done_now {
                while arrivals.by(arrived) <= done {
                    arrived += 1;
                }
                let until = arrivals.by(arrived).min(done_now);
                by_wait[second - arrived] += until - done;
                done = until;
            }
        }
        let longest = by_wait.iter().rposition(|requests| *requests > 0)?;
        let most_left = arrivals.total() / 100;
        let mut left = arrivals.total();
        let p99 = by_wait.iter().position(|requests| {
            left -= requests;
            left <= most_left
        })?;
        Some(Waits { longest, p99 })
    }
}

impl Burst {
    /// Returns the number of environments that serve `parts` in a second, within the limit.
    fn needed(&self, parts: u64) -> u64 {
        parts.div_ceil(self.rate.parts).min(self.max.unwrap_or(u64::MAX))
    }

    fn wait(&self, second: usize) -> u64 {
        self.arrivals.at(second).saturating_mul(self.rate.per_request)
    }

    /// Visits each second until the queue is empty, with W(t) in parts. `number` returns N(t), at most what W(t) needs.
    /// The visit ends early when `number` returns `None`.
    fn visit(&self, mut number: impl FnMut(usize, u64) -> Option<u64>) {
        let (mut parts, mut in_use) = (0_u64, 0_u64);
        for second in 1..=HORIZON {
            if second > self.arrivals.seconds() && parts == 0 {
                return;
            }
            // No overflow: the environments in use are at most those that the queue needs.
            let served = parts.min(in_use * self.rate.parts);
            parts = parts - served + self.wait(second);
            match number(second, parts) {
                Some(number) => in_use = number,
                None => return,
            }
        }
    }

    fn record(&self, mut number: impl FnMut(usize, u64) -> u64) -> Course {
        let mut course = Course { parts: Vec::new(), in_use: Vec::new(), per_request: self.rate.per_request };
        self.visit(|second, parts| {
            let number = number(second, parts);
            course.parts.push(parts);
            course.in_use.push(number);
            Some(number)
        });
        course
    }

    /// Returns the course with at most `cap` environments, launched so that they serve when the queue needs them, and
    /// none before the first launch ends: N(t) = min(`cap`, ⌈W(t) ÷ r⌉) from the launch time on. No other course with
    /// at most `cap` environments serves any request earlier.
    pub fn course(&self, cap: u64) -> Course {
        self.record(|second, parts| self.number(cap, second, parts))
    }

    fn number(&self, cap: u64, second: usize, parts: u64) -> u64 {
        if second < self.launch { 0 } else { self.needed(parts).min(cap) }
    }

    /// Returns the course without a plan: a launch starts when requests wait that no environment serves or launches
    /// for, and takes the launch time. Lambda uses the environments that were used last first, and ends those that are
    /// idle for [`IDLE_LIFE`]. Also returns the environments that exist from each second on, and the number of launches.
    pub(super) fn unplanned(&self) -> (Course, Vec<u64>, u64) {
        let mut started = 0_u64;
        let mut launching: VecDeque<(usize, u64)> = VecDeque::new();
        // The environments by the second of their last use, the earliest first.
        let mut idle: VecDeque<(usize, u64)> = VecDeque::new();
        let mut exist = Vec::new();
        let sum = |blocks: &VecDeque<(usize, u64)>| blocks.iter().map(|(_, count)| count).sum::<u64>();
        let course = self.record(|second, parts| {
            while idle.pop_front_if(|(used, _)| *used + IDLE_LIFE < second).is_some() {}
            while let Some((_, count)) = launching.pop_front_if(|(ready, _)| *ready <= second) {
                idle.push_back((second, count));
            }
            let needed = self.needed(parts);
            let missing = needed.saturating_sub(sum(&idle) + sum(&launching));
            if missing > 0 {
                started = started.saturating_add(missing);
                let later = if self.launch == 0 { &mut idle } else { &mut launching };
                later.push_back((second + self.launch, missing));
            }
            let alive = sum(&idle);
            exist.push(alive);
            let number = needed.min(alive);
            let mut left = number;
            while let Some((_, count)) = idle.back_mut().filter(|_| left > 0) {
                let used = left.min(*count);
                (*count, left) = (*count - used, left - used);
                idle.pop_back_if(|(_, count)| *count == 0);
            }
            if number > 0 {
                idle.push_back((second, number));
            }
            number
        });
        (course, exist, started)
    }

    /// Returns true if at most `cap` environments empty the queue by `second`.
    pub fn is_empty_by(&self, cap: u64, second: usize) -> bool {
        let mut is_empty = true;
        self.visit(|now, parts| {
            is_empty = parts == 0;
            (now < second).then(|| self.number(cap, now, parts))
        });
        is_empty
    }

    /// Returns true if no request waits longer than `longest` seconds with at most `cap` environments.
    pub fn is_within(&self, cap: u64, longest: usize) -> bool {
        let mut is_within = true;
        self.visit(|now, parts| {
            // In the order of arrival: those who wait have all arrived within the longest wait.
            let recent = self.arrivals.by(now) - self.arrivals.by(now.saturating_sub(longest));
            is_within = parts <= recent.saturating_mul(self.rate.per_request);
            is_within.then(|| self.number(cap, now, parts))
        });
        is_within
    }

    /// Returns the fewest environments that `suffice`, which must be true for all larger numbers as well. `None` if the
    /// limit does not.
    pub fn fewest(&self, suffice: impl Fn(u64) -> bool) -> Option<u64> {
        // As many serve all requests in one second.
        let all = self.needed(self.arrivals.total().saturating_mul(self.rate.per_request));
        let (mut low, mut high) = (1, all);
        if !suffice(high) {
            return None;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if suffice(middle) { high = middle } else { low = middle + 1 }
        }
        Some(low)
    }
}
