//! What a price is for: the keys of the price book.

use std::borrow::Cow;
use std::fmt;

use super::super::fleet::Architecture;
use super::super::function::Region;

/// What a price, or a free allowance, is for. The name ([`fmt::Display`]) is what overrides and listings use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Invocations of a function.
    Requests,
    /// Run time of a function on demand.
    Duration(Architecture),
    /// Provisioned concurrency, used or not.
    ProvisionedIdle(Architecture),
    /// Run time in provisioned environments.
    ProvisionedDuration(Architecture),
    /// `/tmp` above 512 MB, while the function runs.
    Ephemeral,
    /// Keeping a SnapStart snapshot.
    SnapStartCache,
    /// Restoring an environment from a SnapStart snapshot.
    SnapStartRestore,
    /// A new environment of a function with tenant isolation.
    TenantEnvironment,
    /// Invocations of a function on managed instances.
    ManagedRequests,
    /// The fee of managed instances, as a share of the instance's on-demand price.
    ManagedFee,
    /// Invocations an account has free.
    FreeRequests,
    /// Run time an account has free.
    FreeDuration,
    /// GET and the other reading requests to S3 Standard.
    S3Get,
    /// PUT, COPY, POST and LIST requests to S3 Standard.
    S3Put,
    /// DELETE requests to S3.
    S3Delete,
    /// From S3 to a function in the same region.
    SameRegionGb,
    /// Out to the internet.
    InternetGb,
    /// Out to the internet, free for an account.
    FreeInternetGb,
    /// Out of a region into another one.
    InterRegionGb,
    /// Out of a region into this one, where that pair has a price of its own.
    InterRegionGbTo(Region),
    /// Through a NAT gateway.
    NatGb,
    /// A NAT gateway's hours.
    NatHour,
    /// Through an interface endpoint.
    EndpointGb,
    /// An interface endpoint's hours, for each availability zone.
    EndpointHour,
    /// Custom metrics.
    Metrics,
    /// PutMetricData requests.
    PutRequests,
    /// Dashboards.
    Dashboards,
    /// Alarms of standard resolution.
    Alarms,
    /// Log data taken in.
    LogGb,
    /// Custom metrics an account has free.
    FreeMetrics,
    /// CloudWatch API requests an account has free.
    FreePutRequests,
    /// Dashboards an account has free.
    FreeDashboards,
    /// Alarms an account has free.
    FreeAlarms,
    /// Custom events put on an EventBridge bus.
    Events,
    /// Hours of an EC2 instance type, Linux on demand, such as `m7g.xlarge`.
    Instance(String),
}

/// One row: the item, its name and the unit of its price.
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
    (Item::SnapStartRestore, "lambda.snapstart-restore", "GB"),
    (Item::TenantEnvironment, "lambda.tenant-environment", "GB"),
    (Item::ManagedRequests, "lambda.managed-requests", "request"),
    (Item::ManagedFee, "lambda.managed-fee", "of the on-demand price"),
    (Item::FreeRequests, "lambda.free-requests", "requests a month"),
    (Item::FreeDuration, "lambda.free-duration", "GB-s a month"),
    (Item::S3Get, "s3.get", "request"),
    (Item::S3Put, "s3.put", "request"),
    (Item::S3Delete, "s3.delete", "request"),
    (Item::SameRegionGb, "transfer.same-region", "GB"),
    (Item::InternetGb, "transfer.internet", "GB"),
    (Item::FreeInternetGb, "transfer.free-internet", "GB a month"),
    (Item::InterRegionGb, "transfer.inter-region", "GB"),
    (Item::NatGb, "nat-gateway.gb", "GB"),
    (Item::NatHour, "nat-gateway.hour", "hour"),
    (Item::EndpointGb, "interface-endpoint.gb", "GB"),
    (Item::EndpointHour, "interface-endpoint.hour", "hour"),
    (Item::Metrics, "cloudwatch.metrics", "metric-month"),
    (Item::PutRequests, "cloudwatch.put-requests", "request"),
    (Item::Dashboards, "cloudwatch.dashboards", "dashboard-month"),
    (Item::Alarms, "cloudwatch.alarms", "alarm-month"),
    (Item::LogGb, "cloudwatch.log-gb", "GB"),
    (Item::FreeMetrics, "cloudwatch.free-metrics", "metrics"),
    (Item::FreePutRequests, "cloudwatch.free-put-requests", "requests a month"),
    (Item::FreeDashboards, "cloudwatch.free-dashboards", "dashboards"),
    (Item::FreeAlarms, "cloudwatch.free-alarms", "alarms"),
    (Item::Events, "eventbridge.events", "event"),
];

const TO_REGION: &str = "transfer.inter-region.";
const INSTANCE: &str = "ec2.";

impl Item {
    /// The item of that name, such as `lambda.duration.arm64`, `transfer.inter-region.us-east-2` or `ec2.m7g.xlarge`.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(region) = name.strip_prefix(TO_REGION) {
            return Region::parse(region).ok().map(Self::InterRegionGbTo);
        }
        if let Some(instance) = name.strip_prefix(INSTANCE) {
            let (family, size) = instance.split_once('.')?;
            let plain =
                |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            return (plain(family) && plain(size)).then(|| Self::Instance(instance.to_owned()));
        }
        NAMES.iter().find(|(_, known, _)| *known == name).map(|(item, _, _)| item.clone())
    }

    /// The name, as in the price book.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::InterRegionGbTo(region) => format!("{TO_REGION}{region}").into(),
            Self::Instance(instance) => format!("{INSTANCE}{instance}").into(),
            item => NAMES.iter().find(|(known, _, _)| known == item).map_or("", |(_, name, _)| name).into(),
        }
    }

    /// What the price is for one of. A GB is 2^30 bytes; in GB-s it is 1,024 MB of memory for a second.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::InterRegionGbTo(_) => "GB",
            Self::Instance(_) => "hour",
            item => NAMES.iter().find(|(known, _, _)| known == item).map_or("", |(_, _, unit)| unit),
        }
    }

    /// The fixed names, for hints.
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
    fn every_name_leads_back_to_its_item() {
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
    fn what_is_not_an_item_is_refused() {
        for name in
            ["", "lambda", "lambda.request", "transfer.inter-region.moon-1", "ec2.", "ec2.m7g", "ec2.m7g.x l"]
        {
            assert_eq!(Item::parse(name), None, "{name}");
        }
    }
}
