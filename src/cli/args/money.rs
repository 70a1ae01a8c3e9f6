//! The flags of what has to do with money.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use rust_decimal::Decimal;

use super::super::value_parsers;
use super::{Configs, Only};
use crate::config::{Problems, load_prices};
use crate::domain::cost::{PriceBook, Route};
use crate::domain::function::{Architecture, FunctionRef, Region};

/// Prices of the user's own.
#[derive(Debug, Clone, Default, Args)]
pub struct Prices {
    /// Prices of your own, in a YAML file with lines such as `nat-gateway.gb: 0.03`.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
}

impl Prices {
    /// `book` with the file's prices in the place of its own.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn over(&self, book: PriceBook) -> Result<PriceBook, Problems> {
        match &self.prices {
            Some(path) => load_prices(path, &book),
            None => Ok(book),
        }
    }
}

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

Every line is rounded half up to cents, then added up, as AWS does. Free tiers are off unless asked
for. What the price book does not know is shown as unknown, never guessed.")]
pub struct PriceArgs {
    /// What to reckon.
    #[command(subcommand)]
    pub command: PriceCommand,
    /// Prices of the user's own.
    #[arg(long, value_name = "FILE", global = true)]
    prices: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

impl PriceArgs {
    /// Prices of the user's own.
    pub fn prices(&self) -> Prices {
        Prices { prices: self.prices.clone() }
    }
}

/// What to reckon.
#[derive(Debug, Subcommand)]
pub enum PriceCommand {
    /// Every figure, with its source and date.
    Book {
        /// Only the figures that hold in this region.
        #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
        region: Option<Region>,
    },
    /// A month of a Lambda function.
    Lambda(LambdaArgs),
    /// Reading from S3, by the way the bytes take.
    Egress(EgressArgs),
    /// A function on Lambda managed instances.
    Managed(ManagedArgs),
    /// EC2 instances on demand.
    Ec2(Ec2Args),
}

/// `warmd price lambda`.
#[derive(Debug, Args)]
pub struct LambdaArgs {
    /// The region.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Region,
    /// Instruction set.
    #[arg(long, value_name = "x86_64|arm64", default_value = "x86_64", value_parser = value_parsers::architecture)]
    pub arch: Architecture,
    /// Memory, such as 1536MB.
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::memory)]
    pub memory: u32,
    /// Invocations on demand.
    #[arg(long, value_name = "N", requires = "duration")]
    pub requests: Option<u64>,
    /// How long one of them runs on average, such as 120ms.
    #[arg(long, value_name = "DURATION", requires = "requests", value_parser = value_parsers::duration)]
    pub duration: Option<Duration>,
    /// Take off what an account has free: requests, and run time on demand.
    #[arg(long)]
    pub free_tier: bool,
    /// Ephemeral storage (/tmp), 512MB to 10240MB; 512MB are not charged.
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::ephemeral)]
    pub ephemeral: Option<u32>,
    /// Environments of provisioned concurrency.
    #[arg(long, value_name = "N", requires = "provisioned_for")]
    pub provisioned: Option<u64>,
    /// How long they are provisioned, such as 8h.
    #[arg(long, value_name = "DURATION", requires = "provisioned", value_parser = value_parsers::duration)]
    pub provisioned_for: Option<Duration>,
    /// Invocations in them; they count as requests too.
    #[arg(long, value_name = "N", requires = "provisioned", requires = "provisioned_duration")]
    pub provisioned_requests: Option<u64>,
    /// How long one of those runs on average.
    #[arg(long, value_name = "DURATION", requires = "provisioned_requests", value_parser = value_parsers::duration)]
    pub provisioned_duration: Option<Duration>,
    /// SnapStart snapshots kept, GB-seconds.
    #[arg(long, value_name = "N", value_parser = value_parsers::amount)]
    pub snapstart_cache_gb_s: Option<Decimal>,
    /// Environments restored from a snapshot; each is charged for the memory.
    #[arg(long, value_name = "N")]
    pub snapstart_restores: Option<u64>,
    /// Environments made for single tenants; each is charged for the memory.
    #[arg(long, value_name = "N")]
    pub tenant_environments: Option<u64>,
}

/// `warmd price egress`.
#[derive(Debug, Args)]
pub struct EgressArgs {
    /// The region of the reader.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Region,
    /// Bytes, such as 63488GiB or 220MB. A billed GB is 2^30 bytes.
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::size)]
    pub size: u64,
    /// Their way: same-region, nat-gateway, interface-endpoint, inter-region:REGION (the bucket's), internet.
    #[arg(long, value_name = "ROUTE", value_parser = value_parsers::route)]
    pub route: Route,
    /// Bytes of them that are free; they count towards the tiers.
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::size)]
    pub free: Option<u64>,
    /// Hours of the gateway or endpoint.
    #[arg(long, value_name = "HOURS", default_value = "0", value_parser = value_parsers::amount)]
    pub hours: Decimal,
    /// GET requests.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub gets: u64,
    /// PUT requests.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub puts: u64,
}

/// `warmd price managed`.
#[derive(Debug, Args)]
pub struct ManagedArgs {
    /// The region.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Region,
    /// The instance type, such as m7g.xlarge.
    #[arg(long, value_name = "TYPE", value_parser = value_parsers::instance)]
    pub instance: String,
    /// Hours of all instances together.
    #[arg(long, value_name = "HOURS", value_parser = value_parsers::amount)]
    pub hours: Decimal,
    /// Invocations.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub requests: u64,
    /// What you pay for an instance hour, when it is not the on-demand price. The fee stays on that.
    #[arg(long, value_name = "USD", value_parser = value_parsers::amount)]
    pub hourly: Option<Decimal>,
}

/// `warmd price ec2`.
#[derive(Debug, Args)]
pub struct Ec2Args {
    /// The region.
    #[arg(long, value_name = "REGION", value_parser = value_parsers::region)]
    pub region: Region,
    /// The instance type, such as m7g.xlarge.
    #[arg(long, value_name = "TYPE", value_parser = value_parsers::instance)]
    pub instance: String,
    /// How many instances.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub count: u64,
    /// Hours of each.
    #[arg(long, value_name = "HOURS", value_parser = value_parsers::amount)]
    pub hours: Decimal,
}

/// `warmd compare`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("end").args(["for_", "until"])), after_help = "\
Examples:
  warmd compare                                          the next 30 days
  warmd compare --function nlp-inference:live --from 2026-02-02 --until 2026-03-02
  warmd compare --json | jq '.functions[].cheapest'

The same coverage for each target: by pings; by provisioned concurrency in the same windows, or all
the time; on managed instances; on EC2; and what doing nothing would mean for users, which needs
`assume: { requests_per_second, duration }` in the configuration. The run time of users' requests is
in none of them. A DATE is midnight in --zone, in UTC without it. --until is exclusive.")]
pub struct CompareArgs {
    /// Where the comparison begins: RFC 3339 or a DATE. [default: now]
    #[arg(long, value_name = "RFC3339|DATE")]
    pub from: Option<String>,
    /// How long it is, such as 7d. [default: 30d]
    #[arg(long = "for", value_name = "DURATION", value_parser = value_parsers::duration)]
    pub for_: Option<Duration>,
    /// Where it ends, exclusive: RFC 3339 or a DATE.
    #[arg(long, value_name = "RFC3339|DATE")]
    pub until: Option<String>,
    /// Only this function: NAME, NAME:QUALIFIER or the ARN, as configured.
    #[arg(long, value_name = "FUNCTION", value_parser = value_parsers::function)]
    pub function: Option<FunctionRef>,
    /// Zone of dates. [default: UTC]
    #[arg(long, value_name = "ZONE", value_parser = value_parsers::zone)]
    pub zone: Option<chrono_tz::Tz>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Prices of the user's own.
    #[command(flatten)]
    pub prices: Prices,
    /// Which part of the fleet.
    #[command(flatten)]
    pub only: Only,
    /// Which configuration.
    #[command(flatten)]
    pub configs: Configs,
}
