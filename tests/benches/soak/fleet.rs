//! The functions of the simulation: their configuration, and their behaviour in the emulator.

use std::fmt::Write;
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, Utc};
use serde_json::json;
use warmd::emulator::Profile;
use warmd::emulator::profile::Handler;

/// The number of functions.
pub const FUNCTIONS: usize = 200;
const PROTOCOLS: [&str; 8] = [
    "warmd",
    "opennext",
    "lambda-warmer",
    "serverless-plugin-warmup",
    "bref",
    "lambda-warmer-py",
    "vapor",
    "thundra",
];

/// The deployment of a function at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    OnDemand,
    Durable,
    Managed,
    /// With tenant isolation, and tenants in the configuration.
    Tenants,
    /// With tenant isolation, without tenants in the configuration.
    NeedsTenants,
    SwitchedOff,
    Inactive,
    Reserved(u32),
    /// Provisioned concurrency of the alias.
    Provisioned(u32),
    /// Its handler takes pings for work.
    Worker,
    /// The function does not exist.
    Missing,
}

impl Kind {
    pub fn of(index: usize) -> Self {
        match index % 50 {
            3 => Self::Durable,
            7 => Self::Managed,
            11 | 12 => Self::Tenants,
            15 => Self::NeedsTenants,
            19 => Self::SwitchedOff,
            23 => Self::Inactive,
            27..=30 => Self::Reserved(2 + 2 * (index as u32 % 4)),
            33 => Self::Provisioned(20),
            34 => Self::Provisioned(1),
            37 => Self::Worker,
            41 if index > 100 => Self::Missing,
            _ => Self::OnDemand,
        }
    }
}

pub fn name(index: usize) -> String {
    format!("fn-{index:03}")
}

/// Returns the behaviour of a function; `None` if it does not exist. `deployment` counts deployments of new code.
pub fn profile(index: usize, deployment: u32) -> Option<Profile> {
    let base = match index % 5 {
        0 => Profile::node(),
        1 => Profile::rust(),
        2 => Profile { restore: Some(warmd::emulator::profile::Span::millis(450)), ..Profile::python() },
        _ => Profile::python(),
    };
    let base = Profile { code: format!("{index}/{deployment}"), ..base };
    let with = |field: &str, value: serde_json::Value| Profile {
        configuration: [(field.to_owned(), value)].into_iter().collect(),
        ..base.clone()
    };
    Some(match Kind::of(index) {
        Kind::OnDemand => base,
        Kind::Durable => with("DurableConfig", json!({ "ExecutionTimeout": 60 })),
        Kind::Managed => with("CapacityProviderConfig", managed()),
        Kind::Tenants | Kind::NeedsTenants => with("TenancyConfig", tenancy()),
        Kind::SwitchedOff => Profile { reserved: Some(0), ..base },
        Kind::Inactive => Profile { inactive: Some(Duration::from_secs(20)), ..base },
        Kind::Reserved(reserved) => Profile { reserved: Some(reserved), ..base },
        Kind::Provisioned(number) => Profile { provisioned: Some(number), ..base },
        Kind::Worker => worker(base),
        Kind::Missing => return None,
    })
}

pub fn managed() -> serde_json::Value {
    json!({ "LambdaManagedInstancesCapacityProviderConfig": { "CapacityProviderArn": "arn:aws:lambda:eu-west-2:123456789012:capacity-provider:p" } })
}

pub fn tenancy() -> serde_json::Value {
    json!({ "TenantIsolationMode": "PER_TENANT" })
}

/// Returns a deployment whose handler takes pings for work of four seconds.
pub fn worker(of: Profile) -> Profile {
    Profile { handler: Handler::None, duration: warmd::emulator::profile::Span::millis(4_000), ..of }
}

/// Returns the configuration. `edition` counts its changes; weekdays count from `start`.
pub fn configuration(start: DateTime<Utc>, edition: u32) -> String {
    let days = |range: std::ops::Range<u64>| {
        let name = |offset| start.date_naive().checked_add_days(Days::new(offset)).unwrap().weekday();
        range.map(|offset| name(offset).to_string().to_lowercase()).collect::<Vec<_>>().join(",")
    };
    let (work, rest) = (days(0..5), days(5..7));
    let (share, free) = (20 + 10 * (edition % 2), 1 + edition % 2);
    let mut text = format!(
        "version: 1\nlimits: {{ account_share: {share}%, leave_free: {free} }}\n\
         defaults: {{ region: eu-west-2, stagger: true }}\nfunctions:\n"
    );
    for index in 0..FUNCTIONS {
        // One function is added and removed.
        if index == 9 && edition % 3 == 1 {
            continue;
        }
        let kind = Kind::of(index);
        let alias = if index % 3 == 0 || matches!(kind, Kind::Provisioned(_)) { ":live" } else { "" };
        let number = 1 + index % 4 + if index % 40 == 5 { 30 } else { 0 };
        let (zone, windows) = match index % 5 {
            0 => ("UTC", format!("{{ days: daily, hours: all-day, concurrency: {} }}", 1 + index % 2)),
            1 => (
                "Asia/Kolkata",
                format!("{{ days: \"{work}\", hours: \"08:00-18:00\", concurrency: {number} }}"),
            ),
            2 => (
                "America/Lima",
                format!(
                    "{{ days: daily, hours: \"07:00-19:00\", concurrency: 1 }}, \
                     {{ days: \"{work}\", hours: \"11:00-13:00\", concurrency: {}, ramp_up: 20m, ramp_down: 30m }}",
                    number + 2
                ),
            ),
            3 => ("UTC", format!("{{ cron: \"*/40 * * * *\", for: 20m, concurrency: {number} }}")),
            _ => ("UTC", format!("{{ days: \"{rest}\", hours: \"22:00-06:00\", concurrency: {number} }}")),
        };
        let region = match index % 10 {
            0..=5 => "regions: [eu-west-2]",
            6..=8 => "regions: [us-east-1]",
            _ => "regions: [eu-west-2, us-east-1]",
        };
        let protocol = PROTOCOLS[if index.is_multiple_of(2) { 0 } else { index / 2 % PROTOCOLS.len() }];
        let tenants = if kind == Kind::Tenants { ", tenants: [a, b]" } else { "" };
        let canary = if index % 13 == 6 && kind == Kind::OnDemand { ", canary: off" } else { "" };
        let interval = [5, 10, 4, 7, 15, 6][(index / 5 + edition as usize / 4) % 6];
        writeln!(
            text,
            "  {}{alias}: {{ {region}, timezone: {zone}, interval: {interval}m, protocol: {protocol}{tenants}{canary}, \
             windows: [{windows}] }}",
            name(index)
        )
        .unwrap();
    }
    text
}
