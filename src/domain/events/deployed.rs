//! Deployments of functions, as CloudTrail reports the calls of Lambda.
//!
//! Every such event is accepted: one that is no deployment is ignored. A refusal would become a dead letter and an
//! alarm, and the events are those of everybody who deploys in the account.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::LambdaEvent;
use crate::domain::fleet::Target;
use crate::domain::function::{AccountId, FunctionName, FunctionRef, Qualifier, Region, account_of};
use crate::domain::parse::quoted;

/// The `detail-type` of the calls that CloudTrail reports.
pub const CLOUDTRAIL: &str = "AWS API Call via CloudTrail";
/// The call that moves an alias. Names in events end with the date of the API, such as `UpdateAlias20150331`.
const UPDATE_ALIAS: &str = "UpdateAlias";
/// The calls that change the unpublished code.
const UPDATE_FUNCTION: [&str; 2] = ["UpdateFunctionCode", "UpdateFunctionConfiguration"];

/// A deployment of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The function.
    pub function: FunctionName,
    /// The alias that was updated; `None` if the unpublished code or its configuration was.
    pub alias: Option<Qualifier>,
    /// The account of the function; `None` if the event has none.
    pub account: Option<AccountId>,
    /// The region of the function.
    pub region: Region,
    /// The time of the call; `None` if the event has none.
    pub at: Option<DateTime<Utc>>,
}

impl Deployment {
    /// Returns true if a target runs what was deployed: for an alias the targets of that alias, otherwise those without
    /// a qualifier and those of `$LATEST`. A target whose account is unknown counts as one of the event's account.
    pub fn concerns(&self, target: &Target) -> bool {
        let id = &target.id;
        let role = || account_of(&target.role.as_ref()?.arn);
        let account = id.account.as_ref().map(AccountId::as_str).or_else(role);
        let is_other = account.zip(self.account.as_ref()).is_some_and(|(own, theirs)| own != theirs.as_str());
        let qualifier = id.qualifier.as_ref().filter(|qualifier| !qualifier.is_latest());
        (id.region, &id.name, qualifier) == (self.region, &self.function, self.alias.as_ref()) && !is_other
    }
}

impl fmt::Display for Deployment {
    /// Formats the function as `name` or `name:alias`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.function)?;
        self.alias.as_ref().map_or(Ok(()), |alias| write!(f, ":{alias}"))
    }
}

/// Returns the deployment in an event of CloudTrail. An event without one is ignored with the reason.
pub(super) fn deployed(event: &Map<String, Value>) -> LambdaEvent {
    match read(event) {
        Ok(deployed) => LambdaEvent::Deployed(deployed),
        Err(reason) => LambdaEvent::Ignored(reason),
    }
}

fn read(event: &Map<String, Value>) -> Result<Deployment, String> {
    let envelope = |key: &str| event.get(key).and_then(Value::as_str);
    let detail = event.get("detail").unwrap_or(&Value::Null);
    let text = |pointer: &str| detail.pointer(pointer).and_then(Value::as_str);
    if (envelope("source"), text("/eventSource")) != (Some("aws.lambda"), Some("lambda.amazonaws.com")) {
        return Err("it is no call of Lambda".to_owned());
    }
    let call = text("/eventName").unwrap_or_default();
    let is_alias = call.starts_with(UPDATE_ALIAS);
    if !is_alias && !UPDATE_FUNCTION.iter().any(|name| call.starts_with(name)) {
        return Err(format!("the call {} is no deployment", quoted(call)));
    }
    if detail.get("errorCode").is_some_and(|code| !code.is_null()) {
        return Err("the call failed".to_owned());
    }
    if detail.pointer("/requestParameters/dryRun") == Some(&Value::Bool(true)) {
        return Err("the call was a dry run".to_owned());
    }
    let parameter = |pointer, what: &str| text(pointer).ok_or_else(|| format!("it has no name of {what}"));
    let name = parameter("/requestParameters/functionName", "a function")?;
    let (function, own_account, own_region) =
        function(name).ok_or_else(|| format!("expected a function's name or ARN, found {}", quoted(name)))?;
    let alias = match is_alias {
        true => {
            let name = parameter("/requestParameters/name", "an alias")?;
            let alias = Qualifier::parse(name).ok().filter(Qualifier::is_alias);
            Some(alias.ok_or_else(|| format!("expected the name of an alias, found {}", quoted(name)))?)
        }
        false => None,
    };
    let region = text("/awsRegion").or(envelope("region")).unwrap_or_default();
    let region = own_region
        .or_else(|| Region::parse(region).ok())
        .ok_or_else(|| format!("expected a region, found {}", quoted(region)))?;
    let account = own_account.or_else(|| AccountId::parse(envelope("account")?));
    let instant = |text| DateTime::parse_from_rfc3339(text).ok();
    let at = text("/eventTime").and_then(instant).or_else(|| envelope("time").and_then(instant));
    Ok(Deployment { function, alias, account, region, at: at.map(|at| at.to_utc()) })
}

/// Returns the function that a request names, with the account and the region if it has them: `NAME`, an ARN, or
/// `ACCOUNT:function:NAME`. A qualifier is left out.
fn function(text: &str) -> Option<(FunctionName, Option<AccountId>, Option<Region>)> {
    let partial = text
        .split_once(":function:")
        .and_then(|(account, name)| Some((AccountId::parse(account)?, FunctionRef::parse(name).ok()?)));
    if let Some((account, function)) = partial {
        return Some((function.name, Some(account), None));
    }
    let function = FunctionRef::parse(text).ok()?;
    let (account, region) = function.place.unzip();
    Some((function.name, account, region))
}
