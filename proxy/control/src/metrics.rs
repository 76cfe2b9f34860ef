//! Own metrics.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Everything that this process counts.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "each is described where it is registered")]
pub struct Metrics {
    pub streams: Gauge,
    pub updates: Counter,
    pub refused: Counter,
    pub followed: Gauge,
    pub pods: Gauge,
    pub services: Gauge,
    pub watch_errors: Counter,
    pub api_server_up: Gauge,
}

impl Metrics {
    /// Registers every family.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        let r = registry.sub_registry_with_prefix("destination");
        r.register("get_streams", "Discovery streams open now", m.streams.clone());
        r.register("updates", "Messages sent on discovery streams", m.updates.clone());
        r.register(
            "get_refused",
            "Discovery requests that named no service of this cluster",
            m.refused.clone(),
        );
        r.register("followed_ports", "Service ports that some proxy follows", m.followed.clone());
        r.register("pods", "Pods known", m.pods.clone());
        r.register("services", "Services known", m.services.clone());
        r.register("watch_errors", "Failures to list or watch", m.watch_errors.clone());
        r.register("api_server_up", "1 while the API server answers", m.api_server_up.clone());
        m
    }
}
