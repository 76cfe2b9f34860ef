use proptest::prelude::*;

use super::*;
use crate::normalize::{Windows, stabilize, stabilize_with_behavior};

proptest! {
    /// A history that is compacted after every decision stabilizes as one that keeps everything.
    #[test]
    fn compaction_loses_nothing(
        (up_s, down_s) in (0..30i64, 0..30i64),
        ticks in proptest::collection::vec((0..4i64, 0..12i32, 0..12i32), 1..80),
    ) {
        let windows = Windows { up_ms: up_s * 1000, down_ms: down_s * 1000 };
        let mut now_ms = 1_000_000;
        let (mut all, mut all_without) = (Vec::new(), Vec::new());
        let (mut compacted, mut without) = (History::default(), History::default());
        for (seconds, current, desired) in ticks {
            now_ms += seconds * 1000;
            let kept = compacted.recommendations.get_or_insert_default();
            prop_assert_eq!(
                stabilize_with_behavior(kept, now_ms, windows, current, desired),
                stabilize_with_behavior(&mut all, now_ms, windows, current, desired)
            );
            let kept = without.recommendations.get_or_insert_default();
            prop_assert_eq!(
                stabilize(kept, now_ms, windows.down_ms, desired),
                stabilize(&mut all_without, now_ms, windows.down_ms, desired)
            );
            compacted.compact(now_ms, windows.up_ms.max(windows.down_ms));
            without.compact(now_ms, windows.down_ms);
            prop_assert!(compacted.recommendations.as_ref().unwrap().len() <= 24);
        }
    }
}

#[test]
fn what_is_dated_in_the_future_happened_now() {
    let mut history = History {
        recommendations: Some(vec![Recommendation { at_ms: 500, replicas: 3 }]),
        scale_up_events: vec![ScaleEvent { at_ms: 50, change: 1, outdated: false }],
        scale_down_events: vec![ScaleEvent { at_ms: 500, change: 1, outdated: false }],
        insufficient_since_ms: BTreeMap::from([("a".to_owned(), 500)]),
        refilling_since_ms: BTreeMap::from([("a".to_owned(), None), ("b".to_owned(), Some(500))]),
        support: None,
    };
    history.clamp_to(100);
    assert_eq!(history.recommendations.unwrap()[0].at_ms, 100);
    assert_eq!((history.scale_up_events[0].at_ms, history.scale_down_events[0].at_ms), (50, 100));
    assert_eq!(history.insufficient_since_ms["a"], 100);
    assert_eq!((history.refilling_since_ms["a"], history.refilling_since_ms["b"]), (None, Some(100)));
}
