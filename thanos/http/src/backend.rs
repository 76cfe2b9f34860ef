//! The seam between the HTTP API and whatever it answers from: the fan-out in production, memory in tests.

use std::collections::BTreeSet;

use futures::FutureExt;
use futures::future::BoxFuture;
use thanos_model::{Matcher, TimestampMs};
use thanos_promql::source::{SeriesSource, SourceError};
use thanos_store::{Fanout, Querier, QueryOptions, StoreStatus};

/// Sorted texts and warnings.
pub(crate) type Texts = Result<(BTreeSet<String>, Vec<String>), SourceError>;

/// One query's source, with what the metadata endpoints need.
pub(crate) trait Source: SeriesSource {
    fn label_names<'a>(
        &'a self,
        m: &'a [Matcher],
        start: TimestampMs,
        end: TimestampMs,
    ) -> BoxFuture<'a, Texts>;

    fn label_values<'a>(
        &'a self,
        label: &'a str,
        m: &'a [Matcher],
        start: TimestampMs,
        end: TimestampMs,
    ) -> BoxFuture<'a, Texts>;
}

/// Opens a source for each query.
pub(crate) trait Backend: Send + Sync {
    fn open(&self, options: QueryOptions) -> Box<dyn Source>;

    fn stores(&self) -> Vec<StoreStatus>;
}

impl Source for Querier {
    fn label_names<'a>(
        &'a self,
        m: &'a [Matcher],
        start: TimestampMs,
        end: TimestampMs,
    ) -> BoxFuture<'a, Texts> {
        Querier::label_names(self, m, start, end).boxed()
    }

    fn label_values<'a>(
        &'a self,
        label: &'a str,
        m: &'a [Matcher],
        start: TimestampMs,
        end: TimestampMs,
    ) -> BoxFuture<'a, Texts> {
        Querier::label_values(self, label, m, start, end).boxed()
    }
}

impl Backend for Fanout {
    fn open(&self, options: QueryOptions) -> Box<dyn Source> {
        Box::new(self.querier(options))
    }

    fn stores(&self) -> Vec<StoreStatus> {
        self.endpoints().statuses()
    }
}
