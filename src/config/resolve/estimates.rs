//! Prices and assumptions of cost estimates.

use rust_decimal::Decimal;

use super::super::prices::{self, PriceSource};
use super::super::reader::At;
use super::super::source::SourceText;
use super::super::wire::{AssumeKeys, MOST_CONCURRENCY};
use super::{Location, Resolver};
use crate::domain::cost::PriceBook;
use crate::domain::cost::assume::{Assumed, Assumptions, Traffic};
use crate::domain::function::Architecture;

impl Resolver<'_, '_> {
    /// Returns the traffic of a map of assumptions. Reports a rate without duration, a duration without rate, and more
    /// traffic than Lambda serves.
    pub(super) fn traffic(&mut self, file: usize, keys: Option<&At<AssumeKeys>>) -> Option<Traffic> {
        let keys = &keys?.value;
        let (span, message, hint) = match (&keys.requests_per_second, &keys.duration) {
            (None, None) => return None,
            (Some(rate), Some(duration)) => {
                let traffic = Traffic { requests_per_second: rate.value.0, duration: duration.value.0 };
                let seconds = Decimal::try_from(traffic.duration.as_secs_f64()).ok();
                let busy = seconds.and_then(|seconds| seconds.checked_mul(traffic.requests_per_second));
                if busy.is_some_and(|busy| busy <= MOST_CONCURRENCY.into()) {
                    return Some(traffic);
                }
                let message = format!("the traffic needs more than {MOST_CONCURRENCY} environments");
                (rate.span, message, "check the units of the rate and of `duration`")
            }
            (Some(rate), None) => (
                rate.span,
                "missing key \"duration\"".to_owned(),
                "add the duration of a user's request: `requests_per_second` requires it",
            ),
            (None, Some(duration)) => (
                duration.span,
                "missing key \"requests_per_second\"".to_owned(),
                "add the rate of users' requests, or set `ping_duration` for the duration of a ping",
            ),
        };
        if !keys.has_errors {
            self.fail::<()>(Location { file, span }, message, hint);
        }
        None
    }

    /// Returns the price book with the configuration's own prices.
    pub(super) fn prices<'k>(
        &mut self,
        given: impl Iterator<Item = (usize, &'k At<PriceSource>)>,
    ) -> PriceBook {
        let mut given = given.peekable();
        let first = given.peek().map(|(file, at)| Location { file: *file, span: at.span });
        let book = PriceBook::embedded();
        match (first, self.single("prices", given)) {
            (Some(location), Some(PriceSource::Inline(table))) => {
                prices::apply(self.source(location), table, book, self.problems)
            }
            (Some(location), Some(PriceSource::File(path))) => {
                let path = self.relative(location, path);
                let Some(file) = self.read_named("price file", location, path) else { return book };
                let book = prices::apply_file(&SourceText::new(&file), book, self.problems);
                self.attachments.push(file);
                book
            }
            _ => book,
        }
    }
}

/// Merges the assumptions of a target, key by key: the function's own, those of the defaults, the built-in ones.
pub(super) fn assumptions(
    own: Option<&AssumeKeys>,
    base: Option<&AssumeKeys>,
    traffic: Option<Traffic>,
    memory_mb: Option<u32>,
    architecture: Option<Architecture>,
) -> Assumptions {
    let default = Assumptions::default();
    macro_rules! pick {
        ($key:ident) => {
            [own, base].into_iter().flatten().find_map(|keys| keys.$key.as_ref()).map(|at| at.value.0)
        };
    }
    Assumptions {
        idle_life: Assumed::or(pick!(idle_life), default.idle_life.value()),
        recycle_after: Assumed::or(pick!(recycle_after), default.recycle_after.value()),
        ping_duration: Assumed::or(pick!(ping_duration), default.ping_duration.value()),
        init_duration: Assumed::or(pick!(init_duration), default.init_duration.value()),
        log_bytes_per_ping: Assumed::or(
            pick!(log_bytes_per_ping).map(u64::from),
            default.log_bytes_per_ping.value(),
        ),
        memory_mb: Assumed::or(memory_mb, default.memory_mb.value()),
        architecture: Assumed::or(architecture, default.architecture.value()),
        traffic,
    }
}
