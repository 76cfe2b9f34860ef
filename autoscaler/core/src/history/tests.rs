use proptest::prelude::*;

use super::*;
use autoscaler_hpa::stabilize::{Windows, stabilize, stabilize_with_windows};

proptest! {
    /// A history that is compacted after every decision stabilizes as one that keeps everything.
    #[test]
    fn compaction_loses_nothing(
        (up_s, down_s) in (0..30i64, 0..30i64),
        ticks in proptest::collection::vec((0..4i64, 0..12i32, 0..12i32, any::<bool>()), 1..80),
    ) {
        let windows = Windows { up_ms: up_s * 1000, down_ms: down_s * 1000 };
        let (mut now_ms, mut held_ms) = (1_000_000, 0);
        let (mut all, mut all_without) = (Vec::new(), Vec::new());
        let (mut compacted, mut without) = (History::default(), History::default());
        for (seconds, current, desired, is_held) in ticks {
            now_ms += seconds * 1000;
            if is_held {
                held_ms += seconds * 1000;
                (compacted.held_ms, without.held_ms) = (held_ms, held_ms);
                continue;
            }
            let now = compacted.recommendation(now_ms, desired);
            let kept = compacted.recommendations.get_or_insert_default();
            prop_assert_eq!(
                stabilize_with_windows(kept, current, now, windows),
                stabilize_with_windows(&mut all, current, now, windows)
            );
            let kept = without.recommendations.get_or_insert_default();
            prop_assert_eq!(
                stabilize(kept, now, windows.down_ms),
                stabilize(&mut all_without, now, windows.down_ms)
            );
            compacted.compact(now_ms, windows.up_ms.max(windows.down_ms));
            without.compact(now_ms, windows.down_ms);
            prop_assert!(compacted.recommendations.as_ref().unwrap().len() <= 24);
        }
    }
}

#[test]
fn what_is_dated_in_the_future_happened_now() {
    let metric = MetricHistory {
        insufficient_since_ms: Some(500),
        missing_since_ms: Some(50),
        clusters: vec![KnownCluster { slowest_ms: Some(5_000), ..KnownCluster::new("east".into(), 500) }],
        ..MetricHistory::default()
    };
    let mut history = History {
        recommendations: Some(vec![Recommendation { at_ms: 500, replicas: 3, held_ms: 0 }]),
        scale_up_events: vec![ScaleEvent { at_ms: 50, change: 1, outdated: false }],
        scale_down_events: vec![ScaleEvent { at_ms: 500, change: 1, outdated: false }],
        metrics: vec![metric],
        ..History::default()
    };
    history.clamp_to(100);
    assert_eq!(history.recommendations.unwrap()[0].at_ms, 100);
    assert_eq!((history.scale_up_events[0].at_ms, history.scale_down_events[0].at_ms), (50, 100));
    let metric = &history.metrics[0];
    assert_eq!((metric.insufficient_since_ms, metric.missing_since_ms), (Some(100), Some(50)));
    assert_eq!((metric.clusters[0].seen_ms, metric.clusters[0].slowest_ms), (100, Some(1_100)));
}

#[test]
fn a_course_tells_a_clock_that_was_set_from_samples_as_they_come() {
    // Looks: when, and the newest sample then; how far it went ahead.
    type Looks = &'static [(i64, i64, i64)];
    let cases: [(&str, Looks); 7] = [
        ("each second", &[(1_200, 1_000, 0), (2_200, 2_000, 0), (3_900, 3_000, 0), (4_200, 4_000, 0)]),
        ("a scrape each 15 s, a look each", &[(15_200, 15_000, 0), (16_200, 15_000, 0), (30_900, 30_000, 0)]),
        ("a stall that ends at once", &[(1_200, 1_000, 0), (15_200, 1_000, 0), (16_200, 16_000, 0)]),
        ("another querier that lags", &[(9_200, 9_000, 0), (10_200, 2_000, 0), (11_200, 11_000, 0)]),
        ("a clock set back", &[(9_200, 9_000, 0), (10_200, 2_000, 0), (23_200, 9_500, 0)]),
        (
            "and set right again",
            &[(1_200, 1_000, 0), (2_200, 2_000, 0), (17_200, 3_000, 0), (18_200, 18_000, 13_000)],
        ),
        ("a clock set ahead", &[(1_200, 1_000, 0), (2_200, 2_000, 0), (3_200, 13_000, 9_000)]),
    ];
    for (what, looks) in cases {
        let mut course = None;
        for &(now_ms, newest_ms, ahead_ms) in looks {
            let course: &mut Course =
                course.get_or_insert(Course { newest_ms, lag_ms: now_ms - newest_ms, step_ms: None });
            assert_eq!(course.go_on(newest_ms, now_ms).max(0), ahead_ms, "{what}: {now_ms}");
        }
    }
}
