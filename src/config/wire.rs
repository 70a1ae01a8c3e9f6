//! The keys of the configuration, with their descriptions for the JSON Schema.

mod backlog;
mod budget;
mod pipelines;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

pub(super) use self::backlog::{BacklogKeys, MetricSourceKeys};
pub(super) use self::budget::{BudgetKeys, OwnerKeys, SloSetting};
pub(super) use self::pipelines::{PipelineBacklogKeys, PipelineKeys, Pipelines, StageKeys};
use super::node::Node;
use super::prices::PriceSource;
use super::reader::{FromNode, Reader};
use super::values::{
    ByName, CalendarPath, CanarySwitch, CoalesceTime, Cron, CronDuration, Date, DayHours, Days,
    ExecutionTime, ExternalId, FreeText, HoldSetting, HoldTime, IdleLife, InitTime, Integer, Interval, Json,
    KeepHistory, Lead, Lifetime, List, Memory, Name, Namespace, Percent, ProtocolName, Rate, RequestLifetime,
    RoleArn, RouteKind, S3Object, Size, StrategyName, Table, Timeout, Utilization, Version, Zone,
};
use super::wire_struct::wire_struct;
use crate::domain::capacity::{Fallback, Owner};
use crate::domain::cost::Per;
use crate::domain::fleet::{HttpVersions, Sign, Trace};
use crate::domain::function::{Architecture, Region, Tenant};
use crate::domain::metrics::Detail;

/// The maximum number of environments of a target, and of pings in flight: the concurrency of a large account.
pub(super) const MOST_CONCURRENCY: u32 = 100_000;
/// The maximum number of environments of a version on managed instances. Source: the model of
/// `PutFunctionScalingConfig` in Lambda's API.
pub(super) const MOST_MANAGED: u32 = 15_000;

wire_struct! {
    /// A configuration of warmd: the functions to keep warm, with their windows and settings.
    struct FileKeys ["version"] {
        /// The version of this format: 1.
        version: Version,
        /// Defaults for the functions of this file.
        defaults: Defaults,
        /// Limits of the whole fleet. In one file only.
        limits: LimitKeys,
        /// The owner of provisioned concurrency and managed instances. In one file only.
        capacity: CapacityKeys,
        /// The namespace and the detail of metrics. In one file only.
        metrics: MetricKeys,
        /// Your own prices, or a file of them. They replace those of the built-in price book. In one file only.
        prices: PriceSource,
        /// The monthly budget of the whole fleet. In one file only.
        budget: BudgetKeys,
        /// The owners of functions, by the text of `owner`. Shared by all files.
        owners: Table<OwnerKeys>,
        /// Named sets of dates, such as public holidays, for `only` and `except` of windows. Shared by all files.
        calendars: Table<CalendarKeys>,
        /// Named windows, for `use` in the windows of functions. Shared by all files.
        windows: Table<NamedWindow>,
        /// The functions to keep warm, by `name`, `name:qualifier` or function ARN.
        functions: Table<FunctionKeys>,
        /// Pipelines: functions that serve one load in stages, and are warmed together. Names have 1 to 64 of
        /// A-Z a-z 0-9 - _ and are shared by all files.
        pipelines: Pipelines,
    }
}

/// Defines a map with the settings of a function, which the defaults of a file have as well, and with other keys.
macro_rules! settings_struct {
    ($(#[doc = $doc:literal])+ struct $name:ident { $($own:tt)* }) => {
        wire_struct! {
            $(#[doc = $doc])+
            struct $name [] {
                /// The one region of the function.
                region: Region,
                /// The regions of the function: each is a target of its own.
                regions: List<Region>,
                /// The time zone of windows. Default: UTC.
                timezone: Zone,
                /// The time between two rounds of an open window, in whole minutes. Default: 5m.
                interval: Interval,
                /// The protocol of a ping: the payload that the handler recognises. Default: `warmd`.
                protocol: ProtocolName,
                /// The payload of a ping of the `custom` protocol: any JSON, with placeholders. In its texts,
                /// `${env:NAME}` is the value of an environment variable where pings are sent; `$${` is a literal `${`.
                payload: Json,
                /// The time that the handler holds a ping. `auto` adapts it to the measured skew. Default: `auto`.
                hold: HoldSetting,
                /// Free text in every record, such as a team or a cost centre.
                owner: FreeText,
                /// The time before an opening at which the full number is warm, in whole minutes. Default: 0s; with the
                /// strategies `provisioned` and `managed` 4m up to 6,000 environments, and 1m more for each further
                /// 6,000.
                lead: Lead,
                /// Environments that are added to every desired number above zero. Default: 0.
                spare: Integer<0, MOST_CONCURRENCY>,
                /// The function's instruction set. Default: `x86_64`.
                architecture: Architecture,
                /// The function's memory, in Lambda's MB. Default: the memory in the REPORT line.
                memory: Memory,
                /// The function's timeout. Default: 15m is assumed.
                timeout: Timeout,
                /// The visibility of pings in the traces of a function with active tracing: `off` marks each ping as
                /// not sampled, `inherit` leaves the trace header to the SDK. Default: `off`.
                trace: Trace,
                /// The check of the first contact: `on` sends one ping before the first round, and before the first
                /// round after a change of code, protocol or payload; nothing more follows when the handler took it
                /// for work. Default: `on`.
                canary: CanarySwitch,
                /// The longest warm run of that ping beyond the hold. Default: 1s.
                canary_max: ExecutionTime,
                /// The role to assume to invoke the function, for example in another account. Default: the warmer's
                /// own role.
                role_arn: RoleArn,
                /// The external id that the role's trust policy requires.
                external_id: ExternalId,
                /// What keeps the environments of windows and requests warm: `pings`, `provisioned` concurrency, or
                /// the number of environments of `managed` instances. All but pings need an alias or a version, and a
                /// state store. Default: `pings`.
                strategy: StrategyName,
                /// The settings of the strategy `provisioned`.
                provisioned: ProvisionedKeys,
                /// The settings of the strategy `managed`.
                managed: ManagedKeys,
                /// Assumptions of cost estimates.
                assume: AssumeKeys,
                /// The objective for coverage: the share of the minutes of open windows that are to be warm. `off` is no
                /// objective, despite that of the defaults.
                slo: SloSetting,
                $($own)*
            }
        }
    };
}

settings_struct! {
    /// Defaults for the functions of a file.
    struct Defaults {
        /// `true` spreads the rounds of targets over the interval. Default: false.
        stagger: bool,
    }
}

settings_struct! {
    /// A function, in one region or several.
    struct FunctionKeys {
        /// `false` disables the function. Default: true.
        enabled: bool,
        /// The times with their numbers of environments. Where windows overlap, the highest number applies.
        windows: List<WindowKeys>,
        /// Downloads from S3 by a cold start or by every ping, for cost estimates.
        downloads: List<DownloadKeys>,
        /// The tenants of a function with tenant isolation: each is a target of its own, with the full number of
        /// environments.
        tenants: List<Tenant>,
        /// Limits of Warm Requests. Without it they are rejected.
        on_request: OnRequestKeys,
        /// A backlog of requests that is read from a metric at each tick.
        backlog: Box<BacklogKeys>,
        /// The monthly budget of the function in each region, all its tenants together.
        budget: BudgetKeys,
    }
}

wire_struct! {
    /// Limits of the whole fleet.
    struct LimitKeys [] {
        /// The most pings in flight at once. Default: 500.
        max_in_flight: Integer<1, MOST_CONCURRENCY>,
        /// The most of an account's unreserved concurrency in a region that pings use, in percent. One round of five
        /// environments is always possible. Default: 20%.
        account_share: Percent,
        /// The concurrency that pings leave free of a function's reserved concurrency. Default: 1.
        leave_free: Integer<0, MOST_CONCURRENCY>,
        /// The number of signatures of a round: `round` signs one request and sends it for every ping; `ping` signs
        /// each ping. Default: `round`.
        sign: Sign,
        /// The HTTP version of pings: `auto` uses HTTP/2 where the server offers it; `http1` gives each ping an
        /// HTTP/1.1 connection of its own. Default: `auto`.
        http: HttpVersions,
        /// The time for which the history is kept in the state store, in whole days. Default: 400d.
        keep_history: KeepHistory,
    }
}

wire_struct! {
    /// The settings of provisioned concurrency.
    struct ProvisionedKeys [] {
        /// The way in which it is changed: `autoscaling` by a scalable target with target tracking and scheduled
        /// actions, `direct` by a configuration of the function at each change. Default: `autoscaling`.
        by: ByName,
        /// The most environments to which target tracking scales while a window is open. Default: the highest number of
        /// the windows and of requests.
        max: Integer<1, MOST_CONCURRENCY>,
        /// The utilization that target tracking keeps, from 0.1 to 0.9 with at most two decimals. Default: 0.7.
        utilization: Utilization,
        /// What replaces it while it is not available: `pings` for the number of the window, or `none`. Default:
        /// `pings`.
        fallback: Fallback,
    }
}

wire_struct! {
    /// The settings of managed instances.
    struct ManagedKeys [] {
        /// The least environments outside of windows; 0 deactivates the version. Default: 3, or `max` if it is lower.
        floor: Integer<0, MOST_MANAGED>,
        /// The most environments. Default: 100.
        max: Integer<1, MOST_MANAGED>,
    }
}

wire_struct! {
    /// The owner of provisioned concurrency and managed instances.
    struct CapacityKeys [] {
        /// The name in the tags and names of what warmd creates: 1 to 64 of A-Z a-z 0-9 - _ and period. Two
        /// installations in one account need two names. Default: `warmd`.
        owner: Owner,
    }
}

wire_struct! {
    /// The namespace and the detail of metrics.
    struct MetricKeys [] {
        /// The CloudWatch namespace. Default: `warmd`.
        namespace: Namespace,
        /// `fleet`: metrics of the whole fleet. `function`: also metrics of each target, which CloudWatch bills.
        /// Default: `fleet`.
        detail: Detail,
    }
}

wire_struct! {
    /// A named set of dates: `dates`, or `from` and `through`, or `file`.
    struct CalendarKeys [] {
        /// Single dates, each with its year.
        dates: List<Date>,
        /// The first day of a range.
        from: Date,
        /// The last day of a range, included.
        through: Date,
        /// A file of dates, relative to this file: .ics with all-day events, or YAML with `dates`.
        file: CalendarPath,
    }
}

wire_struct! {
    /// A file of dates that a calendar names.
    struct DatesFile ["dates"] {
        /// Single dates, each with its year.
        dates: List<Date>,
    }
}

wire_struct! {
    /// Limits of Warm Requests.
    struct OnRequestKeys ["max_concurrency", "max_for"] {
        /// The most environments.
        max_concurrency: Integer<1, MOST_CONCURRENCY>,
        /// The longest time that they are kept warm.
        max_for: RequestLifetime,
        /// Requests within this time count as one. Default: 60s.
        coalesce: CoalesceTime,
        /// The time for which the number of a backlog is kept at least, up to `max_for`. Default: 5m, or `max_for` if
        /// it is shorter.
        hold_for: HoldTime,
    }
}

wire_struct! {
    /// A period of local time with a desired number of environments.
    struct WindowKeys [] {
        /// A named window to start from; the keys beside it replace its keys.
        r#use = "use": Name,
        /// The days on which the window opens: `mon-fri`, `fri-mon`, `[tue, sat-sun]` or `daily`.
        days: Days,
        /// The dates on which the window opens, each with its year.
        dates: List<Date>,
        /// The hours of each day: "08:00-18:00", past midnight "22:00-06:00", or all-day.
        hours: DayHours,
        /// The openings as a cron expression in the time zone of the window, instead of `days` and `hours`.
        cron: Cron,
        /// The elapsed time that a window with `cron` stays open.
        r#for = "for": CronDuration,
        /// The number of environments to keep warm.
        concurrency: Integer<1, MOST_CONCURRENCY>,
        /// The load to serve, instead of a number of environments.
        load: LoadKeys,
        /// The regions of the window: some of the function's. Default: all of them.
        regions: List<Region>,
        /// The time zone of the window.
        timezone: Zone,
        /// Names of calendars: the window opens on their days only.
        only: List<Name>,
        /// Names of calendars: the window does not open on their days.
        except: List<Name>,
        /// The first day on which the window opens.
        from: Date,
        /// The last day on which the window opens, included.
        through: Date,
        /// The time before the opening at which the full number is warm, in whole minutes.
        lead: Lead,
        /// The time in which the number rises before that, in whole minutes.
        ramp_up: Lead,
        /// The time in which the number falls after the closing, in whole minutes.
        ramp_down: Lead,
        /// `false` disables the window. Default: true.
        enabled: bool,
    }
}

/// A named window, for `use` in the windows of functions.
#[derive(Debug)]
pub(super) struct NamedWindow(pub WindowKeys);

impl FromNode for NamedWindow {
    fn from_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut keys = WindowKeys::from_node(node, reader)?;
        if let Some(used) = keys.r#use.take() {
            let problem = reader.error(used.span, "\"use\" is not allowed in a named window");
            reader.reject::<()>(problem.hint("move it to the windows of functions"));
            keys.has_errors = true;
        }
        Some(Self(keys))
    }
}

impl JsonSchema for NamedWindow {
    fn schema_name() -> Cow<'static, str> {
        "NamedWindow".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = WindowKeys::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            "A named window, for `use` in the windows of functions.".into(),
        );
        if let Some(properties) = schema.get_mut("properties").and_then(|value| value.as_object_mut()) {
            properties.shift_remove("use");
        }
        schema
    }
}

wire_struct! {
    /// A load: `requests_per_second` with either `duration` or `per_environment`.
    struct LoadKeys ["requests_per_second"] {
        /// Requests a second.
        requests_per_second: Rate,
        /// The duration of a request. Rate × duration environments are busy at once (Little's law), rounded up.
        duration: ExecutionTime,
        /// Requests a second that one environment serves.
        per_environment: Rate,
    }
}

wire_struct! {
    /// A download from S3 by a cold start or by every ping.
    struct DownloadKeys ["object", "size", "route"] {
        /// The object: `s3://bucket/key`.
        object: S3Object,
        /// Its size: `220MB` is 220,000,000 bytes, `210MiB` is 220,200,960.
        size: Size,
        /// The route of its bytes, which decides the price. There is no default.
        route: RouteKind,
        /// The bucket's region, for the route `inter-region`.
        bucket_region: Region,
        /// The event that downloads it: `cold-start` or `ping`. Default: `cold-start`.
        per: Per,
    }
}

/// The maximum number of bytes that a ping writes to CloudWatch Logs. Real pings write fewer.
const MOST_LOG_BYTES: u32 = 100_000_000;

wire_struct! {
    /// Assumptions of cost estimates, and about starts. Output marks the ones that are left at their defaults.
    struct AssumeKeys [] {
        /// The time that Lambda keeps an idle environment. Default: 5m.
        idle_life: IdleLife,
        /// The time after which Lambda replaces an environment, also a busy one. Default: 2h.
        recycle_after: Lifetime,
        /// The billed duration of a ping to a warm environment. Default: 5ms.
        ping_duration: ExecutionTime,
        /// The billed duration of the init of an environment, with its downloads. Default: 10s.
        init_duration: InitTime,
        /// The bytes that a ping writes to CloudWatch Logs. Default: 400.
        log_bytes_per_ping: Integer<0, MOST_LOG_BYTES>,
        /// The time below which a cold start is semi-cold, without the hold: the code was still cached. It counts cold
        /// starts by kind, and has no effect on estimates. `warmd probe --idle --write` measures it.
        semi_cold_below: ExecutionTime,
        /// The rate of users' requests while a window is open, for the cost without warming. Needs `duration`.
        requests_per_second: Rate,
        /// The duration of a user's request. Needs `requests_per_second`.
        duration: ExecutionTime,
    }
}
