//! Billed items, the keys of the price book.

use std::borrow::Cow;
use std::fmt;

use super::super::function::{Architecture, Region};

/// An item with a price or a free allowance. Overrides and listings use its name ([`fmt::Display`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Invocations of a function.
    Requests,
    /// Duration on demand.
    Duration(Architecture),
    /// Provisioned concurrency, used or idle.
    ProvisionedIdle(Architecture),
    /// Duration in provisioned environments.
    ProvisionedDuration(Architecture),
    /// Ephemeral storage (`/tmp`) above 512 MB.
    Ephemeral,
    /// SnapStart cache.
    SnapStartCache,
    /// SnapStart restore.
    SnapStartRestore,
    /// New environment of a function with tenant isolation.
    TenantEnvironment,
    /// Invocations of a function on managed instances.
    ManagedRequests,
    /// Fee of managed instances, as a share of the instance's on-demand price.
    ManagedFee,
    /// Free invocations of an account.
    FreeRequests,
    /// Free duration of an account.
    FreeDuration,
    /// GET and other read requests to S3 Standard.
    S3Get,
    /// PUT, COPY, POST and LIST requests to S3 Standard.
    S3Put,
    /// DELETE requests to S3.
    S3Delete,
    /// Data from S3 to a function in the same region.
    SameRegionData,
    /// Data to the internet.
    InternetData,
    /// Free data to the internet of an account.
    FreeInternetData,
    /// Data from a region to another.
    InterRegionData,
    /// Data from a region to this one, for pairs with their own price.
    InterRegionDataTo(Region),
    /// Data through a NAT gateway.
    NatData,
    /// Hours of a NAT gateway.
    NatHour,
    /// Data through an interface endpoint.
    EndpointData,
    /// Hours of an interface endpoint in an availability zone.
    EndpointHour,
    /// Custom metrics.
    Metrics,
    /// PutMetricData requests.
    PutRequests,
    /// Metrics requested with GetMetricData.
    MetricReads,
    /// Dashboards.
    Dashboards,
    /// Alarms of standard resolution, for each metric.
    Alarms,
    /// Composite alarms.
    CompositeAlarms,
    /// Ingested log data.
    LogData,
    /// Free custom metrics of an account.
    FreeMetrics,
    /// Free CloudWatch API requests of an account.
    FreePutRequests,
    /// Free dashboards of an account.
    FreeDashboards,
    /// Free alarms of an account.
    FreeAlarms,
    /// Custom events on an EventBridge bus.
    Events,
    /// Hours of an EC2 instance type such as `m7g.xlarge`, Linux on demand.
    Instance(String),
}

/// The items with a fixed name, with their names and units.
const NAMES: &[(Item, &str, &str)] = &[
    (Item::Requests, "lambda.requests", "request"),
    (Item::Duration(Architecture::X86_64), "lambda.duration.x86_64", "GB-s"),
    (Item::Duration(Architecture::Arm64), "lambda.duration.arm64", "GB-s"),
    (Item::ProvisionedIdle(Architecture::X86_64), "lambda.provisioned-idle.x86_64", "GB-s"),
    (Item::ProvisionedIdle(Architecture::Arm64), "lambda.provisioned-idle.arm64", "GB-s"),
    (Item::ProvisionedDuration(Architecture::X86_64), "lambda.provisioned-duration.x86_64", "GB-s"),
    (Item::ProvisionedDuration(Architecture::Arm64), "lambda.provisioned-duration.arm64", "GB-s"),
    (Item::Ephemeral, "lambda.ephemeral", "GB-s"),
    (Item::SnapStartCache, "lambda.snapstart-cache", "GB-s"),
    (Item::SnapStartRestore, "lambda.snapstart-restore", "GiB"),
    (Item::TenantEnvironment, "lambda.tenant-environment", "GiB"),
    (Item::ManagedRequests, "lambda.managed-requests", "request"),
    (Item::ManagedFee, "lambda.managed-fee", "of the on-demand price"),
    (Item::FreeRequests, "lambda.free-requests", "requests a month"),
    (Item::FreeDuration, "lambda.free-duration", "GB-s a month"),
    (Item::S3Get, "s3.get", "request"),
    (Item::S3Put, "s3.put", "request"),
    (Item::S3Delete, "s3.delete", "request"),
    (Item::SameRegionData, "transfer.same-region", "GiB"),
    (Item::InternetData, "transfer.internet", "GiB"),
    (Item::FreeInternetData, "transfer.free-internet", "GiB a month"),
    (Item::InterRegionData, "transfer.inter-region", "GiB"),
    (Item::NatData, "nat-gateway.gb", "GiB"),
    (Item::NatHour, "nat-gateway.hour", "hour"),
    (Item::EndpointData, "interface-endpoint.gb", "GiB"),
    (Item::EndpointHour, "interface-endpoint.hour", "hour"),
    (Item::Metrics, "cloudwatch.metrics", "metric-month"),
    (Item::PutRequests, "cloudwatch.put-requests", "request"),
    (Item::MetricReads, "cloudwatch.metric-reads", "metric"),
    (Item::Dashboards, "cloudwatch.dashboards", "dashboard-month"),
    (Item::Alarms, "cloudwatch.alarms", "alarm-month"),
    (Item::CompositeAlarms, "cloudwatch.composite-alarms", "alarm-month"),
    (Item::LogData, "cloudwatch.log-gb", "GiB"),
    (Item::FreeMetrics, "cloudwatch.free-metrics", "metrics"),
    (Item::FreePutRequests, "cloudwatch.free-put-requests", "requests a month"),
    (Item::FreeDashboards, "cloudwatch.free-dashboards", "dashboards"),
    (Item::FreeAlarms, "cloudwatch.free-alarms", "alarms"),
    (Item::Events, "eventbridge.events", "event"),
];

const TO_REGION: &str = "transfer.inter-region.";
const INSTANCE: &str = "ec2.";

impl Item {
    /// Parses a name such as `lambda.duration.arm64`, `transfer.inter-region.us-east-2` or `ec2.m7g.xlarge`.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(region) = name.strip_prefix(TO_REGION) {
            return Region::parse(region).ok().map(Self::InterRegionDataTo);
        }
        if let Some(instance) = name.strip_prefix(INSTANCE) {
            let (family, size) = instance.split_once('.')?;
            let plain =
                |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            return (plain(family) && plain(size)).then(|| Self::Instance(instance.to_owned()));
        }
        NAMES.iter().find(|(_, known, _)| *known == name).map(|(item, _, _)| item.clone())
    }

    /// Returns the name in the price book.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::InterRegionDataTo(region) => format!("{TO_REGION}{region}").into(),
            Self::Instance(instance) => format!("{INSTANCE}{instance}").into(),
            item => NAMES.iter().find(|(known, _, _)| known == item).map_or("", |(_, name, _)| name).into(),
        }
    }

    /// Returns the unit of the price. GB-s is the AWS name for a second of 1,024 MB of memory.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::InterRegionDataTo(_) => "GiB",
            Self::Instance(_) => "hour",
            item => NAMES.iter().find(|(known, _, _)| known == item).map_or("", |(_, _, unit)| unit),
        }
    }

    /// Returns the fixed names, for hints.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name, _)| *name)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (item, name, unit) in NAMES {
            assert_eq!(Item::parse(name).as_ref(), Some(item));
            assert_eq!(item.name(), *name);
            assert!(!unit.is_empty());
        }
        for name in ["transfer.inter-region.us-east-2", "ec2.m7g.xlarge", "ec2.u7i-12tb.224xlarge"] {
            assert_eq!(Item::parse(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn rejects_unknown_items() {
        for name in
            ["", "lambda", "lambda.request", "transfer.inter-region.moon-1", "ec2.", "ec2.m7g", "ec2.m7g.x l"]
        {
            assert_eq!(Item::parse(name), None, "{name}");
        }
    }
}
