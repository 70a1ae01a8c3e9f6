//! `warmd price`: the price book, and bills calculated from quantities.

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use rust_decimal::Decimal;
use serde::Serialize;

use super::error::Failure;
use super::exit::Exit;
use super::options::Prices;
use super::output::{print, print_json};
use super::render::{self, Style};
use super::value_parsers;
use crate::config;
use crate::domain::cost::calculator::{
    self, EgressUsage, FreeTier, LambdaUsage, ManagedUsage, ProvisionedUsage,
};
use crate::domain::cost::{Bill, Figure, Item, PriceBook, Route, Tier};
use crate::domain::function::{Architecture, Region};
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

/// `warmd price`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warmd price book --region eu-west-2
  warmd price lambda --region us-east-1 --arch arm64 --memory 1536MB --requests 3000000 \\
      --duration 120ms
  warmd price egress --region us-east-1 --size 1762GiB --route nat-gateway
  warmd price managed --region us-east-1 --instance m7g.xlarge --hours 2000 --requests 100000000
  warmd price ec2 --region us-east-1 --instance m7g.xlarge --count 2 --hours 730

Each line is rounded half up to cents before the sum, as on an AWS bill. Free tiers are off by
default. A price that is not in the price book is shown as unknown.

Your own prices replace those of the price book, in a file for --prices or under `prices` in the
configuration (`prices: prices.yaml` for a file):
  nat-gateway.gb: 0.03                                      # in every region
  ec2.m7g.large: { price: 0.098, region: eu-west-2, date: 2026-11-01, source: our contract }
  transfer.internet: { tiers: [{ up_to: 10240, price: 0.08 }, { price: 0.07 }] }")]
pub struct PriceArgs {
    /// The calculation.
    #[command(subcommand)]
    pub command: PriceCommand,
    /// YAML file with your own prices, in lines such as `nat-gateway.gb: 0.03`.
    #[arg(long, value_name = "FILE", global = true)]
    prices: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

impl PriceArgs {
    /// Returns the user's own prices.
    pub fn prices(&self) -> Prices {
        Prices { prices: self.prices.clone() }
    }
}

/// A calculation.
#[derive(Debug, Subcommand)]
pub enum PriceCommand {
    /// List all prices with source and date. Prices older than 180 days are marked.
    Book {
        /// Region of the prices. [default: all]
        #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
        region: Option<Region>,
    },
    /// Calculate a month of a Lambda function.
    Lambda(LambdaArgs),
    /// Calculate reads from S3, by network route.
    Egress(EgressArgs),
    /// Calculate a function on Lambda managed instances.
    Managed(ManagedArgs),
    /// Calculate EC2 on-demand instances. The price book has them for us-east-1 only.
    Ec2(Ec2Args),
}

/// `warmd price lambda`.
#[derive(Debug, Args)]
pub struct LambdaArgs {
    /// Region.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Region,
    /// Instruction set architecture.
    #[arg(long, value_name = "x86_64|arm64", default_value = "x86_64", value_parser = value_parsers::architecture)]
    pub arch: Architecture,
    /// Memory, such as 1536MB.
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::memory)]
    pub memory: u32,
    /// Number of on-demand invocations.
    #[arg(long, value_name = "N", requires = "duration")]
    pub requests: Option<u64>,
    /// Average duration of an on-demand invocation, such as 120ms.
    #[arg(long, value_name = "DURATION", requires = "requests", value_parser = value_parsers::duration)]
    pub duration: Option<Duration>,
    /// Subtract the account's free requests and on-demand GB-seconds.
    #[arg(long)]
    pub free_tier: bool,
    /// Ephemeral storage (/tmp), 512MB to 10240MB. The first 512MB are free. [default: 512MB]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::ephemeral)]
    pub ephemeral: Option<u32>,
    /// Provisioned concurrency, in environments.
    #[arg(long, value_name = "N", requires = "provisioned_for")]
    pub provisioned: Option<u64>,
    /// Time for which it is provisioned, such as 8h.
    #[arg(long, value_name = "DURATION", requires = "provisioned", value_parser = value_parsers::duration)]
    pub provisioned_for: Option<Duration>,
    /// Number of invocations on provisioned environments, charged as requests too.
    #[arg(long, value_name = "N", requires = "provisioned", requires = "provisioned_duration")]
    pub provisioned_requests: Option<u64>,
    /// Average duration of an invocation on a provisioned environment.
    #[arg(long, value_name = "DURATION", requires = "provisioned_requests", value_parser = value_parsers::duration)]
    pub provisioned_duration: Option<Duration>,
    /// SnapStart cache, in GB-seconds.
    #[arg(long, value_name = "N", value_parser = value_parsers::amount)]
    pub snapstart_cache_gb_s: Option<Decimal>,
    /// Number of SnapStart restores, each charged by memory.
    #[arg(long, value_name = "N")]
    pub snapstart_restores: Option<u64>,
    /// Number of environments created for single tenants, each charged by memory.
    #[arg(long, value_name = "N")]
    pub tenant_environments: Option<u64>,
}

/// `warmd price egress`.
#[derive(Debug, Args)]
pub struct EgressArgs {
    /// Region of the reader.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Region,
    /// Size, such as 63488GiB or 220MB. AWS bills 1 GiB (2^30 bytes) as 1 GB.
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::size)]
    pub size: u64,
    /// Route: same-region, nat-gateway, interface-endpoint, internet, or inter-region:REGION with the bucket's region.
    #[arg(long, value_name = "ROUTE", value_parser = value_parsers::route)]
    pub route: Route,
    /// Part of the size that is free. It counts towards price tiers.
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::size)]
    pub free: Option<u64>,
    /// Hours of the NAT gateway or interface endpoint.
    #[arg(long, value_name = "HOURS", default_value = "0", value_parser = value_parsers::amount)]
    pub hours: Decimal,
    /// Number of GET requests.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub gets: u64,
    /// Number of PUT requests.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub puts: u64,
}

/// `warmd price managed`.
#[derive(Debug, Args)]
pub struct ManagedArgs {
    /// Region.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Region,
    /// Instance type, such as m7g.xlarge.
    #[arg(long, value_name = "TYPE", value_parser = value_parsers::instance)]
    pub instance: String,
    /// Instance hours, summed over all instances.
    #[arg(long, value_name = "HOURS", value_parser = value_parsers::amount)]
    pub hours: Decimal,
    /// Number of invocations.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub requests: u64,
    /// Your price of an instance hour. The management fee is based on the on-demand price, which is the default.
    #[arg(long, value_name = "USD", value_parser = value_parsers::amount)]
    pub hourly: Option<Decimal>,
}

/// `warmd price ec2`.
#[derive(Debug, Args)]
pub struct Ec2Args {
    /// Region.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Region,
    /// Instance type, such as m7g.xlarge.
    #[arg(long, value_name = "TYPE", value_parser = value_parsers::instance)]
    pub instance: String,
    /// Number of instances.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub count: u64,
    /// Hours per instance.
    #[arg(long, value_name = "HOURS", value_parser = value_parsers::amount)]
    pub hours: Decimal,
}

#[derive(Serialize)]
struct BookObject<'b> {
    figures: Vec<FigureObject<'b>>,
}

#[derive(Serialize)]
struct FigureObject<'b> {
    item: String,
    /// Null for a figure of all regions.
    region: Option<Region>,
    unit: &'static str,
    /// The price of the first tier.
    price: Decimal,
    tiers: &'b [Tier],
    source: &'b str,
    url: Option<&'b str>,
    date: Option<NaiveDate>,
    old: bool,
}

/// Prints the price book or a bill.
///
/// # Errors
/// An invalid price file.
pub fn price(args: &PriceArgs, style: Style) -> Result<Exit, Failure> {
    let embedded = PriceBook::embedded();
    let prices = match &args.prices().prices {
        Some(path) => config::load_prices(path, &embedded)?,
        None => embedded,
    };
    let today = SystemClock.now().date_naive();
    let bill = match &args.command {
        PriceCommand::Book { region } => {
            let figures = figures(&prices, *region);
            if args.json {
                print_json(&object(&figures, today))?;
            } else {
                print(&render::price::price_book(&figures, today, style))?;
            }
            return Ok(Exit::Success);
        }
        PriceCommand::Lambda(usage) => lambda(&prices, usage),
        PriceCommand::Egress(usage) => egress(&prices, usage),
        PriceCommand::Managed(usage) => managed(&prices, usage),
        PriceCommand::Ec2(Ec2Args { region, instance, count, hours }) => {
            calculator::ec2(&prices, *region, instance, *count, *hours)
        }
    };
    if args.json {
        print_json(&bill)?;
    } else {
        print(&render::price::bill(&prices, &bill, today, style))?;
    }
    Ok(Exit::Success)
}

/// Returns the figures of the price book, or those that apply to a region.
pub fn figures(prices: &PriceBook, region: Option<Region>) -> Vec<(&Item, Option<Region>, &Figure)> {
    let applies = |item: &Item, figure: &Figure| match region {
        // A figure of the region replaces that of all regions.
        Some(region) => prices.lookup(item, region).is_some_and(|found| std::ptr::eq(found, figure)),
        None => true,
    };
    prices.iter().filter(|(item, _, figure)| applies(item, figure)).collect()
}

fn object<'b>(figures: &[(&'b Item, Option<Region>, &'b Figure)], today: NaiveDate) -> BookObject<'b> {
    let figures = figures.iter().map(|(item, region, figure)| FigureObject {
        item: item.to_string(),
        region: *region,
        unit: item.unit(),
        price: figure.first_price(),
        tiers: &figure.tiers,
        source: &figure.source.name,
        url: figure.source.url.as_deref(),
        date: figure.date,
        old: figure.is_old(today),
    });
    BookObject { figures: figures.collect() }
}

fn lambda(prices: &PriceBook, args: &LambdaArgs) -> Bill {
    let plain = LambdaUsage::new(args.arch, args.memory);
    let usage = LambdaUsage {
        requests: args.requests.unwrap_or(0),
        duration: args.duration.unwrap_or(Duration::ZERO),
        free_tier: if args.free_tier { FreeTier::Used } else { FreeTier::Ignored },
        ephemeral_mb: args.ephemeral.unwrap_or(plain.ephemeral_mb),
        provisioned: args.provisioned.map(|concurrency| ProvisionedUsage {
            concurrency,
            provisioned_for: args.provisioned_for.unwrap_or(Duration::ZERO),
            requests: args.provisioned_requests.unwrap_or(0),
            duration: args.provisioned_duration.unwrap_or(Duration::ZERO),
        }),
        snapstart_cache_gb_s: args.snapstart_cache_gb_s.unwrap_or(Decimal::ZERO),
        snapstart_restores: args.snapstart_restores.unwrap_or(0),
        tenant_environments: args.tenant_environments.unwrap_or(0),
        ..plain
    };
    calculator::lambda(prices, args.region, &usage)
}

fn egress(prices: &PriceBook, args: &EgressArgs) -> Bill {
    let usage = EgressUsage {
        route: args.route,
        bytes: args.size,
        free_bytes: args.free.unwrap_or(0),
        hours: args.hours,
        gets: args.gets,
        puts: args.puts,
    };
    calculator::egress(prices, args.region, &usage)
}

fn managed(prices: &PriceBook, args: &ManagedArgs) -> Bill {
    let usage = ManagedUsage {
        instance: args.instance.clone(),
        hours: args.hours,
        requests: args.requests,
        hourly: args.hourly,
    };
    calculator::managed(prices, args.region, &usage)
}
