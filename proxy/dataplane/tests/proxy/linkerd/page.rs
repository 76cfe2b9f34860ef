//! The page that a linkerd2-proxy would have shown for known traffic, of the two eras whose queries are about.
//!
//! Written from the format alone (linkerd2-proxy `linkerd/app/core/src/metrics.rs`, `transport/labels.rs`,
//! `linkerd/http/metrics/src/requests/report.rs`; stable-2.3.0 `src/app/metric_labels.rs`), without a name or a
//! bound of ours, so that neither side's mistake can hide in the other.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

/// Upper bounds in ms.
const BOUNDS: &str =
    "1 2 3 4 5 10 20 30 40 50 100 200 300 400 500 1000 2000 3000 4000 5000 10000 20000 30000 40000 50000";

/// Whose format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// stable-2.3.0 with identity disabled, which is as plain as our proxies are.
    Stable23,
    /// 2026's, in a mesh where all is mTLS.
    Now,
}

/// What one proxy saw of one target.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'a> {
    /// `inbound` or `outbound`.
    pub(crate) direction: &'a str,
    /// The service's name, with its port unless that is 80.
    pub(crate) authority: &'a str,
    pub(crate) target: SocketAddr,
    /// What the control plane says of an outbound endpoint.
    pub(crate) dst: Vec<(&'a str, String)>,
    pub(crate) responses: Vec<Response>,
}

/// How one request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Response {
    /// `None`: the connection broke before.
    pub(crate) status: Option<u16>,
    pub(crate) success: bool,
    pub(crate) grpc_status: Option<u8>,
    pub(crate) latency_ms: u64,
}

impl Era {
    /// The page.
    pub(crate) fn page(self, all: &[Seen<'_>]) -> String {
        let mut out = String::new();
        let mut line = |line: String| writeln!(out, "{line}").unwrap();
        line("# HELP request_total Requests.".into());
        line("# TYPE request_total counter".into());
        for seen in all {
            line(format!("request_total{{{}}} {}", self.labels(seen), seen.responses.len()));
        }
        line("# HELP response_latency_ms Latency.".into());
        line("# TYPE response_latency_ms histogram".into());
        for seen in all {
            for (status, responses) in by(seen, |r| status(r.status)) {
                let labels = format!("{}{status}", self.labels(seen));
                histogram(&labels, &responses, &mut line);
            }
        }
        line("# HELP response_total Responses.".into());
        line("# TYPE response_total counter".into());
        for seen in all {
            for (labels, responses) in by(seen, |r| format!("{},{}", status(r.status), self.class(r))) {
                line(format!("response_total{{{}{labels}}} {}", self.labels(seen), responses.len()));
            }
        }
        out
    }

    fn labels(self, seen: &Seen<'_>) -> String {
        let Seen { direction, authority, target, .. } = seen;
        let dst: String = seen.dst.iter().map(|(n, v)| format!("dst_{n}=\"{v}\",")).collect();
        if self == Self::Stable23 {
            return format!("authority=\"{authority}\",direction=\"{direction}\",{dst}tls=\"disabled\"");
        }
        let (ip, port) = (target.ip(), target.port());
        let target =
            format!("target_addr=\"{target}\",target_ip=\"{ip}\",target_port=\"{port}\",tls=\"true\"");
        let identity = "default.serviceaccount.identity.linkerd.cluster.local";
        if *direction == "inbound" {
            return format!(
                "direction=\"inbound\",{target},client_id=\"front.{identity}\",\
                 srv_group=\"\",srv_kind=\"default\",srv_name=\"all-unauthenticated\",srv_port=\"{port}\",\
                 route_group=\"\",route_kind=\"default\",route_name=\"default\",\
                 authz_group=\"\",authz_kind=\"default\",authz_name=\"all-unauthenticated\""
            );
        }
        let dst = dst.trim_end_matches(',');
        format!(
            "direction=\"outbound\",authority=\"{authority}\",{target},server_id=\"web.{identity}\",{dst}"
        )
    }

    fn class(self, response: &Response) -> String {
        let class = if response.success { "success" } else { "failure" };
        let grpc = response.grpc_status.map(|s| s.to_string());
        let error = response.status.is_none().then(|| "unclassified".to_owned());
        let label = |name: &str, value: Option<String>| match (self, value) {
            // What is not so is written as an empty label, which PromQL cannot tell from none.
            (Self::Now, value) => format!(",{name}=\"{}\"", value.unwrap_or_default()),
            (Self::Stable23, Some(value)) => format!(",{name}=\"{value}\""),
            (Self::Stable23, None) => String::new(),
        };
        format!("classification=\"{class}\"{}{}", label("grpc_status", grpc), label("error", error))
    }
}

fn status(status: Option<u16>) -> String {
    status.map_or(String::new(), |s| format!(",status_code=\"{s}\""))
}

/// Responses by labels.
fn by(seen: &Seen<'_>, labels: impl Fn(&Response) -> String) -> BTreeMap<String, Vec<Response>> {
    let mut all: BTreeMap<String, Vec<Response>> = BTreeMap::new();
    for response in &seen.responses {
        all.entry(labels(response)).or_default().push(*response);
    }
    all
}

/// One without a status counts nothing, and is there.
fn histogram(labels: &str, responses: &[Response], line: &mut impl FnMut(String)) {
    let answered: Vec<u64> = responses.iter().filter(|r| r.status.is_some()).map(|r| r.latency_ms).collect();
    for le in BOUNDS.split(' ') {
        let bound: u64 = le.parse().unwrap();
        let count = answered.iter().filter(|ms| **ms <= bound).count();
        line(format!("response_latency_ms_bucket{{{labels},le=\"{le}\"}} {count}"));
    }
    line(format!("response_latency_ms_bucket{{{labels},le=\"+Inf\"}} {}", answered.len()));
    line(format!("response_latency_ms_count{{{labels}}} {}", answered.len()));
    line(format!("response_latency_ms_sum{{{labels}}} {}", answered.iter().sum::<u64>()));
}
