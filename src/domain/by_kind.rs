//! A value for each kind of execution environment.

use std::ops::Add;

/// A value for provisioned environments, and one for all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByKind<T> {
    /// The value of environments that provisioned concurrency initialised ahead of requests.
    pub provisioned: T,
    /// The value of all others.
    pub on_demand: T,
}

impl<T> ByKind<T> {
    /// Converts both values.
    pub fn map<U>(self, convert: impl Fn(T) -> U) -> ByKind<U> {
        ByKind { provisioned: convert(self.provisioned), on_demand: convert(self.on_demand) }
    }

    /// Borrows both values.
    pub fn as_ref(&self) -> ByKind<&T> {
        ByKind { provisioned: &self.provisioned, on_demand: &self.on_demand }
    }

    /// Returns the sum of both values.
    pub fn sum(self) -> T::Output
    where
        T: Add,
    {
        self.provisioned + self.on_demand
    }
}
