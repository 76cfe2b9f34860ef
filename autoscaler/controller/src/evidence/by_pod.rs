//! Answers of more than one series: one value a pod, or all that upstream would sum.

use std::collections::BTreeMap;

use autoscaler_core::{FailureKind, MAX_PODS, Reading, Sample};

use super::{Question, labels_text};
use crate::querier::Series;

/// What a pod's window is taken for where a metric has none; upstream looks at it for CPU alone.
const WINDOW_MS: i64 = 60_000;
/// Most series that are summed.
const MAX_SERIES: usize = 10_000;

/// One value a pod, told apart by `label`, of the target's own cluster. A value that is no finite number is none.
pub(super) fn pods(series: &[&Series], label: &str, at_ms: i64, question: Question<'_>) -> Reading {
    let fail = |kind, message: String| Reading::Failed { kind, message };
    if series.is_empty() {
        return fail(FailureKind::Empty, "the query returned no series".into());
    }
    let mut found: BTreeMap<&str, i64> = BTreeMap::new();
    for series in series {
        let cluster = series.labels.get(question.cluster_label);
        if cluster.is_some_and(|c| !question.cluster.is_empty() && c != question.cluster) {
            continue;
        }
        let Some(pod) = series.labels.get(label).filter(|pod| !pod.is_empty()) else {
            let named = labels_text(&series.labels);
            let message = format!(
                "the series {named} has no label {label}; keep it, for example with sum by ({label}) (…), or name another in evidence.podLabel"
            );
            return fail(FailureKind::BadResponse, message);
        };
        let Some(value) = series.value.filter(|value| value.is_finite()) else { continue };
        if found.insert(pod, thousandths(value)).is_some() {
            let message = format!(
                "the query returned several series of pod {pod}; aggregate them, for example with sum by ({label}) (…)"
            );
            return fail(FailureKind::ManySeries, message);
        }
        if found.len() > MAX_PODS {
            let message = format!("the query returned more than {MAX_PODS} pods; select the target's own");
            return fail(FailureKind::ManySeries, message);
        }
    }
    let sample = |(pod, value_milli): (&str, i64)| Sample {
        pod: pod.to_owned(),
        value_milli,
        at_ms,
        window_ms: WINDOW_MS,
    };
    Reading::Pods(found.into_iter().map(sample).collect())
}

/// Every series' value in thousandths, in the order of their labels.
pub(super) fn all(series: &[&Series]) -> Reading {
    let fail = |kind, message: String| Reading::Failed { kind, message };
    if series.len() > MAX_SERIES {
        let message = format!("the query returned {} series, more than {MAX_SERIES}", series.len());
        return fail(FailureKind::ManySeries, message);
    }
    let mut values: Vec<(&BTreeMap<String, String>, i64)> = Vec::with_capacity(series.len());
    for series in series {
        match series.value {
            Some(value) if value.is_finite() => values.push((&series.labels, thousandths(value))),
            Some(value) => return fail(FailureKind::NotANumber, format!("the query returned {value}")),
            None => return fail(FailureKind::BadResponse, "the query returned a native histogram".into()),
        }
    }
    values.sort();
    if values.is_empty() {
        return fail(FailureKind::Empty, "the query returned no series".into());
    }
    Reading::Series(values.into_iter().map(|(_, milli)| milli).collect())
}

/// Towards zero, as adapters of Prometheus make a quantity of a value; saturates.
fn thousandths(value: f64) -> i64 {
    (value * 1000.0) as i64
}
