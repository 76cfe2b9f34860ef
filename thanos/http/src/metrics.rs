//! What the querier counts about itself; names are Thanos' where it has them.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Handler {
    handler: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandlerCode {
    handler: &'static str,
    code: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorType {
    error_type: &'static str,
}

const SECONDS: [f64; 11] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0];

/// Clones share their values.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Family<HandlerCode, Counter>,
    durations: Family<Handler, Histogram, fn() -> Histogram>,
    errors: Family<ErrorType, Counter>,
    slots: Gauge,
    in_flight: Gauge,
}

impl Metrics {
    pub(crate) fn new(slots: usize) -> Self {
        let gauge = Gauge::default();
        gauge.set(slots as i64);
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            errors: Family::default(),
            slots: gauge,
            in_flight: Gauge::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests by handler and status", self.requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time to the answer's head",
            self.durations.clone(),
        );
        registry.register("gauntlet_query_errors", "Requests answered with an error", self.errors.clone());
        registry.register(
            "thanos_query_concurrent_gate_queries_max",
            "Queries that may run at once",
            self.slots.clone(),
        );
        registry.register(
            "thanos_query_concurrent_gate_queries_in_flight",
            "Queries that run",
            self.in_flight.clone(),
        );
    }

    pub(crate) fn requested(&self, handler: &'static str, code: u16, took: Duration) {
        self.requests.get_or_create(&HandlerCode { handler, code: code.into() }).inc();
        self.durations.get_or_create(&Handler { handler }).observe(took.as_secs_f64());
    }

    pub(crate) fn failed(&self, error_type: &'static str) {
        self.errors.get_or_create(&ErrorType { error_type }).inc();
    }

    pub(crate) fn set_in_flight(&self, n: usize) {
        self.in_flight.set(n as i64);
    }
}
