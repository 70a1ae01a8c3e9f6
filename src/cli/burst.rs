//! `warmd burst`: the plan of one burst.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Serialize, Serializer};

use super::error::Failure;
use super::exit::Exit;
use super::options::Prices;
use super::output::{print, print_json};
use super::render::burst::View;
use super::render::{self, Style, burst_yaml};
use super::value_parsers;
use crate::config::{self, SourceFile};
use crate::domain::burst::{
    Arrivals, Bounds, Burst, By, LettingGo, Plan, Policy, Pricing, Rate, Source, Warning, letting_go,
    parse_count, plans, warnings,
};
use crate::domain::cost::assume::Assumptions;
use crate::domain::cost::{Bill, PriceBook};
use crate::domain::function::{Architecture, FunctionRef, Region};
use crate::domain::parse::TextError;

/// `warmd burst`.
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/burst.txt"))]
pub struct BurstArgs {
    /// Requests in each --every: numbers such as 5k,15k,2.5M, or a CSV file.
    #[arg(long, value_name = "N,…|FILE", value_parser = numbers)]
    arrivals: Numbers,
    /// Time of each number, in whole seconds. It is spread evenly over them.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = value_parsers::whole_seconds::<1>)]
    every: Duration,
    /// Requests a second that one environment serves, such as 300 or 2.5.
    #[arg(long, value_name = "N", value_parser = value_parsers::rate)]
    rate: Rate,
    /// Time from the start of a launch until the environment serves, in whole seconds.
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::whole_seconds::<0>)]
    launch: Duration,
    /// Requests that one invocation serves.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    requests_per_invocation: u64,
    /// Time after the last arrival by which `drain` empties the queue.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = value_parsers::whole_seconds::<1>)]
    within: Duration,
    /// Longest wait of a request with `cheapest`.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = value_parsers::whole_seconds::<1>)]
    max_wait: Duration,
    /// Time for which environments are kept after their use, at least that of --launch.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = value_parsers::whole_seconds::<0>)]
    hold_for: Duration,
    /// Most environments. [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Means that provide the environments.
    #[arg(long, value_name = "pings|provisioned", default_value = "pings", hide_possible_values = true,
        value_parser = value_parsers::named(&By::NAMES))]
    strategy: By,
    /// Source of the requests, for the limits of Lambda.
    #[arg(long, value_name = "sync|async|sqs", default_value = "sync", hide_possible_values = true,
        value_parser = value_parsers::named(&Source::NAMES))]
    source: Source,
    /// Policy to show second by second, and for --yaml.
    #[arg(long, value_name = "backlog|drain|cheapest|none", default_value = "backlog", hide_possible_values = true,
        value_parser = value_parsers::named(&Policy::NAMES))]
    policy: Policy,
    /// Memory of the function, such as 1536MB. [default: 128MB]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::memory)]
    memory: Option<u32>,
    /// Instruction set. [default: x86_64]
    #[arg(long, value_name = "x86_64|arm64", value_parser = value_parsers::architecture)]
    architecture: Option<Architecture>,
    /// Region of the prices. [default: us-east-1]
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    region: Option<Region>,
    /// Start of the burst, for --yaml.
    #[arg(long, value_name = "RFC3339", value_parser = value_parsers::instant)]
    at: Option<DateTime<Utc>>,
    /// Function, for --yaml: NAME or NAME:QUALIFIER.
    #[arg(long, value_name = "FUNCTION", default_value = "my-function:live", value_parser = value_parsers::function)]
    function: FunctionRef,
    /// The user's own prices.
    #[command(flatten)]
    prices: Prices,
    /// Print JSON.
    #[arg(long, conflicts_with = "yaml")]
    json: bool,
    /// Print a configuration that carries out the plan: windows with --at, otherwise `on_request`.
    #[arg(long)]
    yaml: bool,
}

/// The numbers of the arrivals.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Numbers {
    Given(Vec<u64>),
    File(PathBuf),
}

/// Parses numbers separated by commas, or the path of a file: a text that does not begin with a digit, has a slash or
/// ends with `.csv`.
fn numbers(text: &str) -> Result<Numbers, String> {
    let is_number = text.starts_with(|first: char| first.is_ascii_digit());
    if !is_number || text.contains('/') || text.to_ascii_lowercase().ends_with(".csv") {
        return Ok(Numbers::File(text.into()));
    }
    let given: Result<Vec<u64>, TextError> =
        text.split(',').map(|number| parse_count(number.trim())).collect();
    given.map(Numbers::Given).map_err(TextError::into_line)
}

/// The JSON object.
#[derive(Serialize)]
struct BurstObject<'b> {
    requests: u64,
    seconds: usize,
    rate: Decimal,
    launch_s: usize,
    requests_per_invocation: u64,
    within_s: usize,
    max_wait_s: usize,
    hold_for_s: usize,
    max: Option<u64>,
    strategy: &'static str,
    source: &'static str,
    region: Region,
    architecture: &'static str,
    memory_mb: u32,
    assumed: Vec<&'static str>,
    policies: Vec<PolicyObject<'b>>,
    policy: &'static str,
    rows: Vec<RowObject>,
    letting_go: LettingGoObject,
    warnings: Vec<WarningObject<'b>>,
}

#[derive(Serialize)]
struct PolicyObject<'b> {
    policy: &'static str,
    started: u64,
    most: u64,
    longest_wait_s: Option<usize>,
    p99_wait_s: Option<usize>,
    empty_at: Option<usize>,
    cost: Option<Decimal>,
    lines: Option<&'b [crate::domain::cost::BillLine]>,
    unreachable: Option<String>,
}

#[derive(Serialize)]
struct RowObject {
    second: usize,
    arrivals: u64,
    #[serde(serialize_with = "number")]
    waiting: Decimal,
    environments: u64,
    kept: u64,
}

#[derive(Serialize)]
struct LettingGoObject {
    steps: Vec<StepObject>,
    amounts: Vec<AmountObject>,
    at_risk: u64,
}

#[derive(Serialize)]
struct StepObject {
    second: usize,
    kept: u64,
}

#[derive(Serialize)]
struct AmountObject {
    hold_for_s: usize,
    cost: Option<Decimal>,
}

#[derive(Serialize)]
struct WarningObject<'b> {
    limit: &'static str,
    message: &'b str,
}

/// Serializes a whole number as an integer, and thousandths of a request as a fraction.
fn number<S: Serializer>(number: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    match number.is_integer().then(|| number.to_u64()).flatten() {
        Some(whole) => serializer.serialize_u64(whole),
        None => serializer.serialize_f64(number.to_f64().unwrap_or(f64::NAN)),
    }
}

/// Prints the plan.
///
/// # Errors
/// Invalid arrivals or prices, or a plan that no configuration carries out.
pub fn burst(args: &BurstArgs, style: Style) -> Result<Exit, Failure> {
    let embedded = PriceBook::embedded();
    let prices = match &args.prices.prices {
        Some(path) => config::load_prices(path, &embedded)?,
        None => embedded,
    };
    let every = args.every.as_secs();
    let arrivals = match &args.arrivals {
        Numbers::Given(numbers) => Arrivals::new(numbers, every)
            .map_err(|message| Failure::Usage(format!("--arrivals: {message}")))?,
        Numbers::File(path) => config::load_arrivals(path, every)?,
    };
    let seconds = |duration: Duration| usize::try_from(duration.as_secs()).unwrap_or(usize::MAX);
    let burst = Burst { arrivals, rate: args.rate, launch: seconds(args.launch), max: args.max };
    let bounds = Bounds {
        within: seconds(args.within),
        max_wait: seconds(args.max_wait),
        hold: seconds(args.hold_for),
    };
    let default = Assumptions::default();
    let pricing = Pricing {
        prices: &prices,
        region: args.region.or_else(|| Region::parse("us-east-1").ok()).ok_or_else(no_region)?,
        architecture: args.architecture.unwrap_or(default.architecture.value()),
        memory_mb: args.memory.unwrap_or(default.memory_mb.value()),
        per_invocation: args.requests_per_invocation,
        by: args.strategy,
    };
    let plans = plans(&burst, bounds, &pricing);
    let chosen = plans.iter().find(|plan| plan.policy == args.policy).unwrap_or(&plans[0]);
    let letting_go = letting_go(chosen, &burst, bounds, &pricing);
    let warnings = warnings(chosen, &burst, &pricing, args.source);
    let view = View {
        burst: &burst,
        plans: &plans,
        chosen,
        pricing: &pricing,
        letting_go: &letting_go,
        warnings: &warnings,
        assumed: assumed(args),
    };
    if args.yaml {
        print(&yaml(args, &view)?)?;
    } else if args.json {
        print_json(&object(args, bounds, &view))?;
    } else {
        print(&render::burst::burst(&view, style))?;
    }
    Ok(Exit::Success)
}

fn no_region() -> Failure {
    Failure::Usage("no region\nhint: set --region".to_owned())
}

/// Returns the flags that have their default and change the price.
fn assumed(args: &BurstArgs) -> Vec<&'static str> {
    let flags = [
        ("memory", args.memory.is_none()),
        ("architecture", args.architecture.is_none()),
        ("region", args.region.is_none()),
    ];
    flags.into_iter().filter(|(_, is_assumed)| *is_assumed).map(|(name, _)| name).collect()
}

/// Returns the configuration that carries out the plan, checked by the parser of configurations.
fn yaml(args: &BurstArgs, view: &View<'_>) -> Result<String, Failure> {
    if args.policy == Policy::None {
        let message =
            "the policy none has no configuration\nhint: set --policy to backlog, drain or cheapest";
        return Err(Failure::Usage(message.to_owned()));
    }
    let text = burst_yaml::yaml(view, &args.function, args.at);
    let file = SourceFile { path: "the configuration of the plan".to_owned(), text: text.clone() };
    config::resolve(vec![file], &mut |_| Err("no file is named".to_owned()), None)?;
    Ok(text)
}

fn object<'b>(args: &BurstArgs, bounds: Bounds, view: &View<'b>) -> BurstObject<'b> {
    let View { burst, plans, chosen, pricing, letting_go, warnings, .. } = view;
    let last = chosen.course.seconds().max(chosen.kept.len());
    let LettingGo { steps, amounts, at_risk } = letting_go;
    let step = |(second, kept): &(usize, u64)| StepObject { second: *second, kept: *kept };
    let amount = |(hold_for_s, cost): &(usize, Option<Decimal>)| AmountObject {
        hold_for_s: *hold_for_s,
        cost: cost.map(|cost| cost.normalize()),
    };
    let warning = |warning: &'b Warning| WarningObject { limit: warning.limit, message: &warning.message };
    BurstObject {
        requests: burst.arrivals.total(),
        seconds: burst.arrivals.seconds(),
        rate: burst.rate.decimal().normalize(),
        launch_s: burst.launch,
        requests_per_invocation: pricing.per_invocation,
        within_s: bounds.within,
        max_wait_s: bounds.max_wait,
        hold_for_s: bounds.hold,
        max: burst.max,
        strategy: pricing.by.name(),
        source: args.source.name(),
        region: pricing.region,
        architecture: pricing.architecture.as_str(),
        memory_mb: pricing.memory_mb,
        assumed: view.assumed.clone(),
        policies: plans.iter().map(policy).collect(),
        policy: chosen.policy.name(),
        rows: (1..=last)
            .map(|second| RowObject {
                second,
                arrivals: burst.arrivals.at(second),
                waiting: chosen.course.waiting(second),
                environments: chosen.course.environments(second),
                kept: chosen.kept_at(second),
            })
            .collect(),
        letting_go: LettingGoObject {
            steps: steps.iter().map(step).collect(),
            amounts: amounts.iter().map(amount).collect(),
            at_risk: *at_risk,
        },
        warnings: warnings.iter().map(warning).collect(),
    }
}

fn policy(plan: &Plan) -> PolicyObject<'_> {
    PolicyObject {
        policy: plan.policy.name(),
        started: plan.started,
        most: plan.most(),
        longest_wait_s: plan.waits.map(|waits| waits.longest),
        p99_wait_s: plan.waits.map(|waits| waits.p99),
        empty_at: plan.course.empty_at(),
        cost: plan.money().map(|money| money.normalize()),
        lines: plan.bill.as_ref().map(|Bill { lines }| lines.as_slice()),
        unreachable: plan.shortfall.map(|shortfall| shortfall.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_numbers_or_a_file() {
        assert_eq!(numbers("5k, 15k"), Ok(Numbers::Given(vec![5_000, 15_000])));
        for path in ["burst.csv", "2026.CSV", "./5", "/dev/stdin", "arrivals"] {
            assert_eq!(numbers(path), Ok(Numbers::File(path.into())));
        }
        insta::assert_snapshot!(numbers("5k,1.5").unwrap_err(), @r#"expected a whole number of requests, found "1.5"; write a whole number, such as `500`, `5k` (5,000) or `2.5M` (2,500,000)"#);
        insta::assert_snapshot!(numbers("5k,,2").unwrap_err(), @r#"expected a number of requests, found ""; write a whole number, such as `500`, `5k` (5,000) or `2.5M` (2,500,000)"#);
        insta::assert_snapshot!(value_parsers::rate("0").unwrap_err(), @r#"expected requests a second from 0.001 to 1000000, with up to three decimals, found "0""#);
    }
}
