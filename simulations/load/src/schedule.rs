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

mod course;

pub use course::Course;

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

    /// With rates that can be planned: what is no number or below 0 is 0, what is above the most is the most.
    fn bounded(self) -> Self {
        let rate = |rps: f64| if rps.is_nan() { 0.0 } else { rps.clamp(0.0, RATE_MAX_RPS) };
        Self { duration: self.duration, from_rps: rate(self.from_rps), to_rps: rate(self.to_rps) }
    }

    /// How far into the stage `y` arrivals are expected, never beyond its end; the form that does not cancel for
    /// small slopes.
    fn offset(&self, y: f64) -> Duration {
        if y <= 0.0 {
            // A ramp from 0 would divide 0 by 0.
            return Duration::ZERO;
        }
        let slope = (self.to_rps - self.from_rps) / self.duration.as_secs_f64();
        let root = (self.from_rps * self.from_rps + 2.0 * slope * y).max(0.0).sqrt();
        let seconds = 2.0 * y / (self.from_rps + root);
        Duration::try_from_secs_f64(seconds).map_or(self.duration, |d| d.min(self.duration))
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

/// Planned times, ascending, as offsets from the start. Whatever the stages are, they end, and no time is beyond the
/// end of the last stage.
#[derive(Debug)]
pub struct Schedule {
    stages: Vec<Stage>,
    gaps: Gaps,
    rng: Xoshiro256PlusPlus,
    /// The stage that the next arrival is looked for in, and when it begins.
    stage: usize,
    start: Duration,
    /// Expected arrivals from the beginning of that stage to the next arrival.
    y: f64,
    last: Duration,
}

impl Schedule {
    /// The same arguments give the same times.
    pub fn new(stages: Vec<Stage>, arrivals: Arrivals, seed: u64) -> Self {
        let stages = stages.into_iter().map(Stage::bounded).collect();
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let gaps = Gaps::new(arrivals);
        Self { stages, gaps, rng, stage: 0, start: Duration::ZERO, y: 0.0, last: Duration::ZERO }
    }

    /// How many arrivals are due before an offset, exactly. Draws each of them, some tens of nanoseconds apiece; the
    /// whole plan's are [`Iterator::count`].
    pub fn count_before(self, offset: Duration) -> u64 {
        self.take_while(|at| *at < offset).fold(0, |n, _| n + 1)
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

/// Rounding may put an arrival that is due at the very end of a stage after it, and so lose the last one of a plan.
fn rounding(arrivals: f64) -> f64 {
    1e-9 + 4.0 * f64::EPSILON * arrivals
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.y += self.gaps.draw(&mut self.rng);
        loop {
            let s = self.stages.get(self.stage)?;
            let arrivals = s.arrivals();
            if arrivals > 0.0 && self.y <= arrivals + rounding(arrivals) {
                self.last = self.start.saturating_add(s.offset(self.y)).max(self.last);
                return Some(self.last);
            }
            self.y -= arrivals;
            self.start = self.start.saturating_add(s.duration);
            self.stage += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn an_arrival_at_the_start_of_a_ramp_from_nothing_is_there() {
        // By rounding, the first falls an arrival's 10⁻¹⁷ into the ramp, or exactly on its beginning.
        for (texts, want) in [
            (&["1s@0.7", "1s@0.3", "3s@0..100"][..], 151),
            (&["1s@0.5", "1s@0.5", "3s@0..100"], 151),
            (&["1s@0.1", "1s@0.2", "1s@0.7", "1s@0..2"], 2),
            (&["1s@0..2"], 1),
        ] {
            let at: Vec<Duration> = Schedule::new(stages(texts), Arrivals::Even, 1).collect();
            assert_eq!(at.len(), want, "{texts:?}: {at:?}");
        }
        assert_eq!(Schedule::new(stages(&["1s@0.7", "1s@0.3"]), Arrivals::Even, 1).count(), 1);
    }

    #[test]
    fn arrivals_before_a_moment_are_counted() {
        let plan = || Schedule::new(stages(&["10s@100"]), Arrivals::Poisson, 3);
        let at: Vec<Duration> = plan().collect();
        for offset in [Duration::ZERO, at[0], at[500], Duration::from_secs(4), Duration::MAX] {
            let want = at.iter().filter(|t| **t < offset).count() as u64;
            assert_eq!(plan().count_before(offset), want, "{offset:?}");
        }
    }

    fn rate() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => 0.0..2000.0,
            2 => Just(0.0),
            1 => Just(RATE_MAX_RPS),
            1 => prop_oneof![Just(f64::MIN_POSITIVE), Just(1e-300), Just(1e-9), Just(5e-324)],
            1 => proptest::num::f64::ANY,
        ]
    }

    fn any_stage() -> impl Strategy<Value = Stage> {
        let duration = prop_oneof![
            4 => (0u64..3_000_000_000).prop_map(Duration::from_nanos),
            1 => Just(Duration::ZERO),
            1 => Just(Duration::from_nanos(1)),
            1 => Just(Duration::MAX),
            1 => any::<u64>().prop_map(Duration::from_secs),
        ];
        let rates = prop_oneof![
            2 => rate().prop_map(|rps| (rps, rps)),
            3 => (rate(), rate()),
            2 => rate().prop_map(|rps| (0.0, rps)),
            1 => rate().prop_map(|rps| (rps, 0.0)),
        ];
        (duration, rates).prop_map(|(duration, (from_rps, to_rps))| Stage { duration, from_rps, to_rps })
    }

    fn any_arrivals() -> impl Strategy<Value = Arrivals> {
        prop_oneof![
            Just(Arrivals::Even),
            Just(Arrivals::Poisson),
            proptest::num::f64::ANY.prop_map(|cv| Arrivals::Bursty { cv }),
        ]
    }

    proptest! {
        #[test]
        fn no_list_of_stages_breaks_the_schedule(
            stages in proptest::collection::vec(any_stage(), 0..6),
            arrivals in any_arrivals(),
            seed in any::<u64>(),
        ) {
            let course = Course::new(stages.clone());
            let at: Vec<Duration> = Schedule::new(stages.clone(), arrivals, seed).take(5000).collect();
            prop_assert!(at.is_sorted());
            prop_assert!(at.last().is_none_or(|last| *last <= course.duration()));
            let area: f64 = stages.iter().map(|s| s.bounded().arrivals()).sum();
            if arrivals == Arrivals::Even && area < 4999.0 {
                prop_assert!((area - at.len() as f64).abs() <= 1.0, "{} of {area}", at.len());
            }
            for offset in at.iter().copied().chain([Duration::ZERO, course.duration(), Duration::MAX]) {
                prop_assert!((0.0..=RATE_MAX_RPS).contains(&course.rate_at(offset)));
            }
            for window in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
                let most = course.most_within(window);
                prop_assert!(most >= 0.0 && most <= area * (1.0 + 1e-9) + 1e-9, "{most} of {area}");
            }
        }
    }
}
