//! The cost of payloads that pass from function to function through S3.

use rust_decimal::Decimal;

use super::bill::Bill;
use super::item::Item;
use super::price_book::PriceBook;
use super::{Route, gib};
use crate::domain::function::Region;

/// Returns the bill of payloads of `bytes` for functions in `region`: one PUT and one GET for each of `number`, and the
/// bytes of both by `route`.
///
/// NAT gateways and interface endpoints bill bytes in both directions. Data into S3 is otherwise free, except for that
/// of another region (AWS pricing of VPC, PrivateLink and S3).
pub fn payloads(prices: &PriceBook, region: Region, route: Route, bytes: u64, number: Decimal) -> Bill {
    let mut bill = Bill::default();
    let bucket = route.bucket_region(region);
    bill.add(prices, "S3 PUT requests", (&Item::S3Put, bucket), number);
    bill.add(prices, "S3 GET requests", (&Item::S3Get, bucket), number);
    let size = gib(bytes).saturating_mul(number);
    let (item, place) = route.priced_as(prices, region);
    let into_s3 = match route {
        Route::SameRegion | Route::Internet => None,
        Route::NatGateway | Route::InterfaceEndpoint => Some((item.clone(), place)),
        Route::InterRegion { .. } => {
            Some(Route::InterRegion { bucket_region: region }.priced_as(prices, bucket))
        }
    };
    if let Some((item, place)) = into_s3 {
        bill.add(prices, format!("Data to S3 by {route}"), (&item, place), size);
    }
    bill.add(prices, format!("S3 egress by {route}"), (&item, place), size);
    bill
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(region: &str, route: &str, bytes: u64) -> Option<String> {
        let (region, route) = (Region::parse(region).unwrap(), Route::parse(route).unwrap());
        let bill = payloads(&PriceBook::embedded(), region, route, bytes, Decimal::ONE);
        let sum = bill.lines.iter().map(super::super::BillLine::exact).sum::<Option<Decimal>>();
        sum.map(|sum| sum.normalize().to_string())
    }

    #[test]
    fn requests_and_both_directions_are_priced() {
        const GIB: u64 = 1 << 30;
        // PUT $0.005 and GET $0.0004 per 1,000.
        assert_eq!(exact("us-east-1", "same-region", GIB).unwrap(), "0.0000054");
        assert_eq!(exact("us-east-1", "nat-gateway", GIB).unwrap(), "0.0900054");
        assert_eq!(exact("us-east-1", "interface-endpoint", GIB).unwrap(), "0.0200054");
        assert_eq!(exact("us-east-1", "internet", GIB).unwrap(), "0.0900054");
        // $0.02 from London to Virginia, and $0.02 back.
        assert_eq!(exact("eu-west-2", "inter-region:us-east-1", GIB).unwrap(), "0.0400054");
        assert_eq!(exact("us-east-1", "inter-region:us-east-1", GIB).unwrap(), "0.0000054");
        assert_eq!(exact("us-east-1", "nat-gateway", 0).unwrap(), "0.0000054");
    }

    #[test]
    fn an_unknown_price_stays_unknown() {
        assert_eq!(exact("me-south-1", "same-region", 1), None);
    }
}
