//! The number of streams in use on an HTTP/2 connection, shared by the pool, the connection's task and the rounds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The streams in use on one HTTP/2 connection.
#[derive(Debug, Default)]
pub(super) struct StreamUse(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Open streams and leased streams.
    in_use: usize,
    /// True when no further stream may be leased.
    is_retired: bool,
}

impl StreamUse {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leases up to `wanted` streams, as many as `limit` leaves; `None` if that is zero or the connection is retired.
    pub(super) fn lease(self: &Arc<Self>, wanted: usize, limit: usize) -> Option<Lease> {
        let mut counts = self.counts();
        let streams = limit.saturating_sub(counts.in_use).min(wanted);
        if counts.is_retired || streams == 0 {
            return None;
        }
        counts.in_use += streams;
        Some(Lease { of: Arc::clone(self), streams })
    }

    /// Ends the leasing of streams. Streams in use stay open.
    pub(super) fn retire(&self) {
        self.counts().is_retired = true;
    }

    /// Retires the connection and returns true, unless a stream is in use.
    pub(super) fn retire_if_idle(&self) -> bool {
        let mut counts = self.counts();
        counts.is_retired |= counts.in_use == 0;
        counts.in_use == 0
    }

    /// Returns true when no further stream is leased.
    pub(super) fn is_retired(&self) -> bool {
        self.counts().is_retired
    }

    /// Returns true when no stream is in use and none will be.
    pub(super) fn is_finished(&self) -> bool {
        let counts = self.counts();
        counts.is_retired && counts.in_use == 0
    }
}

/// Streams of one HTTP/2 connection that are reserved for a round. Dropping it gives them back.
#[derive(Debug)]
pub(super) struct Lease {
    of: Arc<StreamUse>,
    streams: usize,
}

impl Lease {
    /// Returns the number of streams.
    pub(super) fn streams(&self) -> usize {
        self.streams
    }

    /// Gives back the streams above `limit`. Returns their number.
    pub(super) fn trim(&mut self, limit: usize) -> usize {
        let mut counts = self.of.counts();
        if counts.is_retired {
            return 0;
        }
        let excess = counts.in_use.saturating_sub(limit).min(self.streams);
        counts.in_use -= excess;
        drop(counts);
        self.streams -= excess;
        excess
    }

    /// Retires the connection: no further round gets streams of it. Its pings in flight go on.
    pub(super) fn retire(&self) {
        self.of.retire();
    }

    /// Splits one stream off; `None` if all are taken.
    pub(super) fn take(&mut self) -> Option<StreamSlot> {
        self.streams = self.streams.checked_sub(1)?;
        Some(StreamSlot(Self { of: Arc::clone(&self.of), streams: 1 }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut counts = self.of.counts();
        counts.in_use = counts.in_use.saturating_sub(self.streams);
    }
}

/// One stream of a [`Lease`]. Dropping it gives the stream back.
#[derive(Debug)]
pub(super) struct StreamSlot(Lease);

impl StreamSlot {
    /// Retires the connection.
    pub(super) fn retire(&self) {
        self.0.retire();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_leased_up_to_the_limit_and_given_back() {
        let streams = Arc::new(StreamUse::default());
        let mut first = streams.lease(70, 100).unwrap();
        let second = streams.lease(70, 100).unwrap();
        assert_eq!((first.streams(), second.streams()), (70, 30));
        assert!(streams.lease(1, 100).is_none());
        assert_eq!(first.trim(80), 20, "the connection allows fewer than expected");
        drop(second);
        let slot = first.take().unwrap();
        assert!(!streams.retire_if_idle(), "50 streams are in use");
        drop(first);
        assert_eq!(streams.lease(100, 100).unwrap().streams(), 99);
        slot.retire();
        assert!(streams.lease(1, 100).is_none() && !streams.is_finished());
        drop(slot);
        assert!(streams.is_finished());
    }
}
