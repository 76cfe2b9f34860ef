//! Stages as a curve: the rate of a moment, and how many arrivals a stretch of time holds.

use std::time::Duration;

use super::Stage;

/// Stages in order, and the rate of any moment: by bisection, as a recorded load has thousands of stages.
#[derive(Clone, Debug)]
pub struct Course {
    stages: Vec<Stage>,
    ends: Vec<Duration>,
    /// Arrivals expected before each stage.
    before: Vec<f64>,
}

impl Course {
    /// Of these stages.
    pub fn new(stages: Vec<Stage>) -> Self {
        let stages: Vec<Stage> = stages.into_iter().map(Stage::bounded).collect();
        let end = |sum: &mut Duration, s: &Stage| {
            *sum = sum.saturating_add(s.duration);
            Some(*sum)
        };
        let before = |sum: &mut f64, s: &Stage| {
            let before = *sum;
            *sum += s.arrivals();
            Some(before)
        };
        let ends = stages.iter().scan(Duration::ZERO, end).collect();
        let before = stages.iter().scan(0.0, before).collect();
        Self { stages, ends, before }
    }

    /// Whole length.
    pub fn duration(&self) -> Duration {
        self.ends.last().copied().unwrap_or_default()
    }

    /// The end of the last stage in which anything is due.
    pub fn busy_until(&self) -> Duration {
        let busy = self.stages.iter().zip(&self.ends).rev().find(|(stage, _)| stage.arrivals() > 0.0);
        busy.map_or(Duration::ZERO, |(_, end)| *end)
    }

    /// The rate that is asked for at an offset; 0 after the end.
    pub fn rate_at(&self, offset: Duration) -> f64 {
        let i = self.ends.partition_point(|end| *end <= offset);
        let (Some(s), Some(end)) = (self.stages.get(i), self.ends.get(i)) else { return 0.0 };
        let left = (*end - offset).as_secs_f64() / s.duration.as_secs_f64();
        // What cannot be added up to an end, which is centuries away, has begun long before.
        s.to_rps + (s.from_rps - s.to_rps) * left.min(1.0)
    }

    /// Arrivals expected in the whole.
    pub fn arrivals(&self) -> f64 {
        self.arrivals_before(Duration::MAX)
    }

    /// Arrivals expected before an offset.
    pub fn arrivals_before(&self, offset: Duration) -> f64 {
        let i = self.ends.partition_point(|end| *end <= offset);
        match (self.stages.get(i), self.ends.get(i), self.before.get(i)) {
            (Some(s), Some(end), Some(before)) => {
                let left_s = (*end - offset).min(s.duration).as_secs_f64();
                let left = left_s * (self.rate_at(offset) + s.to_rps) / 2.0;
                before + (s.arrivals() - left).max(0.0)
            }
            _ => self.before.last().zip(self.stages.last()).map_or(0.0, |(before, s)| before + s.arrivals()),
        }
    }

    /// The most arrivals that are expected in any stretch of this length.
    ///
    /// As the stretch moves, its arrivals change at the rate of its end less that of its beginning. Between the
    /// places where one of the two crosses the end of a stage this is a straight line, so the most is at such a
    /// place, or where the line meets 0 in between.
    pub fn most_within(&self, length: Duration) -> f64 {
        let within =
            |from: Duration| self.arrivals_before(from.saturating_add(length)) - self.arrivals_before(from);
        let crossings = self.ends.iter().flat_map(|end| [Some(*end), end.checked_sub(length)]);
        let mut from: Vec<Duration> = crossings.flatten().chain([Duration::ZERO]).collect();
        from.sort_unstable();
        from.dedup();
        let at_crossings = from.iter().map(|f| within(*f));
        let between = from.windows(2).filter_map(|w| {
            let &[a, b] = w else { return None };
            let inner = |share: f64| a.saturating_add((b - a).mul_f64(share));
            let change = |from: Duration| self.rate_at(from.saturating_add(length)) - self.rate_at(from);
            // Rates jump at the crossings, so the line is taken from within.
            let (first, second) = (change(inner(0.25)), change(inner(0.75)));
            let share = 0.25 + 0.5 * first / (first - second);
            (share > 0.0 && share < 1.0).then(|| within(inner(share)))
        });
        at_crossings.chain(between).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(texts: &[&str]) -> Course {
        Course::new(texts.iter().map(|t| t.parse().unwrap()).collect())
    }

    #[test]
    fn the_rate_of_a_moment() {
        let course = course(&["10s@10", "10s@10..20"]);
        let rates = [3, 10, 15, 20].map(|s| course.rate_at(Duration::from_secs(s)));
        assert_eq!((rates, course.duration()), ([10.0, 10.0, 15.0, 0.0], Duration::from_secs(20)));
        let before = [0, 3, 10, 15, 20, 99].map(|s| course.arrivals_before(Duration::from_secs(s)));
        assert_eq!(before, [0.0, 30.0, 100.0, 162.5, 250.0, 250.0]);
    }

    #[test]
    fn the_fullest_stretch() {
        for (stages, seconds, want) in [
            (&["10s@10"][..], 4, 40.0),
            (&["10s@10"], 60, 100.0),
            (&["60s@100", "1s@10000", "60s@100"], 20, 11_900.0),
            (&["10s@0..100"], 5, 375.0),
            (&["10s@100..0"], 5, 375.0),
            // Both ends at the same rate, in the middle of the ramps: 95 on each side.
            (&["10s@0..100", "10s@100..0"], 2, 190.0),
            (&["10s@0"], 5, 0.0),
            (&[], 5, 0.0),
        ] {
            let most = course(stages).most_within(Duration::from_secs(seconds));
            assert!((most - want).abs() < 1e-6, "{stages:?} {seconds} s: {most}");
        }
    }
}
