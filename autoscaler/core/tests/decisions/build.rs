//! Inputs to start from: healthy, two clusters, one average.

use std::collections::BTreeMap;

use autoscaler_core::{
    EvidenceSpec, Float, History, Input, MetricSpec, Observation, Policy, Reading, Scale, Support, Target,
};

pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

/// `replicas` there and ready, no limits but 1 to 100, nothing remembered and no window to wait for.
pub(crate) fn input(replicas: i32, metrics: Vec<(MetricSpec, Observation)>) -> Input {
    let (metrics, observations) = metrics.into_iter().unzip();
    let mut policy = Policy {
        min_replicas: 1,
        max_replicas: 100,
        metrics,
        behavior: None,
        mode: Default::default(),
        defaults: Default::default(),
        interval_ms: 0,
    };
    policy.defaults.downscale_window_ms = 0;
    let seen = History {
        recommendations: Some(Vec::new()),
        support: Some(Support::default()),
        ..History::default()
    };
    Input { now_ms: NOW_MS, policy, scale: scale(replicas), observations, history: seen }
}

pub(crate) fn scale(replicas: i32) -> Scale {
    Scale { spec_replicas: replicas, status_replicas: replicas, ready_replicas: replicas }
}

/// A metric that asks for `replicas`: an average of 10, a fresh answer from both clusters.
pub(crate) fn asks_for(name: &str, replicas: i32) -> (MetricSpec, Observation) {
    let spec = MetricSpec {
        name: name.to_owned(),
        target: Target::AverageValue { average_value_milli: 10_000 },
        evidence: both_within(20_000),
        fallback: None,
    };
    (spec, observed(name, f64::from(replicas) * 10.0))
}

/// Both clusters, and no range window.
pub(crate) fn both_within(max_age_ms: i64) -> EvidenceSpec {
    EvidenceSpec { max_age_ms, clusters: vec!["east".to_owned(), "west".to_owned()], window_ms: 0 }
}

/// A fresh answer from both clusters.
pub(crate) fn observed(name: &str, value: f64) -> Observation {
    Observation {
        name: name.to_owned(),
        reading: Reading::Value(Float::new(value)),
        series_count: 1,
        newest_sample_age_ms: BTreeMap::from([
            ("east".to_owned(), Some(1_000)),
            ("west".to_owned(), Some(2_000)),
        ]),
        timeless: false,
        warnings: Vec::new(),
    }
}
