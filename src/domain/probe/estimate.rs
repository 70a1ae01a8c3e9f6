//! The cost of a probe before it starts.

use std::time::Duration;

use rust_decimal::Decimal;

use crate::domain::cost::calculator::{EgressUsage, LambdaUsage, egress, lambda};
use crate::domain::cost::{Bill, Per, PriceBook};
use crate::domain::fleet::Target;

/// The cost of a probe before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// The number of pings.
    pub pings: u64,
    /// The price of the invocations, US dollars; `None` if a price is unknown.
    pub lambda_usd: Option<Decimal>,
    /// The bytes from S3.
    pub s3_bytes: u64,
    /// The price of the downloads, US dollars; `None` if a price is unknown.
    pub s3_usd: Option<Decimal>,
}

/// Returns the cost of `pings` with at most `cold` cold starts, each ping with a `hold`, by the assumptions of the
/// target.
pub fn estimate(prices: &PriceBook, target: &Target, pings: u64, cold: u64, hold: Duration) -> Estimate {
    let (assume, region, cold) = (&target.assume, target.region(), cold.min(pings));
    let warm = assume.ping_duration.value().max(hold).as_millis().saturating_mul(pings.into());
    let init = assume.init_duration.value().as_millis().saturating_mul(cold.into());
    let average = u64::try_from(warm.saturating_add(init).div_ceil(u128::from(pings.max(1))));
    let usage = LambdaUsage {
        requests: pings,
        duration: Duration::from_millis(average.unwrap_or(u64::MAX)),
        ..LambdaUsage::new(assume.architecture.value(), assume.memory_mb.value())
    };
    let mut s3_bytes = 0_u64;
    let downloads: Vec<Bill> = target
        .downloads
        .iter()
        .map(|download| {
            let gets = match download.per {
                Per::ColdStart => cold,
                Per::Ping => pings,
            };
            let bytes = download.size_bytes.saturating_mul(gets);
            s3_bytes = s3_bytes.saturating_add(bytes);
            let (route, hours) = (download.route, Decimal::ZERO);
            egress(prices, region, &EgressUsage { route, bytes, free_bytes: 0, hours, gets, puts: 0 })
        })
        .collect();
    let s3_usd = downloads.iter().try_fold(Decimal::ZERO, |sum, bill| Some(sum + exact(bill)?));
    Estimate { pings, lambda_usd: exact(&lambda(prices, region, &usage)), s3_bytes, s3_usd }
}

/// Returns the sum of a bill, not rounded to cents.
fn exact(bill: &Bill) -> Option<Decimal> {
    bill.lines.iter().try_fold(Decimal::ZERO, |sum, line| Some(sum + line.exact()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cost::{Download, Route};

    #[test]
    fn cold_starts_cost_their_init_and_their_downloads() {
        let download = Download {
            object: "s3://models/nlp".to_owned(),
            size_bytes: 220_000_000,
            route: Route::NatGateway,
            per: Per::ColdStart,
        };
        let target = Target::example("f", "us-east-1", vec![download]);
        let prices = PriceBook::embedded();
        let of = |pings, cold| estimate(&prices, &target, pings, cold, Duration::ZERO);
        assert_eq!((of(120, 10).s3_bytes, of(120, 0).s3_bytes), (2_200_000_000, 0));
        assert!(of(120, 10).lambda_usd > of(120, 0).lambda_usd);
        // 2.2 GB through a NAT gateway at $0.045 a GiB, and ten GETs.
        let s3 = of(120, 10).s3_usd.unwrap();
        assert!((Decimal::new(9, 2)..Decimal::new(10, 2)).contains(&s3), "{s3}");
        assert_eq!(of(0, 0).lambda_usd, Some(Decimal::ZERO));
    }
}
