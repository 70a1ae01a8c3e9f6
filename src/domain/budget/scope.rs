//! What a budget is for.

use std::collections::BTreeMap;

use super::Budget;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::Identity;
use crate::domain::records::keyed::Key;

/// What a budget is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole fleet.
    Fleet,
    /// The functions of an owner.
    Owner(String),
    /// A function in a region, all its tenants together. The identity has no tenant.
    Function(Identity),
}

impl Scope {
    /// Returns the name in JSON: `fleet`, `owner` or `function`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Owner(_) => "owner",
            Self::Function(_) => "function",
        }
    }

    /// Returns the owner; `None` for another scope.
    pub fn owner(&self) -> Option<&str> {
        if let Self::Owner(owner) = self { Some(owner) } else { None }
    }

    /// Returns the function; `None` for another scope.
    pub fn function(&self) -> Option<&Identity> {
        if let Self::Function(id) = self { Some(id) } else { None }
    }

    /// Returns the setting in the configuration, such as `owners.nlp.budget`.
    pub fn setting(&self) -> String {
        match self {
            Self::Fleet => "budget".to_owned(),
            Self::Owner(owner) => format!("owners.{owner}.budget"),
            Self::Function(id) => format!("functions.{}.budget", id.label()),
        }
    }

    /// Returns the scopes of a target, whether they have budgets or not.
    pub fn of(target: &Target) -> impl Iterator<Item = Self> {
        let owner = target.owner.clone().map(Self::Owner);
        [Self::Function(target.id.without_tenant())].into_iter().chain(owner).chain([Self::Fleet])
    }
}

/// Writes the scope as a person would name it.
impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fleet => f.write_str("the fleet"),
            Self::Owner(owner) => write!(f, "the owner {owner}"),
            Self::Function(id) => write!(f, "{} in {}", id.label(), id.region),
        }
    }
}

/// Written as `fleet`, `owner NAME`, or `function` and the key of the function.
impl Key for Scope {
    fn text(&self) -> String {
        match self {
            Self::Fleet => "fleet".to_owned(),
            Self::Owner(owner) => format!("owner {owner}"),
            Self::Function(id) => format!("function {}", id.text()),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            None if text == "fleet" => Some(Self::Fleet),
            Some(("owner", owner)) => Some(Self::Owner(owner.to_owned())),
            Some(("function", id)) => Some(Self::Function(<Identity as Key>::parse(id)?.without_tenant())),
            _ => None,
        }
    }
}

/// Returns the budgets of a fleet.
pub fn budgets(fleet: &Fleet) -> BTreeMap<Scope, Budget> {
    let functions = fleet.targets.iter();
    let functions = functions.filter_map(|it| Some((Scope::Function(it.id.without_tenant()), it.budget?)));
    let owners = fleet.owner_budgets.iter().map(|(owner, budget)| (Scope::Owner(owner.clone()), *budget));
    functions.chain(owners).chain(fleet.budget.map(|budget| (Scope::Fleet, budget))).collect()
}

/// Returns true if a fleet has a budget.
pub fn has_budgets(fleet: &Fleet) -> bool {
    fleet.budget.is_some()
        || !fleet.owner_budgets.is_empty()
        || fleet.targets.iter().any(|target| target.budget.is_some())
}
