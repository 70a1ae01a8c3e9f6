//! The plan of one burst: how many environments, from when, and when they are let go again.
//!
//! Time is counted in whole seconds from the start of the burst. With a(t) requests that arrive in the second that ends
//! at t, W(t) requests that wait after it, N(t) environments in use from t on, and r requests a second of one
//! environment:
//!
//! ```text
//! served(t) = min(W(t − 1), N(t − 1) · r)
//! W(t)      = W(t − 1) − served(t) + a(t)
//! ```
//!
//! A policy decides N(t). Requests are served in the order of arrival, at the earliest in the second after their own,
//! so the shortest wait is one second. All numbers are integers: work is counted in the parts of a request that make r
//! a whole number.

mod arrivals;
mod course;
mod kept;
mod limits;
mod money;
mod policies;
mod windows;

pub use self::arrivals::{Arrivals, MOST_SECONDS, Rate, parse_count};
pub use self::course::{Burst, Course, Waits};
pub use self::limits::{Source, Warning, warnings};
pub use self::money::{By, Pricing};
pub use self::policies::{Bounds, LettingGo, Plan, Policy, Shortfall, letting_go, plan, plans};
pub use self::windows::{MinuteWindow, minutes, windows};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
