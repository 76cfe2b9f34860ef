use autoscaler_core::{
    Ask, BlindSpan, Compatibility, Coverage, Defaults, EvidenceSpec, Fallback, FallbackBehavior,
    KnownCluster, MetricHistory, MetricKind, MetricSpec, Mode, Pause, Support,
};
use proptest::prelude::*;

use super::*;

fn spec(name: &str, target: Target, fallback: Option<FallbackBehavior>) -> MetricSpec {
    let fallback = fallback.map(|behavior| Fallback { after_ms: 60_000, replicas: 3, behavior });
    let (revision, evidence, kind, activation_milli) = (0, EvidenceSpec::default(), MetricKind::Query, 0);
    MetricSpec { name: name.into(), revision, kind, target, evidence, fallback, activation_milli }
}

/// An average whose fallback may raise, another whose may lower, and a ratio; each second.
fn policy() -> Policy {
    let average = Target::AverageValue { average_value_milli: 1_000 };
    let ratio = Target::Value { value_milli: 1_000 };
    Policy {
        min_replicas: 1,
        max_replicas: 9,
        metrics: vec![
            spec("raises", average, Some(FallbackBehavior::IfHigher)),
            spec("lowers", average, Some(FallbackBehavior::Static)),
            spec("ratio", ratio, None),
        ],
        behavior: None,
        mode: Mode::Active,
        compatibility: Compatibility::None,
        defaults: Defaults::default(),
        interval_ms: 1_000,
        zero: None,
        pause: Pause::default(),
        formula: None,
    }
}

fn known(name: &str) -> MetricHistory {
    MetricHistory {
        name: name.into(),
        insufficient_since_ms: Some(400),
        missing_since_ms: Some(500),
        settled_ms: Some(1_800),
        clusters: vec![KnownCluster { slowest_ms: Some(1_800), ..KnownCluster::new("east".into(), 1_900) }],
        coverage: Coverage::new(vec![BlindSpan {
            from_ms: Some(1_000),
            to_ms: 1_800,
            gap_ms: 800,
            is_gap: false,
        }]),
        ..MetricHistory::default()
    }
}

fn history(events: &[(i64, i32)]) -> History {
    let event = |&(at_ms, change): &(i64, i32)| ScaleEvent { at_ms, change, outdated: false };
    History {
        recommendations: Some(vec![Recommendation { at_ms: 900, replicas: 7, held_ms: 0 }]),
        decided_ms: Some(1_990),
        scale_down_events: events.iter().map(event).collect(),
        support: Some(Support { asked: vec![Ask { until_ms: 5, replicas: 7 }], ..Support::default() }),
        metrics: ["raises", "lowers", "ratio"].map(known).into(),
        ..History::default()
    }
}

#[test]
fn the_latest_evaluation_s_memory_keeps_its_windows_and_clocks() {
    let before = history(&[(1_000, 2)]);
    let stored = store(&before, 5, 2_000).unwrap();
    let after = restore(&stored, &policy(), 2_999).unwrap();
    assert_eq!(after.recommendations, before.recommendations);
    assert_eq!(after.scale_down_events, before.scale_down_events);
    assert_eq!(after.support, None, "the replicas that are found count as asked for");
    assert_eq!(after.metrics[..2], before.metrics[..2]);
}

#[test]
fn what_another_evaluation_could_have_changed_begins_anew() {
    let before = history(&[(1_000, 2)]);
    let stored = store(&before, 5, 2_000).unwrap();
    for now_ms in [3_000, 9_000, 1_000] {
        let after = restore(&stored, &policy(), now_ms).unwrap();
        assert_eq!((after.recommendations, after.decided_ms), (None, None), "{now_ms}");
        assert_eq!(after.scale_down_events, before.scale_down_events, "rates go on");
        let missing: Vec<Option<i64>> = after.metrics.iter().map(|known| known.missing_since_ms).collect();
        assert_eq!(missing, [Some(500), None, Some(500)], "{now_ms}: a fallback that may lower waits anew");
        assert_eq!(after.metrics[0], before.metrics[0], "{now_ms}: who answered, and up to when");
    }
    let long_after = restore(&stored, &policy(), 3_000_000).unwrap();
    assert!(long_after.metrics.iter().all(|known| known.missing_since_ms.is_none()));
    assert_eq!(long_after.metrics[0].clusters, before.metrics[0].clusters, "they stay expected");
}

#[test]
fn who_was_parked_stays_parked_and_idleness_begins_anew() {
    let before = History { parked: true, idle_from_ms: Some(7), ..history(&[]) };
    let after = restore(&store(&before, 0, 2_000).unwrap(), &policy(), 2_100).unwrap();
    assert_eq!((after.parked, after.idle_from_ms), (true, None));
}

#[test]
fn a_ratio_s_samples_count_as_unwatched_since_nobody_counted_its_replicas() {
    let stored = store(&history(&[]), 5, 2_000).unwrap();
    let after = restore(&stored, &policy(), 2_100).unwrap();
    assert_eq!(after.metrics[2].coverage, Coverage::default());
    assert_eq!(after.metrics[2].clusters[0].slowest_ms, None);
    assert_eq!(after.metrics[2].clusters[0].name, "east");
}

#[test]
fn other_replicas_are_a_change_that_used_up_rate_and_begin_windows_anew() {
    let stored = store(&history(&[]), 5, 2_000).unwrap();
    let mut after = restore(&stored, &policy(), 2_100).unwrap();
    catch_up(&mut after, &policy(), 5, 5, 2_100);
    assert!(after.recommendations.is_some() && after.scale_up_events.is_empty());
    catch_up(&mut after, &policy(), 5, 8, 2_100);
    assert_eq!((after.recommendations, after.scale_up_events[0].change), (None, 3));
}

#[test]
fn what_is_no_memory_is_first_sight() {
    let stored = store(&history(&[]), 5, 0).unwrap();
    for broken in [
        StatusMemory { version: 1, ..stored.clone() },
        StatusMemory { version: 4, ..stored.clone() },
        StatusMemory { history: "{".into(), ..stored.clone() },
        StatusMemory { history: " ".repeat(1 << 20), ..stored.clone() },
    ] {
        assert_eq!(restore(&broken, &policy(), 0), None);
    }
}

/// So many metrics, each with so many clusters of names so long.
fn many(metrics: usize, clusters: usize, length: usize) -> History {
    let cluster = |metric: usize, n: usize| KnownCluster {
        slowest_ms: Some(1_700 + metric as i64),
        silent_ms: (n % 2 == 1).then_some(1_800),
        ..KnownCluster::new(format!("{n:0length$}").into(), 1_900)
    };
    let metric = |at: usize| MetricHistory {
        clusters: (0..clusters).map(|n| cluster(at, n)).collect(),
        ..known(&format!("m{at}"))
    };
    History { metrics: (0..metrics).map(metric).collect(), ..history(&[]) }
}

/// Who answered, and whether somebody may be missing whom nobody knows.
fn expected(history: &History) -> Vec<(usize, bool)> {
    history.metrics.iter().map(|known| (known.clusters.len(), known.clusters_lost)).collect()
}

#[test]
fn who_answered_is_handed_on_by_many_metrics_of_many_clusters_with_long_names() {
    let before = many(20, 21, 60);
    let stored = store(&before, 5, 2_000).unwrap();
    let policy = Policy {
        metrics: before
            .metrics
            .iter()
            .map(|known| spec(&known.name, Target::AverageValue { average_value_milli: 1 }, None))
            .collect(),
        ..policy()
    };
    assert_eq!(restore(&stored, &policy, 2_100).unwrap().metrics, before.metrics);
}

#[test]
fn a_memory_that_is_too_long_leaves_out_what_was_watched_and_then_forbids_lowering() {
    for (metrics, clusters, length, expected_of_each) in
        [(32, 256, 60, (256, false)), (32, 400, 100, (0, true)), (300, 200, 4, (0, true))]
    {
        let stored = store(&many(metrics, clusters, length), 5, 2_000).unwrap();
        assert!(stored.history.len() <= BYTES_MAX);
        let after = restore(&stored, &policy(), 2_100).unwrap();
        assert_eq!(expected(&after), vec![expected_of_each; metrics]);
        assert!(after.metrics.iter().all(|known| known.coverage == Coverage::default()));
    }
}

#[test]
fn what_the_release_before_wrote_is_read() {
    let before = history(&[(1_000, 2)]);
    let plain = serde_json::to_string(&History { support: None, ..before.clone() }).unwrap();
    let memory = StatusMemory { version: 2, at_ms: 2_000, replicas: 5, history: plain };
    assert_eq!(restore(&memory, &policy(), 2_100).unwrap().metrics[..2], before.metrics[..2]);
}

#[test]
fn what_was_not_written_so_is_no_memory() {
    for forged in [
        r#"{"history":{"metrics":[{"name":"a"}]},"clusters":[],"groups":[],"of":[0]}"#,
        r#"{"history":{"metrics":[{"name":"a"}]},"clusters":[],"groups":[[[7,0,null,0,0]]],"of":[0]}"#,
        r#"{"history":{"metrics":[{"name":"a"}]},"clusters":[],"groups":[],"of":[]}"#,
        r#"{"history":{}}"#,
    ] {
        let memory = StatusMemory { version: VERSION, at_ms: 0, replicas: 1, history: forged.into() };
        assert_eq!(restore(&memory, &policy(), 0), None, "{forged}");
    }
    // A few bytes that would be millions of clusters.
    let metrics = vec![r#"{"name":"a"}"#; 1_000].join(",");
    let group = vec!["[0,0,null,0,0]"; 1_000].join(",");
    let history = format!(
        r#"{{"history":{{"metrics":[{metrics}]}},"clusters":["a"],"groups":[[{group}]],"of":[{}]}}"#,
        vec!["0"; 1_000].join(",")
    );
    assert!(history.len() <= BYTES_MAX, "{}", history.len());
    let memory = StatusMemory { version: VERSION, at_ms: 0, replicas: 1, history };
    assert_eq!(restore(&memory, &policy(), 0), None);
}

proptest! {
    /// However many changes there were, none counts for less time or for less than it did.
    #[test]
    fn what_is_put_together_uses_up_no_less_rate(
        events in prop::collection::vec((0_i64..1_800_000, 1_i32..9), 0..400),
        period in 1_i64..1_800_000,
    ) {
        let now = 1_800_000;
        let within = |h: &History| -> i64 {
            let recent = h.scale_down_events.iter().filter(|e| e.at_ms > now - period);
            recent.map(|e| i64::from(e.change)).sum()
        };
        let before = history(&events);
        let after = restore(&store(&before, 1, now).unwrap(), &policy(), now).unwrap();
        prop_assert!(after.scale_down_events.len() <= ENTRIES_MAX);
        prop_assert!(within(&after) >= within(&before));
    }

    #[test]
    fn no_window_forgets_its_highest_or_lowest(
        replicas in prop::collection::vec(0_i32..1_000, 1..400), window in 1_i64..400,
    ) {
        let now = replicas.len() as i64;
        let all: Vec<Recommendation> = (0..)
            .zip(&replicas)
            .map(|(at_ms, r)| Recommendation { at_ms, replicas: *r, held_ms: 0 })
            .collect();
        let before = History { recommendations: Some(all), ..History::default() };
        let after = restore(&store(&before, 1, now).unwrap(), &policy(), now).unwrap();
        let bounds = |h: &History| {
            let recent = h.recommendations.iter().flatten().filter(|r| r.at_ms > now - window);
            (recent.clone().map(|r| r.replicas).max(), recent.map(|r| r.replicas).min())
        };
        let ((high, low), (higher, lower)) = (bounds(&before), bounds(&after));
        prop_assert!(higher >= high && (low.is_none() || lower <= low));
    }
}
