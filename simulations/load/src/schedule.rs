//! When requests are due: a pure function of stages, arrival process and seed.
//!
//! The stages define a rate over time; its integral Λ(t) is the expected number of arrivals so far. The n-th
//! arrival is at Λ⁻¹(x_n), where x_n grows by 1 (even) or by an Exp(1) draw (Poisson, by time rescaling). A
//! stage's rate is linear, so Λ is quadratic and is inverted exactly.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use thanos_model::parse_duration;

/// A plan may not hold more arrivals than this: a typo must not fill memory or a night.
pub const RATE_MAX_RPS: f64 = 1_000_000.0;

/// How arrivals are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Arrivals {
    /// Equal distances.
    Even,
    /// Independent users: exponential distances.
    #[default]
    Poisson,
}

/// A stretch of load whose rate goes straight from one value to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Length.
    #[serde(with = "thanos_model::duration::serde_text")]
    pub duration: Duration,
    /// Requests per second at the start.
    pub from_rps: f64,
    /// Requests per second at the end.
    pub to_rps: f64,
}

impl Stage {
    /// A constant rate.
    pub fn steady(duration: Duration, rps: f64) -> Self {
        Self { duration, from_rps: rps, to_rps: rps }
    }

    /// Expected arrivals in the stage.
    fn arrivals(&self) -> f64 {
        (self.from_rps + self.to_rps) / 2.0 * self.duration.as_secs_f64()
    }

    /// Seconds into the stage at which `y` arrivals are expected; the form that does not cancel for small
    /// slopes.
    fn invert(&self, y: f64) -> f64 {
        let slope = (self.to_rps - self.from_rps) / self.duration.as_secs_f64();
        let root = (self.from_rps * self.from_rps + 2.0 * slope * y).max(0.0).sqrt();
        2.0 * y / (self.from_rps + root)
    }
}

/// `30s@200` is 30 s at 200 rps, `10s@20..200` a ramp.
impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("stage {text:?}: {why} (write 30s@200, or 10s@20..200 for a ramp)");
        let (duration, rates) = text.split_once('@').ok_or_else(|| bad("no @"))?;
        let duration = parse_duration(duration).map_err(|e| bad(&e))?;
        if duration.is_zero() {
            return Err(bad("the duration is zero"));
        }
        let rate = |t: &str| match t.parse::<f64>() {
            Ok(r) if (0.0..=RATE_MAX_RPS).contains(&r) => Ok(r),
            _ => Err(bad(&format!("{t:?} is not a rate from 0 to {RATE_MAX_RPS} requests per second"))),
        };
        let (from_rps, to_rps) = match rates.split_once("..") {
            Some((a, b)) => (rate(a)?, rate(b)?),
            None => (rate(rates)?, rate(rates)?),
        };
        Ok(Self { duration, from_rps, to_rps })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}", self.duration, self.from_rps)?;
        if self.from_rps != self.to_rps {
            write!(f, "..{}", self.to_rps)?;
        }
        Ok(())
    }
}

/// Planned times, ascending, as offsets from the start.
#[derive(Debug)]
pub struct Schedule {
    stages: Vec<Stage>,
    arrivals: Arrivals,
    rng: Xoshiro256PlusPlus,
    /// Expected arrivals up to the next one.
    x: f64,
    /// The stage that x lies in, with the arrivals and seconds before it.
    stage: usize,
    before: f64,
    start_s: f64,
}

impl Schedule {
    /// The same arguments give the same times.
    pub fn new(stages: Vec<Stage>, arrivals: Arrivals, seed: u64) -> Self {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { stages, arrivals, rng, x: 0.0, stage: 0, before: 0.0, start_s: 0.0 }
    }

    /// Whole length of the stages.
    pub fn duration(&self) -> Duration {
        self.stages.iter().map(|s| s.duration).sum()
    }
}

/// The rate that `stages` ask for at an offset; 0 after the end.
pub fn rate_at(stages: &[Stage], offset: Duration) -> f64 {
    let mut start = Duration::ZERO;
    for s in stages {
        if offset < start + s.duration {
            let share = (offset - start).as_secs_f64() / s.duration.as_secs_f64();
            return s.from_rps + (s.to_rps - s.from_rps) * share;
        }
        start += s.duration;
    }
    0.0
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.x += match self.arrivals {
            Arrivals::Even => 1.0,
            // 1 - u is in (0, 1], so the logarithm is finite.
            Arrivals::Poisson => -(1.0 - self.rng.random::<f64>()).ln(),
        };
        loop {
            let s = self.stages.get(self.stage)?;
            let within = self.x - self.before;
            if within <= s.arrivals() && s.arrivals() > 0.0 {
                return Some(Duration::from_secs_f64(self.start_s + s.invert(within)));
            }
            self.before += s.arrivals();
            self.start_s += s.duration.as_secs_f64();
            self.stage += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(texts: &[&str]) -> Vec<Stage> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn even_arrivals_are_where_arithmetic_puts_them() {
        let at: Vec<f64> = Schedule::new(stages(&["1s@4", "1s@0", "1s@2"]), Arrivals::Even, 0)
            .map(|d| d.as_secs_f64())
            .collect();
        assert_eq!(at, [0.25, 0.5, 0.75, 1.0, 2.5, 3.0]);
    }

    #[test]
    fn a_ramp_holds_as_many_arrivals_as_its_area() {
        let ramp = stages(&["10s@0..100"]);
        let at: Vec<Duration> = Schedule::new(ramp, Arrivals::Even, 0).collect();
        assert_eq!(at.len(), 500);
        let early = at.iter().filter(|d| d.as_secs() < 5).count();
        assert_eq!(early, 125 - 1, "the 125th falls on the boundary");
        assert!(at.is_sorted());
    }

    #[test]
    fn poisson_has_the_rate_and_the_spread_of_poisson_and_repeats_with_its_seed() {
        let plan = |seed| Schedule::new(stages(&["100s@100"]), Arrivals::Poisson, seed).collect::<Vec<_>>();
        let at = plan(7);
        assert_eq!(at, plan(7));
        assert_ne!(at, plan(8));
        assert!((9_600..10_400).contains(&at.len()), "{}", at.len());
        // Counts per second have variance equal to their mean.
        let mut counts = [0f64; 100];
        at.iter().for_each(|d| counts[(d.as_secs() as usize).min(99)] += 1.0);
        let mean = counts.iter().sum::<f64>() / 100.0;
        let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / 99.0;
        assert!((0.6..1.6).contains(&(variance / mean)), "{variance} / {mean}");
    }

    #[test]
    fn wrong_stages_say_what_is_right() {
        for text in ["", "30s", "@5", "30s@x", "30s@-1", "0s@5", "30@5", "1s@1e9", "1s@1..NaN"] {
            assert!(text.parse::<Stage>().unwrap_err().contains("write 30s@200"), "{text}");
        }
    }

    #[test]
    fn the_rate_of_a_moment() {
        let s = stages(&["10s@10", "10s@10..20"]);
        assert_eq!(rate_at(&s, Duration::from_secs(3)), 10.0);
        assert_eq!(rate_at(&s, Duration::from_secs(15)), 15.0);
        assert_eq!(rate_at(&s, Duration::from_secs(20)), 0.0);
    }
}
