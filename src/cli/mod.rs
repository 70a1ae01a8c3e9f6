//! Commands and what people see: the only room that prints.

pub mod handler;
