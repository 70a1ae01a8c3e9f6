//! Ports, rounds, the in-flight cap and ticks.

pub mod admission;
pub mod capacity;
mod due;
pub mod metrics;
pub mod observability;
pub mod ports;
mod runner;
pub mod running;
mod sightings;
pub mod stop;
pub mod tick;
mod together;
mod versions;

#[cfg(test)]
mod faults;
#[cfg(test)]
pub(crate) mod tests;
