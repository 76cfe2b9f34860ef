//! Names that the proxy promises: metrics, labels, latency buckets, headers and ports.
//!
//! ```text
//!  proxy/dataplane ─ writes ─► these names ◄─ reads ─ queries, dashboards, scrape configurations, controllers
//! ```
//!
//! Invariants:
//! - a name that Linkerd has is spelled as Linkerd spells it, so its queries and dashboards work unchanged;
//! - a name that Linkerd lacks says its unit last and counts in base units;
//! - nothing here does anything: constants only.
//!
//! Modules in reading order: [`metric`], [`label`], [`latency`], [`header`], [`port`].

/// Metric families, as a scrape names their samples.
pub mod metric {
    /// Requests sent to a target (an app port inbound, an endpoint outbound). Counter. Linkerd's.
    pub const REQUEST_TOTAL: &str = "request_total";
    /// Responses whose stream ended, by status and classification. Counter. Linkerd's.
    pub const RESPONSE_TOTAL: &str = "response_total";
    /// From request headers to the response's first body frame or end, in ms. Histogram. Linkerd's.
    pub const RESPONSE_LATENCY_MS: &str = "response_latency_ms";
    /// Requests that the inbound side answered itself, by cause. Counter. Linkerd's.
    pub const INBOUND_HTTP_ERRORS_TOTAL: &str = "inbound_http_errors_total";
    /// Requests that the outbound side answered itself, by cause. Counter. Linkerd's.
    pub const OUTBOUND_HTTP_ERRORS_TOTAL: &str = "outbound_http_errors_total";
    /// Requests sent again after an attempt that failed. Counter. Linkerd's.
    pub const OUTBOUND_HTTP_ROUTE_RETRY_REQUESTS_TOTAL: &str = "outbound_http_route_retry_requests_total";
    /// Endpoints that a service has, by state. Gauge. Linkerd's.
    pub const OUTBOUND_HTTP_BALANCER_ENDPOINTS: &str = "outbound_http_balancer_endpoints";

    /// Requests that arrived, shed and limited ones included: demand, not throughput. Counter. Ours.
    pub const REQUEST_ARRIVALS_TOTAL: &str = "request_arrivals_total";
    /// Requests admitted and not yet finished, bodies included. Gauge. Ours.
    pub const REQUESTS_IN_FLIGHT: &str = "requests_in_flight";
    /// ∫ in-flight dt: its rate over any window is the exact average concurrency there, with no burst missed
    /// between two scrapes. Counter, seconds. Ours.
    pub const REQUEST_IN_FLIGHT_SECONDS_TOTAL: &str = "request_in_flight_seconds_total";
    /// Time that requests waited for an endpoint to exist. Counter, seconds. Ours.
    pub const REQUEST_QUEUE_WAIT_SECONDS_TOTAL: &str = "request_queue_wait_seconds_total";
    /// 1 while discovery cannot be reached and the endpoints are the last known ones. Gauge. Ours.
    pub const DISCOVERY_STALE: &str = "discovery_stale";

    /// Connections opened. Counter. Linkerd's.
    pub const TCP_OPEN_TOTAL: &str = "tcp_open_total";
    /// Connections open now. Gauge. Linkerd's.
    pub const TCP_OPEN_CONNECTIONS: &str = "tcp_open_connections";
    /// Connections closed. Counter. Linkerd's.
    pub const TCP_CLOSE_TOTAL: &str = "tcp_close_total";
    /// Bytes read. Counter. Linkerd's.
    pub const TCP_READ_BYTES_TOTAL: &str = "tcp_read_bytes_total";
    /// Bytes written. Counter. Linkerd's.
    pub const TCP_WRITE_BYTES_TOTAL: &str = "tcp_write_bytes_total";

    /// Unix time at which the process started. Gauge, seconds. Linkerd's and Prometheus'.
    pub const PROCESS_START_TIME_SECONDS: &str = "process_start_time_seconds";
    /// CPU time used. Counter, seconds.
    pub const PROCESS_CPU_SECONDS_TOTAL: &str = "process_cpu_seconds_total";
    /// Resident memory. Gauge, bytes.
    pub const PROCESS_RESIDENT_MEMORY_BYTES: &str = "process_resident_memory_bytes";
    /// Open file descriptors. Gauge.
    pub const PROCESS_OPEN_FDS: &str = "process_open_fds";

    /// Every family above, for tests that hold queries to what a proxy exposes. A histogram is listed by its
    /// family name; its samples carry `_bucket`, `_sum` and `_count`.
    pub const ALL: &[&str] = &[
        REQUEST_TOTAL,
        RESPONSE_TOTAL,
        RESPONSE_LATENCY_MS,
        INBOUND_HTTP_ERRORS_TOTAL,
        OUTBOUND_HTTP_ERRORS_TOTAL,
        OUTBOUND_HTTP_ROUTE_RETRY_REQUESTS_TOTAL,
        OUTBOUND_HTTP_BALANCER_ENDPOINTS,
        REQUEST_ARRIVALS_TOTAL,
        REQUESTS_IN_FLIGHT,
        REQUEST_IN_FLIGHT_SECONDS_TOTAL,
        REQUEST_QUEUE_WAIT_SECONDS_TOTAL,
        DISCOVERY_STALE,
        TCP_OPEN_TOTAL,
        TCP_OPEN_CONNECTIONS,
        TCP_CLOSE_TOTAL,
        TCP_READ_BYTES_TOTAL,
        TCP_WRITE_BYTES_TOTAL,
        PROCESS_START_TIME_SECONDS,
        PROCESS_CPU_SECONDS_TOTAL,
        PROCESS_RESIDENT_MEMORY_BYTES,
        PROCESS_OPEN_FDS,
    ];
}

/// Label names, and the values that are fixed.
pub mod label {
    /// `inbound` or `outbound`.
    pub const DIRECTION: &str = "direction";
    /// Value of [`DIRECTION`]: towards the local app.
    pub const INBOUND: &str = "inbound";
    /// Value of [`DIRECTION`]: from the local app.
    pub const OUTBOUND: &str = "outbound";
    /// The service that a client asked for: `host:port`, or `host` where the port is 80. Outbound only.
    pub const AUTHORITY: &str = "authority";
    /// Value of [`AUTHORITY`] once a proxy has seen too many to name each.
    pub const AUTHORITY_OVERFLOW: &str = "overflow";
    /// `ip:port` that the request went to.
    pub const TARGET_ADDR: &str = "target_addr";
    /// IP that the request went to.
    pub const TARGET_IP: &str = "target_ip";
    /// Port that the request went to.
    pub const TARGET_PORT: &str = "target_port";
    /// `true`, `no_identity` or `disabled`.
    pub const TLS: &str = "tls";
    /// Value of [`TLS`]: this proxy does no TLS at all, which is what Linkerd writes then.
    pub const TLS_DISABLED: &str = "disabled";
    /// Prefix of the labels that the control plane gives for an endpoint (`dst_pod`, `dst_deployment`, …).
    pub const DST_PREFIX: &str = "dst_";
    /// HTTP status; absent if there was no response.
    pub const STATUS_CODE: &str = "status_code";
    /// `success` or `failure`.
    pub const CLASSIFICATION: &str = "classification";
    /// Value of [`CLASSIFICATION`].
    pub const SUCCESS: &str = "success";
    /// Value of [`CLASSIFICATION`].
    pub const FAILURE: &str = "failure";
    /// gRPC status code, a number from 0 to 16.
    pub const GRPC_STATUS: &str = "grpc_status";
    /// What went wrong.
    pub const ERROR: &str = "error";
    /// `src` (accepted) or `dst` (connected).
    pub const PEER: &str = "peer";
    /// `ready`, or `pending` while a breaker has it out.
    pub const ENDPOINT_STATE: &str = "endpoint_state";
    /// Upper bound of a histogram bucket.
    pub const LE: &str = "le";
}

/// The latency histogram.
pub mod latency {
    /// Linkerd's 25 bounds in ms; a 26th bucket, `+Inf`, follows.
    pub const BUCKETS_MS: [u64; 25] = [
        1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000, 5_000,
        10_000, 20_000, 30_000, 40_000, 50_000,
    ];
}

/// Header names, lower case.
pub mod header {
    /// Why the proxy, and not the app, answered.
    pub const PROXY_ERROR: &str = "l5d-proxy-error";
    /// On a refusal: the request reached no app, so that whoever sent it may send it elsewhere, whatever its method. What
    /// an app says under this name is not passed on.
    pub const NOT_SENT: &str = "gauntlet-not-sent";
    /// A request's own deadline up to the response's headers: `250ms`, `2s`, `1m`. Outbound.
    pub const TIMEOUT: &str = "l5d-timeout";
}

/// Ports, as Linkerd numbers them.
pub mod port {
    /// Accepts what other pods send.
    pub const INBOUND: u16 = 4143;
    /// Accepts what the local app sends.
    pub const OUTBOUND: u16 = 4140;
    /// `/metrics`, `/live`, `/ready`.
    pub const ADMIN: u16 = 4191;
    /// The control plane's `io.linkerd.proxy.destination.Destination`.
    pub const DESTINATION: u16 = 8086;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_bounds_ascend() {
        let mut names = metric::ALL.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), metric::ALL.len());
        assert!(latency::BUCKETS_MS.windows(2).all(|w| w[0] < w[1]));
    }
}
