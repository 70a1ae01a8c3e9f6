//! `warmd price`: the price book, and bills calculated from quantities.

use std::time::Duration;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;

use super::args::{Ec2Args, EgressArgs, LambdaArgs, ManagedArgs, PriceArgs, PriceCommand};
use super::clock::SystemClock;
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::render::{self, Style};
use crate::domain::cost::calculator::{
    self, EgressUsage, FreeTier, LambdaUsage, ManagedUsage, ProvisionedUsage,
};
use crate::domain::cost::{Bill, Figure, Item, PriceBook, Tier};
use crate::domain::function::Region;
use crate::engine::ports::Clock;

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
    let prices = args.prices().over(PriceBook::embedded())?;
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
