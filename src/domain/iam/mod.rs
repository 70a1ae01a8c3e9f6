//! The IAM policies that a warmer needs for one configuration, and the roles that it assumes: exact, and cut into
//! documents that IAM takes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};

use super::fleet::{Fleet, Target};
use super::function::{AccountId, Region, account_of};
use super::parse::quoted;
use super::preflight::Read;
use super::s3_uri::S3Uri;

/// The most characters of a managed policy, white space not counted. Source: IAM quotas.
pub const MAX_CHARS: usize = 6_144;
/// How many managed policies a role may have unless its quota is raised. Source: IAM quotas. A configuration that
/// needs more is better served by the tag condition of the template.
pub const POLICIES_PER_ROLE: usize = 10;

/// The principal that gets the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The warmer: exactly what it calls. It reads no function's configuration, which holds environment variables.
    Warm,
    /// The user of `check --live`: the reads, and the permission that its dry runs ask about.
    CheckLive,
}

/// The input of the policies.
#[derive(Debug, Clone, Copy)]
pub struct Needs<'a> {
    /// The principal that gets them.
    pub purpose: Purpose,
    /// The configuration: its functions and its metric namespace.
    pub fleet: &'a Fleet,
    /// The warmer's account, for functions that are not configured by ARN; none leaves it open (`*`).
    pub account: Option<&'a AccountId>,
    /// The warmer's own region: its bus is there.
    pub region: Region,
    /// Where the configuration is, when it is in S3.
    pub configs: Option<&'a S3Prefix>,
    /// Where the state is, when it is in S3.
    pub state: Option<&'a S3Prefix>,
    /// The bus for shards and reports, a name or an ARN; none means none is used.
    pub bus: Option<&'a str>,
}

/// What a role needs that the warmer assumes.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleNeeds {
    /// The role.
    pub arn: String,
    /// Its policy documents, each of at most [`MAX_CHARS`] characters as [`size`] counts them.
    pub policies: Vec<Value>,
    /// A trust policy that lets the warmer's account assume it; none when nobody named that account.
    pub trust: Option<Value>,
}

/// `s3://bucket/prefix`, fit to stand in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Prefix {
    bucket: String,
    prefix: String,
}

impl S3Prefix {
    /// Parses `s3://bucket[/prefix]`.
    ///
    /// # Errors
    /// What is wrong with it. `*`, `?` and `$` would mean something else in a policy.
    pub fn parse(text: &str) -> Result<Self, String> {
        let other = || Err(format!("expected s3://bucket/prefix, found {}", quoted(text)));
        let S3Uri { bucket, prefix } = S3Uri::parse(text).unwrap_or_else(other)?;
        if prefix.contains(['*', '?', '$']) {
            return Err(format!(
                "the prefix `{prefix}` has one of * ? $, which mean something else in a policy"
            ));
        }
        Ok(Self { bucket, prefix })
    }

    fn bucket_arn(&self, partition: &str) -> String {
        format!("arn:{partition}:s3:::{}", self.bucket)
    }

    /// Every object under the prefix.
    fn objects_arn(&self, partition: &str) -> String {
        match self.prefix.as_str() {
            "" => format!("{}/*", self.bucket_arn(partition)),
            prefix => format!("{}/{prefix}/*", self.bucket_arn(partition)),
        }
    }

    /// Keys under the prefix, as a pattern.
    fn keys(&self) -> Vec<String> {
        match self.prefix.as_str() {
            "" => vec!["*".to_owned()],
            prefix => vec![prefix.to_owned(), format!("{prefix}/*")],
        }
    }
}

/// One statement, allowing.
#[derive(Debug, Clone)]
struct Statement {
    sid: &'static str,
    actions: &'static [&'static str],
    resources: Vec<String>,
    condition: Option<Value>,
}

impl Statement {
    fn new(sid: &'static str, actions: &'static [&'static str], resource: impl Into<String>) -> Self {
        Self { sid, actions, resources: vec![resource.into()], condition: None }
    }

    fn json(&self) -> Value {
        let mut json = json!({ "Sid": self.sid, "Effect": "Allow", "Action": self.actions });
        json["Resource"] = json!(self.resources);
        if let Some(condition) = &self.condition {
            json["Condition"] = condition.clone();
        }
        json
    }
}

/// The documents of the warmer's own role, each of at most [`MAX_CHARS`] characters as [`size`] counts them. What a
/// role is assumed for is not in them, nor what is never pinged.
pub fn policies(needs: &Needs<'_>) -> Vec<Value> {
    let own: Vec<&Target> = warmed(needs).filter(|target| target.role.is_none()).collect();
    packed(needs.purpose, common(needs), &own, needs.account)
}

/// The documents of the roles that are assumed, in the order of their ARNs.
pub fn assumed(needs: &Needs<'_>) -> Vec<RoleNeeds> {
    let mut roles: BTreeMap<&str, (Vec<&Target>, BTreeSet<Option<&str>>)> = BTreeMap::new();
    for target in warmed(needs) {
        if let Some(role) = &target.role {
            let (targets, ids) = roles.entry(&role.arn).or_default();
            targets.push(target);
            ids.insert(role.external_id.as_deref());
        }
    }
    let roles = roles.into_iter().map(|(arn, (targets, ids))| RoleNeeds {
        arn: arn.to_owned(),
        policies: packed(needs.purpose, Vec::new(), &targets, None),
        trust: needs.account.map(|account| trust(needs.region.partition(), account, &ids)),
    });
    roles.collect()
}

fn warmed<'a>(needs: &Needs<'a>) -> impl Iterator<Item = &'a Target> {
    needs.fleet.targets.iter().filter(|target| target.is_warmed())
}

/// Lets an account assume a role. An external id is asked for when every target gives one.
fn trust(partition: &str, account: &AccountId, ids: &BTreeSet<Option<&str>>) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": { "AWS": format!("arn:{partition}:iam::{}:root", account.as_str()) },
        "Action": "sts:AssumeRole",
    });
    if !ids.contains(&None) {
        statement["Condition"] = json!({ "StringEquals": { "sts:ExternalId": ids } });
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

fn packed(
    purpose: Purpose,
    common: Vec<Statement>,
    targets: &[&Target],
    own: Option<&AccountId>,
) -> Vec<Value> {
    let mut packer = Packer::default();
    common.into_iter().for_each(|statement| packer.add(statement));
    if !targets.is_empty() && purpose == Purpose::CheckLive {
        packer.add(Statement::new("Account", const { &[Read::Account.action()] }, "*"));
    }
    for (sid, actions, arns) in functions(purpose, targets, own) {
        let empty = Statement { sid, actions, resources: Vec::new(), condition: None };
        packer.add_list(&empty, arns);
    }
    packer.finish()
}

/// The size of a policy document as IAM counts it: characters that are no white space.
pub fn size(document: &Value) -> usize {
    document.to_string().chars().filter(|c| !c.is_whitespace()).count()
}

/// What does not depend on the functions.
fn common(needs: &Needs<'_>) -> Vec<Statement> {
    let partition = needs.region.partition();
    // A check reads the configuration and assumes roles; it writes nothing.
    let needs = match needs.purpose {
        Purpose::Warm => needs,
        Purpose::CheckLive => &Needs { state: None, bus: None, ..*needs },
    };
    let mut statements = Vec::new();
    if needs.purpose == Purpose::Warm {
        statements.push(Statement {
            condition: Some(
                json!({ "StringEquals": { "cloudwatch:namespace": needs.fleet.metrics.namespace } }),
            ),
            ..Statement::new("Metrics", &["cloudwatch:PutMetricData"], "*")
        });
    }
    if let Some(configs) = needs.configs {
        statements.push(Statement::new("Configs", &["s3:GetObject"], configs.objects_arn(partition)));
    }
    if let Some(state) = needs.state {
        const ACTIONS: &[&str] = &["s3:GetObject", "s3:PutObject"];
        statements.push(Statement::new("State", ACTIONS, state.objects_arn(partition)));
    }
    let listed: Vec<&S3Prefix> = needs.configs.into_iter().chain(needs.state).collect();
    for (index, (place, sid)) in listed.iter().zip(["List", "ListState"]).enumerate() {
        if listed[..index].iter().any(|earlier| earlier.bucket == place.bucket) {
            continue;
        }
        let same = listed.iter().filter(|other| other.bucket == place.bucket);
        let keys: Vec<String> = same.flat_map(|place| place.keys()).collect();
        // Without the right to list, S3 answers 403 for an object that is not there. That question has no prefix.
        statements.push(Statement {
            condition: Some(json!({ "StringLikeIfExists": { "s3:prefix": keys } })),
            ..Statement::new(sid, &["s3:ListBucket"], place.bucket_arn(partition))
        });
    }
    if let Some(bus) = needs.bus {
        let arn = match bus.starts_with("arn:") {
            true => bus.to_owned(),
            false => {
                let account = needs.account.map_or("*", AccountId::as_str);
                format!("arn:{partition}:events:{}:{account}:event-bus/{bus}", needs.region)
            }
        };
        statements.push(Statement::new("Bus", &["events:PutEvents"], arn));
    }
    let roles: BTreeSet<&str> =
        warmed(needs).filter_map(|target| target.role.as_ref()).map(|role| role.arn.as_str()).collect();
    if !roles.is_empty() {
        let resources = roles.into_iter().map(str::to_owned).collect();
        statements.push(Statement { resources, ..Statement::new("Roles", &["sts:AssumeRole"], "") });
    }
    statements
}

/// Statements about functions: what is done to them, and the ARNs in the order of the configuration.
fn functions(
    purpose: Purpose,
    targets: &[&Target],
    own: Option<&AccountId>,
) -> Vec<(&'static str, &'static [&'static str], Vec<String>)> {
    // Invoke and the reads that take a qualifier are authorised on the qualified ARN when there is one.
    const PING: &[&str] = &[Read::Invoke.action()];
    const CHECK: &[&str] = &[Read::Invoke.action(), Read::Configuration.action(), Read::Provisioned.action()];
    // Reserved concurrency belongs to the function, whatever the qualifier.
    const RESERVED: &[&str] = &[Read::Reserved.action()];
    let arns = |of: fn(&Target, Option<&AccountId>) -> String| {
        let mut seen = HashSet::new();
        let arns = targets.iter().map(|target| of(target, own));
        arns.filter(|arn| seen.insert(arn.clone())).collect::<Vec<_>>()
    };
    match purpose {
        Purpose::Warm => vec![("Ping", PING, arns(arn))],
        Purpose::CheckLive => vec![("Check", CHECK, arns(arn)), ("Reserved", RESERVED, arns(unqualified))],
    }
}

/// The ARN of the function, whatever the qualifier: in the account that its own ARN names, else in that of its role,
/// else in `own`; `*` for one that nobody named.
fn unqualified(target: &Target, own: Option<&AccountId>) -> String {
    let id = &target.id;
    let named = id.account.as_ref().map(AccountId::as_str);
    let role = || target.role.as_ref().and_then(|role| account_of(&role.arn));
    let account = named.or_else(role).or(own.map(AccountId::as_str)).unwrap_or("*");
    format!("arn:{}:lambda:{}:{account}:function:{}", id.region.partition(), id.region, id.name)
}

/// The ARN that Lambda authorises against.
pub fn arn(target: &Target, own: Option<&AccountId>) -> String {
    let function = unqualified(target, own);
    match &target.id.qualifier {
        Some(qualifier) => format!("{function}:{qualifier}"),
        None => function,
    }
}

/// Fills documents one after the other.
#[derive(Debug, Default)]
struct Packer {
    full: Vec<Vec<Statement>>,
    open: Vec<Statement>,
}

impl Packer {
    /// Adds a statement that stays whole.
    fn add(&mut self, statement: Statement) {
        let mut tried = self.open.clone();
        tried.push(statement.clone());
        if size(&document(&tried)) > MAX_CHARS && !self.open.is_empty() {
            self.full.push(std::mem::take(&mut self.open));
        }
        self.open.push(statement);
    }

    /// Adds `statement` about `resources`, repeated in as many documents as they need.
    fn add_list(&mut self, statement: &Statement, resources: Vec<String>) {
        let mut room = 0;
        let mut first = true;
        for resource in resources {
            // The ARN in quotes, with a comma: names hold nothing that JSON escapes, and no white space.
            let chars = resource.chars().count() + 3;
            if first || chars > room {
                let mut tried = self.open.clone();
                tried.push(statement.clone());
                let mut used = size(&document(&tried));
                if !first || used + chars > MAX_CHARS {
                    self.full.extend((!self.open.is_empty()).then(|| std::mem::take(&mut self.open)));
                    used = size(&document(std::slice::from_ref(statement)));
                }
                self.open.push(statement.clone());
                room = MAX_CHARS.saturating_sub(used);
                first = false;
            }
            room = room.saturating_sub(chars);
            if let Some(last) = self.open.last_mut() {
                last.resources.push(resource);
            }
        }
    }

    fn finish(mut self) -> Vec<Value> {
        self.full.extend((!self.open.is_empty()).then_some(self.open));
        self.full.iter().map(|statements| document(statements)).collect()
    }
}

fn document(statements: &[Statement]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": statements.iter().map(Statement::json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
