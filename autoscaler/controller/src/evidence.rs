//! From a metric's answer to an observation: both values, and what every selector sees of every cluster.

use std::collections::BTreeMap;

use autoscaler_core::{
    ClusterSamples, ClusterScope, FailureKind, Float, Name, Observation, Reading, Samples, SelectorSamples,
    SeriesCount, Settled, StartSamples, WindowStart,
};
use thanos_model::MatchOp;
use thanos_promql_syntax::SeriesSelector;

use crate::plan::text::{PART, Part};
use crate::plan::{Asked, Form, MetricPlan};
use crate::querier::{Answer, Outcome, QueryError, Series};

mod by_pod;

/// Most warnings of one metric that are kept.
const MAX_WARNINGS: usize = 8;
/// Most characters of a querier's words.
const MAX_WORDS: usize = 300;
/// Most series that an error names.
const MAX_NAMED_SERIES: usize = 2;

/// When was asked, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) now_ms: i64,
    pub(crate) settled_ms: Option<i64>,
    /// Where windows begin whose series are counted.
    pub(crate) starts: &'a [WindowStart],
    pub(crate) cluster_label: &'a str,
    /// What the target's own cluster is called there; empty if unknown.
    pub(crate) cluster: &'a str,
}

/// What the querier said about one metric. `outcomes` are those of the metric's queries, in order; `None` is one that
/// was never answered.
pub(crate) fn observe(
    metric: &MetricPlan,
    question: Question<'_>,
    outcomes: &[Option<&Outcome>],
) -> Observation {
    let asked = match &metric.asked {
        Ok(asked) => asked,
        Err(why) => {
            let kind = FailureKind::BadQuery;
            return failed(
                metric,
                question,
                &QueryError::new(kind, format!("the query is not usable: {why}")),
            );
        }
    };
    let mut answers = Vec::with_capacity(outcomes.len());
    let mut lost = None;
    for outcome in outcomes {
        match outcome {
            Some(Ok(answer)) => answers.push(answer),
            Some(Err(e)) => lost = lost.or(Some(e.clone())),
            None => {
                let silent = || QueryError::new(FailureKind::Other, "the querier client gave no outcome");
                lost = Some(lost.unwrap_or_else(silent));
            }
        }
    }
    // The values are in the first.
    let values = outcomes.first().copied().flatten().and_then(|outcome| outcome.as_ref().ok());
    let Some(values) = values else {
        let silent = || QueryError::new(FailureKind::Other, "nothing was asked");
        return failed(metric, question, &lost.unwrap_or_else(silent));
    };
    let mut warnings = Vec::new();
    warn(&mut warnings, answers.iter().flat_map(|answer| &answer.warnings));
    let value = |part, at_ms| match &metric.form {
        Form::One | Form::Usage => read(values, part),
        Form::Pods { label } => by_pod::pods(&of(values, part).collect::<Vec<_>>(), label, at_ms, question),
        Form::All => by_pod::all(&of(values, part).collect::<Vec<_>>()),
    };
    let settled = |at_ms| Settled { at_ms, reading: value(Part::At, at_ms) };
    Observation {
        name: metric.name.clone(),
        newest: value(Part::Now, question.now_ms),
        settled: question.settled_ms.map(settled),
        samples: match lost {
            _ if asked.selectors.is_empty() => Samples::Timeless,
            Some(e) => Samples::Unknown(clip(&e.message)),
            None => Samples::Seen(samples(asked, question, &answers)),
        },
        starts: match asked.selectors.is_empty() {
            true => Vec::new(),
            false => starts(asked, question, &answers),
        },
        warnings,
        incomplete: answers.iter().find_map(|answer| answer.incomplete.as_deref()).map(clip),
    }
}

/// A metric that was not asked for, or not answered.
pub(crate) fn failed(metric: &MetricPlan, question: Question<'_>, e: &QueryError) -> Observation {
    let reading = || Reading::Failed { kind: e.kind, message: clip(&e.message) };
    Observation {
        name: metric.name.clone(),
        newest: reading(),
        settled: question.settled_ms.map(|at_ms| Settled { at_ms, reading: reading() }),
        samples: Samples::Unknown(clip(&e.message)),
        starts: Vec::new(),
        warnings: Vec::new(),
        incomplete: None,
    }
}

/// A metric that nobody knows any more.
pub(crate) fn nothing(message: &str) -> Observation {
    Observation {
        name: Name::default(),
        newest: Reading::Failed { kind: FailureKind::Other, message: message.to_owned() },
        settled: None,
        samples: Samples::Unknown(message.to_owned()),
        starts: Vec::new(),
        warnings: Vec::new(),
        incomplete: None,
    }
}

/// The series of one part.
fn of(answer: &Answer, part: Part) -> impl Iterator<Item = &Series> {
    let is_of =
        move |series: &&Series| series.labels.get(PART).and_then(|code| Part::read(code)) == Some(part);
    answer.series.iter().filter(is_of)
}

/// A part as a value.
fn read(answer: &Answer, part: Part) -> Reading {
    let fail = |kind, message: String| Reading::Failed { kind, message };
    let series: Vec<&Series> = of(answer, part).collect();
    match series.as_slice() {
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
    let pairs = labels.iter().filter(|(name, _)| *name != PART).take(6);
    let pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}={v:?}")).collect();
    let text = format!("{{{}}}", pairs.join(","));
    if text.chars().count() > 160 { text.chars().take(159).chain(['…']).collect() } else { text }
}

fn warn<'a>(kept: &mut Vec<String>, more: impl IntoIterator<Item = &'a String>) {
    for warning in more.into_iter().map(|warning| clip(warning)) {
        if kept.len() < MAX_WARNINGS && !kept.contains(&warning) {
            kept.push(warning);
        }
    }
}

fn clip(text: &str) -> String {
    if text.chars().count() <= MAX_WORDS {
        return text.to_owned();
    }
    text.chars().take(MAX_WORDS - 1).chain(['…']).collect()
}

/// What the selectors see.
fn samples(asked: &Asked, question: Question<'_>, answers: &[&Answer]) -> Vec<SelectorSamples> {
    let mut found: Vec<BTreeMap<&str, ClusterSamples>> = vec![BTreeMap::new(); asked.selectors.len()];
    // Newest samples first: the other parts tell more of clusters that have some.
    for is_newest in [true, false] {
        for series in answers.iter().flat_map(|answer| &answer.series) {
            let Some(part) = series.labels.get(PART).and_then(|code| Part::read(code)) else { continue };
            let Some(value) = series.value.filter(|value| value.is_finite()) else { continue };
            let (Part::New(i) | Part::Old(i) | Part::Pods(i) | Part::Silent(i)) = part else { continue };
            let (Some(clusters), Some(selector)) = (found.get_mut(i), asked.selectors.get(i)) else {
                continue;
            };
            let cluster = series.labels.get(question.cluster_label).map_or("", String::as_str);
            let at_ms = || counted_ms(selector, question.now_ms, value);
            if is_newest {
                if let Part::New(_) = part {
                    clusters.entry(cluster).or_insert_with(|| newest(cluster, at_ms()));
                }
                continue;
            }
            let Some(samples) = clusters.get_mut(cluster) else { continue };
            match part {
                Part::Old(_) => samples.slowest_ms = Some(at_ms()),
                // `as` saturates, which is more than enough.
                Part::Pods(_) => samples.pods = value as u32,
                Part::Silent(_) => samples.silent_pods = value as u32,
                Part::Now | Part::At | Part::New(_) | Part::Start(..) | Part::Broken(..) => {}
            }
        }
    }
    let selectors = asked.selectors.iter().zip(found);
    let all = selectors.map(|(selector, clusters)| SelectorSamples {
        selector: Name::from(clip(&selector.to_string())),
        pinned: selector.at_ms().is_some(),
        scope: scope(selector, question.cluster_label),
        clusters: clusters.into_values().collect(),
    });
    all.collect()
}

/// Which clusters a selector can see, as far as its matchers say so by name.
fn scope(selector: &SeriesSelector, cluster_label: &str) -> ClusterScope {
    let matchers = selector.matchers().iter().filter(|m| &*m.name == cluster_label);
    let named = |wanted: bool| {
        matchers.clone().filter_map(move |m| match m.op {
            MatchOp::Equal if wanted => Some(vec![&*m.value]),
            MatchOp::Regex if wanted => alternatives(&m.value),
            MatchOp::NotEqual if !wanted => Some(vec![&*m.value]),
            MatchOp::NotRegex if !wanted => alternatives(&m.value),
            _ => None,
        })
    };
    let names = |names: Vec<&str>| names.into_iter().map(Name::from).collect();
    match named(true).next() {
        Some(mut only) => {
            only.retain(|cluster| selector.admits(cluster_label, cluster));
            ClusterScope::Only(names(only))
        }
        None => match named(false).flatten().collect::<Vec<_>>() {
            except if except.is_empty() => ClusterScope::All,
            except => ClusterScope::Except(names(except)),
        },
    }
}

/// The texts that a regular expression of nothing but texts and `|` matches.
fn alternatives(pattern: &str) -> Option<Vec<&str>> {
    let is_text = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '|' | '/' | ':');
    pattern.chars().all(is_text).then(|| pattern.split('|').collect())
}

/// How many series there are where windows begin.
fn starts(asked: &Asked, question: Question<'_>, answers: &[&Answer]) -> Vec<StartSamples> {
    let counted = |(nth, start): (usize, &WindowStart)| {
        let nobody = || vec![Vec::new(); asked.selectors.len()];
        let mut counts = StartSamples { start: *start, selectors: nobody(), broken: Vec::new() };
        for series in answers.iter().flat_map(|answer| &answer.series) {
            let part = series.labels.get(PART).and_then(|code| Part::read(code));
            let of_selector = match part {
                Some(Part::Start(at, i)) if at == nth => counts.selectors.get_mut(i),
                Some(Part::Broken(at, i)) if at == nth => {
                    // There are none but where something is wrong.
                    if counts.broken.is_empty() {
                        counts.broken = nobody();
                    }
                    counts.broken.get_mut(i)
                }
                _ => continue,
            };
            let count = series.value.filter(|count| count.is_finite() && *count >= 0.0);
            let (Some(of_selector), Some(count)) = (of_selector, count) else { continue };
            let cluster = series.labels.get(question.cluster_label).map_or("", String::as_str);
            // `as` saturates, which is more than enough.
            of_selector.push(SeriesCount { cluster: cluster.into(), series: count as u32 });
        }
        counts
    };
    question.starts.iter().enumerate().map(counted).collect()
}

fn newest(cluster: &str, newest_ms: i64) -> ClusterSamples {
    ClusterSamples { cluster: cluster.into(), newest_ms, slowest_ms: None, pods: 0, silent_pods: 0 }
}

/// A sample's time as it counts for the evaluation: behind it by as much as the sample is behind what the selector
/// looks at, and ahead of it only by as much as the sample itself is.
fn counted_ms(selector: &SeriesSelector, now_ms: i64, sample_s: f64) -> i64 {
    // `as` saturates, which is far enough in the past or future to be judged so.
    let sample_ms = (sample_s * 1000.0).round() as i64;
    let behind_ms = selector.reference_ms(now_ms).saturating_sub(sample_ms);
    let counted_ms = now_ms.saturating_sub(behind_ms);
    if selector.at_ms().is_some() { counted_ms } else { counted_ms.min(now_ms.max(sample_ms)) }
}

#[cfg(test)]
mod tests;
