//! Every call to an API server: how many, how they ended, how long they took.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Watches are not among them: they last.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    cluster: String,
    verb: &'static str,
    resource: String,
    /// HTTP status; 0: none came.
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabels {
    cluster: String,
    verb: &'static str,
}

/// The series; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    calls: Family<CallLabels, Counter>,
    seconds: Family<VerbLabels, Histogram, fn() -> Histogram>,
}

impl Default for Calls {
    fn default() -> Self {
        let histogram = || Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]);
        Self { calls: Family::default(), seconds: Family::new_with_constructor(histogram) }
    }
}

impl Calls {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Calls to API servers by what came of them; code 0: no answer";
        registry.register("api_calls", help, self.calls.clone());
        let help = "Time until an API server answered";
        registry.register_with_unit("api_call", help, Unit::Seconds, self.seconds.clone());
    }

    /// One call ended.
    pub(crate) fn count(&self, cluster: &str, verb: &'static str, resource: &str, code: u16, took: Duration) {
        let (cluster, resource) = (cluster.to_owned(), resource.to_owned());
        let labels = CallLabels { cluster: cluster.clone(), verb, resource, code };
        self.calls.get_or_create(&labels).inc();
        self.seconds.get_or_create(&VerbLabels { cluster, verb }).observe(took.as_secs_f64());
    }
}
