//! Single values and collections of the configuration.

mod choices;
mod collections;
mod json;
mod metric;
mod quantity;
mod text;
mod time;

pub(super) use self::choices::{
    ByName, CanarySwitch, HoldSetting, ProtocolName, RouteKind, StatisticName, StrategyName, Version, Via,
};
pub(super) use self::collections::{List, Table, TableEntry};
pub(super) use self::json::Json;
pub(super) use self::metric::{AnyNamespace, Dimensions, MetricName};
pub(super) use self::quantity::{
    CoalesceTime, Coverage, CronDuration, DrainTime, ExecutionTime, HoldTime, IdleLife, InitTime, Integer,
    Interval, KeepHistory, Lead, Lifetime, Memory, MonthlyUsd, Percent, Price, Rate, RequestLifetime, Size,
    SloPeriod, TierEnd, Timeout, Utilization,
};
pub(super) use self::text::{
    CalendarPath, ExternalId, FreeText, Name, Namespace, RoleArn, S3Object, has_extension,
};
pub(super) use self::time::{Cron, Date, DayHours, Days, Zone};
