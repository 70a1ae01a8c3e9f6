//! The history in the state store.

mod read;
#[cfg(test)]
mod tests;

pub use self::read::{for_each_hour, read};
