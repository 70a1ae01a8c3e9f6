//! Answer bodies of bounded size.

use bytes::{Bytes, BytesMut};

/// The part of an answer's body that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLimit {
    /// The whole body. More bytes than this are an error.
    AtMost(usize),
    /// The first bytes. The rest is read and dropped.
    First(usize),
}

/// The answer is longer than accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer has more than {0} bytes")]
pub(super) struct TooLong(pub usize);

/// Collects the pieces of a body.
#[derive(Debug)]
pub(super) struct Collector {
    limit: BodyLimit,
    /// Most answers arrive in one piece, which is kept without copying.
    first: Bytes,
    rest: BytesMut,
    is_whole: bool,
}

impl Collector {
    pub(super) fn new(limit: BodyLimit) -> Self {
        Self { limit, first: Bytes::new(), rest: BytesMut::new(), is_whole: true }
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// [`TooLong`].
    pub(super) fn push(&mut self, mut piece: Bytes) -> Result<(), TooLong> {
        let kept = self.first.len() + self.rest.len();
        match self.limit {
            BodyLimit::AtMost(most) if kept + piece.len() > most => return Err(TooLong(most)),
            BodyLimit::First(most) if kept + piece.len() > most => {
                self.is_whole = false;
                piece.truncate(most - kept);
            }
            BodyLimit::AtMost(_) | BodyLimit::First(_) => {}
        }
        if self.first.is_empty() {
            self.first = piece;
        } else {
            self.rest.extend_from_slice(&piece);
        }
        Ok(())
    }

    /// Returns the bytes kept, and true when they are the whole body.
    pub(super) fn finish(self) -> (Bytes, bool) {
        if self.rest.is_empty() {
            return (self.first, self.is_whole);
        }
        let mut joined = BytesMut::with_capacity(self.first.len() + self.rest.len());
        joined.extend_from_slice(&self.first);
        joined.extend_from_slice(&self.rest);
        (joined.freeze(), self.is_whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(limit: BodyLimit, pieces: &[&'static str]) -> Result<(String, bool), TooLong> {
        let mut collector = Collector::new(limit);
        for piece in pieces {
            collector.push(Bytes::from_static(piece.as_bytes()))?;
        }
        let (kept, is_whole) = collector.finish();
        Ok((String::from_utf8(kept.to_vec()).unwrap(), is_whole))
    }

    #[test]
    fn bodies_are_joined_cut_or_refused() {
        let pieces = ["abc", "de", "f"];
        assert_eq!(collect(BodyLimit::AtMost(6), &pieces), Ok(("abcdef".to_owned(), true)));
        assert_eq!(collect(BodyLimit::AtMost(5), &pieces), Err(TooLong(5)));
        assert_eq!(collect(BodyLimit::First(6), &pieces), Ok(("abcdef".to_owned(), true)));
        assert_eq!(collect(BodyLimit::First(4), &pieces), Ok(("abcd".to_owned(), false)));
        assert_eq!(collect(BodyLimit::First(2), &pieces), Ok(("ab".to_owned(), false)));
        assert_eq!(collect(BodyLimit::First(0), &[]), Ok((String::new(), true)));
    }
}
