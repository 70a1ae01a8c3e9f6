//! The history in the state store.

mod expire;
mod read;
#[cfg(test)]
mod tests;

pub use self::expire::{Expiry, expire};
pub use self::read::{for_each_hour, read};
