//! The history in the state store.

mod expire;
mod minutes;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use self::expire::{Expiry, expire};
pub use self::minutes::for_each_minutes;
pub use self::read::{for_each_hour, read};
pub use self::write::{HistoryWriter, Saved, ToMove};
