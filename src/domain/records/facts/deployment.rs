//! Deployments that two reads of a function show.

use crate::domain::preflight::{Deployed, Progress, TargetObservation};
use crate::domain::routing::Routing;

/// Returns true if the later of two observations shows other code, or other versions behind the alias, than the earlier
/// one, or the end of an update. A value that was unknown before shows none, and an update shows none before its end.
///
/// An alias is read apart from the configuration. What one of the reads has shown is no deployment for the other.
pub fn shows_deployment(before: &TargetObservation, after: &TargetObservation) -> bool {
    let (old, new) = (before.configuration.known(), after.configuration.known());
    let (from, to) = (before.alias.known(), after.alias.known());
    let is_rerouted = from.zip(to).is_some_and(|(from, to)| is_rerouted(from, to, old));
    is_rerouted || old.zip(new).is_some_and(|(old, new)| has_other_code(old, new, from))
}

fn is_rerouted(from: &Routing, to: &Routing, known: Option<&Deployed>) -> bool {
    let is_known = || known.and_then(|known| known.version.as_deref()) == Some(to.version.as_str());
    from != to && (to.is_weighted() || !is_known())
}

fn has_other_code(old: &Deployed, new: &Deployed, known: Option<&Routing>) -> bool {
    match (old.progress(), new.progress()) {
        // Invocations execute the earlier code.
        (_, Progress::Underway) => return false,
        // An update of the configuration shows no other hash.
        (Progress::Underway, Progress::Ready) => return true,
        _ => {}
    }
    match (&old.version, &new.version) {
        (Some(from), Some(to)) if from != to => known.is_none_or(|known| known.version.as_str() != to),
        _ => old.code_sha256.as_ref().zip(new.code_sha256.as_ref()).is_some_and(|(old, new)| old != new),
    }
}
