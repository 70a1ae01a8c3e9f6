//! Renders what the guards of a tick would do with a round.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use chrono::{DateTime, SecondsFormat, Utc};

use super::text::count;
use super::tick::by;
use crate::domain::clean::clean;
use crate::domain::fleet::Target;
use crate::domain::guard::{Decision, Knowledge, Terms};
use crate::domain::records::{Health, Trust};
use crate::domain::tick::SkipReason;

/// A round with the decision on it.
pub struct Guarded<'g> {
    /// The target.
    pub target: &'g Target,
    /// The configured number of pings.
    pub desired: NonZeroU32,
    /// The decision.
    pub decision: Decision,
    /// The knowledge about the target.
    pub known: Knowledge<'g>,
    /// The time of the decision.
    pub now: DateTime<Utc>,
}

impl Guarded<'_> {
    /// Returns the reason why the handler is unsafe; `None` if it is not.
    pub fn unsafe_because(&self) -> Option<String> {
        match self.known.guards?.trust(self.target, self.known.code()) {
            Trust::Unsafe(reason) => Some(reason),
            Trust::None | Trust::Trusted => None,
        }
    }

    /// Returns the earliest time of the next ping; `None` unless the breaker is open.
    pub fn next_try(&self) -> Option<DateTime<Utc>> {
        self.known.guards?.health(&self.target.id, self.now).and_then(Health::next_try)
    }
}

/// Returns lines about the decision on a round. Ends with a line feed.
pub fn guards(guarded: &Guarded<'_>) -> String {
    let round = format!("a round of {}", count(guarded.desired.get().into(), "ping"));
    let mut out = String::new();
    if guarded.known.facts.is_none() {
        out.push_str("guards: the deployed function is not known\n");
    }
    match &guarded.decision {
        Decision::Skip(reason) => {
            let budget = guarded.known.budget.filter(|_| *reason == SkipReason::Budget);
            let by = by(budget.map(|cap| clean(&cap.scope.setting()).into_owned()).as_deref());
            let _ =
                writeln!(out, "guards: {round} is skipped ({}): {}{by}", reason.name(), reason.explanation());
        }
        Decision::Send(pings, Terms { backed_off_from, first, provisioned, .. }) => {
            let capped = guarded.decision.capped(guarded.desired);
            if let Some(capped) = &capped {
                let _ = writeln!(out, "guards: {round} is lowered to {} by `{}`", capped.to, capped.by);
            }
            if let Some(from) = backed_off_from {
                let _ = writeln!(out, "guards: after throttles it is lowered from {from} to {pings}");
            }
            if capped.is_none() && backed_off_from.is_none() {
                let _ = writeln!(out, "guards: {round} is sent in full");
            }
            if let Some(provisioned) = provisioned {
                let provisioned = count((*provisioned).into(), "provisioned environment");
                let _ = writeln!(out, "guards: {provisioned} of the qualifier receive pings first");
            }
            if let Some(first) = first {
                let _ = writeln!(out, "guards: one ping precedes it: {}", first.purpose.explanation());
            }
        }
    }
    if let Some(reason) = guarded.unsafe_because() {
        let _ = writeln!(out, "guards: the handler is unsafe: {}", clean(&reason));
    }
    if let Some(next) = guarded.next_try() {
        let next = next.to_rfc3339_opts(SecondsFormat::Secs, true);
        let _ = writeln!(out, "guards: the breaker is open, and the next try is at {next} at the earliest");
    }
    out
}
