//! Whether an answer is good enough to lower on. Everything that speaks against it is named, not only the
//! first thing.

use std::fmt;

use crate::decision::Doubt;
use crate::input::{FailureKind, Observation, Reading};
use crate::number::Float;
use crate::policy::{MetricSpec, Target};
use crate::reasons;

/// How far a sample may be ahead of the evaluation before its cluster's clock counts as wrong, in
/// milliseconds. Beyond it, a frozen cluster would look fresh for as long as its clock is ahead.
const MAX_AHEAD_MS: i64 = 1_000;

/// What one observation is worth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// The value, whatever it is.
    pub(crate) value: Option<Float>,
    /// The value, if replicas can be computed from it: finite, not negative, the only one.
    pub(crate) usable: Option<f64>,
    /// What speaks against lowering on it; empty is sufficient.
    pub(crate) doubts: Vec<Doubt>,
}

/// What an answer says about the samples of the last moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// They are there.
    Samples,
    /// Some are missing, or may be.
    Gap,
    /// There was no answer, which says nothing: samples are collected all the same.
    Nothing,
}

impl Judgement {
    /// Whether the samples have a gap now.
    pub(crate) fn seen(&self) -> Seen {
        let is = |found: fn(&Doubt) -> bool| self.doubts.iter().any(found);
        // First, since a querier that cannot be reached warns as well.
        if is(|doubt| match doubt {
            Doubt::Failed { kind, .. } => *kind != FailureKind::Empty,
            doubt => *doubt == Doubt::NotObserved,
        }) {
            Seen::Nothing
        } else if is(Doubt::is_gap) {
            Seen::Gap
        } else {
            Seen::Samples
        }
    }
}

/// Judges the answer to `spec`'s query.
pub(crate) fn judge(spec: &MetricSpec, observation: Option<&Observation>) -> Judgement {
    let Some(observation) = observation else {
        return Judgement { value: None, usable: None, doubts: vec![Doubt::NotObserved] };
    };
    let mut doubts = Vec::new();
    let value = match &observation.reading {
        Reading::Failed { kind, message } => {
            doubts.push(Doubt::Failed { kind: *kind, message: message.clone() });
            None
        }
        Reading::Value(value) => {
            doubts.extend(value_doubt(value.get(), observation.series_count));
            Some(*value)
        }
    };
    let mut usable = value.map(Float::get).filter(|_| doubts.is_empty());
    // Without a value, ages say nothing that would help.
    if value.is_some() && !observation.timeless {
        let age_doubts = age_doubts(spec, observation);
        // A stale ratio would be multiplied into the replicas that it already raised, again every tick, up
        // to the maximum. A stale average asks for the same number each time and may still raise.
        let is_old = age_doubts.iter().any(|doubt| !matches!(doubt, Doubt::ClusterMissing { .. }));
        if is_old && matches!(spec.target, Target::Value { .. }) {
            usable = None;
        }
        doubts.extend(age_doubts);
    }
    if let Some(first) = observation.warnings.first() {
        doubts.push(Doubt::Warned { first: first.clone(), count: observation.warnings.len() as u64 });
    }
    Judgement { value, usable, doubts }
}

fn value_doubt(value: f64, series_count: u64) -> Option<Doubt> {
    match series_count {
        0 => Some(Doubt::Empty),
        1 if !value.is_finite() => Some(Doubt::NotFinite),
        1 if value < 0.0 => Some(Doubt::Negative),
        1 => None,
        count => Some(Doubt::ManySeries { count }),
    }
}

fn age_doubts(spec: &MetricSpec, observation: &Observation) -> Vec<Doubt> {
    let ages = &observation.newest_sample_age_ms;
    let expected: Vec<&String> = if spec.evidence.clusters.is_empty() {
        ages.keys().collect()
    } else {
        spec.evidence.clusters.iter().collect()
    };
    if expected.is_empty() {
        return vec![Doubt::NoAge];
    }
    let max_age_ms = spec.evidence.max_age_ms;
    expected
        .into_iter()
        .filter_map(|cluster| match ages.get(cluster).copied().flatten() {
            None => Some(Doubt::ClusterMissing { cluster: cluster.clone() }),
            Some(age_ms) if age_ms < -MAX_AHEAD_MS => {
                Some(Doubt::FromTheFuture { cluster: cluster.clone(), ahead_ms: age_ms.saturating_neg() })
            }
            Some(age_ms) if age_ms > max_age_ms => {
                Some(Doubt::Stale { cluster: cluster.clone(), age_ms, max_age_ms })
            }
            Some(_) => None,
        })
        .collect()
}

impl Doubt {
    /// Whether samples are missing, which a range window then holds for its whole width.
    fn is_gap(&self) -> bool {
        match self {
            Self::Failed { kind, .. } => *kind == FailureKind::Empty,
            Self::Empty
            | Self::NoAge
            | Self::ClusterMissing { .. }
            | Self::Stale { .. }
            | Self::FromTheFuture { .. }
            | Self::Warned { .. } => true,
            Self::NotObserved
            | Self::ManySeries { .. }
            | Self::NotFinite
            | Self::Negative
            | Self::NoneReady
            | Self::Refilling { .. } => false,
        }
    }

    /// The condition reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotObserved => reasons::NOT_OBSERVED,
            Self::Failed { kind: FailureKind::Empty, .. } | Self::Empty => reasons::EMPTY_RESULT,
            Self::Failed { kind: FailureKind::ManySeries, .. } | Self::ManySeries { .. } => {
                reasons::MANY_SERIES
            }
            Self::Failed { kind: FailureKind::NotANumber, .. } | Self::NotFinite => reasons::NOT_A_NUMBER,
            Self::Failed { .. } => reasons::QUERY_FAILED,
            Self::Negative => reasons::NEGATIVE_VALUE,
            Self::NoAge | Self::ClusterMissing { .. } => reasons::CLUSTERS_MISSING,
            Self::Stale { .. } | Self::FromTheFuture { .. } => reasons::STALE_SAMPLES,
            Self::Warned { .. } => reasons::QUERY_WARNINGS,
            Self::NoneReady => reasons::NO_READY_REPLICAS,
            Self::Refilling { .. } => reasons::WINDOW_REFILLING,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self {
            Self::NotObserved => "report this to the controller's authors",
            Self::Failed { kind, .. } => match kind {
                FailureKind::Unreachable => "check the querier's address and that it runs",
                FailureKind::Timeout => "make the query cheaper or the deadline longer",
                FailureKind::BadQuery => "correct the query",
                FailureKind::Execution => "look at the querier's log",
                FailureKind::BadResponse => "check that the address is a Prometheus HTTP API",
                FailureKind::Empty => Self::Empty.cure(),
                FailureKind::ManySeries => Self::ManySeries { count: 0 }.cure(),
                FailureKind::NotANumber => Self::NotFinite.cure(),
                FailureKind::Other => "look at the controller's log",
            },
            Self::Empty => "check the query's labels, and that the workload is scraped",
            Self::ManySeries { .. } => "aggregate the query to one series, for example with sum()",
            Self::NotFinite => "guard the query against division by zero",
            Self::Negative => "correct the query: demand cannot be negative",
            Self::NoAge | Self::ClusterMissing { .. } => "check that cluster's scrape, receive and store",
            Self::Stale { .. } => "check that cluster's scrape, or raise evidence.maxAge",
            Self::FromTheFuture { .. } => "check that cluster's clock",
            Self::Warned { .. } => "check the querier's stores",
            Self::NoneReady => "check why no replica becomes ready",
            Self::Refilling { .. } => "wait, or shorten the query's range",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotObserved => f.write_str("it was not observed"),
            Self::Failed { kind, message } => write!(f, "its query failed ({kind:?}): {message}"),
            Self::Empty => f.write_str("its query returned no series"),
            Self::ManySeries { count } => write!(f, "its query returned {count} series instead of one"),
            Self::NotFinite => f.write_str("its value is not a finite number"),
            Self::Negative => f.write_str("its value is negative"),
            Self::NoAge => f.write_str("no cluster's newest sample is known"),
            Self::ClusterMissing { cluster } => write!(f, "cluster {cluster} has no sample in the answer"),
            Self::Stale { cluster, age_ms, max_age_ms } => write!(
                f,
                "cluster {cluster}'s newest sample is {} old, more than {}",
                seconds(*age_ms),
                seconds(*max_age_ms)
            ),
            Self::FromTheFuture { cluster, ahead_ms } => {
                write!(f, "cluster {cluster}'s newest sample is {} in the future", seconds(*ahead_ms))
            }
            Self::Warned { first, count: 1 } => write!(f, "the querier warned: {first}"),
            Self::Warned { first, count } => {
                write!(f, "the querier warned: {first} (and {} more)", count.saturating_sub(1))
            }
            Self::NoneReady => f.write_str("no replica is ready for its ratio to multiply"),
            Self::Refilling { left_ms } => {
                write!(f, "its window refills for another {} after the gap", seconds(*left_ms))
            }
        }
    }
}

/// Milliseconds as seconds with at most one decimal.
pub(crate) fn seconds(ms: i64) -> String {
    let tenths = i128::from(ms) / 100;
    let (sign, tenths) = if tenths < 0 { ("-", -tenths) } else { ("", tenths) };
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{sign}{whole}s"),
        (whole, tenth) => format!("{sign}{whole}.{tenth}s"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn seconds_are_short() {
        for (ms, text) in
            [(0, "0s"), (999, "0.9s"), (20_000, "20s"), (-1_500, "-1.5s"), (i64::MIN, "-9223372036854775.8s")]
        {
            assert_eq!(super::seconds(ms), text);
        }
    }
}
