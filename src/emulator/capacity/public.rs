//! Changes of capacity by somebody else than the clients, and reads of its state, for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Emulator;
use super::super::observe::ObservedProvisioned;
use super::change::update_alias;
use super::scaling::Numbers;
use super::{Place, observed, request, requested, utilization};

impl Emulator {
    fn place(&self, region: &str, function: &str, qualifier: &str) -> Place {
        Place {
            scope: format!("{}/{region}", self.scenario().account.id),
            function: function.to_owned(),
            qualifier: qualifier.to_owned(),
        }
    }

    /// Sets the provisioned concurrency of a qualifier, with Lambda's validation; 0 deletes it.
    ///
    /// # Errors
    /// Lambda's message.
    pub fn put_provisioned(
        &self,
        region: &str,
        function: &str,
        qualifier: &str,
        number: u32,
    ) -> Result<(), String> {
        self.make_due_changes();
        request(self, &self.place(region, function, qualifier), number).map_err(|error| error.message)
    }

    /// Moves an alias to a version and sets the weight of an additional one. Without a version the alias stays where it
    /// is; without a weight its weights are cleared.
    ///
    /// # Errors
    /// Lambda's message.
    pub fn update_alias(
        &self,
        region: &str,
        function: &str,
        alias: &str,
        version: Option<&str>,
        weight: Option<(&str, f64)>,
    ) -> Result<(), String> {
        self.make_due_changes();
        let place = self.place(region, function, alias);
        let weights: BTreeMap<_, _> =
            weight.map(|(of, weight)| (of.to_owned(), weight)).into_iter().collect();
        let scenario = self.scenario();
        let state = &mut *self.state();
        let updated =
            update_alias(state, &scenario, &place, version.map(str::to_owned), Some(weights), self.now());
        updated.map_err(|error| error.message)
    }

    /// Sets the minimum and the maximum of environments of a version on managed instances.
    ///
    /// # Errors
    /// Lambda's message.
    pub fn put_scaling(
        &self,
        region: &str,
        function: &str,
        version: &str,
        (min, max): (u32, u32),
    ) -> Result<(), String> {
        self.make_due_changes();
        let numbers = Numbers::new(Some(min.into()), Some(max.into())).map_err(|error| error.message)?;
        let place = self.place(region, function, version);
        let scenario = self.scenario();
        let profile = place.reference().profile(&scenario).map_err(|error| error.message)?;
        let scaling = &mut self.state().capacity.scaling;
        scaling.entry(place).or_default().request(self.now(), numbers, profile.prepare);
        Ok(())
    }

    /// Returns the provisioned concurrency of a qualifier, with its history and its bill, also after it was deleted;
    /// `None` if it never had any.
    pub fn provisioned(&self, region: &str, function: &str, qualifier: &str) -> Option<ObservedProvisioned> {
        self.make_due_changes();
        let place = self.place(region, function, qualifier);
        let scenario = self.scenario();
        let profile = scenario.profile(function)?;
        let mut state = self.state();
        let now = self.now();
        let provisioned = state.capacity.provisioned(&place, profile, now)?;
        Some(observed(&place, provisioned, now))
    }

    /// Returns the number of provisioned environments that is requested; 0 without a configuration.
    pub fn requested(&self, region: &str, function: &str, qualifier: &str) -> u32 {
        self.make_due_changes();
        requested(self, &self.place(region, function, qualifier), self.now())
    }

    /// Returns the utilization of the provisioned environments in the minute that ends at the emulated time `end`: the
    /// highest number that was busy at once, divided by the available ones. `None` without an invocation.
    pub fn utilization(&self, region: &str, function: &str, qualifier: &str, end: Duration) -> Option<f64> {
        utilization(self, &self.place(region, function, qualifier), end)
    }

    /// Returns the requested and the applied numbers of environments of a version on managed instances, each with
    /// minimum and maximum; `None` if there are none.
    pub fn scaling(&self, region: &str, function: &str, version: &str) -> [Option<(u32, u32)>; 2] {
        let place = self.place(region, function, version);
        let now = self.now();
        self.state().capacity.scaling.get_mut(&place).map_or([None; 2], |scaling| scaling.numbers(now))
    }
}
