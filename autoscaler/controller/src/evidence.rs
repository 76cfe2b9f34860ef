//! From answers to an observation: the value, and per expected cluster how old its newest sample is.
//!
//! A query with several selectors is as old as its oldest and as complete as its least complete one: a ratio
//! with a fresh numerator and a lost denominator is a lie too.

use std::collections::BTreeMap;

use autoscaler_core::{FailureKind, Float, Observation, Reading};

use crate::plan::{EvidenceQuery, MetricPlan};
use crate::querier::{Answer, Outcome, QueryError};

/// Most warnings of one metric that are kept.
const MAX_WARNINGS: usize = 8;
/// Most series that an error names.
const MAX_NAMED_SERIES: usize = 2;

/// What the querier said about one metric at `now_ms`. `outcome` finds a query's outcome; `None` is a query
/// that was never answered.
pub(crate) fn observe<'a>(
    metric: &MetricPlan,
    cluster_label: &str,
    now_ms: i64,
    outcome: impl Fn(&str) -> Option<&'a Outcome>,
) -> Observation {
    let queries = match &metric.evidence {
        Ok(queries) => queries,
        Err(why) => {
            return failed(&metric.name, FailureKind::BadQuery, format!("the query is not usable: {why}"));
        }
    };
    let unanswered = || Err(QueryError::new(FailureKind::Other, "the querier client gave no outcome"));
    let value = outcome(&metric.query).cloned().unwrap_or_else(unanswered);
    let mut warnings = Vec::new();
    let mut ages: BTreeMap<String, Option<i64>> = metric.clusters.iter().map(|c| (c.clone(), None)).collect();
    for (i, query) in queries.iter().enumerate() {
        let answer = outcome(&query.query).cloned().unwrap_or_else(unanswered);
        let seen = match answer {
            Ok(answer) => {
                warn(&mut warnings, &answer.warnings);
                ages_of(&answer, query, cluster_label, now_ms)
            }
            Err(e) => {
                warn(&mut warnings, &[format!("no evidence from {}: {e}", query.query)]);
                BTreeMap::new()
            }
        };
        combine(&mut ages, seen, i == 0);
    }
    if let Ok(answer) = &value {
        warn(&mut warnings, &answer.warnings);
    }
    let (reading, series_count) = match value {
        Ok(answer) => (read(&answer), answer.series.len() as u64),
        Err(e) => (Reading::Failed { kind: e.kind, message: e.message }, 0),
    };
    Observation {
        name: metric.name.clone(),
        reading,
        series_count,
        newest_sample_age_ms: ages,
        timeless: queries.is_empty(),
        warnings,
    }
}

/// What could not be asked.
pub(crate) fn failed(name: &str, kind: FailureKind, message: String) -> Observation {
    Observation {
        name: name.to_owned(),
        reading: Reading::Failed { kind, message },
        series_count: 0,
        newest_sample_age_ms: BTreeMap::new(),
        timeless: false,
        warnings: Vec::new(),
    }
}

fn read(answer: &Answer) -> Reading {
    let fail = |kind, message: String| Reading::Failed { kind, message };
    match answer.series.as_slice() {
        [] => fail(FailureKind::Empty, "the query returned no series".into()),
        [one] => match one.value {
            Some(v) if v.is_finite() => Reading::Value(Float::new(v)),
            Some(v) => fail(FailureKind::NotANumber, format!("the query returned {v}")),
            None => {
                let message = "the query returned a native histogram; take a number from it, \
                               for example with histogram_quantile(…) or histogram_sum(…)";
                fail(FailureKind::BadResponse, message.into())
            }
        },
        many => {
            let named: Vec<String> =
                many.iter().take(MAX_NAMED_SERIES).map(|s| labels_text(&s.labels)).collect();
            let message =
                format!("the query returned {} series, among them {}", many.len(), named.join(" and "));
            fail(FailureKind::ManySeries, message)
        }
    }
}

fn labels_text(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().take(6).map(|(k, v)| format!("{k}={v:?}")).collect();
    let text = format!("{{{}}}", pairs.join(","));
    if text.chars().count() > 160 { text.chars().take(159).chain(['…']).collect() } else { text }
}

fn warn(kept: &mut Vec<String>, more: &[String]) {
    for warning in more {
        if kept.len() < MAX_WARNINGS && !kept.contains(warning) {
            kept.push(warning.clone());
        }
    }
}

/// Age by cluster; a cluster that is listed twice counts as its older entry.
fn ages_of(
    answer: &Answer,
    query: &EvidenceQuery,
    cluster_label: &str,
    now_ms: i64,
) -> BTreeMap<String, i64> {
    let reference_ms = query.selector.reference_ms(now_ms);
    let mut ages = BTreeMap::new();
    for series in &answer.series {
        let Some(time_s) = series.value.filter(|v| v.is_finite()) else { continue };
        // `as` saturates, which is far enough in the past or future to be judged so.
        let age_ms = reference_ms.saturating_sub((time_s * 1000.0).round() as i64);
        let cluster = series.labels.get(cluster_label).cloned().unwrap_or_default();
        ages.entry(cluster).and_modify(|a: &mut i64| *a = age_ms.max(*a)).or_insert(age_ms);
    }
    ages
}

/// The worst of what is known so far and one more selector. Clusters that nobody expects are kept as well:
/// where none is named, they are all there is to judge by.
fn combine(ages: &mut BTreeMap<String, Option<i64>>, seen: BTreeMap<String, i64>, first: bool) {
    for (cluster, known) in ages.iter_mut() {
        *known = match (*known, seen.get(cluster)) {
            (_, None) => None,
            (None, Some(age)) => first.then_some(*age),
            (Some(known), Some(age)) => Some(worse(known, *age)),
        };
    }
    for (cluster, age) in seen {
        // Absent from an earlier selector: missing there.
        ages.entry(cluster).or_insert(first.then_some(age));
    }
}

/// Samples further ahead than this are worse than any age; a second is what clocks may differ by.
const AHEAD_MS: i64 = 1_000;

fn worse(a: i64, b: i64) -> i64 {
    if a.min(b) < -AHEAD_MS { a.min(b) } else { a.max(b) }
}

#[cfg(test)]
mod tests;
