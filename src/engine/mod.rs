//! Ports, the round runner, waves, ticks and the daemon's loop.

pub mod ports;
pub mod release;
