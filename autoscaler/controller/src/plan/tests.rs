use serde_json::json;

use super::*;

fn plan(query: &str, max_age: &str) -> Plan {
    let spec: ScalingPolicySpec = serde_json::from_value(json!({
        "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9,
        "metrics": [{"name": "m", "query": query, "target": {"type": "AverageValue", "averageValue": "10"},
                     "evidence": {"maxAge": max_age, "clusters": ["east", "west"]}}],
    }))
    .unwrap();
    Plan::new(&spec, "cluster").unwrap()
}

#[test]
fn the_age_that_counts_is_at_most_the_shortest_range() {
    for (query, max_age, expected_ms) in [
        ("sum(rate(a[30s]))", "1m", 30_000),
        ("sum(rate(a[30s]))", "20s", 20_000),
        ("sum(rate(a[5m])) / sum(rate(b[30s]))", "1m", 30_000),
        ("max_over_time(sum(rate(a[30s]))[5m:1s])", "1m", 30_000),
        // A selector inside of a subquery looks back further than the subquery.
        ("avg_over_time(a[30s:1s])", "1m", 60_000),
        ("sum(a)", "1m", 60_000),
        ("sum(", "1m", 60_000),
    ] {
        assert_eq!(
            plan(query, max_age).policy.metrics[0].evidence.max_age_ms,
            expected_ms,
            "{query} {max_age}"
        );
    }
}

/// `west` lags by more than the range: its rate is absent, so the sum is half of what it was, while its
/// newest sample is younger than the `maxAge` that the user wrote.
#[test]
fn a_cluster_that_lags_beyond_the_range_lowers_nothing() {
    let plan = plan("sum(rate(a[30s]))", "1m");
    for (west_ms, expected) in [(45_000, None), (30_001, None), (30_000, Some(5))] {
        let input = core::Input {
            now_ms: 1_800_000_000_000,
            policy: core::Policy {
                defaults: core::Defaults { downscale_window_ms: 0, ..core::Defaults::default() },
                ..plan.policy.clone()
            },
            scale: core::Scale { spec_replicas: 9, status_replicas: 9, ready_replicas: 9 },
            observations: vec![core::Observation {
                name: "m".into(),
                reading: core::Reading::Value(45.0.into()),
                series_count: 1,
                newest_sample_age_ms: [("east".into(), Some(1_000)), ("west".into(), Some(west_ms))].into(),
                timeless: false,
                warnings: Vec::new(),
            }],
            history: core::History {
                recommendations: Some(Vec::new()),
                support: Some(core::Support::default()),
                ..core::History::default()
            },
        };
        assert_eq!(core::decide(&input).write, expected, "{west_ms} ms");
    }
}
