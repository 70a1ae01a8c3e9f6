//! The accounts of functions: to which functions the limits of an account apply.

use super::TargetObservation;
use crate::domain::fleet::{Role, Target};
use crate::domain::function::{AccountId, Identity, account_of};

/// Returns the id of the account of a role; without a role that of the credentials of warmd, which is contained in the
/// ARN of any of the functions in `seen` that is configured by name. `None` if unknown.
pub fn account_id<'s, 'f>(
    role: Option<&'s Role>,
    seen: impl IntoIterator<Item = (&'f Target, &'s TargetObservation)>,
) -> Option<&'s str> {
    if let Some(role) = role {
        return account_of(&role.arn);
    }
    seen.into_iter().find_map(|(target, observed)| {
        let is_own = target.role.is_none() && target.id.account.is_none();
        account_of(observed.configuration.known().filter(|_| is_own)?.arn.as_deref()?)
    })
}

/// Returns true if a function belongs to the account with which it is reached, whose id is `account` if known. A
/// function that is configured by ARN may belong to another one, whose limits are unknown.
pub fn is_in_account(id: &Identity, account: Option<&str>) -> bool {
    let named = id.account.as_ref().map(AccountId::as_str);
    named.is_none() || account.is_none() || named == account
}
