//! Records of version 1: one value, evaluated now, beside ages that other queries gave.
//!
//! What that form did not say is filled in as its rules meant it: a dated gap that was over is a blind span that
//! ends there, one that went on lasted since the evidence was insufficient.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Older;
use crate::coverage::{BlindSpan, Coverage};
use crate::history::{History, KnownCluster, MetricHistory};
use crate::input::{Input, Scale};
use crate::name::Name;
use crate::observation::{ClusterSamples, FailureKind, Observation, Reading, Samples, SelectorSamples};
use crate::past::{Recommendation, ScaleEvent};
use crate::policy::{MetricSpec, Policy};
use crate::support::{Ask, Support};

/// How a warning began that stood for ages which could not be asked for.
const NO_EVIDENCE: &str = "no evidence from ";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordV1 {
    input: InputV1,
    decision: DecisionV1,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DecisionV1 {
    desired_replicas: i32,
    write: Option<i32>,
    cause: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InputV1 {
    now_ms: i64,
    policy: Policy,
    scale: Scale,
    observations: Vec<ObservationV1>,
    history: HistoryV1,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ObservationV1 {
    name: Name,
    reading: Reading,
    series_count: u64,
    newest_sample_age_ms: BTreeMap<Name, Option<i64>>,
    #[serde(default)]
    timeless: bool,
    warnings: Vec<String>,
}

/// The first records have a field more, which nothing reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryV1 {
    recommendations: Option<Vec<Recommendation>>,
    scale_up_events: Vec<ScaleEvent>,
    scale_down_events: Vec<ScaleEvent>,
    insufficient_since_ms: BTreeMap<Name, i64>,
    #[serde(default)]
    refilling_since_ms: BTreeMap<Name, Option<i64>>,
    support: Option<SupportV1>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SupportV1 {
    clock_ms: i64,
    decided_ms: Option<i64>,
    asked: Vec<Ask>,
}

/// Reads a record of version 1 in today's form.
pub(super) fn read(bytes: &[u8]) -> Result<(Input, Older), serde_json::Error> {
    let RecordV1 { input, decision } = serde_json::from_slice(bytes)?;
    let DecisionV1 { desired_replicas, write, cause } = decision;
    Ok((upgrade(input), Older { version: 1, desired_replicas, write, cause }))
}

fn upgrade(old: InputV1) -> Input {
    let now_ms = old.now_ms;
    let decided_ms = old.history.support.as_ref().and_then(|support| support.decided_ms);
    let metrics = old.policy.metrics.iter().map(|spec| {
        let seen = old.observations.iter().find(|seen| seen.name == spec.name);
        metric_history(spec, seen, &old.history, now_ms, decided_ms)
    });
    let history = History {
        // Before the first decision nothing was watched.
        metrics: if decided_ms.is_some() { metrics.collect() } else { Vec::new() },
        recommendations: old.history.recommendations,
        scale_up_events: old.history.scale_up_events,
        scale_down_events: old.history.scale_down_events,
        support: old.history.support.map(|support| Support {
            clock_ms: support.clock_ms,
            reached_ms: support.decided_ms,
            credit_ms: 0,
            seen_ms: None,
            pace_ms: 0,
            span_ms: 0,
            asked: support.asked,
        }),
        decided_ms,
        ..History::default()
    };
    let observations = old
        .observations
        .into_iter()
        .map(|seen| {
            let spec = old.policy.metrics.iter().find(|spec| spec.name == seen.name);
            observation(seen, spec.map_or(0, |spec| spec.evidence.max_age_ms), now_ms)
        })
        .collect();
    let (policy, scale) = (old.policy, old.scale);
    Input {
        now_ms,
        cluster: Name::default(),
        policy,
        scale,
        schedules: Vec::new(),
        pods: None,
        observations,
        history,
    }
}

fn metric_history(
    spec: &MetricSpec,
    seen: Option<&ObservationV1>,
    old: &HistoryV1,
    now_ms: i64,
    decided_ms: Option<i64>,
) -> MetricHistory {
    let insufficient_since_ms = old.insufficient_since_ms.get(&spec.name).copied();
    // At the last sound tick samples were as old as they are now, for want of better knowledge.
    let sound_ms = insufficient_since_ms.or(decided_ms).unwrap_or(now_ms);
    let ages = seen.into_iter().flat_map(|seen| &seen.newest_sample_age_ms);
    let clusters = ages.filter_map(|(name, age_ms)| {
        let slowest_ms = age_ms.map(|age_ms| sound_ms.saturating_sub(age_ms));
        Some(KnownCluster { slowest_ms, ..KnownCluster::new(name.clone(), now_ms) })
            .filter(|_| age_ms.is_some())
    });
    let gaps = old.refilling_since_ms.get(&spec.name).copied().flatten().map(|to_ms| BlindSpan {
        from_ms: None,
        to_ms,
        gap_ms: i64::MAX,
        is_gap: true,
    });
    MetricHistory {
        insufficient_since_ms,
        missing_since_ms: insufficient_since_ms,
        clusters: clusters.collect(),
        coverage: Coverage::new(gaps.into_iter().collect()),
        ..MetricHistory::new(spec)
    }
}

fn observation(old: ObservationV1, max_age_ms: i64, now_ms: i64) -> Observation {
    let failed = |kind| Reading::Failed { kind, message: String::new() };
    let newest = match (old.reading, old.series_count) {
        (Reading::Value(_), 0) => failed(FailureKind::Empty),
        (Reading::Value(_), count) if count > 1 => {
            Reading::Failed { kind: FailureKind::ManySeries, message: format!("it returned {count} series") }
        }
        (reading, _) => reading,
    };
    let lost = old.warnings.iter().find(|warning| warning.starts_with(NO_EVIDENCE)).cloned();
    let answered = match &newest {
        Reading::Value(_) | Reading::Pods(_) | Reading::Series(_) => true,
        Reading::Failed { kind, .. } => {
            matches!(kind, FailureKind::Empty | FailureKind::ManySeries | FailureKind::NotANumber)
        }
    };
    let samples = if old.timeless {
        Samples::Timeless
    } else if let Some(lost) = lost {
        Samples::Unknown(lost)
    } else if !answered {
        Samples::Unknown(String::new())
    } else {
        let clusters = old.newest_sample_age_ms.into_iter().filter_map(|(cluster, age_ms)| {
            let newest_ms = now_ms.saturating_sub(age_ms?);
            let slowest_ms = Some(newest_ms).filter(|_| age_ms.is_some_and(|age_ms| age_ms <= max_age_ms));
            Some(ClusterSamples { cluster, newest_ms, slowest_ms, pods: 0, silent_pods: 0 })
        });
        let selector = SelectorSamples {
            selector: Name::default(),
            pinned: false,
            scope: Default::default(),
            clusters: clusters.collect(),
        };
        Samples::Seen(vec![selector])
    };
    let warnings = old.warnings.into_iter().filter(|warning| !warning.starts_with(NO_EVIDENCE)).collect();
    Observation {
        name: old.name,
        newest,
        settled: None,
        samples,
        starts: Vec::new(),
        warnings,
        incomplete: None,
    }
}
