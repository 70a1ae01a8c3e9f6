//! Chance, seeded: the same scenario, asked in the same order, gives the same run.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::profile::{Network, Span};

/// A seeded source of chance.
#[derive(Debug)]
pub(super) struct Chance(StdRng);

impl Chance {
    /// A source of its own for `name`, so that the functions do not disturb each other's draws.
    pub(super) fn of(seed: u64, name: &str) -> Self {
        // FNV-1a: std's hasher is seeded anew in each process.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self(StdRng::seed_from_u64(seed ^ hash))
    }

    /// Uniform in [0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// A version 4 UUID.
    pub(super) fn uuid(&mut self) -> String {
        let random: u128 = self.0.random();
        let bits = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        let [a, b, c, d] = [bits >> 96, bits >> 80 & 0xffff, bits >> 64 & 0xffff, bits >> 48 & 0xffff];
        format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{:012x}", bits & 0xffff_ffff_ffff)
    }

    /// A duration within the span, uniform, in whole microseconds.
    pub(super) fn within(&mut self, span: Span) -> Duration {
        let Span { least, most } = span;
        if most <= least {
            return least;
        }
        let micros = (most - least).as_secs_f64() * 1e6 * self.uniform();
        least + Duration::from_micros(micros as u64)
    }

    /// One way over the network: lognormal, at most an hour.
    pub(super) fn trip(&mut self, network: Network) -> Duration {
        if network.median.is_zero() {
            return Duration::ZERO;
        }
        // Box-Muller; 1 - u keeps the logarithm's argument above zero.
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let seconds = network.median.as_secs_f64() * (network.sigma * normal).exp();
        Duration::from_secs_f64(seconds.min(3600.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_name_draw_the_same_and_another_name_does_not() {
        let draw = |seed, name| Chance::of(seed, name).uniform();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn trips_have_the_median_and_the_spread_asked_for() {
        let network = Network { median: Duration::from_millis(15), sigma: 0.6 };
        let mut chance = Chance::of(7, "network");
        let mut trips: Vec<f64> = (0..20_001).map(|_| chance.trip(network).as_secs_f64() * 1e3).collect();
        trips.sort_by(f64::total_cmp);
        assert!((trips[10_000] - 15.0).abs() < 0.4, "median {}", trips[10_000]);
        // The 84.13th percentile of a lognormal lies one sigma up: 15 * e^0.6 = 27.3 ms.
        assert!((trips[16_827] - 27.3).abs() < 1.0, "{}", trips[16_827]);
    }

    #[test]
    fn spans_are_kept_and_ids_look_like_uuids() {
        let mut chance = Chance::of(7, "span");
        let span = Span { least: Duration::from_secs(6), most: Duration::from_secs(7) };
        let draws: Vec<Duration> = (0..100).map(|_| chance.within(span)).collect();
        assert!(draws.iter().all(|d| (span.least..span.most).contains(d)));
        assert!(draws.iter().max() > draws.iter().min());
        let id = chance.uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(id, chance.uuid());
    }
}
