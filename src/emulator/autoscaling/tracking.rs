//! Target tracking: alarms on one-minute points, and the capacity that they ask for.

use std::collections::VecDeque;
use std::time::Duration;

/// The consecutive points above the target before capacity is added. Source for this and the figures below: the alarms
/// that AWS makes for LambdaProvisionedConcurrencyUtilization, 2026-11.
const POINTS_OUT: usize = 3;
/// The consecutive points below the lower threshold before capacity is removed.
const POINTS_IN: usize = 15;
/// The lower threshold, as a part of the target.
const LOWER: f64 = 0.9;
/// The tolerance for sums of floating-point numbers.
const EPSILON: f64 = 1e-9;

/// A target tracking policy on the utilization of provisioned concurrency.
#[derive(Debug)]
pub(super) struct Tracking {
    /// The utilization, above 0, at most 1.
    target: f64,
    /// False when the policy never removes capacity.
    is_scaling_in: bool,
    /// The times after a change that adds, or removes, during which no other one of its kind is made.
    pub cooldowns: (Duration, Duration),
    /// The latest consecutive points, the newest last.
    points: VecDeque<f64>,
}

/// The capacity that a policy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// At least this number.
    Out(u32),
    /// Not more than this number.
    In(u32),
}

impl Tracking {
    /// Creates a policy without points.
    pub(super) fn new(target: f64, is_scaling_in: bool, cooldowns: (Duration, Duration)) -> Self {
        Self { target, is_scaling_in, cooldowns, points: VecDeque::new() }
    }

    /// Adds the point of a minute. A minute without a point sets the alarms back to INSUFFICIENT_DATA.
    pub(super) fn add(&mut self, point: Option<f64>) {
        match point {
            None => self.points.clear(),
            Some(point) => self.points.push_back(point),
        }
        while self.points.len() > POINTS_IN {
            self.points.pop_front();
        }
    }

    /// Returns the capacity that the policy asks for at `requested`; `None` unless one of its alarms is in ALARM.
    pub(super) fn wish(&self, requested: u32) -> Option<Wish> {
        let last = |number: usize, is_breaching: &dyn Fn(f64) -> bool| {
            self.points.len() >= number
                && self.points.iter().rev().take(number).all(|point| is_breaching(*point))
        };
        let number = (f64::from(requested) * self.points.back()? / self.target - EPSILON).ceil() as u32;
        if last(POINTS_OUT, &|point| point > self.target + EPSILON) {
            Some(Wish::Out(number))
        } else if self.is_scaling_in && last(POINTS_IN, &|point| point < self.target * LOWER - EPSILON) {
            Some(Wish::In(number))
        } else {
            None
        }
    }
}

/// Returns the capacity that all policies together ask for: the largest addition, or if all of them agree to remove
/// capacity the smallest removal.
pub(super) fn combined(wishes: &[Option<Wish>]) -> Option<Wish> {
    let out = wishes.iter().filter_map(|wish| match wish {
        Some(Wish::Out(number)) => Some(*number),
        Some(Wish::In(_)) | None => None,
    });
    let inward = || {
        wishes.iter().map(|wish| match wish {
            Some(Wish::In(number)) => Some(*number),
            Some(Wish::Out(_)) | None => None,
        })
    };
    match out.max() {
        Some(most) => Some(Wish::Out(most)),
        None => inward().collect::<Option<Vec<u32>>>()?.into_iter().max().map(Wish::In),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(points: &[Option<f64>]) -> Option<Wish> {
        let mut tracking = Tracking::new(0.7, true, (Duration::ZERO, Duration::ZERO));
        points.iter().for_each(|point| tracking.add(*point));
        tracking.wish(10)
    }

    #[test]
    fn three_points_out_and_fifteen_in() {
        assert_eq!(after(&[Some(0.8); 2]), None);
        assert_eq!(after(&[Some(0.8); 3]), Some(Wish::Out(12)));
        assert_eq!(after(&[Some(0.7); 20]), None);
        assert_eq!(after(&[Some(0.63); 20]), None);
        assert_eq!(after(&[Some(0.62); 14]), None);
        assert_eq!(after(&[Some(0.62); 15]), Some(Wish::In(9)));
        assert_eq!(after(&[[Some(0.1); 20].as_slice(), &[Some(0.65)]].concat()), None);
    }

    #[test]
    fn a_minute_without_a_point_begins_anew() {
        assert_eq!(after(&[Some(0.9), Some(0.9), None, Some(0.9)]), None);
        assert_eq!(after(&[[Some(0.1); 14].as_slice(), &[None, Some(0.1)]].concat()), None);
        assert_eq!(after(&[None; 60]), None);
    }

    #[test]
    fn the_largest_wish_wins_and_removal_is_unanimous() {
        use Wish::{In, Out};
        assert_eq!(combined(&[Some(Out(12)), Some(Out(15)), Some(In(3))]), Some(Out(15)));
        assert_eq!(combined(&[Some(In(3)), Some(In(4))]), Some(In(4)));
        assert_eq!(combined(&[Some(In(3)), None]), None);
        assert_eq!(combined(&[]), None);
    }
}
