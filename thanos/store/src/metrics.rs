//! What the read path counts about itself.

use std::fmt::{self, Write};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why part of an answer is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// An expected store does not answer Info.
    NotAnswering,
    /// A store did not answer in time.
    Timeout,
    /// A store failed or broke its connection.
    Failed,
    /// A store said itself that its answer is incomplete.
    Reported,
    /// Data that could not be decoded.
    Undecodable,
    /// A name could not be resolved or a file not be read.
    Discovery,
}

impl EncodeLabelValue for Cause {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::NotAnswering => "not_answering",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::Reported => "reported",
            Self::Undecodable => "undecodable",
            Self::Discovery => "discovery",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: Cause,
}

impl Cause {
    const ALL: [Self; 6] =
        [Self::NotAnswering, Self::Timeout, Self::Failed, Self::Reported, Self::Undecodable, Self::Discovery];
}

/// Counters of the read path; clones share their values.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    warnings: Family<CauseLabel, Counter>,
    /// Series that were merged into answers.
    pub(crate) series: Counter,
    /// Samples that were decoded for answers.
    pub(crate) samples: Counter,
    stores: Family<Vec<(&'static str, &'static str)>, Gauge>,
}

impl Metrics {
    /// Registers everything.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "gauntlet_query_incomplete_answers",
            "Parts of answers that were missing and flagged, by cause",
            self.warnings.clone(),
        );
        for cause in Cause::ALL {
            // At 0 from the start: a rate cannot see the increment that a series begins with.
            drop(self.warnings.get_or_create(&CauseLabel { cause }));
        }
        registry.register("gauntlet_query_series", "Series merged into answers", self.series.clone());
        registry.register("gauntlet_query_samples", "Samples decoded for answers", self.samples.clone());
        registry.register(
            "gauntlet_query_stores",
            "Expected stores, by whether they answer",
            self.stores.clone(),
        );
    }

    pub(crate) fn warned(&self, cause: Cause) {
        self.warnings.get_or_create(&CauseLabel { cause }).inc();
    }

    /// Sets how many stores answer and how many do not.
    pub fn set_stores(&self, answering: usize, silent: usize) {
        for (state, n) in [("answering", answering), ("silent", silent)] {
            self.stores.get_or_create(&vec![("state", state)]).set(n as i64);
        }
    }
}
