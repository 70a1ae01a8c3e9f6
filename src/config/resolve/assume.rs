//! What estimates rest on, and prices of the user's own.

use std::path::Path;

use rust_decimal::Decimal;

use super::super::prices::{self, Prices};
use super::super::quantity::Positive;
use super::super::reader::{At, quoted};
use super::super::source::{Source, SourceFile};
use super::super::wire::{AssumeKeys, MOST_CONCURRENCY};
use super::{Mark, Resolver};
use crate::domain::cost::PriceBook;
use crate::domain::cost::assume::{Assumed, Assumptions, Traffic};
use crate::domain::function::Architecture;

impl Resolver<'_, '_> {
    /// The traffic that a map of assumptions tells. Half of it is an error, and so is more than can be served.
    pub(super) fn traffic(&mut self, file: usize, keys: Option<&At<AssumeKeys>>) -> Option<Traffic> {
        let keys = &keys?.value;
        let (span, message, hint) = match (&keys.requests_per_second, &keys.duration) {
            (None, None) => return None,
            (Some(At { value: Positive(rate), span }), Some(duration)) => {
                let busy = Decimal::try_from(duration.value.0.as_secs_f64()).ok();
                if busy
                    .and_then(|busy| busy.checked_mul(*rate))
                    .is_some_and(|busy| busy <= MOST_CONCURRENCY.into())
                {
                    return Some(Traffic { requests_per_second: *rate, duration: duration.value.0 });
                }
                let message = format!("this keeps more than {MOST_CONCURRENCY} environments busy");
                (*span, message, "check the units of the rate and of `duration`")
            }
            (Some(rate), None) => (
                rate.span,
                "the key `duration` is missing".to_owned(),
                "`requests_per_second` and `duration` go together: how long does a user's request run?",
            ),
            (None, Some(duration)) => (
                duration.span,
                "the key `requests_per_second` is missing".to_owned(),
                "`requests_per_second` and `duration` go together; a ping's is `ping_duration`",
            ),
        };
        if !keys.flawed {
            let problem = self.error(Mark { file, span }, message).hint(hint);
            self.problems.push(problem);
        }
        None
    }

    /// The price book with the configuration's own prices, which stand in one file.
    pub(super) fn prices<'k>(&mut self, given: impl Iterator<Item = (usize, &'k At<Prices>)>) -> PriceBook {
        let mut given = given.peekable();
        let first = given.peek().map(|(file, at)| Mark { file: *file, span: at.span });
        let book = PriceBook::embedded();
        match (first, self.only_once("prices", given)) {
            (Some(mark), Some(Prices::Here(table))) => {
                prices::put(self.source(mark), table, book, self.problems)
            }
            (Some(mark), Some(Prices::File(path))) => self.price_file(mark, path, book),
            _ => book,
        }
    }

    /// Reads the file that `prices` names, relative to its own file.
    fn price_file(&mut self, mark: Mark, path: &str, book: PriceBook) -> PriceBook {
        let own = Path::new(self.source(mark).path);
        let path = own.parent().unwrap_or(Path::new("")).join(path).to_string_lossy().into_owned();
        match (self.read)(&path) {
            Ok(text) => {
                let file = SourceFile { path, text };
                let book = prices::put_file(&Source::new(&file), book, self.problems);
                self.attachments.push(file);
                book
            }
            Err(reason) => {
                let problem = self
                    .error(mark, format!("the file of prices {} cannot be read: {reason}", quoted(&path)))
                    .hint("the path is relative to this file");
                self.problems.push(problem);
                book
            }
        }
    }
}

/// What estimates of a target rest on: key by key the function's own, its file's defaults', or ours.
pub(super) fn assumptions(
    own: Option<&AssumeKeys>,
    base: Option<&AssumeKeys>,
    traffic: Option<Traffic>,
    memory_mb: Option<u32>,
    architecture: Option<Architecture>,
) -> Assumptions {
    /// The value of a key: the function's, or the defaults'.
    fn pick<T, V>(
        own: Option<&AssumeKeys>,
        base: Option<&AssumeKeys>,
        key: impl Fn(&AssumeKeys) -> Option<&At<T>>,
        value: impl Fn(&T) -> V,
    ) -> Option<V> {
        own.and_then(&key).or_else(|| base.and_then(&key)).map(|at| value(&at.value))
    }
    let ours = Assumptions::default();
    let or = |given, ours: Assumed<_>| Assumed::or(given, ours.value());
    Assumptions {
        idle_life: or(pick(own, base, |keys| keys.idle_life.as_ref(), |time| time.0), ours.idle_life),
        recycle_after: or(
            pick(own, base, |keys| keys.recycle_after.as_ref(), |time| time.0),
            ours.recycle_after,
        ),
        ping_duration: or(
            pick(own, base, |keys| keys.ping_duration.as_ref(), |time| time.0),
            ours.ping_duration,
        ),
        init_duration: or(
            pick(own, base, |keys| keys.init_duration.as_ref(), |time| time.0),
            ours.init_duration,
        ),
        log_bytes_per_ping: Assumed::or(
            pick(own, base, |keys| keys.log_bytes_per_ping.as_ref(), |bytes| u64::from(bytes.0)),
            ours.log_bytes_per_ping.value(),
        ),
        memory_mb: Assumed::or(memory_mb, ours.memory_mb.value()),
        architecture: Assumed::or(architecture, ours.architecture.value()),
        traffic,
    }
}
