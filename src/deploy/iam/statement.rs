//! The statements of a policy.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::domain::fleet::Target;

/// The principal of the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The warmer: pings, and the reads on which its guards depend. A function's configuration contains environment
    /// variables, which warmd neither keeps nor shows.
    Warm,
    /// The caller of `check --live`: reads, and the permission to invoke what is pinged, which its dry runs check.
    CheckLive,
}

/// The sid, actions and ARNs of a statement about functions.
pub(super) type FunctionStatement = (&'static str, &'static [&'static str], Vec<String>);

/// A statement with the effect Allow.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub sid: &'static str,
    pub actions: &'static [&'static str],
    pub resources: Vec<String>,
    pub condition: Option<Value>,
}

impl Statement {
    pub fn new(sid: &'static str, actions: &'static [&'static str], resource: impl Into<String>) -> Self {
        Self { sid, actions, resources: vec![resource.into()], condition: None }
    }

    pub fn json(&self) -> Value {
        let mut json = json!({ "Sid": self.sid, "Effect": "Allow", "Action": self.actions });
        json["Resource"] = json!(self.resources);
        if let Some(condition) = &self.condition {
            json["Condition"] = condition.clone();
        }
        json
    }
}

/// Returns an ARN for each target, without repetitions.
pub(super) fn arns(targets: &[&Target], arn: impl Fn(&Target) -> String) -> Vec<String> {
    let mut seen = HashSet::new();
    let arns = targets.iter().map(|target| arn(target));
    arns.filter(|arn| seen.insert(arn.clone())).collect()
}
