//! Least-privilege IAM policies for one configuration, split into documents within IAM's size limit, and the roles that
//! the warmer assumes.

mod capacity;
mod statement;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};

pub use self::statement::Purpose;
use self::statement::{FunctionStatement, Statement, arns};
use crate::domain::alarm::prefix;
use crate::domain::backlog::READ_METRICS;
use crate::domain::capacity::Owner;
use crate::domain::fleet::{Fleet, Target};
use crate::domain::function::{AccountId, Region};
use crate::domain::parse::quoted;
use crate::domain::preflight::Read;
use crate::domain::s3_uri::S3Uri;

/// The maximum size of a managed policy, in characters without white space. Source: IAM quotas.
pub const MAX_CHARS: usize = 6_144;
/// The default quota of managed policies per role. Source: IAM quotas.
pub const POLICIES_PER_ROLE: usize = 10;

/// The input of the policies.
#[derive(Debug, Clone, Copy)]
pub struct PolicyInput<'a> {
    /// The principal.
    pub purpose: Purpose,
    /// The configuration: its functions and its metric namespace.
    pub fleet: &'a Fleet,
    /// The warmer's account, for functions that are not configured by ARN. Without it the account is `*`.
    pub account: Option<&'a AccountId>,
    /// The warmer's own region, which is that of its bus.
    pub region: Region,
    /// The location of a configuration in S3.
    pub configs: Option<&'a S3Prefix>,
    /// The location of state in S3.
    pub state: Option<&'a S3Prefix>,
    /// The name or ARN of the bus for shards and reports.
    pub bus: Option<&'a str>,
}

/// The policies of a role that the warmer assumes.
#[derive(Debug, Clone, PartialEq)]
pub struct RolePolicies {
    /// The role.
    pub arn: String,
    /// The policy documents, each of at most [`MAX_CHARS`] characters as [`size`] counts them.
    pub policies: Vec<Value>,
    /// A trust policy for the warmer's account, if [`PolicyInput::account`] is set.
    pub trust: Option<Value>,
}

/// `s3://bucket/prefix`, valid inside a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Prefix {
    bucket: String,
    prefix: String,
}

impl S3Prefix {
    /// Parses `s3://bucket[/prefix]`.
    ///
    /// # Errors
    /// An invalid URI, or a prefix with `*`, `?` or `$`, which are wildcards and variables in a policy.
    pub fn parse(text: &str) -> Result<Self, String> {
        let other = || Err(format!("expected s3://bucket/prefix, found {}", quoted(text)));
        let S3Uri { bucket, prefix } = S3Uri::parse(text).unwrap_or_else(other)?;
        if prefix.contains(['*', '?', '$']) {
            return Err(format!(
                "expected a prefix without * ? $, which are special in a policy, found \"{prefix}\""
            ));
        }
        Ok(Self { bucket, prefix })
    }

    fn bucket_arn(&self, partition: &str) -> String {
        format!("arn:{partition}:s3:::{}", self.bucket)
    }

    /// The pattern of all objects under the prefix.
    fn objects_arn(&self, partition: &str) -> String {
        match self.prefix.as_str() {
            "" => format!("{}/*", self.bucket_arn(partition)),
            prefix => format!("{}/{prefix}/*", self.bucket_arn(partition)),
        }
    }

    /// The patterns of the keys that may be listed.
    fn keys(&self) -> Vec<String> {
        match self.prefix.as_str() {
            "" => vec!["*".to_owned()],
            prefix => vec![prefix.to_owned(), format!("{prefix}/*")],
        }
    }
}

/// Returns the documents of the warmer's own role, each of at most [`MAX_CHARS`] characters as [`size`] counts them.
/// Targets that are reached through another role, or never warmed, are left out.
pub fn policies(input: &PolicyInput<'_>) -> Vec<Value> {
    let own: Vec<&Target> = warmed(input).filter(|target| target.role.is_none()).collect();
    pack(input, common(input), &own, input.account)
}

/// Returns the policy for the caller of `warmd dashboard` and `warmd alarms`: all dashboards, because their names are the
/// user's, and the metric alarms of the owner. CloudWatch refuses to put and to list composite alarms with a resource other
/// than `*`. Source: CloudWatch API reference, PutCompositeAlarm and DescribeAlarms, 2026-11.
pub fn observe_policy(account: Option<&AccountId>, region: Region, owner: &Owner) -> Value {
    let (partition, account) = (region.partition(), account.map_or("*", AccountId::as_str));
    const DASHBOARDS: &[&str] =
        &["cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard", "cloudwatch:PutDashboard"];
    const ALARMS: &[&str] = &["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"];
    const COMPOSITE_ALARMS: &[&str] = &["cloudwatch:DescribeAlarms", "cloudwatch:PutCompositeAlarm"];
    let alarms = format!("arn:{partition}:cloudwatch:{region}:{account}:alarm:{}*", prefix(owner));
    document(&[
        Statement::new(
            "Dashboards",
            DASHBOARDS,
            format!("arn:{partition}:cloudwatch::{account}:dashboard/*"),
        ),
        Statement::new("Alarms", ALARMS, alarms),
        Statement::new("CompositeAlarms", COMPOSITE_ALARMS, "*"),
    ])
}

/// Returns the policies of the roles that the warmer assumes, in the order of their ARNs.
pub fn assumed(input: &PolicyInput<'_>) -> Vec<RolePolicies> {
    let mut roles: BTreeMap<&str, (Vec<&Target>, BTreeSet<Option<&str>>)> = BTreeMap::new();
    for target in warmed(input) {
        if let Some(role) = &target.role {
            let (targets, ids) = roles.entry(&role.arn).or_default();
            targets.push(target);
            ids.insert(role.external_id.as_deref());
        }
    }
    let roles = roles.into_iter().map(|(arn, (targets, ids))| RolePolicies {
        arn: arn.to_owned(),
        policies: pack(input, Vec::new(), &targets, None),
        trust: input.account.map(|account| trust(input.region.partition(), account, &ids)),
    });
    roles.collect()
}

fn warmed<'a>(input: &PolicyInput<'a>) -> impl Iterator<Item = &'a Target> {
    input.fleet.targets.iter().filter(|target| target.is_warmed())
}

/// Returns a trust policy for an account. It requires an external id if every target of the role has one.
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

fn pack(
    input: &PolicyInput<'_>,
    common: Vec<Statement>,
    targets: &[&Target],
    own: Option<&AccountId>,
) -> Vec<Value> {
    let mut packer = Packer::default();
    common.into_iter().for_each(|statement| packer.add(statement));
    if !targets.is_empty() {
        packer.add(Statement::new("Account", const { &[Read::Account.action()] }, "*"));
    }
    if targets.iter().any(|target| !target.backlogs.is_empty()) {
        packer.add(Statement::new("Backlogs", &[READ_METRICS], "*"));
    }
    let autoscaling = capacity::autoscaling(input.purpose, targets, &input.fleet.owner, own);
    autoscaling.into_iter().for_each(|statement| packer.add(statement));
    let mut on_functions = function_statements(input.purpose, targets, own);
    on_functions.extend(capacity::function_statements(input.purpose, targets, own));
    for (sid, actions, arns) in on_functions {
        let empty = Statement { sid, actions, resources: Vec::new(), condition: None };
        packer.add_list(&empty, arns);
    }
    packer.finish()
}

/// Returns the size of a policy document as IAM counts it: characters without white space.
pub fn size(document: &Value) -> usize {
    document.to_string().chars().filter(|c| !c.is_whitespace()).count()
}

/// Returns the statements that are not about functions.
fn common(input: &PolicyInput<'_>) -> Vec<Statement> {
    let partition = input.region.partition();
    // A check reads the configuration and assumes roles. It writes nothing.
    let input = match input.purpose {
        Purpose::Warm => input,
        Purpose::CheckLive => &PolicyInput { state: None, bus: None, ..*input },
    };
    let mut statements = Vec::new();
    if input.purpose == Purpose::Warm {
        statements.push(Statement {
            condition: Some(
                json!({ "StringEquals": { "cloudwatch:namespace": input.fleet.metrics.namespace } }),
            ),
            ..Statement::new("Metrics", &["cloudwatch:PutMetricData"], "*")
        });
    }
    if let Some(configs) = input.configs {
        statements.push(Statement::new("Configs", &["s3:GetObject"], configs.objects_arn(partition)));
    }
    if let Some(state) = input.state {
        const ACTIONS: &[&str] = &["s3:GetObject", "s3:PutObject"];
        let objects = state.objects_arn(partition);
        // Old history is removed, and nothing else.
        let history = format!("{}history-*", objects.strip_suffix('*').unwrap_or(&objects));
        statements.push(Statement::new("State", ACTIONS, objects));
        statements.push(Statement::new("History", &["s3:DeleteObject"], history));
    }
    let listed: Vec<&S3Prefix> = input.configs.into_iter().chain(input.state).collect();
    for (index, (location, sid)) in listed.iter().zip(["List", "ListState"]).enumerate() {
        if listed[..index].iter().any(|earlier| earlier.bucket == location.bucket) {
            continue;
        }
        let same = listed.iter().filter(|other| other.bucket == location.bucket);
        let keys: Vec<String> = same.flat_map(|location| location.keys()).collect();
        // Without ListBucket, S3 answers GetObject for a missing key with 403. That check has no `s3:prefix`.
        statements.push(Statement {
            condition: Some(json!({ "StringLikeIfExists": { "s3:prefix": keys } })),
            ..Statement::new(sid, &["s3:ListBucket"], location.bucket_arn(partition))
        });
    }
    if let Some(bus) = input.bus {
        let arn = match bus.starts_with("arn:") {
            true => bus.to_owned(),
            false => {
                let account = input.account.map_or("*", AccountId::as_str);
                format!("arn:{partition}:events:{}:{account}:event-bus/{bus}", input.region)
            }
        };
        statements.push(Statement::new("Bus", &["events:PutEvents"], arn));
    }
    let roles: BTreeSet<&str> =
        warmed(input).filter_map(|target| target.role.as_ref()).map(|role| role.arn.as_str()).collect();
    if !roles.is_empty() {
        let resources = roles.into_iter().map(str::to_owned).collect();
        statements.push(Statement { resources, ..Statement::new("Roles", &["sts:AssumeRole"], "") });
    }
    statements
}

/// Returns the statements about functions. ARNs are in the order of the configuration.
fn function_statements(
    purpose: Purpose,
    targets: &[&Target],
    own: Option<&AccountId>,
) -> Vec<FunctionStatement> {
    // Invoke and the reads with a qualifier are authorised on the qualified ARN if there is one.
    const PING: &[&str] = &[Read::Invoke.action(), Read::Configuration.action(), Read::Provisioned.action()];
    const SEE: &[&str] = &[Read::Configuration.action(), Read::Provisioned.action()];
    // Reserved concurrency belongs to the function, without a qualifier, and aliases are read from it.
    const RESERVED: &[&str] = &[Read::Reserved.action()];
    const ALIAS: &[&str] = &[Read::Reserved.action(), Read::Alias.action()];
    let sid = match purpose {
        Purpose::Warm => "Ping",
        Purpose::CheckLive => "Check",
    };
    let (pinged, others): (Vec<_>, Vec<_>) = targets.iter().copied().partition(|target| target.is_pinged());
    let function = |target: &Target| target.function_arn(own);
    let is_read = |target: &Target| target.is_pinged_by_alias() || target.strategy.is_capacity();
    let aliased: HashSet<String> =
        pinged.iter().filter(|target| target.is_pinged_by_alias()).map(|target| function(target)).collect();
    let read: Vec<&Target> = targets.iter().copied().filter(|target| is_read(target)).collect();
    let read = arns(&read, function);
    // While an alias has routing weights, its versions are pinged by their numbers.
    let has_versions = |target: &Target| {
        purpose == Purpose::Warm && target.id.qualifier.is_some() && aliased.contains(&function(target))
    };
    let ping = |target: &Target| match has_versions(target) {
        true => format!("{}:*", function(target)),
        false => target.arn(own),
    };
    let mut reserved = arns(targets, function);
    let is_named: HashSet<&String> = read.iter().collect();
    reserved.retain(|arn| !is_named.contains(arn));
    vec![
        (sid, PING, arns(&pinged, ping)),
        ("See", SEE, arns(&others, |target| target.arn(own))),
        ("Reserved", RESERVED, reserved),
        ("Alias", ALIAS, read),
    ]
}

/// Statements split into documents of at most [`MAX_CHARS`].
#[derive(Debug, Default)]
struct Packer {
    /// Finished documents.
    full: Vec<Vec<Statement>>,
    /// The document that is being filled.
    open: Vec<Statement>,
}

impl Packer {
    /// Adds a statement without splitting it.
    fn add(&mut self, statement: Statement) {
        let mut tried = self.open.clone();
        tried.push(statement.clone());
        if size(&document(&tried)) > MAX_CHARS && !self.open.is_empty() {
            self.full.push(std::mem::take(&mut self.open));
        }
        self.open.push(statement);
    }

    /// Adds `statement` for `resources`, repeated in as many documents as necessary.
    fn add_list(&mut self, statement: &Statement, resources: Vec<String>) {
        let mut room = 0;
        let mut first = true;
        for resource in resources {
            // The ARN in quotes, with a comma. Function names contain no white space and nothing that JSON escapes.
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
