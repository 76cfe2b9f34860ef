//! Where queries go: the controller's own querier by its flags, and policies' sources by their Secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use autoscaler_querier::{Prometheus, Querier, Rotating, Source, SourceError};
use parking_lot::Mutex;

pub(crate) mod flags;
pub(crate) mod resolve;

pub(crate) use autoscaler_querier::{Answer, Outcome, QueryError, Series};

/// Whoever answers queries: the seam to the metrics. [`Querier`] is the seam to one of them, which anything may
/// implement that can evaluate PromQL.
pub trait Queriers: Send + Sync {
    /// The one of all policies that name no source.
    fn own(&self) -> Arc<dyn Querier>;

    /// The one of a source, with the credentials of now; it is asked for again under the same `id` when these change.
    ///
    /// # Errors
    /// Which part of the source cannot be used.
    fn of(&self, id: &str, source: &Source) -> Result<Arc<dyn Querier>, SourceError>;

    /// No policy names that source any more.
    fn forget(&self, id: &str);
}

/// Servers with Prometheus' HTTP API.
pub(crate) struct Servers {
    own: Arc<Rotating>,
    of: Mutex<BTreeMap<String, Prometheus>>,
}

impl Servers {
    pub(crate) fn new(own: Arc<Rotating>) -> Self {
        Self { own, of: Mutex::default() }
    }
}

impl Queriers for Servers {
    fn own(&self) -> Arc<dyn Querier> {
        self.own.clone()
    }

    fn of(&self, id: &str, source: &Source) -> Result<Arc<dyn Querier>, SourceError> {
        let mut of = self.of.lock();
        // Connections stay where only a token or a password changed.
        let querier = match of.get(id) {
            Some(before) => before.renewed(source)?,
            None => Prometheus::new(source)?,
        };
        of.insert(id.to_owned(), querier.clone());
        Ok(Arc::new(querier))
    }

    fn forget(&self, id: &str) {
        self.of.lock().remove(id);
    }
}
