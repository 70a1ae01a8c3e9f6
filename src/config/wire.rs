//! The keys of the configuration: every one of them, and what it means, stands here.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::node::Node;
use super::prices::Prices;
use super::quantity::{
    Apart, HoldTime, IdleLife, Interval, KeptFor, Lead, Lifetime, Memory, OpenFor, Positive, RequestTime,
    Size, Timeout, Whole,
};
use super::reader::{Reader, Wire, wire};
use super::values::{
    Cron, Date, DayHours, Days, ExternalId, FilePath, Flag, FreeText, Holding, HowOften, HttpBy,
    InstructionSet, Json, List, MetricsDetail, Name, Namespace, ProtocolName, RoleArn, RouteName, S3Object,
    SignBy, Table, TraceBy, Version, Zone,
};
use crate::domain::function::Region;

/// The most environments of one target, and the most pings in flight: what Lambda gives a large account.
pub(super) const MOST_CONCURRENCY: u32 = 100_000;

wire! {
    /// A configuration of warmd: which functions are kept warm, when, and how.
    struct FileKeys ["version"] {
        /// The version of this format: 1.
        version: Version,
        /// What holds for every function of this file that does not say otherwise.
        defaults: Defaults,
        /// Limits of the whole fleet. In one file only.
        limits: LimitKeys,
        /// Where and how finely metrics are sent. In one file only.
        metrics: MetricKeys,
        /// Prices of your own in place of those that come with warmd, or a file of them. In one file only.
        prices: Prices,
        /// Named sets of dates, such as public holidays, for `only` and `except` of windows. Known to all files.
        calendars: Table<CalendarKeys>,
        /// Named windows, to be taken up with `use`. Known to all files.
        windows: Table<NamedWindow>,
        /// The functions to keep warm, by `name`, `name:qualifier` or function ARN.
        functions: Table<FunctionKeys>,
    }
}

wire! {
    /// What holds for every function of its file that does not say otherwise.
    struct Defaults [] {
        /// The one region of the functions.
        region: Region,
        /// The regions of the functions: each is a target of its own.
        regions: List<Region>,
        /// The time zone whose wall clock windows are written in. UTC when none is given.
        timezone: Zone,
        /// Time between two rounds of an open window, in whole minutes. 5m when none is given.
        interval: Interval,
        /// What a ping says. `warmd` when none is given.
        protocol: ProtocolName,
        /// What a ping of the `custom` protocol says: any JSON, with placeholders.
        payload: Json,
        /// How long a ping asks the handler to hold: `auto` learns it. `auto` when none is given.
        hold: Holding,
        /// Free text, carried into every record: who to ask, or who pays.
        owner: FreeText,
        /// How long before an opening the full number is wanted, in whole minutes. 0s when none is given.
        lead: Lead,
        /// Environments added to every target above zero.
        spare: Whole<0, MOST_CONCURRENCY>,
        /// Whether rounds are spread over the interval instead of all falling on the same minute.
        stagger: Flag,
        /// The functions' instruction set. `x86_64` when none is given.
        architecture: InstructionSet,
        /// The functions' memory, in Lambda's MB. Otherwise it is read from the REPORT line.
        memory: Memory,
        /// The functions' own timeout. 15m is assumed when none is given.
        timeout: Timeout,
        /// Visibility of pings in the traces of functions with active tracing: `off` marks each ping as not sampled,
        /// `inherit` leaves the trace header to the SDK. `off` when none is given.
        trace: TraceBy,
        /// The role to assume to reach the functions, in another account, say. The warmer's own when none is given.
        role_arn: RoleArn,
        /// The external id that the role's trust policy asks for.
        external_id: ExternalId,
        /// What estimates of cost rest on.
        assume: AssumeKeys,
    }
}

wire! {
    /// Limits of the whole fleet.
    struct LimitKeys [] {
        /// The most pings in flight at once. 500 when none is given.
        max_in_flight: Whole<1, MOST_CONCURRENCY>,
        /// The number of signatures of a round: `round` signs its request once and sends it for every ping; `ping` signs
        /// each. `round` when none is given.
        sign: SignBy,
        /// Which versions of HTTP carry pings: `auto` uses HTTP/2 where the server offers it; `http1` gives each ping
        /// an HTTP/1.1 connection of its own. `auto` when none is given.
        http: HttpBy,
    }
}

wire! {
    /// Where and how finely metrics are sent.
    struct MetricKeys [] {
        /// The CloudWatch namespace. `warmd` when none is given.
        namespace: Namespace,
        /// `fleet`: ten metrics of the whole fleet, within CloudWatch's free tier where there is room. `function`: five more for each target, billed.
        detail: MetricsDetail,
    }
}

wire! {
    /// A named set of dates: `dates`, or `from` and `through`, or `file`.
    struct CalendarKeys [] {
        /// Single dates, each with its year.
        dates: List<Date>,
        /// The first day of a stretch.
        from: Date,
        /// The last day of a stretch, included.
        through: Date,
        /// A file of dates, relative to this file: .ics with all-day events, or YAML with `dates`.
        file: FilePath,
    }
}

wire! {
    /// A file of dates that a calendar names.
    struct DatesFile ["dates"] {
        /// Single dates, each with its year.
        dates: List<Date>,
    }
}

wire! {
    /// A function, in one region or several.
    struct FunctionKeys [] {
        /// The one region of the function.
        region: Region,
        /// The regions of the function: each is a target of its own.
        regions: List<Region>,
        /// The function's memory, in Lambda's MB. Otherwise it is read from the REPORT line.
        memory: Memory,
        /// The function's instruction set. `x86_64` when none is given.
        architecture: InstructionSet,
        /// Free text, carried into every record: who to ask, or who pays.
        owner: FreeText,
        /// What a ping says. `warmd` when none is given.
        protocol: ProtocolName,
        /// What a ping of the `custom` protocol says: any JSON, with placeholders.
        payload: Json,
        /// How long a ping asks the handler to hold: `auto` learns it.
        hold: Holding,
        /// The function's own timeout. 15m is assumed when none is given.
        timeout: Timeout,
        /// Visibility of pings in the function's traces: `off` marks each ping as not sampled, `inherit` leaves the
        /// trace header to the SDK.
        trace: TraceBy,
        /// Time between two rounds of an open window, in whole minutes.
        interval: Interval,
        /// The time zone whose wall clock the windows are written in.
        timezone: Zone,
        /// How long before an opening the full number is wanted, in whole minutes.
        lead: Lead,
        /// Environments added to every target above zero.
        spare: Whole<0, MOST_CONCURRENCY>,
        /// `false`: the function is not warmed.
        enabled: Flag,
        /// When to keep how many environments warm. Where windows overlap, the highest number counts.
        windows: List<WindowKeys>,
        /// What a cold start, or every ping, downloads from S3: for the cost.
        downloads: List<DownloadKeys>,
        /// What Warm Requests may ask for. Without it they may not.
        on_request: OnRequestKeys,
        /// The role to assume to reach the function, in another account, say.
        role_arn: RoleArn,
        /// The external id that the role's trust policy asks for.
        external_id: ExternalId,
        /// What estimates of its cost rest on.
        assume: AssumeKeys,
    }
}

wire! {
    /// What Warm Requests may ask for.
    struct OnRequestKeys ["max_concurrency", "max_for"] {
        /// The most environments.
        max_concurrency: Whole<1, MOST_CONCURRENCY>,
        /// The longest that they are kept warm.
        max_for: KeptFor,
        /// Requests that are less than this apart are one. 60s when none is given.
        coalesce: Apart,
    }
}

wire! {
    /// A stretch of local time with a number of environments to keep warm in it.
    struct WindowKeys [] {
        /// A named window to start from; the keys beside it take the place of its own.
        r#use = "use": Name,
        /// The days on which the window opens: `mon-fri`, `fri-mon`, `[tue, sat-sun]` or `daily`.
        days: Days,
        /// The dates on which the window opens, each with its year.
        dates: List<Date>,
        /// From when to when: "08:00-18:00", past midnight "22:00-06:00", or all-day.
        hours: DayHours,
        /// When the window opens, instead of days and hours: cron on the wall clock of the time zone.
        cron: Cron,
        /// How long a window with `cron` stays open, in elapsed time.
        r#for = "for": OpenFor,
        /// How many environments to keep warm.
        concurrency: Whole<1, MOST_CONCURRENCY>,
        /// The load to keep warm for, instead of a number of environments.
        load: LoadKeys,
        /// The regions that the window is for: some of the function's. All when none is given.
        regions: List<Region>,
        /// The time zone whose wall clock the window is written in.
        timezone: Zone,
        /// Calendars: the window opens on their days only.
        only: List<Name>,
        /// Calendars: the window does not open on their days.
        except: List<Name>,
        /// The first day on which the window opens.
        from: Date,
        /// The last day on which the window opens, included.
        through: Date,
        /// How long before the opening the full number is wanted, in whole minutes.
        lead: Lead,
        /// How long the number climbs before that, in whole minutes.
        ramp_up: Lead,
        /// How long the number falls after the closing, in whole minutes.
        ramp_down: Lead,
        /// `false`: the window does not count.
        enabled: Flag,
    }
}

/// A window that functions take up with `use`.
#[derive(Debug)]
pub(super) struct NamedWindow(pub WindowKeys);

impl Wire for NamedWindow {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut keys = WindowKeys::read(node, reader)?;
        if let Some(used) = keys.r#use.take() {
            let problem = reader
                .error(used.span, "a named window cannot take up another one")
                .hint("`use` stands in the windows of functions");
            reader.report(problem);
            keys.flawed = true;
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
        schema.insert("description".to_owned(), "A window that functions take up with `use`.".into());
        if let Some(properties) = schema.get_mut("properties").and_then(|value| value.as_object_mut()) {
            properties.shift_remove("use");
        }
        schema
    }
}

wire! {
    /// A load: `requests_per_second` with either `duration` or `per_environment`.
    struct LoadKeys ["requests_per_second"] {
        /// Requests a second to be served.
        requests_per_second: Positive,
        /// How long one request takes: rate × duration environments are busy at once (Little's law), rounded up.
        duration: RequestTime,
        /// Requests a second that one environment serves.
        per_environment: Positive,
    }
}

wire! {
    /// Something that a cold start, or every ping, downloads from S3.
    struct DownloadKeys ["object", "size", "route"] {
        /// The object: `s3://bucket/key`.
        object: S3Object,
        /// Its size: `220MB` is 220,000,000 bytes, `210MiB` is 220,200,960.
        size: Size,
        /// The way its bytes take: it decides the price. There is no default.
        route: RouteName,
        /// The bucket's region, for the route `inter-region`.
        bucket_region: Region,
        /// `cold-start` (the default) or `ping`.
        per: HowOften,
    }
}

/// More than a ping ever writes.
const MOST_LOG_BYTES: u32 = 100_000_000;

wire! {
    /// What estimates of cost rest on. What is not given is assumed, and marked where it is used.
    struct AssumeKeys [] {
        /// How long an idle environment is kept. 5m when none is given.
        idle_life: IdleLife,
        /// After how long Lambda makes an environment anew, however busy. 2h when none is given.
        recycle_after: Lifetime,
        /// The billed duration of a ping to a warm environment. 5ms when none is given.
        ping_duration: RequestTime,
        /// The billed duration of making an environment, downloads included. 10s when none is given.
        init_duration: HoldTime,
        /// What a ping writes to CloudWatch Logs, in bytes. 400 when none is given.
        log_bytes_per_ping: Whole<0, MOST_LOG_BYTES>,
        /// What users send while a window is open: for what doing nothing would mean. With `duration`.
        requests_per_second: Positive,
        /// How long a user's request runs. With `requests_per_second`.
        duration: RequestTime,
    }
}
