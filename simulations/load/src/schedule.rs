//! When requests are due: a pure function of stages, arrival process and seed.
//!
//! The stages define a rate over time; its integral Λ(t) is the expected number of arrivals so far. The n-th
//! arrival is at Λ⁻¹(x_n), where x_n grows by 1 (even), by an Exp(1) draw (Poisson, by time rescaling) or by a gamma
//! draw of mean 1 (bursty). A stage's rate is linear, so Λ is quadratic and is inverted exactly.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Gamma};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use thanos_model::parse_duration;

/// A plan may not hold more arrivals than this: a typo must not fill memory or a night.
pub const RATE_MAX_RPS: f64 = 1_000_000.0;

/// The burstiest arrivals: at 20, most requests come hundreds at a time.
pub const CV_MAX: f64 = 20.0;

/// How arrivals are spread. As text: `even`, `poisson`, `bursty:3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Arrivals {
    /// Equal distances.
    Even,
    /// Independent users: exponential distances.
    #[default]
    Poisson,
    /// Users who come together: a gamma renewal process, with more short and more long distances than Poisson's.
    Bursty {
        /// Standard deviation of the distances over their mean, 1 (Poisson) to [`CV_MAX`].
        #[serde(deserialize_with = "cv")]
        cv: f64,
    },
}

fn cv<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    cv_within(f64::deserialize(d)?).map_err(de::Error::custom)
}

fn cv_within(cv: f64) -> Result<f64, String> {
    let within = (1.0..=CV_MAX).contains(&cv);
    within.then_some(cv).ok_or_else(|| format!("a cv is from 1 (as Poisson) to {CV_MAX}, not {cv}"))
}

impl FromStr for Arrivals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("{why} (write even, poisson, or bursty:3 for a cv of 3)");
        match text.split_once(':') {
            None if text == "even" => Ok(Self::Even),
            None if text == "poisson" => Ok(Self::Poisson),
            Some(("bursty", cv)) => {
                let cv = cv.parse().map_err(|_| bad(&format!("{cv:?} is no number")))?;
                cv_within(cv).map(|cv| Self::Bursty { cv }).map_err(|e| bad(&e))
            }
            _ => Err(bad("no such arrivals")),
        }
    }
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even => f.write_str("even"),
            Self::Poisson => f.write_str("poisson"),
            Self::Bursty { cv } => write!(f, "bursty:{cv}"),
        }
    }
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
    gaps: Gaps,
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
        Self { stages, gaps: Gaps::new(arrivals), rng, x: 0.0, stage: 0, before: 0.0, start_s: 0.0 }
    }
}

/// Distances in expected arrivals, with mean 1.
#[derive(Debug)]
enum Gaps {
    Even,
    Poisson,
    Bursty {
        gap: Gamma<f64>,
        /// Taken by the first arrival.
        first: Option<Gamma<f64>>,
    },
}

impl Gaps {
    fn new(arrivals: Arrivals) -> Self {
        match arrivals {
            Arrivals::Even => Self::Even,
            Arrivals::Poisson => Self::Poisson,
            Arrivals::Bursty { cv } => {
                let cv = if cv.is_finite() { cv.clamp(1.0, CV_MAX) } else { 1.0 };
                let variance = cv.powi(2);
                #[expect(clippy::expect_used, reason = "the bounds are above")]
                let gamma = |shape| Gamma::new(shape, variance).expect("positive shape and scale");
                let shape = 1.0 / variance;
                // Somebody who begins to look at a random moment falls into a gap with a chance that grows with
                // its length: Gamma(k + 1). A process that began with a whole gap would send a burst at the
                // start of each run.
                Self::Bursty { gap: gamma(shape), first: Some(gamma(shape + 1.0)) }
            }
        }
    }

    fn draw(&mut self, rng: &mut Xoshiro256PlusPlus) -> f64 {
        match self {
            Self::Even => 1.0,
            // 1 - u is in (0, 1], so the logarithm is finite.
            Self::Poisson => -(1.0 - rng.random::<f64>()).ln(),
            Self::Bursty { gap, first } => match first.take() {
                Some(around_the_start) => around_the_start.sample(rng) * rng.random::<f64>(),
                None => gap.sample(rng),
            },
        }
    }
}

/// Stages in order, and the rate of any moment: by bisection, as a recorded load has thousands of stages.
#[derive(Clone, Debug)]
pub struct Course {
    stages: Vec<Stage>,
    ends: Vec<Duration>,
}

impl Course {
    /// Of these stages.
    pub fn new(stages: Vec<Stage>) -> Self {
        let end = |sum: &mut Duration, s: &Stage| {
            *sum = sum.saturating_add(s.duration);
            Some(*sum)
        };
        let ends = stages.iter().scan(Duration::ZERO, end).collect();
        Self { stages, ends }
    }

    /// Whole length.
    pub fn duration(&self) -> Duration {
        self.ends.last().copied().unwrap_or_default()
    }

    /// The rate that is asked for at an offset; 0 after the end.
    pub fn rate_at(&self, offset: Duration) -> f64 {
        let i = self.ends.partition_point(|end| *end <= offset);
        let (Some(s), Some(end)) = (self.stages.get(i), self.ends.get(i)) else { return 0.0 };
        let left = (*end - offset).as_secs_f64() / s.duration.as_secs_f64();
        s.to_rps + (s.from_rps - s.to_rps) * left
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.x += self.gaps.draw(&mut self.rng);
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

    /// Mean and coefficient of variation of the distances, in seconds.
    fn spread(at: &[Duration]) -> (f64, f64) {
        let gaps: Vec<f64> = at.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn bursty_arrivals_have_the_rate_and_the_cv_and_repeat_with_their_seed() {
        for cv in [1.0, 3.0, 6.0] {
            let plan = |seed| Schedule::new(stages(&["2000s@100"]), Arrivals::Bursty { cv }, seed);
            let at: Vec<Duration> = plan(7).collect();
            let (mean, measured) = spread(&at);
            assert!((mean * 100.0 - 1.0).abs() < 0.06, "{cv}: mean {mean}");
            assert!((measured / cv - 1.0).abs() < 0.06, "{cv}: {measured}");
            assert!(at.is_sorted() && plan(7).take(1000).eq(at.iter().copied().take(1000)));
            assert!(plan(8).take(1000).ne(at.iter().copied().take(1000)));
        }
        // Over many short runs, too: the first second holds what it should.
        let first = |seed| Schedule::new(stages(&["1s@10"]), Arrivals::Bursty { cv: 3.0 }, seed).count();
        let mean = (0..4000).map(first).sum::<usize>() as f64 / 4000.0;
        assert!((9.0..11.0).contains(&mean), "{mean}");
    }

    #[test]
    fn arrivals_as_text_and_as_yaml() {
        for (text, json) in
            [("even", r#""even""#), ("poisson", r#""poisson""#), ("bursty:3", r#"{"bursty":{"cv":3.0}}"#)]
        {
            let arrivals: Arrivals = text.parse().unwrap();
            assert_eq!(arrivals.to_string(), text);
            assert_eq!(serde_json::to_string(&arrivals).unwrap(), json);
            assert_eq!(serde_json::from_str::<Arrivals>(json).unwrap(), arrivals);
        }
        for text in ["", "Even", "bursty", "bursty:", "bursty:0.9", "bursty:21", "bursty:NaN", "even:3"] {
            assert!(text.parse::<Arrivals>().unwrap_err().contains("write even"), "{text}");
        }
        for json in
            [r#"{"bursty":{"cv":21}}"#, r#"{"bursty":{"cv":2,"x":1}}"#, r#"{"bursty":3}"#, r#""bursty""#]
        {
            assert!(serde_json::from_str::<Arrivals>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn wrong_stages_say_what_is_right() {
        for text in ["", "30s", "@5", "30s@x", "30s@-1", "0s@5", "30@5", "1s@1e9", "1s@1..NaN"] {
            assert!(text.parse::<Stage>().unwrap_err().contains("write 30s@200"), "{text}");
        }
    }

    #[test]
    fn the_rate_of_a_moment() {
        let course = Course::new(stages(&["10s@10", "10s@10..20"]));
        let rates = [3, 10, 15, 20].map(|s| course.rate_at(Duration::from_secs(s)));
        assert_eq!((rates, course.duration()), ([10.0, 10.0, 15.0, 0.0], Duration::from_secs(20)));
    }
}
