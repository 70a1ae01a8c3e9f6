//! Functions and where they are: names, qualifiers, ARNs, accounts, regions.
//!
//! Each newtype has one guarded door (`parse`), so a value that exists is well formed.

use std::fmt;

/// The AWS regions warmd knows, with the partition each belongs to.
///
/// Source: the endpoint partitions of the AWS SDKs, 2026-11.
const REGIONS: &[(&str, &str)] = &[
    ("af-south-1", "aws"),
    ("ap-east-1", "aws"),
    ("ap-east-2", "aws"),
    ("ap-northeast-1", "aws"),
    ("ap-northeast-2", "aws"),
    ("ap-northeast-3", "aws"),
    ("ap-south-1", "aws"),
    ("ap-south-2", "aws"),
    ("ap-southeast-1", "aws"),
    ("ap-southeast-2", "aws"),
    ("ap-southeast-3", "aws"),
    ("ap-southeast-4", "aws"),
    ("ap-southeast-5", "aws"),
    ("ap-southeast-6", "aws"),
    ("ap-southeast-7", "aws"),
    ("ca-central-1", "aws"),
    ("ca-west-1", "aws"),
    ("cn-north-1", "aws-cn"),
    ("cn-northwest-1", "aws-cn"),
    ("eu-central-1", "aws"),
    ("eu-central-2", "aws"),
    ("eu-north-1", "aws"),
    ("eu-south-1", "aws"),
    ("eu-south-2", "aws"),
    ("eu-west-1", "aws"),
    ("eu-west-2", "aws"),
    ("eu-west-3", "aws"),
    ("eusc-de-east-1", "aws-eusc"),
    ("il-central-1", "aws"),
    ("me-central-1", "aws"),
    ("me-south-1", "aws"),
    ("mx-central-1", "aws"),
    ("sa-east-1", "aws"),
    ("us-east-1", "aws"),
    ("us-east-2", "aws"),
    ("us-gov-east-1", "aws-us-gov"),
    ("us-gov-west-1", "aws-us-gov"),
    ("us-west-1", "aws"),
    ("us-west-2", "aws"),
];

/// A region of the known list, such as `eu-west-2`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(&'static str);

impl Region {
    /// The region of that name.
    ///
    /// # Errors
    /// [`UnknownRegion`] when the name is not in the list; it carries the nearest known one.
    pub fn parse(name: &str) -> Result<Self, UnknownRegion> {
        match REGIONS.iter().find(|(known, _)| *known == name) {
            Some((known, _)) => Ok(Self(known)),
            None => Err(UnknownRegion {
                given: name.to_owned(),
                nearest: nearest(name, REGIONS.iter().map(|(known, _)| *known)),
            }),
        }
    }

    /// The region's name, such as `eu-west-2`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The partition of the region, as it stands in ARNs: `aws`, `aws-cn`, `aws-us-gov`, `aws-eusc`.
    pub fn partition(self) -> &'static str {
        REGIONS.iter().find(|(known, _)| *known == self.0).map_or("aws", |(_, partition)| partition)
    }

    /// Every known region, in alphabetical order.
    pub fn all() -> impl Iterator<Item = Self> {
        REGIONS.iter().map(|(name, _)| Self(name))
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

/// A region name that is not in the known list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown region `{given}`")]
pub struct UnknownRegion {
    /// What was given.
    pub given: String,
    /// The nearest known name, when one is near enough to be meant.
    pub nearest: Option<&'static str>,
}

/// The candidate nearest to `given`, when near enough that a typo is likely (case does not count).
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any name there is, and the comparison takes time with the square of the length.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_lowercase();
    let limit = (given.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&given, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A twelve-digit AWS account id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AccountId(String);

impl AccountId {
    /// The account id, when `text` is twelve digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())).then(|| Self(text.to_owned()))
    }

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The account in an ARN.
pub fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}

/// Why a text is not a function reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFunction {
    /// The name is empty, longer than 64 characters, or has a character outside `[A-Za-z0-9_-]`.
    #[error("`{0}` is not a function name (1 to 64 of A-Z a-z 0-9 _ -)")]
    Name(String),
    /// The qualifier is not `$LATEST`, `$LATEST.PUBLISHED`, a version number or an alias of 1 to 128 characters.
    #[error("`{0}` is not a qualifier ($LATEST, a version number, or an alias of A-Z a-z 0-9 _ -)")]
    Qualifier(String),
    /// It starts with `arn:` but is not a function ARN.
    #[error("`{0}` is not a function ARN (arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER])")]
    Arn(String),
    /// The region of an ARN is not known.
    #[error(transparent)]
    Region(#[from] UnknownRegion),
}

/// A function's name without account, region or qualifier: 1 to 64 of `[A-Za-z0-9_-]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FunctionName(String);

impl FunctionName {
    /// The name, checked.
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

    /// The name.
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
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Qualifier(String);

impl Qualifier {
    /// The qualifier, checked.
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

    /// The qualifier's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the unpublished code, which is also what no qualifier means.
    pub fn is_latest(&self) -> bool {
        self.0 == "$LATEST"
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A function as people write it: `name[:qualifier]`, or a full function ARN.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FunctionRef {
    /// The function's name.
    pub name: FunctionName,
    /// The qualifier, when one was written.
    pub qualifier: Option<Qualifier>,
    /// Account and region, when it was written as an ARN.
    pub place: Option<(AccountId, Region)>,
}

impl FunctionRef {
    /// Parses `name[:qualifier]` or `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`.
    ///
    /// # Errors
    /// [`BadFunction`], with the part that is wrong.
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

    /// The single function meant in `region` (an ARN names its own region, which wins).
    pub fn identity(&self, region: Region) -> Identity {
        let (account, region) = match &self.place {
            Some((account, own)) => (Some(account.clone()), *own),
            None => (None, region),
        };
        Identity { account, region, name: self.name.clone(), qualifier: self.qualifier.clone() }
    }
}

impl fmt::Display for FunctionRef {
    /// As it was written: `name[:qualifier]`, or the ARN.
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

/// One function in one region: what a target is known by.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The account, when the function was configured by ARN; otherwise the caller's own.
    pub account: Option<AccountId>,
    /// The region.
    pub region: Region,
    /// The name.
    pub name: FunctionName,
    /// The qualifier as written; none means `$LATEST`.
    pub qualifier: Option<Qualifier>,
}

impl Identity {
    /// `name[:qualifier]`, or the ARN when the account is known: what Invoke takes as FunctionName
    /// (with the qualifier apart) and what people see.
    pub fn label(&self) -> String {
        let place = self.account.clone().map(|account| (account, self.region));
        FunctionRef { name: self.name.clone(), qualifier: self.qualifier.clone(), place }.to_string()
    }

    /// The name or ARN without the qualifier, as Invoke takes it.
    pub fn unqualified(&self) -> String {
        Identity { qualifier: None, ..self.clone() }.label()
    }

    /// What makes two identities the same: no qualifier and `$LATEST` mean the same code.
    fn key(&self) -> (Option<&AccountId>, &FunctionName, Option<&Qualifier>, Region) {
        let qualifier = self.qualifier.as_ref().filter(|q| !q.is_latest());
        (self.account.as_ref(), &self.name, qualifier, self.region)
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
    /// `label (region)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.label(), self.region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip_as_written() {
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
    fn malformed_references_are_refused() {
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
    fn a_near_region_is_a_hint_and_a_far_one_is_not() {
        assert_eq!(Region::parse("eu-wset-2").unwrap_err().nearest, Some("eu-west-2"));
        assert_eq!(Region::parse("london").unwrap_err().nearest, None);
        assert_eq!(Region::parse("cn-north-1").unwrap().partition(), "aws-cn");
    }

    #[test]
    fn no_qualifier_and_latest_are_one_identity() {
        let region = Region::parse("eu-west-2").unwrap();
        let of = |text| FunctionRef::parse(text).unwrap().identity(region);
        assert_eq!(of("f"), of("f:$LATEST"));
        assert_ne!(of("f"), of("f:live"));
    }
}
