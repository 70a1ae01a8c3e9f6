//! Functions and their identity: names, qualifiers, ARNs, accounts, regions, instruction sets.
//!
//! Each newtype is created by its `parse` only, so every value is well formed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::parse::{TextError, nearest, quoted};

/// The partitions, each with its known regions.
///
/// Source: the endpoint partitions of the AWS SDKs, 2026-11.
const PARTITIONS: [(&str, &str); 4] = [
    (
        "aws",
        "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 \
         ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 \
         ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 \
         eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 \
         mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2",
    ),
    ("aws-cn", "cn-north-1 cn-northwest-1"),
    ("aws-eusc", "eusc-de-east-1"),
    ("aws-us-gov", "us-gov-east-1 us-gov-west-1"),
];

/// Returns the known regions with their partitions.
fn regions() -> impl Iterator<Item = (&'static str, &'static str)> {
    PARTITIONS.iter().flat_map(|(partition, names)| names.split(' ').map(|name| (name, *partition)))
}

/// A region of the known list, such as `eu-west-2`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(&'static str);

impl Region {
    /// Parses the name of a known region.
    ///
    /// # Errors
    /// [`UnknownRegion`] with the nearest known name.
    pub fn parse(name: &str) -> Result<Self, UnknownRegion> {
        let known = regions().find(|(known, _)| *known == name);
        known.map(|(known, _)| Self(known)).ok_or_else(|| UnknownRegion {
            given: name.to_owned(),
            nearest: nearest(name, regions().map(|(known, _)| known)),
        })
    }

    /// Returns the name, such as `eu-west-2`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Returns the partition in ARNs: `aws`, `aws-cn`, `aws-us-gov` or `aws-eusc`.
    pub fn partition(self) -> &'static str {
        regions().find(|(known, _)| *known == self.0).map_or("aws", |(_, partition)| partition)
    }

    /// Returns every known region in alphabetical order.
    pub fn all() -> impl Iterator<Item = Self> {
        let mut all: Vec<Self> = regions().map(|(name, _)| Self(name)).collect();
        all.sort_unstable();
        all.into_iter()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl serde::Serialize for Region {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// The error for an unknown region name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown region {}", quoted(given))]
pub struct UnknownRegion {
    /// The given name.
    pub given: String,
    /// The nearest known name, if a typo is likely.
    pub nearest: Option<&'static str>,
}

impl From<UnknownRegion> for TextError {
    fn from(error: UnknownRegion) -> Self {
        let hint = match error.nearest {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write the code of an AWS region, such as `eu-west-2`".to_owned(),
        };
        Self::new(0..error.given.len(), error.to_string()).hint(hint)
    }
}

/// A twelve-digit AWS account id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AccountId(String);

impl AccountId {
    /// Parses an account id, `None` unless `text` is twelve digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())).then(|| Self(text.to_owned()))
    }

    /// Returns the twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the account of an ARN.
pub fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}

/// The error for an invalid function reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFunction {
    /// The name is empty, longer than 64 characters, or has a character outside `[A-Za-z0-9_-]`.
    #[error("expected a function name (1 to 64 of A-Z a-z 0-9 _ -), found {}", quoted(.0))]
    Name(String),
    /// The qualifier is not `$LATEST`, `$LATEST.PUBLISHED`, a version number or an alias of 1 to 128 characters.
    #[error("expected a qualifier ($LATEST, a version number, or an alias of A-Z a-z 0-9 _ -), found {}", quoted(.0))]
    Qualifier(String),
    /// The text starts with `arn:` but is not a function ARN.
    #[error("expected a function ARN (arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]), found {}", quoted(.0))]
    Arn(String),
    /// The region of an ARN is unknown.
    #[error(transparent)]
    Region(#[from] UnknownRegion),
}

/// A function's name without account, region or qualifier: 1 to 64 of `[A-Za-z0-9_-]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FunctionName(String);

impl FunctionName {
    /// Parses a function name.
    ///
    /// # Errors
    /// [`BadFunction::Name`].
    pub fn parse(text: &str) -> Result<Self, BadFunction> {
        let fits = (1..=64).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadFunction::Name(text.to_owned()))
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A version number, an alias, `$LATEST` or `$LATEST.PUBLISHED`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Qualifier(String);

impl Qualifier {
    /// Parses a qualifier.
    ///
    /// # Errors
    /// [`BadFunction::Qualifier`].
    pub fn parse(text: &str) -> Result<Self, BadFunction> {
        let alias = (1..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if alias || text == "$LATEST" || text == "$LATEST.PUBLISHED" {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadFunction::Qualifier(text.to_owned()))
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true unless it is a version number, `$LATEST` or `$LATEST.PUBLISHED`.
    pub fn is_alias(&self) -> bool {
        !self.0.starts_with('$') && !self.is_version()
    }

    /// Returns true if it is a version number.
    pub fn is_version(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Returns true for `$LATEST`, the unpublished code, which is also the meaning of no qualifier.
    pub fn is_latest(&self) -> bool {
        self.0 == "$LATEST"
    }
}

impl TryFrom<String> for Qualifier {
    type Error = BadFunction;

    fn try_from(text: String) -> Result<Self, BadFunction> {
        Self::parse(&text)
    }
}

impl From<Qualifier> for String {
    fn from(qualifier: Qualifier) -> Self {
        qualifier.0
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The error for an invalid tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a tenant id (1 to 256 of A-Z a-z 0-9 . _ : / = + - @ and spaces, none at its ends), found {}", quoted(.0))]
pub struct BadTenant(String);

/// The id of a tenant, for functions with tenant isolation. Each execution environment belongs to one tenant.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Tenant(String);

impl Tenant {
    /// The valid ids as a regular expression. The maximum length is [`Tenant::MOST_CHARS`].
    ///
    /// Source: the model of `TenantId` in Lambda's API. Spaces at the ends are refused, because HTTP removes them from
    /// the values of headers.
    pub const PATTERN: &str = "^[a-zA-Z0-9._:/=+@-]([a-zA-Z0-9._:/=+@ -]*[a-zA-Z0-9._:/=+@-])?$";
    /// The maximum number of characters.
    pub const MOST_CHARS: usize = 256;

    /// Parses a tenant id.
    ///
    /// # Errors
    /// [`BadTenant`].
    pub fn parse(text: &str) -> Result<Self, BadTenant> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:/=+-@ ".contains(&b);
        let fits = (1..=Self::MOST_CHARS).contains(&text.len()) && text.trim() == text;
        if fits && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadTenant(text.to_owned()))
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A function as configured: `name[:qualifier]` or a full function ARN.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FunctionRef {
    /// The function's name.
    pub name: FunctionName,
    /// The qualifier, if given.
    pub qualifier: Option<Qualifier>,
    /// Account and region, if given as an ARN.
    pub place: Option<(AccountId, Region)>,
}

impl FunctionRef {
    /// Parses `name[:qualifier]` or `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`.
    ///
    /// # Errors
    /// [`BadFunction`] with the invalid part.
    pub fn parse(text: &str) -> Result<Self, BadFunction> {
        if !text.starts_with("arn:") {
            let (name, qualifier) = split_qualifier(text);
            return Ok(Self {
                name: FunctionName::parse(name)?,
                qualifier: qualifier.map(Qualifier::parse).transpose()?,
                place: None,
            });
        }
        let bad = || BadFunction::Arn(text.to_owned());
        let parts: Vec<&str> = text.splitn(7, ':').collect();
        let ["arn", partition, "lambda", region, account, "function", rest] = parts[..] else {
            return Err(bad());
        };
        let region = Region::parse(region)?;
        let account = AccountId::parse(account).ok_or_else(bad)?;
        if region.partition() != partition {
            return Err(bad());
        }
        let (name, qualifier) = split_qualifier(rest);
        Ok(Self {
            name: FunctionName::parse(name)?,
            qualifier: qualifier.map(Qualifier::parse).transpose()?,
            place: Some((account, region)),
        })
    }

    /// Returns the identity of the function in `region`. The region of an ARN takes precedence.
    pub fn identity(&self, region: Region) -> Identity {
        let (account, region) = match &self.place {
            Some((account, own)) => (Some(account.clone()), *own),
            None => (None, region),
        };
        Identity { account, region, name: self.name.clone(), qualifier: self.qualifier.clone(), tenant: None }
    }

    /// Returns true if the target is of this function, in any region and for any tenant.
    pub fn is_of(&self, target: &Identity) -> bool {
        self.identity(target.region).function_key() == target.function_key()
    }
}

impl fmt::Display for FunctionRef {
    /// Formats the reference as configured: `name[:qualifier]` or the ARN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((account, region)) = &self.place {
            write!(f, "arn:{}:lambda:{region}:{}:function:", region.partition(), account.as_str())?;
        }
        f.write_str(self.name.as_str())?;
        match &self.qualifier {
            Some(qualifier) => write!(f, ":{qualifier}"),
            None => Ok(()),
        }
    }
}

fn split_qualifier(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (text, None),
    }
}

/// The identity of a target: account, region, name, qualifier and tenant.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The account, if the function was configured by ARN; otherwise `None`, which means the caller's account.
    pub account: Option<AccountId>,
    /// The region.
    pub region: Region,
    /// The name.
    pub name: FunctionName,
    /// The qualifier as configured; `None` is `$LATEST`.
    pub qualifier: Option<Qualifier>,
    /// The tenant whose environments are kept warm; `None` for a function without tenant isolation.
    pub tenant: Option<Tenant>,
}

impl Identity {
    /// Returns `name[:qualifier]`, or the ARN if the account is known. The tenant is left out, see
    /// [`Identity::shown`].
    pub fn label(&self) -> String {
        let place = self.account.clone().map(|account| (account, self.region));
        FunctionRef { name: self.name.clone(), qualifier: self.qualifier.clone(), place }.to_string()
    }

    /// Returns the label with the tenant after `@`, such as `checkout:live@acme`. A label contains no `@`.
    pub fn shown(&self) -> String {
        match &self.tenant {
            Some(tenant) => format!("{}@{tenant}", self.label()),
            None => self.label(),
        }
    }

    /// Returns the function with its qualifier, which all its tenants have in common.
    pub fn without_tenant(&self) -> Self {
        Self { tenant: None, ..self.clone() }
    }

    /// Returns the function, which all its qualifiers and tenants have in common.
    pub fn function(&self) -> Self {
        Self { qualifier: None, ..self.without_tenant() }
    }

    /// Returns the name or ARN without the qualifier, the `FunctionName` of Invoke.
    pub fn unqualified(&self) -> String {
        self.function().label()
    }

    /// Returns the key of the function with its qualifier, in which no qualifier equals `$LATEST`.
    fn function_key(&self) -> (Option<&AccountId>, &FunctionName, Option<&Qualifier>, Region) {
        let qualifier = self.qualifier.as_ref().filter(|q| !q.is_latest());
        (self.account.as_ref(), &self.name, qualifier, self.region)
    }

    /// Returns the key for comparisons.
    fn key(&self) -> (impl Ord + std::hash::Hash, Option<&Tenant>) {
        (self.function_key(), self.tenant.as_ref())
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Identity {}

impl std::hash::Hash for Identity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Identity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for Identity {
    /// Formats the identity as `label (region)`, with the tenant as in [`Identity::shown`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.shown(), self.region)
    }
}

/// A function's instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Architecture {
    /// `x86_64`, Lambda's default.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// `arm64` (Graviton).
    #[serde(rename = "arm64")]
    Arm64,
}

impl Architecture {
    /// Returns Lambda's name: `x86_64` or `arm64`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip() {
        for text in [
            "nlp-inference",
            "nlp-inference:live",
            "nlp-inference:7",
            "nlp-inference:$LATEST",
            "arn:aws:lambda:eu-west-2:123456789012:function:nlp-inference",
            "arn:aws-cn:lambda:cn-north-1:123456789012:function:nlp:live",
        ] {
            assert_eq!(FunctionRef::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn rejects_malformed_references() {
        for text in [
            "",
            "a b",
            "name:",
            "name:li.ve",
            "arn:aws:lambda:eu-west-2:1234:function:x",
            "arn:aws-cn:lambda:eu-west-2:123456789012:function:x",
            "arn:aws:lambda:eu-west-9:123456789012:function:x",
            "arn:aws:s3:::bucket",
        ] {
            assert!(FunctionRef::parse(text).is_err(), "{text}");
        }
        assert!(FunctionName::parse(&"x".repeat(65)).is_err());
    }

    #[test]
    fn unknown_region_carries_nearest_name() {
        assert_eq!(Region::parse("eu-wset-2").unwrap_err().nearest, Some("eu-west-2"));
        assert_eq!(Region::parse("london").unwrap_err().nearest, None);
        assert_eq!(Region::parse("cn-north-1").unwrap().partition(), "aws-cn");
    }

    #[test]
    fn no_qualifier_equals_latest() {
        let region = Region::parse("eu-west-2").unwrap();
        let of = |text| FunctionRef::parse(text).unwrap().identity(region);
        assert_eq!(of("f"), of("f:$LATEST"));
        assert_ne!(of("f"), of("f:live"));
    }

    #[test]
    fn a_tenant_is_what_lambda_and_a_header_accept() {
        for text in ["a", "acme", "a b", "a:b/c=d+e-f@g.h_i", ":", &"x".repeat(256)] {
            assert_eq!(Tenant::parse(text).unwrap().as_str(), text);
        }
        for text in ["", " ", " a", "a ", "a\tb", "a\r\nX-Evil: 1", "ä", "a,b", "a#b", &"x".repeat(257)] {
            assert!(Tenant::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn tenants_are_targets_of_one_function() {
        let region = Region::parse("eu-west-2").unwrap();
        let function = FunctionRef::parse("f:$LATEST").unwrap();
        let of = |tenant| Identity { tenant: Tenant::parse(tenant).ok(), ..function.identity(region) };
        let all = [of(""), of("a"), of("b")];
        assert!(all.iter().all(|id| FunctionRef::parse("f").unwrap().is_of(id)));
        assert!(all.iter().all(|id| !FunctionRef::parse("f:live").unwrap().is_of(id)));
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 3);
        assert_eq!(all.clone().map(|id| id.shown()), ["f:$LATEST", "f:$LATEST@a", "f:$LATEST@b"]);
        assert!(all.iter().all(|id| id.unqualified() == "f" && id.without_tenant() == all[0]));
    }
}
