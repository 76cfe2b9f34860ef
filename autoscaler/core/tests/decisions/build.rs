//! Inputs to start from: healthy, two clusters, one average.

use autoscaler_core::{
    ClusterSamples, EvidenceSpec, Float, History, Input, MetricSpec, Name, Observation, Policy, Reading,
    Samples, Scale, SelectorSamples, Support, Target,
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
        compatibility: Default::default(),
        defaults: Default::default(),
        interval_ms: 0,
        zero: None,
        pause: Default::default(),
        formula: None,
    };
    policy.defaults.downscale_window_ms = 0;
    let history = History {
        recommendations: Some(Vec::new()),
        support: Some(Support::default()),
        ..History::default()
    };
    let cluster = Name::default();
    Input {
        now_ms: NOW_MS,
        cluster,
        policy,
        scale: scale(replicas),
        schedules: Vec::new(),
        pods: None,
        observations,
        history,
    }
}

pub(crate) fn scale(replicas: i32) -> Scale {
    Scale { spec_replicas: replicas, status_replicas: replicas, ready_replicas: replicas }
}

/// A metric that asks for `replicas`: an average of 10, a fresh answer from both clusters.
pub(crate) fn asks_for(name: &str, replicas: i32) -> (MetricSpec, Observation) {
    let spec = MetricSpec {
        name: name.into(),
        revision: 0,
        kind: Default::default(),
        target: Target::AverageValue { average_value_milli: 10_000 },
        evidence: both_within(20_000),
        fallback: None,
        activation_milli: 0,
    };
    (spec, observed(name, f64::from(replicas) * 10.0))
}

/// Both clusters, and no range window.
pub(crate) fn both_within(max_age_ms: i64) -> EvidenceSpec {
    EvidenceSpec { max_age_ms, clusters: vec!["east".into(), "west".into()], ..EvidenceSpec::default() }
}

/// A fresh answer from both clusters, at [`NOW_MS`].
pub(crate) fn observed(name: &str, value: f64) -> Observation {
    observed_at(NOW_MS, name, value)
}

/// A fresh answer from both clusters.
pub(crate) fn observed_at(now_ms: i64, name: &str, value: f64) -> Observation {
    Observation {
        name: name.into(),
        newest: Reading::Value(Float::new(value)),
        settled: None,
        samples: Samples::Seen(vec![SelectorSamples {
            selector: "x".into(),
            pinned: false,
            scope: Default::default(),
            clusters: vec![seen("east", now_ms - 1_000), seen("west", now_ms - 2_000)],
        }]),
        starts: Vec::new(),
        warnings: Vec::new(),
        incomplete: None,
    }
}

/// A cluster whose series all have their newest sample at one time.
pub(crate) fn seen(cluster: &str, at_ms: i64) -> ClusterSamples {
    let cluster = cluster.into();
    ClusterSamples { cluster, newest_ms: at_ms, slowest_ms: Some(at_ms), pods: 0, silent_pods: 0 }
}

/// The clusters that the first selector sees.
pub(crate) fn clusters(observation: &mut Observation) -> &mut Vec<ClusterSamples> {
    match &mut observation.samples {
        Samples::Seen(selectors) => &mut selectors.first_mut().expect("a selector").clusters,
        other => panic!("no samples: {other:?}"),
    }
}

/// West's samples end so long before the evaluation; `None`: it has none.
pub(crate) fn age(observation: &mut Observation, now_ms: i64, age_ms: Option<i64>) {
    let clusters = clusters(observation);
    clusters.retain(|cluster| cluster.cluster != "west");
    clusters.extend(age_ms.map(|age_ms| seen("west", now_ms - age_ms)));
}
