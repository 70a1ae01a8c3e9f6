//! The capacity of a fleet: provisioned concurrency and managed instances follow the windows.
//!
//! Each tick reads what is there, decides, records what is about to be made, changes it, and records the result. The
//! record precedes the change, so that nothing that warmd makes is ever taken for somebody else's.

mod lane;
mod ledger;
mod read;
mod record;
mod step;
mod task;
#[cfg(test)]
pub(in crate::service) mod tests;

pub use self::ledger::{CapacityPlan, Ledger, Loaded, read_documents, read_levels};
pub use self::step::{CapacityKeeper, Context};
