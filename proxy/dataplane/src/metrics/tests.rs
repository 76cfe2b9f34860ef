use super::*;
use proxy_core::classify::{Class, Outcome, StreamError};
use std::time::Duration;

fn addr() -> SocketAddr {
    "127.0.0.1:8080".parse().unwrap()
}

/// The value of the sample whose name and labels are exactly these.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|l| l.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

fn text(registry: &Registry) -> String {
    registry.encode(None).1
}

const IN: &str = r#"direction="inbound",target_addr="127.0.0.1:8080",target_ip="127.0.0.1",target_port="8080",tls="disabled""#;

#[test]
fn samples_are_linkerds() {
    let registry = Registry::default();
    let target = registry.inbound_target(addr());
    for us in [900, 1_000, 1_001, 60_000_000] {
        target.request(0);
        target.latency(200, us);
        target.response(Some(200), Class::Http(Outcome::Success));
    }
    target.response(Some(200), Class::Grpc(Outcome::Failure, 14));
    target.response(None, Class::Error(StreamError::H2(8)));
    let text = text(&registry);
    let v = |sample: String| value(&text, &sample).unwrap_or_else(|| panic!("no {sample} in\n{text}"));
    assert_eq!(v(format!("request_total{{{IN}}}")), 4.0);
    assert_eq!(v(format!(r#"response_total{{{IN},status_code="200",classification="success"}}"#)), 4.0);
    let grpc =
        format!(r#"response_total{{{IN},status_code="200",classification="failure",grpc_status="14"}}"#);
    assert_eq!(v(grpc), 1.0);
    assert_eq!(v(format!(r#"response_total{{{IN},classification="failure",error="h2(CANCEL)"}}"#)), 1.0);
    let bucket = |le: &str| v(format!(r#"response_latency_ms_bucket{{{IN},status_code="200",le="{le}"}}"#));
    // A bound belongs to its bucket.
    assert_eq!([bucket("1"), bucket("2"), bucket("50000"), bucket("+Inf")], [2.0, 3.0, 3.0, 4.0]);
    assert_eq!(v(format!(r#"response_latency_ms_sum{{{IN},status_code="200"}}"#)), 60_002.901);
    assert_eq!(v(format!(r#"response_latency_ms_count{{{IN},status_code="200"}}"#)), 4.0);
    let buckets = text.lines().filter(|l| l.starts_with("response_latency_ms_bucket")).count();
    assert_eq!(buckets, 26);
}

#[tokio::test(start_paused = true)]
async fn in_flight_is_integrated_exactly() {
    let registry = Registry::default();
    let traffic = registry.inbound_traffic(addr());
    let first = traffic.admit();
    tokio::time::advance(Duration::from_millis(1_500)).await;
    let second = traffic.admit_below(2).unwrap();
    assert!(traffic.admit_below(2).is_none());
    tokio::time::advance(Duration::from_millis(500)).await;
    drop(first);
    tokio::time::advance(Duration::from_secs(1)).await;
    let text = text(&registry);
    assert_eq!(value(&text, &format!("requests_in_flight{{{IN}}}")), Some(1.0));
    // 1 for 1.5 s, 2 for 0.5 s, 1 for 1 s.
    assert_eq!(value(&text, &format!("request_in_flight_seconds_total{{{IN}}}")), Some(3.5));
    drop(second);
    assert_eq!(traffic.in_flight(), (0, 3_500_000_000));
}

#[tokio::test(start_paused = true)]
async fn idle_targets_are_forgotten_and_used_ones_kept() {
    let registry = Registry::default();
    let (kept, dropped) = (
        registry.outbound_target("a:81", addr(), &BTreeMap::new()),
        registry.outbound_target("b:81", addr(), &BTreeMap::new()),
    );
    dropped.request(registry.now_ms());
    drop(dropped);
    tokio::time::advance(IDLE - Duration::from_millis(1)).await;
    assert!(text(&registry).contains(r#"authority="b:81""#));
    tokio::time::advance(Duration::from_secs(2)).await;
    // Written once more, then forgotten.
    text(&registry);
    let text = text(&registry);
    assert!(text.contains(r#"authority="a:81""#) && !text.contains(r#"authority="b:81""#));
    drop(kept);
}

#[test]
fn authorities_beyond_the_limit_share_one_series() {
    let registry = Registry::default();
    let all: Vec<_> = (0..SERIES_MAX + 50)
        .map(|i| registry.outbound_target(&format!("s{i}:80"), addr(), &BTreeMap::new()))
        .collect();
    all.iter().for_each(|t| t.request(0));
    let text = text(&registry);
    assert_eq!(
        value(&text, r#"request_total{direction="outbound",authority="overflow",tls="disabled"}"#),
        Some(50.0)
    );
    assert_eq!(text.lines().filter(|l| l.starts_with("request_total{")).count(), SERIES_MAX + 1);
}

#[test]
fn an_app_cannot_grow_us_by_inventing_statuses() {
    let registry = Registry::default();
    let target = registry.inbound_target(addr());
    for status in 100..999 {
        target.latency(status, 1);
        target.response(Some(status), Class::Http(Outcome::Success));
    }
    let lines = text(&registry).lines().filter(|l| l.starts_with("response_total")).count();
    assert_eq!(lines, 65);
}

#[test]
fn labels_are_escaped_and_renamed() {
    let registry = Registry::default();
    let dst = BTreeMap::from([("app.kubernetes.io/name".to_owned(), "a\"b\\c\nd".to_owned())]);
    registry.outbound_target("web:80", addr(), &dst);
    let text = text(&registry);
    assert!(text.contains(r#"dst_app_kubernetes_io_name="a\"b\\c\nd"} 0"#), "{text}");
}

#[test]
fn an_authority_leaves_out_http_s_own_port_as_linkerd_does() {
    let registry = Registry::default();
    for (asked, shown) in [("web.ns:80", "web.ns"), ("web.ns:8080", "web.ns:8080"), ("[::1]:80", "[::1]")] {
        let _traffic = registry.outbound_traffic(asked);
        registry.outbound_target(asked, addr(), &BTreeMap::new());
        registry.discovery(asked, Some(Discovery::default()));
        let (text, shown) = (text(&registry), format!("authority=\"{shown}\","));
        for name in ["request_total{", "request_arrivals_total{", "outbound_http_balancer_endpoints{"] {
            let found = text.lines().any(|l| l.starts_with(name) && l.contains(&shown));
            assert!(found, "{name} {shown}\n{text}");
        }
    }
}

#[test]
fn openmetrics_announces_counters_without_total() {
    let registry = Registry::default();
    registry.inbound_target(addr()).latency(200, 1);
    let (kind, text) = registry.encode(Some("application/openmetrics-text; version=1.0.0"));
    assert!(kind.starts_with("application/openmetrics-text"));
    assert!(text.contains("# TYPE request counter\n") && text.contains("\nrequest_total{"));
    assert!(text.contains(r#"le="1.0"} 1"#) && text.ends_with("# EOF\n"));
}
