//! Seeded randomness: the same scenario with the same order of requests gives the same run.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::span::{Network, Span};

/// A seeded random generator.
#[derive(Debug)]
pub(super) struct SeededRng(StdRng);

impl SeededRng {
    /// Creates a generator for `name`, so that functions do not change each other's samples.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        // FNV-1a: the hasher of std has another seed in each process.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self(StdRng::seed_from_u64(seed ^ hash))
    }

    /// Samples a number in [0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// Generates a version 4 UUID.
    pub(super) fn uuid(&mut self) -> String {
        let random: u128 = self.0.random();
        let bits = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        let [a, b, c, d] = [bits >> 96, bits >> 80 & 0xffff, bits >> 64 & 0xffff, bits >> 48 & 0xffff];
        format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{:012x}", bits & 0xffff_ffff_ffff)
    }

    /// Samples a duration within the span, uniform, in whole microseconds.
    pub(super) fn within(&mut self, span: Span) -> Duration {
        let Span { least, most } = span;
        if most <= least {
            return least;
        }
        let micros = (most - least).as_secs_f64() * 1e6 * self.uniform();
        least + Duration::from_micros(micros as u64)
    }

    /// Samples a one-way network delay: lognormal, at most an hour.
    pub(super) fn network_delay(&mut self, network: Network) -> Duration {
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
    fn samples_depend_on_seed_and_name() {
        let sample = |seed, name| SeededRng::new(seed, name).uniform();
        assert_eq!(sample(1, "a"), sample(1, "a"));
        assert_ne!(sample(1, "a"), sample(1, "b"));
        assert_ne!(sample(1, "a"), sample(2, "a"));
    }

    #[test]
    fn network_delays_have_the_configured_median_and_spread() {
        let network = Network { median: Duration::from_millis(15), sigma: 0.6 };
        let mut rng = SeededRng::new(7, "network");
        let mut delays: Vec<f64> =
            (0..20_001).map(|_| rng.network_delay(network).as_secs_f64() * 1e3).collect();
        delays.sort_by(f64::total_cmp);
        assert!((delays[10_000] - 15.0).abs() < 0.4, "median {}", delays[10_000]);
        // The 84.13th percentile of a lognormal lies one sigma up: 15 * e^0.6 = 27.3 ms.
        assert!((delays[16_827] - 27.3).abs() < 1.0, "{}", delays[16_827]);
    }

    #[test]
    fn samples_stay_within_the_span_and_ids_are_uuids() {
        let mut rng = SeededRng::new(7, "span");
        let span = Span { least: Duration::from_secs(6), most: Duration::from_secs(7) };
        let samples: Vec<Duration> = (0..100).map(|_| rng.within(span)).collect();
        assert!(samples.iter().all(|d| (span.least..span.most).contains(d)));
        assert!(samples.iter().max() > samples.iter().min());
        let id = rng.uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(id, rng.uuid());
    }
}
