//! How many requests a second arrive, and exactly how many have arrived: what a judge holds replicas against.

use simulations_kernel::Stream;

/// A rate over time: straight lines between points, so that its integral is exact arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    points: Vec<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    at_ms: i64,
    /// Requests a second.
    rate: f64,
    /// Requests before this point.
    sum: f64,
}

impl Load {
    /// The same rate for ever, in requests a second.
    pub fn constant(rate: f64) -> Self {
        Self::through([(0, rate)])
    }

    /// Through these points, in milliseconds since the world began and requests a second. Before the first and after
    /// the last the rate is as there. Two points at one time are a step. A rate that is negative or no number is 0.
    pub fn through(points: impl IntoIterator<Item = (i64, f64)>) -> Self {
        let mut points: Vec<Point> =
            points.into_iter().map(|(at_ms, rate)| Point { at_ms, rate: rate.max(0.0), sum: 0.0 }).collect();
        if points.is_empty() {
            points.push(Point { at_ms: 0, rate: 0.0, sum: 0.0 });
        }
        // Stable: of two at one time the first ends what was before.
        points.sort_by_key(|p| p.at_ms);
        let mut former: Option<Point> = None;
        for point in &mut points {
            if let Some(former) = former {
                point.sum = former.sum + trapezium(former.rate, point.rate, point.at_ms - former.at_ms);
            }
            former = Some(*point);
        }
        Self { points }
    }

    /// One rate up to a time, another from then on.
    pub fn step(before: f64, at_ms: i64, after: f64) -> Self {
        Self::through([(at_ms, before), (at_ms, after)])
    }

    /// Some course of a busy service for so long: ramps, steps, spikes and quiet between a least and a highest rate.
    pub fn drawn(stream: &mut Stream, lasts_ms: i64, least: f64, highest: f64) -> Self {
        let mut at_ms = 0;
        let mut rate = stream.uniform(least, highest);
        let mut points = vec![(at_ms, rate)];
        while at_ms < lasts_ms {
            let quiet = stream.between(30_000, 600_000);
            at_ms += quiet;
            points.push((at_ms, rate));
            let next = stream.uniform(least, highest);
            match stream.below(4) {
                // A step.
                0 => points.push((at_ms, next)),
                // A spike, and back.
                1 => {
                    let width = stream.between(5_000, 60_000);
                    points.extend([(at_ms, next), (at_ms + width, next), (at_ms + width, rate)]);
                    at_ms += width;
                    continue;
                }
                // A ramp.
                _ => {
                    at_ms += stream.between(30_000, 900_000);
                    points.push((at_ms, next));
                }
            }
            rate = next;
        }
        Self::through(points)
    }

    /// The same load up to a time, and from then on as it is at that time.
    #[must_use]
    pub fn held_from(&self, at_ms: i64) -> Self {
        let before = self.points.iter().filter(|p| p.at_ms <= at_ms).map(|p| (p.at_ms, p.rate));
        Self::through(before.chain([(at_ms, self.rate(at_ms))]))
    }

    /// The rate at a time, in requests a second.
    pub fn rate(&self, at_ms: i64) -> f64 {
        let (before, after) = self.around(at_ms);
        match (before, after) {
            (Some(a), Some(b)) => between(a, b, at_ms),
            (Some(only), None) | (None, Some(only)) => only.rate,
            (None, None) => 0.0,
        }
    }

    /// Requests since the world began. Negative before it.
    pub fn arrived(&self, at_ms: i64) -> f64 {
        self.sum(at_ms) - self.sum(0)
    }

    /// The highest rate between two times, both inclusive.
    pub fn highest(&self, from_ms: i64, to_ms: i64) -> f64 {
        self.within(from_ms, to_ms).fold(0.0, f64::max)
    }

    /// The lowest rate between two times, both inclusive.
    pub fn lowest(&self, from_ms: i64, to_ms: i64) -> f64 {
        self.within(from_ms, to_ms).fold(f64::INFINITY, f64::min)
    }

    /// The course is straight between points: its extremes are at these or at the ends.
    fn within(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = f64> {
        let inside = self.points.iter().filter(move |p| (from_ms..=to_ms).contains(&p.at_ms)).map(|p| p.rate);
        inside.chain([self.rate(from_ms), self.rate(to_ms)])
    }

    fn around(&self, at_ms: i64) -> (Option<&Point>, Option<&Point>) {
        let next = self.points.partition_point(|p| p.at_ms <= at_ms);
        (next.checked_sub(1).and_then(|i| self.points.get(i)), self.points.get(next))
    }

    /// Requests since the first point; negative before it. Differences of it are what arrived between.
    pub(crate) fn sum(&self, at_ms: i64) -> f64 {
        match self.around(at_ms) {
            (Some(a), Some(b)) => a.sum + trapezium(a.rate, between(a, b, at_ms), at_ms - a.at_ms),
            (Some(last), None) => last.sum + trapezium(last.rate, last.rate, at_ms - last.at_ms),
            (None, Some(first)) => first.sum - trapezium(first.rate, first.rate, first.at_ms - at_ms),
            (None, None) => 0.0,
        }
    }
}

fn trapezium(from: f64, to: f64, width_ms: i64) -> f64 {
    (from + to) / 2.0 * width_ms as f64 / 1000.0
}

fn between(a: &Point, b: &Point, at_ms: i64) -> f64 {
    let width = (b.at_ms - a.at_ms) as f64;
    if width > 0.0 { a.rate + (b.rate - a.rate) * ((at_ms - a.at_ms) as f64 / width) } else { b.rate }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simulations_kernel::Streams;

    use super::*;

    #[test]
    fn rates_and_sums_are_exact() {
        let load = Load::through([(0, 10.0), (10_000, 30.0), (10_000, 5.0), (20_000, 5.0)]);
        for (at_ms, rate, arrived) in [
            (-1000, 10.0, -10.0),
            (0, 10.0, 0.0),
            (5000, 20.0, 75.0),
            (9999, 29.998, 199.97),
            (10_000, 5.0, 200.0),
            (20_000, 5.0, 250.0),
            (30_000, 5.0, 300.0),
        ] {
            assert!((load.rate(at_ms) - rate).abs() < 1e-9, "{at_ms} {}", load.rate(at_ms));
            assert!((load.arrived(at_ms) - arrived).abs() < 1e-2, "{at_ms} {}", load.arrived(at_ms));
        }
        assert_eq!((load.highest(2000, 15_000), load.lowest(2000, 9000)), (30.0, 14.0));
        let held = load.held_from(5000);
        assert_eq!((held.rate(2500), held.rate(5000), held.rate(60_000)), (15.0, 20.0, 20.0));
        assert_eq!(load.held_from(10_000).rate(9999), load.rate(9999));
        assert_eq!(Load::through([]).arrived(9), 0.0);
        assert_eq!(Load::step(1.0, 500, f64::NAN).rate(500), 0.0);
    }

    proptest! {
        #[test]
        fn what_arrives_is_the_rate_summed_up(seed: u64, at in 0_i64..3_600_000) {
            let load = Load::drawn(&mut Streams::new(seed).stream("x"), 3_600_000, 5.0, 500.0);
            prop_assert!((5.0..=500.0).contains(&load.rate(at)));
            let (low, high) = (load.lowest(at, at + 1000), load.highest(at, at + 1000));
            let arrived = load.arrived(at + 1000) - load.arrived(at);
            prop_assert!(low - 1e-6 <= arrived && arrived <= high + 1e-6, "{low} {arrived} {high}");
        }
    }
}
