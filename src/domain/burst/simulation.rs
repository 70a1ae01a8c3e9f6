//! A discrete simulation of queue and environments, with every request and every environment by itself. It shares no
//! code with the planner.

use std::collections::VecDeque;

/// A burst to simulate.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    /// The requests of each second.
    pub arrivals: Vec<u64>,
    /// The parts of requests that an environment serves in a second, and the parts of a request.
    pub rate: (u64, u64),
    pub launch: usize,
    pub max: u64,
}

/// The course of a burst. The first entries of `waiting` and `in_use` are those of second 1.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The parts that wait after each second.
    pub waiting: Vec<u64>,
    pub in_use: Vec<u64>,
    /// The waits of all requests, in the order of service.
    pub waits: Vec<usize>,
    pub launches: u64,
}

impl Outcome {
    pub fn longest(&self) -> usize {
        self.waits.iter().copied().max().unwrap()
    }

    /// Returns the wait at the 99th percentile, by the nearest rank.
    pub fn p99(&self) -> usize {
        let mut sorted = self.waits.clone();
        sorted.sort_unstable();
        sorted[(99 * sorted.len()).div_ceil(100) - 1]
    }
}

struct Request {
    arrived: usize,
    left: u64,
}

struct Environment {
    ready: usize,
    used: usize,
}

impl Scene {
    fn run(&self, mut decide: impl FnMut(usize, &VecDeque<Request>, &mut Outcome) -> u64) -> Outcome {
        let mut outcome = Outcome::default();
        let mut queue: VecDeque<Request> = VecDeque::new();
        let (mut second, mut in_use) = (0, 0);
        while second < self.arrivals.len() || !queue.is_empty() {
            second += 1;
            for _ in 0..in_use {
                let mut able = self.rate.0;
                while let Some(request) = queue.front_mut().filter(|_| able > 0) {
                    let served = able.min(request.left);
                    request.left -= served;
                    able -= served;
                    if request.left == 0 {
                        outcome.waits.push(second - request.arrived);
                        queue.pop_front();
                    }
                }
            }
            for _ in 0..self.arrivals.get(second - 1).copied().unwrap_or(0) {
                queue.push_back(Request { arrived: second, left: self.rate.1 });
            }
            in_use = decide(second, &queue, &mut outcome);
            outcome.waiting.push(queue.iter().map(|request| request.left).sum());
            outcome.in_use.push(in_use);
        }
        outcome
    }

    /// Returns the number of environments that serve the queue within a second, at most `most`: each takes requests
    /// until it has no time left.
    fn needed(&self, queue: &VecDeque<Request>, most: u64) -> u64 {
        let (mut environments, mut able) = (0, 0);
        for request in queue {
            let mut left = request.left;
            while left > 0 {
                if able == 0 {
                    if environments == most {
                        return most;
                    }
                    (environments, able) = (environments + 1, self.rate.0);
                }
                let served = able.min(left);
                (left, able) = (left - served, able - served);
            }
        }
        environments
    }

    /// Simulates at most `cap` environments that serve from the launch time on.
    pub fn planned(&self, cap: u64) -> Outcome {
        self.run(
            |second, queue, _| if second < self.launch { 0 } else { self.needed(queue, cap.min(self.max)) },
        )
    }

    /// Simulates launches that start when requests find no environment.
    pub fn unplanned(&self) -> Outcome {
        let mut all: Vec<Environment> = Vec::new();
        self.run(|second, queue, outcome| {
            all.retain(|one| one.ready > second || second - one.used <= 300);
            let needed = self.needed(queue, self.max);
            while (all.len() as u64) < needed {
                let ready = second + self.launch;
                all.push(Environment { ready, used: ready });
                outcome.launches += 1;
            }
            all.sort_by_key(|one| std::cmp::Reverse(one.used));
            let mut in_use = 0;
            for one in all.iter_mut().filter(|one| one.ready <= second) {
                if in_use < needed {
                    (one.used, in_use) = (second, in_use + 1);
                }
            }
            in_use
        })
    }

    /// Returns true if some numbers of environments with at most `starts` launches serve every request: by `second`,
    /// or within `longest` seconds. Tries all numbers in all seconds.
    pub fn can(&self, starts: u64, second: usize, longest: usize) -> bool {
        self.try_all(0, Vec::new(), 0, starts, (second, longest))
    }

    fn try_all(
        &self,
        now: usize,
        queue: Vec<(usize, u64)>,
        in_use: u64,
        starts: u64,
        bounds: (usize, usize),
    ) -> bool {
        let (second, longest) = bounds;
        if queue.is_empty() && self.arrivals.iter().skip(now).all(|requests| *requests == 0) {
            return true;
        }
        if now == second {
            return false;
        }
        let now = now + 1;
        let mut queue = queue;
        let mut able = in_use * self.rate.0;
        for (_, left) in &mut queue {
            let served = able.min(*left);
            (*left, able) = (*left - served, able - served);
        }
        queue.retain(|(_, left)| *left > 0);
        let arrived = self.arrivals.get(now - 1).copied().unwrap_or(0);
        if arrived > 0 {
            queue.push((now, arrived * self.rate.1));
        }
        if queue.first().is_some_and(|(arrived, _)| now - arrived >= longest) {
            return false;
        }
        // A lower number needs no launch, and environments that are let go do not come back.
        let most = if now < self.launch { 0 } else { (in_use + starts).min(self.max) };
        (0..=most).any(|number| {
            let left = starts - number.saturating_sub(in_use);
            self.try_all(now, queue.clone(), number, left, bounds)
        })
    }
}
