//! The pages that the daemon serves: its health and its metrics.

use std::sync::{Arc, Mutex, PoisonError};

use super::app::AwsService;
use super::listen::Pages;
use super::logging;
use crate::domain::exposition::{Totals, write_gauge};
use crate::domain::health::Health;
use crate::domain::metrics::Metric;
use crate::service::health::TickWatch;

/// The sources of the pages.
pub struct Overview {
    /// The service.
    pub service: Arc<AwsService>,
    /// The ticks.
    pub watch: Arc<TickWatch>,
    /// The totals of the metrics.
    pub totals: Arc<Mutex<Totals>>,
}

impl Pages for Overview {
    fn health(&self) -> (bool, String) {
        let live_config = self.service.live_config();
        let condition = self.watch.condition();
        let health = Health {
            condition,
            last_tick: self.watch.last_tick(),
            last_error: logging::last_error(),
            config: live_config.fleet().hash.clone(),
            config_age: live_config.age(self.service.clock.now()).unwrap_or_default(),
        };
        (condition.is_healthy(), format!("{}\n", health.json()))
    }

    fn metrics(&self) -> String {
        let live_config = self.service.live_config();
        let age = live_config.age(self.service.clock.now()).unwrap_or_default();
        let mut text = {
            let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.retain(&live_config.fleet());
            totals.text(&[(Metric::ConfigAge, age.as_secs_f64())])
        };
        let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
        write_gauge(&mut text, "warmd_build_info", "the version of warmd", &version, 1.0);
        let healthy = f64::from(u8::from(self.watch.condition().is_healthy()));
        write_gauge(
            &mut text,
            "warmd_healthy",
            "1 if /healthz has status 200, 0 if ticks have stopped",
            &[],
            healthy,
        );
        if let Some(tick) = self.watch.last_tick() {
            let name = "warmd_last_tick_timestamp_seconds";
            write_gauge(
                &mut text,
                name,
                "time of the last tick that has reported",
                &[],
                tick.timestamp() as f64,
            );
        }
        text
    }
}
