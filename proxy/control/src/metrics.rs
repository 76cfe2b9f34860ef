//! Own metrics.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Everything that this process counts.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "each is described where it is registered")]
pub struct Metrics {
    pub streams: Gauge,
    pub profile_streams: Gauge,
    pub updates: Counter,
    pub refused: Counter,
    pub followed: Gauge,
    pub pods: Gauge,
    pub services: Gauge,
    pub slices: Gauge,
    pub events: Counter,
    pub changes: Counter,
    pub watch_errors: Counter,
    pub api_server_up: Gauge,
}

impl Metrics {
    /// Registers every family.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        let r = registry.sub_registry_with_prefix("destination");
        r.register("get_streams", "Discovery streams open now", m.streams.clone());
        r.register("profile_streams", "Profile streams open now", m.profile_streams.clone());
        r.register("updates", "Messages sent on streams", m.updates.clone());
        r.register("get_refused", "Discovery requests that named nothing of this cluster", m.refused.clone());
        r.register(
            "followed_ports",
            "Ports of services, pods and addresses that some proxy follows",
            m.followed.clone(),
        );
        r.register("pods", "Pods known", m.pods.clone());
        r.register("services", "Services known", m.services.clone());
        r.register("slices", "EndpointSlices known that pods do not say", m.slices.clone());
        r.register("events", "Events of lists and watches", m.events.clone());
        r.register("changes", "Objects that events changed in what is read of them", m.changes.clone());
        r.register("watch_errors", "Failures to list or watch", m.watch_errors.clone());
        r.register("api_server_up", "1 while the API server answers", m.api_server_up.clone());
        m
    }
}
