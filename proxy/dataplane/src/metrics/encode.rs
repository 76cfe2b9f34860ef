//! Text 0.0.4 and OpenMetrics 1.0: the same samples, announced differently.

use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

use proxy_api::latency::BUCKETS_MS;
use proxy_api::{label, metric};
use proxy_core::classify::{Class, Outcome};
use thanos_telemetry::metrics::{OPENMETRICS, TEXT};

use super::target::{Latency, Status, Target};
use super::traffic::Cause;
use super::{Direction, Registry, Series, authority_label, process, quoted};

impl Registry {
    /// `(content type, body)` for a scraper's `Accept` header.
    pub fn encode(&self, accept: Option<&str>) -> (&'static str, String) {
        let openmetrics = accept.is_some_and(|a| a.contains("application/openmetrics-text"));
        let mut out = Text { out: String::with_capacity(16 << 10), openmetrics };
        self.process(&mut out);
        {
            let series = self.series.lock();
            requests(&series, &mut out);
            demand(&series, &mut out);
            transports(&series, &mut out);
        }
        self.forget_idle();
        if openmetrics {
            out.out.push_str("# EOF\n");
        }
        (if openmetrics { OPENMETRICS } else { TEXT }, out.out)
    }

    fn process(&self, out: &mut Text) {
        let p = process::read();
        out.family(metric::PROCESS_START_TIME_SECONDS, "gauge", "Unix time at which the process started");
        out.sample(metric::PROCESS_START_TIME_SECONDS, "", "", self.started_unix_s);
        if let Some(cpu) = p.cpu_seconds {
            out.family(metric::PROCESS_CPU_SECONDS_TOTAL, "counter", "CPU time used");
            out.sample(metric::PROCESS_CPU_SECONDS_TOTAL, "", "", cpu);
        }
        if let Some(bytes) = p.resident_bytes {
            out.family(metric::PROCESS_RESIDENT_MEMORY_BYTES, "gauge", "Resident memory");
            out.sample(metric::PROCESS_RESIDENT_MEMORY_BYTES, "", "", bytes);
        }
        if let Some(fds) = p.open_fds {
            out.family(metric::PROCESS_OPEN_FDS, "gauge", "Open file descriptors");
            out.sample(metric::PROCESS_OPEN_FDS, "", "", fds);
        }
    }
}

fn requests(series: &Series, out: &mut Text) {
    out.family(metric::REQUEST_TOTAL, "counter", "Requests sent to a target");
    for t in series.targets.values() {
        out.sample(metric::REQUEST_TOTAL, &t.labels, "", t.requests.get());
    }
    out.family(
        metric::RESPONSE_LATENCY_MS,
        "histogram",
        "Milliseconds from a request's headers to the first body frame or end of its response",
    );
    for (t, s) in statuses(series) {
        let Some(code) = s.code else { continue };
        histogram(out, &t.labels, &format!("{}=\"{code}\"", label::STATUS_CODE), s.latency.iter());
    }
    out.family(metric::RESPONSE_TOTAL, "counter", "Responses that ended");
    for (t, s) in statuses(series) {
        let status = s.code.map_or(String::new(), |c| format!("{}=\"{c}\",", label::STATUS_CODE));
        for c in s.classes.load().iter() {
            let more = format!("{status}{}", class_labels(c.class));
            out.sample(metric::RESPONSE_TOTAL, &t.labels, &more, c.total.get());
        }
    }
}

fn statuses(series: &Series) -> impl Iterator<Item = (&Target, std::sync::Arc<Status>)> {
    series
        .targets
        .values()
        .flat_map(|t| t.statuses.load().iter().map(|s| (&**t, s.clone())).collect::<Vec<_>>())
}

fn histogram<'a>(out: &mut Text, labels: &str, more: &str, shards: impl Iterator<Item = &'a Latency>) {
    let mut counts = [0u64; BUCKETS_MS.len() + 1];
    let mut sum_us = 0u64;
    for shard in shards {
        for (total, count) in counts.iter_mut().zip(&shard.buckets) {
            *total = total.wrapping_add(count.load(Relaxed));
        }
        sum_us = sum_us.wrapping_add(shard.sum_us.load(Relaxed));
    }
    // Reached by a class without a latency: nothing to show.
    let count: u64 = counts.iter().fold(0, |a, b| a.wrapping_add(*b));
    if count == 0 {
        return;
    }
    let mut cumulative = 0u64;
    let bounds = BUCKETS_MS.iter().map(|b| out.bound(*b)).chain(["+Inf".to_owned()]).collect::<Vec<_>>();
    for (le, n) in bounds.iter().zip(counts) {
        cumulative = cumulative.wrapping_add(n);
        out.sample_of(
            metric::RESPONSE_LATENCY_MS,
            "_bucket",
            labels,
            &format!("{more},{}=\"{le}\"", label::LE),
            cumulative,
        );
    }
    out.sample_of(metric::RESPONSE_LATENCY_MS, "_sum", labels, more, sum_us as f64 / 1_000.0);
    out.sample_of(metric::RESPONSE_LATENCY_MS, "_count", labels, more, count);
}

fn class_labels(class: Class) -> String {
    let outcome = match class.outcome() {
        Outcome::Success => label::SUCCESS,
        Outcome::Failure => label::FAILURE,
    };
    let base = format!("{}=\"{outcome}\"", label::CLASSIFICATION);
    match class {
        Class::Http(_) => base,
        Class::Grpc(_, status) => format!("{base},{}=\"{status}\"", label::GRPC_STATUS),
        Class::Error(error) => format!("{base},{}=\"{error}\"", label::ERROR),
    }
}

fn demand(series: &Series, out: &mut Text) {
    let traffic = || series.traffic.values().map(|(side, t)| (*side, &**t));
    out.family(metric::REQUEST_ARRIVALS_TOTAL, "counter", "Requests that arrived, refused ones included");
    for (_, t) in traffic() {
        out.sample(metric::REQUEST_ARRIVALS_TOTAL, &t.labels, "", t.arrivals.get());
    }
    let in_flight: Vec<_> = traffic().map(|(_, t)| (t, t.in_flight())).collect();
    out.family(metric::REQUESTS_IN_FLIGHT, "gauge", "Requests admitted and not finished");
    for (t, (open, _)) in &in_flight {
        out.sample(metric::REQUESTS_IN_FLIGHT, &t.labels, "", open);
    }
    out.family(
        metric::REQUEST_IN_FLIGHT_SECONDS_TOTAL,
        "counter",
        "Integral of requests in flight over time",
    );
    for (t, (_, integral_ns)) in &in_flight {
        out.sample(metric::REQUEST_IN_FLIGHT_SECONDS_TOTAL, &t.labels, "", *integral_ns as f64 / 1e9);
    }
    out.family(metric::REQUEST_QUEUE_WAIT_SECONDS_TOTAL, "counter", "Time waited for an endpoint");
    for (_, t) in traffic().filter(|(side, _)| *side == Direction::Outbound) {
        out.sample(
            metric::REQUEST_QUEUE_WAIT_SECONDS_TOTAL,
            &t.labels,
            "",
            t.queue_wait_us.load(Relaxed) as f64 / 1e6,
        );
    }
    for (side, name) in [
        (Direction::Inbound, metric::INBOUND_HTTP_ERRORS_TOTAL),
        (Direction::Outbound, metric::OUTBOUND_HTTP_ERRORS_TOTAL),
    ] {
        out.family(
            name,
            "counter",
            "Requests that the proxy answered itself, or whose client left, by cause",
        );
        for (_, t) in traffic().filter(|(s, _)| *s == side) {
            for (cause, count) in Cause::ALL.iter().zip(&t.errors) {
                let error = format!("{}={}", label::ERROR, quoted(cause.as_str()));
                out.sample(name, &t.labels, &error, count.load(Relaxed));
            }
        }
    }
    out.family(
        metric::OUTBOUND_HTTP_ROUTE_RETRY_REQUESTS_TOTAL,
        "counter",
        "Requests sent again after an attempt that failed",
    );
    for (_, t) in traffic().filter(|(side, _)| *side == Direction::Outbound) {
        out.sample(metric::OUTBOUND_HTTP_ROUTE_RETRY_REQUESTS_TOTAL, &t.labels, "", t.retries.load(Relaxed));
    }
    out.family(
        metric::OUTBOUND_HTTP_BALANCER_ENDPOINTS,
        "gauge",
        "Endpoints known, pending while a breaker has them out",
    );
    for (authority, d) in &series.discovery {
        // Endpoints that left may still finish requests, so that more can be out than are known.
        let out_now = series.balancers.get(authority).map_or(0, |p| p.out() as usize).min(d.endpoints);
        for (state, count) in [("ready", d.endpoints - out_now), ("pending", out_now)] {
            let state = format!("{}=\"{state}\"", label::ENDPOINT_STATE);
            let labels = authority_label(authority);
            out.sample(metric::OUTBOUND_HTTP_BALANCER_ENDPOINTS, &labels, &state, count);
        }
    }
    out.family(metric::DISCOVERY_STALE, "gauge", "1 while the endpoints are the last known ones");
    for (authority, d) in &series.discovery {
        out.sample(metric::DISCOVERY_STALE, &authority_label(authority), "", u8::from(d.stale));
    }
}

fn transports(series: &Series, out: &mut Text) {
    let all = || series.transports.values();
    out.family(metric::TCP_OPEN_TOTAL, "counter", "Connections opened");
    all().for_each(|t| out.sample(metric::TCP_OPEN_TOTAL, &t.labels, "", t.opened.load(Relaxed)));
    out.family(metric::TCP_OPEN_CONNECTIONS, "gauge", "Connections open now");
    all().for_each(|t| out.sample(metric::TCP_OPEN_CONNECTIONS, &t.labels, "", t.open_now()));
    out.family(metric::TCP_CLOSE_TOTAL, "counter", "Connections closed");
    all().for_each(|t| out.sample(metric::TCP_CLOSE_TOTAL, &t.labels, "", t.closed.load(Relaxed)));
    out.family(metric::TCP_READ_BYTES_TOTAL, "counter", "Bytes read");
    all().for_each(|t| out.sample(metric::TCP_READ_BYTES_TOTAL, &t.labels, "", t.read_bytes.get()));
    out.family(metric::TCP_WRITE_BYTES_TOTAL, "counter", "Bytes written");
    all().for_each(|t| out.sample(metric::TCP_WRITE_BYTES_TOTAL, &t.labels, "", t.written_bytes.get()));
}

struct Text {
    out: String,
    openmetrics: bool,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // OpenMetrics announces a counter without the suffix that its samples carry.
        let name = if self.openmetrics { name.strip_suffix("_total").unwrap_or(name) } else { name };
        self.line(format_args!("# HELP {name} {help}."));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, more: &str, value: impl Display) {
        self.sample_of(name, "", labels, more, value);
    }

    fn sample_of(&mut self, name: &str, suffix: &str, labels: &str, more: &str, value: impl Display) {
        let comma = if labels.is_empty() || more.is_empty() { "" } else { "," };
        let (open, close) = if labels.is_empty() && more.is_empty() { ("", "") } else { ("{", "}") };
        self.line(format_args!("{name}{suffix}{open}{labels}{comma}{more}{close} {value}"));
    }

    /// OpenMetrics wants a bound to be a float.
    fn bound(&self, ms: u64) -> String {
        if self.openmetrics { format!("{ms}.0") } else { ms.to_string() }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = self.out.write_fmt(line);
        self.out.push('\n');
    }
}
