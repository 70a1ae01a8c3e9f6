//! The real `bootstrap` binary, driven through Lambda's runtime interface, against the embedded emulator.

mod events;
mod init;
mod metrics;
mod scale;
mod support;
mod twice;
