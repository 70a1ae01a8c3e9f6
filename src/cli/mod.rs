//! Commands and what people see: the only room that prints.

pub mod args;
pub mod clock;
pub mod render;
pub mod values;
