//! Stabilization windows: the past speaks against a change of mind.

use crate::state::{Recommendation, put};

/// Without `behavior`: the highest recommendation of the window, its edge included. Remembers `wanted`.
///
/// Upstream: `horizontal.go`, `stabilizeRecommendation`.
pub fn stabilize(recommendations: &mut Vec<Recommendation>, wanted: i32, window_ms: i64, now_ms: i64) -> i32 {
    let cutoff = now_ms.saturating_sub(window_ms);
    let mut highest = wanted;
    let mut free = None;
    for (i, past) in recommendations.iter().enumerate() {
        if past.at_ms < cutoff {
            free = Some(i);
        } else {
            highest = highest.max(past.replicas);
        }
    }
    put(recommendations, free, Recommendation { replicas: wanted, at_ms: now_ms });
    highest
}

/// With `behavior`: `current`, raised to the lowest recommendation of the window up, then lowered to the highest of
/// the window down. A recommendation exactly as old as the window is outside, but its slot is not free: that
/// takes being older than both windows. Remembers `wanted`.
///
/// Upstream: `horizontal.go`, `stabilizeRecommendationWithBehaviors`.
pub fn stabilize_with_windows(
    recommendations: &mut Vec<Recommendation>,
    current: i32,
    wanted: i32,
    up_window_seconds: i32,
    down_window_seconds: i32,
    now_ms: i64,
) -> i32 {
    let up_cutoff = before(now_ms, up_window_seconds);
    let down_cutoff = before(now_ms, down_window_seconds);
    let (mut lowest, mut highest) = (wanted, wanted);
    let mut free = None;
    for (i, past) in recommendations.iter().enumerate() {
        if past.at_ms > up_cutoff {
            lowest = lowest.min(past.replicas);
        }
        if past.at_ms > down_cutoff {
            highest = highest.max(past.replicas);
        }
        if past.at_ms < up_cutoff && past.at_ms < down_cutoff {
            free = Some(i);
        }
    }
    put(recommendations, free, Recommendation { replicas: wanted, at_ms: now_ms });
    current.max(lowest).min(highest)
}

fn before(now_ms: i64, seconds: i32) -> i64 {
    now_ms.saturating_sub(i64::from(seconds).saturating_mul(1000))
}
