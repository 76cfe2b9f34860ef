//! What the servers say about themselves.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// Requests by what was answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests(Family<Outcome, Counter>);

impl Requests {
    /// `gauntlet_autoscaler_PART_requests_total`, each outcome from the start.
    pub(crate) fn register(registry: &mut Registry, part: &str, outcomes: &[&'static str]) -> Self {
        let this = Self::default();
        for outcome in outcomes {
            drop(this.0.get_or_create(&Outcome { outcome }));
        }
        registry.register(
            format!("gauntlet_autoscaler_{part}_requests"),
            "Requests by what was answered",
            this.0.clone(),
        );
        this
    }

    pub(crate) fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&Outcome { outcome }).inc();
    }
}
