//! Ports, rounds, the in-flight cap, ticks and the loop of the daemon.

pub mod admission;
pub mod daemon;
mod due;
pub mod planner;
pub mod ports;
pub mod preflight;
pub mod record;
mod runner;
pub mod running;
pub mod state;
pub mod stop;
pub mod tick;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
