//! The real `bootstrap` binary, driven through Lambda's runtime interface, against the embedded emulator.

mod deployed;
mod events;
mod guards;
mod init;
mod metrics;
mod scale;
pub mod support;
mod twice;
