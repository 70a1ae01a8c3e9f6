//! `warmd price`: the price book, and bills from quantities.

use std::time::Duration;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;

use super::args::{Ec2Args, EgressArgs, LambdaArgs, ManagedArgs, PriceArgs, PriceCommand};
use super::error::Failure;
use super::exit::Exit;
use super::output::{print, print_json};
use super::render::{self, Style};
use crate::domain::cost::calculator::{self, EgressUse, FreeTier, LambdaUse, ManagedUse, ProvisionedUse};
use crate::domain::cost::{Bill, Figure, Item, PriceBook, Tier};
use crate::domain::function::Region;
use crate::engine::ports::Clock;
use crate::service::clock::SystemClock;

#[derive(Serialize)]
struct BookObject<'b> {
    figures: Vec<FigureObject<'b>>,
}

#[derive(Serialize)]
struct FigureObject<'b> {
    item: String,
    /// Null for a figure that holds everywhere.
    region: Option<Region>,
    unit: &'static str,
    /// Of the first tier.
    price: Decimal,
    tiers: Vec<TierObject>,
    source: &'b str,
    url: Option<&'b str>,
    date: Option<NaiveDate>,
    old: bool,
}

#[derive(Serialize)]
struct TierObject {
    up_to: Option<Decimal>,
    price: Decimal,
}

/// Prints the price book or a bill.
///
/// # Errors
/// When a file of prices is refused.
pub fn price(args: &PriceArgs, style: Style) -> Result<Exit, Failure> {
    let book = args.prices().over(PriceBook::embedded())?;
    let today = SystemClock.now().date_naive();
    let bill = match &args.command {
        PriceCommand::Book { region } => {
            let figures = figures(&book, *region);
            if args.json {
                print_json(&object(&figures, today))?;
            } else {
                print(&render::price::book(&figures, today, style))?;
            }
            return Ok(Exit::Success);
        }
        PriceCommand::Lambda(used) => lambda(&book, used),
        PriceCommand::Egress(used) => egress(&book, used),
        PriceCommand::Managed(used) => managed(&book, used),
        PriceCommand::Ec2(Ec2Args { region, instance, count, hours }) => {
            calculator::ec2(&book, *region, instance, *count, *hours)
        }
    };
    if args.json {
        print_json(&bill)?;
    } else {
        print(&render::price::bill(&book, &bill, today, style))?;
    }
    Ok(Exit::Success)
}

/// The figures of the book; with a region, those that hold there.
pub fn figures(book: &PriceBook, region: Option<Region>) -> Vec<(&Item, Option<Region>, &Figure)> {
    let holds = |item: &Item, figure: &Figure| match region {
        // The region's own figure, not the one it takes the place of.
        Some(region) => book.lookup(item, region).is_some_and(|found| std::ptr::eq(found, figure)),
        None => true,
    };
    book.iter().filter(|(item, _, figure)| holds(item, figure)).collect()
}

fn object<'b>(figures: &[(&'b Item, Option<Region>, &'b Figure)], today: NaiveDate) -> BookObject<'b> {
    let figures = figures.iter().map(|(item, region, figure)| FigureObject {
        item: item.to_string(),
        region: *region,
        unit: item.unit(),
        price: figure.first_price(),
        tiers: figure
            .tiers
            .iter()
            .map(|Tier { up_to, price }| TierObject { up_to: *up_to, price: *price })
            .collect(),
        source: &figure.source.name,
        url: figure.source.url.as_deref(),
        date: figure.date,
        old: figure.is_old(today),
    });
    BookObject { figures: figures.collect() }
}

fn lambda(book: &PriceBook, args: &LambdaArgs) -> Bill {
    let LambdaArgs {
        region,
        arch,
        memory,
        requests,
        duration,
        free_tier,
        ephemeral,
        provisioned,
        provisioned_for,
        provisioned_requests,
        provisioned_duration,
        snapstart_cache_gb_s,
        snapstart_restores,
        tenant_environments,
    } = args;
    let plain = LambdaUse::new(*arch, *memory);
    let used = LambdaUse {
        requests: requests.unwrap_or(0),
        duration: duration.unwrap_or(Duration::ZERO),
        free_tier: if *free_tier { FreeTier::Used } else { FreeTier::Ignored },
        ephemeral_mb: ephemeral.unwrap_or(plain.ephemeral_mb),
        provisioned: provisioned.map(|concurrency| ProvisionedUse {
            concurrency,
            provisioned_for: provisioned_for.unwrap_or(Duration::ZERO),
            requests: provisioned_requests.unwrap_or(0),
            duration: provisioned_duration.unwrap_or(Duration::ZERO),
        }),
        snapstart_cache_gb_s: snapstart_cache_gb_s.unwrap_or(Decimal::ZERO),
        snapstart_restores: snapstart_restores.unwrap_or(0),
        tenant_environments: tenant_environments.unwrap_or(0),
        ..plain
    };
    calculator::lambda(book, *region, &used)
}

fn egress(book: &PriceBook, args: &EgressArgs) -> Bill {
    let EgressArgs { region, size, route, free, hours, gets, puts } = args;
    let used = EgressUse {
        route: *route,
        bytes: *size,
        free_bytes: free.unwrap_or(0),
        hours: *hours,
        gets: *gets,
        puts: *puts,
    };
    calculator::egress(book, *region, &used)
}

fn managed(book: &PriceBook, args: &ManagedArgs) -> Bill {
    let ManagedArgs { region, instance, hours, requests, hourly } = args;
    let used = ManagedUse { instance: instance.clone(), hours: *hours, requests: *requests, hourly: *hourly };
    calculator::managed(book, *region, &used)
}
