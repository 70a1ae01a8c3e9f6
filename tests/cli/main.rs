//! The built binary, end to end: exit codes, both streams, JSON keys, signals. No sleeps: tests wait for lines.

mod check;
mod cost;
mod daemon;
mod deploy;
mod hostile;
mod kills;
mod live;
mod pipes;
mod plan;
mod run;
mod state;
mod support;
