//! Stabilization windows: the past speaks against a change of mind.

use crate::state::{Recommendation, put};

/// A proposal of a time, whatever else is remembered of it.
pub trait Recommended {
    /// Replicas before stabilization, rates and bounds.
    fn replicas(&self) -> i32;
    /// When, in milliseconds.
    fn at_ms(&self) -> i64;
    /// From when it counts in the window down, in milliseconds, as `now` sees it. Upstream has but one time.
    fn counts_from_ms(&self, _now: &Self) -> i64 {
        self.at_ms()
    }
}

impl Recommended for Recommendation {
    fn replicas(&self) -> i32 {
        self.replicas
    }

    fn at_ms(&self) -> i64 {
        self.at_ms
    }
}

/// How far back recommendations count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// For raising, in milliseconds.
    pub up_ms: i64,
    /// For lowering, in milliseconds.
    pub down_ms: i64,
}

/// Without `behavior`: the highest recommendation of the window, its edge included. Remembers `now`.
///
/// Upstream: `horizontal.go`, `stabilizeRecommendation`.
pub fn stabilize<R: Recommended>(recommendations: &mut Vec<R>, now: R, window_ms: i64) -> i32 {
    let cutoff = now.at_ms().saturating_sub(window_ms);
    let mut highest = now.replicas();
    let mut free = None;
    for (i, past) in recommendations.iter().enumerate() {
        if past.counts_from_ms(&now) < cutoff {
            free = Some(i);
        } else {
            highest = highest.max(past.replicas());
        }
    }
    put(recommendations, free, now);
    highest
}

/// With `behavior`: `current`, raised to the lowest recommendation of the window up, then lowered to the highest of
/// the window down, in this order if ever one is above the other. A recommendation exactly as old as the window is
/// outside, but its slot is not free: that takes being older than both windows. Remembers `now`.
///
/// Upstream: `horizontal.go`, `stabilizeRecommendationWithBehaviors`.
pub fn stabilize_with_windows<R: Recommended>(
    recommendations: &mut Vec<R>,
    current: i32,
    now: R,
    windows: Windows,
) -> i32 {
    let up_cutoff = now.at_ms().saturating_sub(windows.up_ms);
    let down_cutoff = now.at_ms().saturating_sub(windows.down_ms);
    let (mut lowest, mut highest) = (now.replicas(), now.replicas());
    let mut free = None;
    for (i, past) in recommendations.iter().enumerate() {
        let (at_ms, from_ms) = (past.at_ms(), past.counts_from_ms(&now));
        if at_ms > up_cutoff {
            lowest = lowest.min(past.replicas());
        }
        if from_ms > down_cutoff {
            highest = highest.max(past.replicas());
        }
        if at_ms < up_cutoff && from_ms < down_cutoff {
            free = Some(i);
        }
    }
    put(recommendations, free, now);
    current.max(lowest).min(highest)
}
