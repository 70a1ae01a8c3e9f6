//! How a path names a function: by name, partial ARN or ARN, with or without a qualifier.

use serde_json::json;

use super::profile::{Profile, Scenario};
use super::wire::{Answer, Call, json};
use crate::domain::function::Region;

/// A function that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The name.
    pub name: String,
    /// The qualifier asked for, in the path or the query.
    pub qualifier: Option<String>,
}

impl Reference {
    /// The function that `text` (a decoded path segment) and the query's `Qualifier` name.
    pub(super) fn parse(text: &str, call: &Call, scenario: &Scenario) -> Result<Self, Refused> {
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
            _ => return Err(Refused::invalid(&format!("{text} is not a function"))),
        };
        let word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if name.is_empty() || name.len() > 64 || !word(name) {
            return Err(Refused::invalid(&format!("{name} is not a function name")));
        }
        let qualifier = match (qualifier, queried) {
            (Some(named), Some(queried)) if named != queried => {
                return Err(Refused::invalid(
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
            return Err(Refused::invalid(&format!("{qualifier} is not a qualifier")));
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
            return Err(Refused::not_found(&message));
        }
        Ok(reference)
    }

    /// The function's ARN with the qualifier asked for.
    pub(super) fn arn(&self) -> String {
        let partition = Region::parse(&self.region).map_or("aws", Region::partition);
        let Self { account, region, name, qualifier } = self;
        let arn = format!("arn:{partition}:lambda:{region}:{account}:function:{name}");
        match qualifier {
            Some(qualifier) => format!("{arn}:{qualifier}"),
            None => arn,
        }
    }

    /// The function's profile.
    pub(super) fn profile<'a>(&self, scenario: &'a Scenario) -> Result<&'a Profile, Refused> {
        scenario
            .profile(&self.name)
            .ok_or_else(|| Refused::not_found(&format!("Function not found: {}", self.arn())))
    }

    /// The version that executes; `draw`, in [0, 1), chooses among an alias's weights.
    pub(super) fn version(&self, profile: &Profile, draw: f64) -> Result<String, Refused> {
        let Some(qualifier) = &self.qualifier else { return Ok("$LATEST".to_owned()) };
        if qualifier.starts_with('$') || qualifier.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(qualifier.clone());
        }
        if profile.aliases.is_empty() {
            return Ok("1".to_owned());
        }
        let routes = profile.aliases.get(qualifier).filter(|routes| !routes.is_empty());
        let Some(routes) = routes else {
            return Err(Refused::not_found(&format!("Cannot find alias arn: {}", self.arn())));
        };
        let mut left = draw * routes.iter().map(|route| route.weight).sum::<f64>();
        let chosen = routes.iter().find(|route| {
            left -= route.weight;
            left < 0.0
        });
        Ok(chosen.or(routes.last()).map_or("1".to_owned(), |route| route.version.clone()))
    }
}

/// A request that Lambda refuses, in Lambda's own shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The exception.
    pub code: String,
    /// For people.
    pub message: String,
    /// Why a request was throttled.
    pub reason: Option<String>,
}

impl Refused {
    /// A refusal without a reason.
    pub(super) fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned(), reason: None }
    }

    /// 429 for that reason.
    pub(super) fn throttled(reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..Self::new(429, "TooManyRequestsException", "Rate Exceeded.")
        }
    }

    fn invalid(message: &str) -> Self {
        Self::new(400, "InvalidParameterValueException", message)
    }

    fn not_found(message: &str) -> Self {
        Self::new(404, "ResourceNotFoundException", message)
    }

    /// As [`super::Invocation::refusal`] shows it.
    pub(super) fn label(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.code),
            None => self.code.clone(),
        }
    }

    /// On the wire.
    pub(super) fn answer(&self, request_id: &str) -> Answer {
        let fault = if self.status >= 500 { "Service" } else { "User" };
        // Lambda spells the message's key both ways; 403 and 404 have the capital.
        let mut body = match self.status {
            403 => json!({ "Message": self.message }),
            404 => json!({ "Type": fault, "Message": self.message }),
            _ => json!({ "Type": fault, "message": self.message }),
        };
        let mut headers = vec![("x-amzn-errortype", self.code.as_str()), ("x-amzn-requestid", request_id)];
        if let Some(reason) = &self.reason {
            body["Reason"] = json!(reason);
            headers.push(("retry-after", "1"));
        }
        json(self.status, &body, &headers)
    }
}
