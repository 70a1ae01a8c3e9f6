//! References to functions in paths: by name, partial ARN or ARN, with or without a qualifier.

use super::errors::ErrorResponse;
use super::profile::Profile;
use super::scenario::Scenario;
use super::wire::Call;
use crate::domain::function::Region;

/// The function that a request refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The name.
    pub name: String,
    /// The qualifier of the path or the query.
    pub qualifier: Option<String>,
}

impl Reference {
    /// Parses `text`, a decoded path segment, and the query's `Qualifier`.
    pub(super) fn parse(text: &str, call: &Call, scenario: &Scenario) -> Result<Self, ErrorResponse> {
        let queried = call.query("Qualifier").filter(|qualifier| !qualifier.is_empty());
        let own = scenario.account.id.as_str();
        let fields: Vec<&str> = text.split(':').collect();
        let (account, region, name, qualifier) = match fields.as_slice() {
            [name] => (own, None, *name, None),
            [name, qualifier] => (own, None, *name, Some(*qualifier)),
            [account, "function", name] => (*account, None, *name, None),
            [account, "function", name, qualifier] => (*account, None, *name, Some(*qualifier)),
            ["arn", _, "lambda", region, account, "function", name] => (*account, Some(*region), *name, None),
            ["arn", _, "lambda", region, account, "function", name, qualifier] => {
                (*account, Some(*region), *name, Some(*qualifier))
            }
            _ => return Err(ErrorResponse::invalid(format!("{text} is not a function"))),
        };
        let word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if name.is_empty() || name.len() > 64 || !word(name) {
            return Err(ErrorResponse::invalid(format!("{name} is not a function name")));
        }
        let qualifier = match (qualifier, queried) {
            (Some(named), Some(queried)) if named != queried => {
                return Err(ErrorResponse::invalid(
                    "The derived qualifier from the function name does not match the specified qualifier.",
                ));
            }
            (Some(named), _) => Some(named.to_owned()),
            (None, queried) => queried,
        };
        if let Some(qualifier) = &qualifier
            && !word(qualifier)
            && !["$LATEST", "$LATEST.PUBLISHED"].contains(&qualifier.as_str())
        {
            return Err(ErrorResponse::invalid(format!("{qualifier} is not a qualifier")));
        }
        let reference = Self {
            account: account.to_owned(),
            region: region.unwrap_or(call.region()).to_owned(),
            name: name.to_owned(),
            qualifier,
        };
        if region.is_some_and(|region| region != call.region()) && call.header("authorization").is_some() {
            let (there, here) = (&reference.region, call.region());
            let message = format!("Functions from '{there}' are not reachable in this region ('{here}')");
            return Err(ErrorResponse::not_found(message));
        }
        Ok(reference)
    }

    /// Returns the account and the region, as in [`Key::scope`](super::pool::Key).
    pub(super) fn scope(&self) -> String {
        format!("{}/{}", self.account, self.region)
    }

    /// Returns the function's ARN with the qualifier.
    pub(super) fn arn(&self) -> String {
        let partition = Region::parse(&self.region).map_or("aws", Region::partition);
        let Self { account, region, name, qualifier } = self;
        let arn = format!("arn:{partition}:lambda:{region}:{account}:function:{name}");
        match qualifier {
            Some(qualifier) => format!("{arn}:{qualifier}"),
            None => arn,
        }
    }

    /// Returns the function's profile.
    ///
    /// # Errors
    /// Lambda's 404 when the function does not exist.
    pub(super) fn profile<'a>(&self, scenario: &'a Scenario) -> Result<&'a Profile, ErrorResponse> {
        scenario
            .profile(&self.name)
            .ok_or_else(|| ErrorResponse::not_found(format!("Function not found: {}", self.arn())))
    }
}
