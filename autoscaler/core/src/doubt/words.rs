//! Doubts in words: the cause, and what to do about it.

use std::fmt;

use autoscaler_formula::Undefined;

use super::Doubt;
use crate::name::Name;
use crate::number::seconds;
use crate::observation::FailureKind;

impl Doubt {
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
                FailureKind::Empty => "check the query's labels, and that the workload is scraped",
                FailureKind::ManySeries => "aggregate the query to one series, for example with sum()",
                FailureKind::NotANumber => Self::NotFinite.cure(),
                FailureKind::MetricsApi => {
                    "install metrics-server, or look at kubectl get apiservice v1beta1.metrics.k8s.io"
                }
                FailureKind::Source => "it is asked as soon as that is there, and nobody else instead",
                FailureKind::Other => "look at the controller's log",
            },
            Self::EvidenceLost { .. } => "make the query cheaper or the deadline longer",
            Self::NotFinite => "guard the query against division by zero",
            Self::Negative => "correct the query or the formula: demand cannot be negative",
            Self::NoSamples => {
                "check the scrape; if no series is normal, write into evidence.selectors what must be there"
            }
            Self::SelectorEmpty { .. } => {
                "check its scrape; if no series is normal, write into evidence.selectors what must be there"
            }
            Self::ClusterMissing { remembered: true, .. } => {
                "check that cluster's scrape, receive and store; if it is gone for good, name the clusters that \
                 remain in evidence.clusters"
            }
            Self::ClusterMissing { .. } => "check that cluster's scrape, receive and store",
            Self::Stale { .. } => "check that cluster's scrape, or raise evidence.maxAge",
            Self::FromTheFuture { .. } => "check that cluster's clock, and the controller's",
            Self::PodsMissing { .. } => {
                "check those pods' scrape; if not all of them have these series, write evidence.pods: Ignore"
            }
            Self::PodsSilent { .. } => {
                "check their scrape and its way; if series end without staleness markers, write evidence.pods: \
                 Ignore"
            }
            Self::Warned { .. } | Self::Incomplete { .. } => "check the querier's stores",
            Self::Annotated { .. } => "correct the query, or what it reads",
            Self::Lagging { .. }
            | Self::Unsettled { .. }
            | Self::Outdated { .. }
            | Self::Unwatched { .. } => "wait for the next evaluation",
            Self::ClockStepped { .. } => "wait for a window, and check the clock of whoever scrapes it",
            Self::SamplesLost { .. } | Self::SeriesLost { .. } => {
                "wait for a window, and check who answers: a server that just began, or one that lost its data"
            }
            Self::SeriesBroken { .. } => {
                "wait until its window has passed it, and check who answers: a server that was away for a while"
            }
            Self::TooManyClusters { .. } => "ask for fewer clusters in one query, for example by region",
            Self::ClustersUnknown => "name the clusters that must answer in evidence.clusters",
            Self::NoneReady => "check why no replica becomes ready",
            Self::Undefined(Undefined::NoValue { .. }) | Self::OfMetric { .. } => "see that metric",
            Self::Undefined(Undefined::DivisionByZero) => {
                "guard the formula, for example requests == 0 ? 0 : errors / requests"
            }
            Self::Undefined(Undefined::NotFinite) => "guard the formula against numbers that are too large",
            Self::PodsUnmeasured { .. } => {
                "check metrics-server and the kubelet of that pod, or the scrape of it, or raise evidence.maxAge"
            }
            Self::PodsUnknown { .. } => "check the target's selector, its pods and their requests",
        }
    }
}

/// A cluster's samples in a sentence; series without a cluster label have no cluster to name.
struct Whose<'a>(&'a Name);

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("its") } else { write!(f, "cluster {}'s", self.0) }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotObserved => f.write_str("it was not observed"),
            Self::Failed { kind: FailureKind::Empty, message } if message.is_empty() => {
                f.write_str("its query returned no series")
            }
            Self::Failed { kind: FailureKind::MetricsApi, message } => {
                write!(f, "metrics.k8s.io gave nothing: {message}")
            }
            Self::Failed { kind: FailureKind::Source, message } => {
                write!(f, "its source cannot be asked: {message}")
            }
            Self::Failed { kind, message } => write!(f, "its query failed ({kind:?}): {message}"),
            Self::EvidenceLost { message } => write!(f, "its samples could not be asked for: {message}"),
            Self::NotFinite => f.write_str("its value is not a finite number"),
            Self::Negative => f.write_str("its value is negative"),
            Self::NoSamples => f.write_str("no sample of what it reads was found"),
            Self::SelectorEmpty { selector } => write!(f, "no sample of {selector} was found"),
            Self::ClusterMissing { cluster, .. } if cluster.is_empty() => {
                f.write_str("its series without a cluster label are gone")
            }
            Self::ClusterMissing { cluster, remembered } => {
                let since = if *remembered { ", where it was before" } else { "" };
                write!(f, "cluster {cluster} has no sample in the answer{since}")
            }
            Self::Stale { cluster, age_ms, max_age_ms } => write!(
                f,
                "{} newest sample is {} old, more than {}",
                Whose(cluster),
                seconds(*age_ms),
                seconds(*max_age_ms)
            ),
            Self::FromTheFuture { cluster, ahead_ms } => {
                write!(f, "{} newest sample is {} in the future", Whose(cluster), seconds(*ahead_ms))
            }
            Self::PodsMissing { cluster, fresh, ready } => {
                let place = if cluster.is_empty() { String::new() } else { format!(" in cluster {cluster}") };
                write!(f, "{fresh} of the {ready} pods that are ready{place} have fresh samples")
            }
            Self::PodsSilent { cluster, pods } => {
                let place = if cluster.is_empty() { String::new() } else { format!(" in cluster {cluster}") };
                let whose = if *pods == 1 { "pod" } else { "pods" };
                write!(f, "the series of {pods} {whose}{place} stopped without a staleness marker")
            }
            Self::Warned { first, count: 1 } => write!(f, "the querier warned: {first}"),
            Self::Warned { first, count } => {
                write!(f, "the querier warned: {first} (and {} more)", count.saturating_sub(1))
            }
            Self::Incomplete { said } => write!(f, "the querier's answer is incomplete: {said}"),
            Self::Annotated { first } => write!(f, "the querier said of the query: {first}"),
            Self::Lagging { cluster, lag_ms, most_ms } => write!(
                f,
                "{} samples end {} before the evaluation, more than {}, so its value is too low",
                Whose(cluster),
                seconds(*lag_ms),
                seconds(*most_ms)
            ),
            Self::Unsettled { cluster, behind_ms } => write!(
                f,
                "{} samples end {} before those of the answer before",
                Whose(cluster),
                seconds(*behind_ms)
            ),
            Self::Outdated { behind_ms } => {
                write!(f, "its settled value is from {} before its newest samples", seconds(*behind_ms))
            }
            Self::ClockStepped { cluster, ahead_ms } => write!(
                f,
                "{} samples went {} ahead of the clock, so that nothing was counted for as long",
                Whose(cluster),
                seconds(*ahead_ms)
            ),
            Self::SamplesLost { cluster, before_ms } => write!(
                f,
                "{} samples of {} before the evaluation are gone, where its window begins",
                Whose(cluster),
                seconds(*before_ms)
            ),
            Self::SeriesLost { cluster, before, series } => {
                write!(f, "{series} of {} {before} series are there where its window begins", Whose(cluster))
            }
            Self::SeriesBroken { cluster, before, series } => {
                write!(f, "{series} of {} {before} series lack a stretch of its window", Whose(cluster))
            }
            Self::TooManyClusters { most } => {
                write!(f, "more than {most} clusters answer, and no more are remembered")
            }
            Self::ClustersUnknown => {
                f.write_str("which clusters answered before was too much for the policy's status to hold")
            }
            Self::NoneReady => f.write_str("no replica is ready for its ratio to multiply"),
            Self::Undefined(why) => write!(f, "it has no number: {why}"),
            Self::OfMetric { metric } => write!(f, "the evidence of {metric} is insufficient"),
            Self::PodsUnmeasured { pod, measured, ready } => {
                write!(
                    f,
                    "{measured} of the {ready} pods that are ready have a fresh value, and {pod} has none"
                )
            }
            Self::PodsUnknown { why } => f.write_str(why),
            Self::Unwatched { left_ms } => {
                write!(f, "its values are of {} before the pods were watched", seconds(*left_ms))
            }
        }
    }
}
