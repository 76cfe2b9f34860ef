//! How long each request is worked on: draws from a distribution with a given mean, the same for the same seed.

use std::time::Duration;

use clap::ValueEnum;
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution as _, Exp1, LogNormal};
use serde::Deserialize;

use crate::seed::seed_of_service_times;

/// No request is worked on for longer than so many means: a run must end, and one draw must not decide it.
const LONGEST_MEANS: f64 = 100.0;

/// The most that a lognormal's cv may be.
pub const CV_MAX: f64 = 10.0;

/// How service times are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Distribution {
    /// Always the mean.
    #[default]
    Fixed,
    /// Mostly short; standard deviation as large as the mean.
    Exponential,
    /// A long tail, as most services have; standard deviation by `cv`.
    Lognormal,
}

/// Service times, one after another.
#[derive(Debug)]
pub(super) struct ServiceTimes {
    mean: Duration,
    /// Multiples of the mean; nothing where all are the mean.
    spread: Option<Spread>,
    rng: Mutex<Xoshiro256PlusPlus>,
}

#[derive(Debug)]
enum Spread {
    Exponential,
    Lognormal(LogNormal<f64>),
}

impl ServiceTimes {
    /// `whose` tells processes with the same seed apart.
    ///
    /// # Errors
    /// `cv` is out of bounds.
    pub(super) fn new(
        mean: Duration,
        distribution: Distribution,
        cv: f64,
        seed: u64,
        whose: &str,
    ) -> Result<Self, String> {
        let spread = match distribution {
            Distribution::Fixed => None,
            Distribution::Exponential => Some(Spread::Exponential),
            Distribution::Lognormal => {
                let bad = || format!("a cv is above 0, up to {CV_MAX}, not {cv}");
                let within = cv > 0.0 && cv <= CV_MAX;
                let draws = within.then(|| LogNormal::from_mean_cv(1.0, cv).ok()).flatten();
                Some(Spread::Lognormal(draws.ok_or_else(bad)?))
            }
        };
        let rng = Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed_of_service_times(seed, whose)));
        Ok(Self { mean, spread, rng })
    }

    /// The next one.
    pub(super) fn draw(&self) -> Duration {
        let mut rng = self.rng.lock();
        let means: f64 = match &self.spread {
            None => return self.mean,
            Some(Spread::Exponential) => Exp1.sample(&mut *rng),
            Some(Spread::Lognormal(draws)) => draws.sample(&mut *rng),
        };
        let drawn_s = self.mean.as_secs_f64() * means.min(LONGEST_MEANS);
        Duration::try_from_secs_f64(drawn_s).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: Duration = Duration::from_millis(50);

    fn draws(distribution: Distribution, cv: f64, seed: u64, whose: &str) -> Vec<f64> {
        let times = ServiceTimes::new(MEAN, distribution, cv, seed, whose).unwrap();
        (0..200_000).map(|_| times.draw().as_secs_f64()).collect()
    }

    #[test]
    fn draws_have_the_mean_and_the_cv() {
        for (distribution, cv, want) in [
            (Distribution::Fixed, 1.0, 0.0),
            (Distribution::Exponential, 1.0, 1.0),
            (Distribution::Lognormal, 0.5, 0.5),
            (Distribution::Lognormal, 1.5, 1.5),
        ] {
            let all = draws(distribution, cv, 1, "a");
            let n = all.len() as f64;
            let mean = all.iter().sum::<f64>() / n;
            let measured = (all.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n).sqrt() / mean;
            assert!((mean / 0.05 - 1.0).abs() < 0.03, "{distribution:?} {cv}: mean {mean}");
            assert!((measured - want).abs() < 0.08, "{distribution:?} {cv}: {measured}");
            assert!(all.iter().all(|d| *d <= 5.0));
        }
    }

    #[test]
    fn the_longest_is_capped() {
        let longest = draws(Distribution::Lognormal, CV_MAX, 1, "a").into_iter().fold(0.0, f64::max);
        assert_eq!(longest, 5.0, "of 200,000 with a cv of 10, some are over 100 means");
        for cv in [0.0, -1.0, f64::NAN, 11.0] {
            let error = ServiceTimes::new(MEAN, Distribution::Lognormal, cv, 1, "").unwrap_err();
            assert!(error.contains("a cv is above 0"), "{error}");
        }
    }

    #[test]
    fn a_seed_repeats_and_processes_differ() {
        let some = |seed, whose| draws(Distribution::Exponential, 1.0, seed, whose)[..10].to_vec();
        assert_eq!(some(1, "web-0"), some(1, "web-0"));
        assert_ne!(some(1, "web-0"), some(1, "web-1"));
        assert_ne!(some(1, "web-0"), some(2, "web-0"));
    }
}
