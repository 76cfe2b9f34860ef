//! How many requests may be under way at once.

use std::time::Duration;

use crate::schedule::{Arrivals, Course, Stage};

/// More are never under way at once: each is a task, and with HTTP/1 a connection.
pub const IN_FLIGHT_MAX: usize = 1_000_000;

/// Chance alone exceeds the expected number by more than so many standard deviations in a few of a million cases.
const DEVIATIONS: f64 = 5.0;

/// Slots for a plan: as many as requests come within a timeout, chance included, so that they run out only where the
/// service answers nearly nothing for as long as that. At most `bound`, which says what the process can bear: with
/// fewer than the plan needs, running out of them is the generator's own failure.
pub fn slots_for(stages: &[Stage], arrivals: Arrivals, timeout: Duration, bound: usize) -> usize {
    let expected = Course::new(stages.to_vec()).most_within(timeout);
    let spread = match arrivals {
        Arrivals::Even => 0.0,
        Arrivals::Poisson => 1.0,
        Arrivals::Bursty { cv } => cv.max(1.0),
    };
    // A renewal process' count has cv² times the variance of Poisson's. At small numbers a single burst is more.
    let by_chance = DEVIATIONS * spread * (expected.sqrt() + spread);
    let slots = (expected + by_chance + 2.0).ceil();
    (slots as usize).min(IN_FLIGHT_MAX).min(bound).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_enough_for_every_request_of_a_timeout() {
        let even = Arrivals::Even;
        let bursty = Arrivals::Bursty { cv: 3.0 };
        for (stages, arrivals, seconds, least, most) in [
            (&["60s@100"][..], even, 10, 1000, 1010),
            (&["60s@100"], Arrivals::Poisson, 10, 1100, 1200),
            (&["60s@100"], bursty, 10, 1400, 1600),
            // A short peak is not the whole timeout.
            (&["60s@100", "1s@10000", "60s@100"], even, 20, 11_900, 11_910),
            (&["1s@5"], even, 3600, 5, 10),
            (&["10s@0"], even, 10, 1, 5),
            (&["999s@1000000"], even, 999, IN_FLIGHT_MAX, IN_FLIGHT_MAX),
        ] {
            let stages: Vec<Stage> = stages.iter().map(|t| t.parse().unwrap()).collect();
            let slots = slots_for(&stages, arrivals, Duration::from_secs(seconds), usize::MAX);
            assert!((least..=most).contains(&slots), "{stages:?} {arrivals}: {slots}");
            assert_eq!(slots_for(&stages, arrivals, Duration::from_secs(seconds), 3), slots.min(3));
        }
    }

    #[test]
    fn slots_hold_what_a_schedule_sends_within_a_timeout() {
        let stages: Vec<Stage> =
            ["2s@0..300", "3s@300", "1s@20"].iter().map(|t| t.parse().unwrap()).collect();
        let timeout = Duration::from_secs(1);
        for arrivals in [Arrivals::Even, Arrivals::Poisson, Arrivals::Bursty { cv: 4.0 }] {
            let slots = slots_for(&stages, arrivals, timeout, usize::MAX);
            for seed in 0..50 {
                let at: Vec<Duration> =
                    crate::schedule::Schedule::new(stages.clone(), arrivals, seed).collect();
                let within = |(i, from): (usize, &Duration)| {
                    at[i..].iter().take_while(|t| **t < *from + timeout).count()
                };
                let most = at.iter().enumerate().map(within).max().unwrap_or(0);
                assert!(most <= slots, "{arrivals} {seed}: {most} of {slots}");
            }
        }
    }
}
