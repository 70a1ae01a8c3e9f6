//! Changes of provisioned concurrency and aliases, with Lambda's validation.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::errors::ErrorResponse;
use super::super::pool::Key;
use super::super::profile::Profile;
use super::super::reference::Reference;
use super::super::scenario::Scenario;
use super::super::{Emulator, EmulatorState, FunctionState};
use super::routing::Routing;
use super::{Alias, Capacity, Place, no_alias};

/// The part of an account's unreserved concurrency that provisioned concurrency leaves, unless the account has less.
/// Source: Lambda's developer guide.
const UNRESERVED_MINIMUM: u32 = 100;

/// Requests `number` provisioned environments at the emulated time `at`, with 0 none. A time before the last change of
/// the place is the time of that change.
///
/// # Errors
/// Lambda's refusal.
pub(in crate::emulator) fn request_at(
    emulator: &Emulator,
    place: &Place,
    number: u32,
    at: Duration,
) -> Result<(), ErrorResponse> {
    let scenario = emulator.scenario();
    let state = &mut *emulator.state();
    match number {
        0 => delete(state, &scenario, place, at),
        number => put(state, &scenario, place, number, at),
    }
}

/// Returns the profile and the routing of an existing alias or version.
///
/// # Errors
/// Lambda's 404.
pub(super) fn existing<'a>(
    capacity: &mut Capacity,
    scenario: &'a Scenario,
    place: &Place,
    at: Duration,
) -> Result<(&'a Profile, Routing), ErrorResponse> {
    let reference = place.reference();
    let profile = Reference { qualifier: None, ..reference.clone() }.profile(scenario)?;
    let routing = capacity.routing(place, profile, at).ok_or_else(|| no_alias(&reference))?;
    Ok((profile, routing))
}

/// Requests environments.
///
/// # Errors
/// Lambda's refusal.
fn put(
    state: &mut EmulatorState,
    scenario: &Scenario,
    place: &Place,
    number: u32,
    at: Duration,
) -> Result<(), ErrorResponse> {
    let (profile, routing) = existing(&mut state.capacity, scenario, place, at)?;
    if routing.version.starts_with('$') {
        return Err(unpublished());
    }
    check_changeable(state, place, profile, &routing, at)?;
    let EmulatorState { capacity, pool, .. } = state;
    check_other_qualifiers(capacity, place, profile, &routing, at)?;
    check_quota(capacity, scenario, place, profile, number, at)?;
    let fails = capacity.failure(place, profile);
    capacity.set(place, number, Some((profile, fails)), pool, at);
    Ok(())
}

/// Deletes the configuration of a place. Without one, it does nothing.
///
/// # Errors
/// Lambda's refusal.
fn delete(
    state: &mut EmulatorState,
    scenario: &Scenario,
    place: &Place,
    at: Duration,
) -> Result<(), ErrorResponse> {
    let (profile, routing) = existing(&mut state.capacity, scenario, place, at)?;
    let present = state.capacity.provisioned(place, profile, at);
    if present.is_none_or(|provisioned| provisioned.requested() == 0) {
        return Ok(());
    }
    check_changeable(state, place, profile, &routing, at)?;
    let EmulatorState { capacity, pool, .. } = state;
    capacity.set(place, 0, None, pool, at);
    Ok(())
}

/// Returns the refusal of `$LATEST`, and of an alias that points at it.
pub(super) fn unpublished() -> ErrorResponse {
    ErrorResponse::invalid(
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
    )
}

/// Checks that the function is not being updated, and that the alias has no weights.
fn check_changeable(
    state: &EmulatorState,
    place: &Place,
    profile: &Profile,
    routing: &Routing,
    at: Duration,
) -> Result<(), ErrorResponse> {
    let version = profile.of_version(&routing.version);
    let key = Key {
        scope: place.scope.clone(),
        function: place.function.clone(),
        version: routing.version.clone(),
        tenant: None,
        provisioned: None,
    };
    if version.configuration.get("LastUpdateStatus").is_some_and(|status| status == "InProgress") {
        let arn = Reference { qualifier: None, ..place.reference() }.arn();
        return Err(ErrorResponse::conflict(format!(
            "The operation cannot be performed at this time. An update is in progress for resource: {arn}"
        )));
    }
    if state.function_state(&key, version, at) == FunctionState::Pending {
        return Err(ErrorResponse::conflict(
            "The operation cannot be performed at this time. The function is currently in the following state: \
             Pending",
        ));
    }
    if !routing.weights.is_empty() {
        return Err(ErrorResponse::invalid(
            "Alias with weights can not be used with Provisioned Concurrency",
        ));
    }
    Ok(())
}

/// Checks that a version and an alias of it do not both get provisioned concurrency.
fn check_other_qualifiers(
    capacity: &mut Capacity,
    place: &Place,
    profile: &Profile,
    routing: &Routing,
    at: Duration,
) -> Result<(), ErrorResponse> {
    if !place.is_version() {
        return match capacity.is_configured(&place.with(&routing.version), profile, at) {
            true => Err(ErrorResponse::conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
            )),
            false => Ok(()),
        };
    }
    for alias in profile.aliases.keys().map(|alias| place.with(alias)) {
        let routing = capacity.routing(&alias, profile, at);
        let points_here = routing.is_some_and(|routing| routing.version == place.qualifier);
        if points_here && capacity.is_configured(&alias, profile, at) {
            return Err(ErrorResponse::conflict("Version is pointed by a Provisioned Concurrency alias"));
        }
    }
    Ok(())
}

/// Checks that the account or the function has the concurrency for `number` environments, if that is an increase.
fn check_quota(
    capacity: &mut Capacity,
    scenario: &Scenario,
    place: &Place,
    profile: &Profile,
    number: u32,
    at: Duration,
) -> Result<(), ErrorResponse> {
    let own = capacity.provisioned(place, profile, at).map_or(0, |provisioned| provisioned.claimed());
    if number <= own {
        return Ok(());
    }
    if let Some(reserved) = profile.reserved {
        let others = capacity.provisioned.iter().filter(|(other, _)| {
            (&other.scope, &other.function) == (&place.scope, &place.function) && *other != place
        });
        let others = others.map(|(_, provisioned)| provisioned.claimed()).fold(0, u32::saturating_add);
        return match number > reserved.saturating_sub(others) {
            true => Err(ErrorResponse::invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for \
                 function",
            )),
            false => Ok(()),
        };
    }
    let left = capacity.unclaimed(scenario, &place.scope, at) + i64::from(own);
    let minimum = UNRESERVED_MINIMUM.min(scenario.account.concurrency);
    if i64::from(number) > left {
        return Err(ErrorResponse::invalid(format!(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{}].",
            left.max(0)
        )));
    }
    if left - i64::from(number) < i64::from(minimum) {
        return Err(ErrorResponse::invalid(format!(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its \
             minimum value of [{minimum}]."
        )));
    }
    Ok(())
}

/// Moves an alias to `version`, or sets its `weights`; what is `None` stays.
///
/// # Errors
/// Lambda's refusal.
pub(super) fn update_alias(
    state: &mut EmulatorState,
    scenario: &Scenario,
    place: &Place,
    version: Option<String>,
    weights: Option<BTreeMap<String, f64>>,
    at: Duration,
) -> Result<(), ErrorResponse> {
    let EmulatorState { capacity, pool, .. } = state;
    let (profile, present) = existing(capacity, scenario, place, at)?;
    let is_cleared = weights.as_ref().is_some_and(BTreeMap::is_empty);
    let routing = Routing {
        version: version.unwrap_or_else(|| present.version.clone()),
        weights: weights.unwrap_or_else(|| present.weights.clone()),
    };
    check_weights(&routing)?;
    let is_moved = routing.version != present.version;
    let provisioned = capacity.provisioned(place, profile, at).filter(|of| of.requested() > 0);
    if provisioned.is_some() && is_moved && !routing.weights.is_empty() {
        return Err(ErrorResponse::invalid("Invalid alias configuration for Provisioned Concurrency"));
    }
    let was_moving = capacity.aliases.get(place).is_some_and(|alias| alias.is_moving);
    if is_moved {
        capacity.moved(place, &present.version, routing, profile, pool, at);
        return Ok(());
    }
    let fails = profile.of_version(&routing.version).provisioned_fails.clone();
    let is_moving = was_moving && !is_cleared;
    capacity.aliases.insert(place.clone(), Alias { routing, is_moving });
    if was_moving && is_cleared {
        // The requests go to the new version, whose environments are not ready.
        if let Some(provisioned) = capacity.provisioned.get_mut(place) {
            provisioned.renew(at, profile.prepare, fails, false);
        }
    }
    Ok(())
}

fn check_weights(Routing { version, weights }: &Routing) -> Result<(), ErrorResponse> {
    if weights.len() > 1 {
        return Err(ErrorResponse::invalid(
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ));
    }
    for (other, weight) in weights {
        if !(0.0..=1.0).contains(weight) {
            let rule = "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member \
                        must have value greater than or equal to 0.0, Member must not be null]";
            let at = "routingConfig.additionalVersionWeights";
            return Err(ErrorResponse::constraint(format!("{{{other}={weight}}}"), at, rule));
        }
        if other == version {
            return Err(ErrorResponse::invalid(format!(
                "Invalid function version {other}. Function version {other} is already included in routing \
                 configuration."
            )));
        }
        if version.starts_with('$') || !other.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ErrorResponse::invalid(
                "$LATEST is not supported for an alias pointing to more than 1 version",
            ));
        }
    }
    Ok(())
}
