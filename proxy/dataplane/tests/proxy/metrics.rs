//! What a scrape of a real proxy reads.

use std::time::Duration;

use http::StatusCode;
use proxy_api::metric;

use crate::support::*;

#[tokio::test]
async fn inbound_numbers_are_right() {
    let app = App::start(|r: http::Request<hyper::body::Incoming>| async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let mut response = text("body");
        if r.uri().path() == "/fail" {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        response
    })
    .await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let client = h1();
    for path in ["/", "/", "/", "/fail"] {
        send(&client, get(proxy.inbound(), "web", path)).await;
    }
    let m = proxy.metrics_when(|m| m.sum("response_total", &[]) == 4.0).await;
    let target = format!(
        r#"direction="inbound",target_addr="{0}",target_ip="127.0.0.1",target_port="{1}",tls="disabled""#,
        app.addr,
        app.addr.port()
    );
    assert_eq!(m.sum("request_total", &[&format!("{{{target}}}")]), 4.0);
    let total = |more: &str| m.sum("response_total", &[&format!("{{{target},{more}}}")]);
    assert_eq!(total(r#"status_code="200",classification="success""#), 3.0);
    assert_eq!(total(r#"status_code="500",classification="failure""#), 1.0);
    let bucket = |le: &str| {
        m.sum("response_latency_ms_bucket", &[&format!("{{{target},status_code=\"200\",le=\"{le}\"}}")])
    };
    assert_eq!((bucket("50"), bucket("50000")), (0.0, 3.0));
    assert!(m.sum("response_latency_ms_sum", &[r#"status_code="200""#]) >= 180.0);
    assert_eq!(m.sum("response_latency_ms_count", &[]), 4.0);
    assert_eq!(m.sum("request_arrivals_total", &[]), 4.0);
    assert_eq!(m.sum("requests_in_flight", &[]), 0.0);
    let integral = m.sum("request_in_flight_seconds_total", &[]);
    assert!((0.24..4.0).contains(&integral), "{integral}");
    // One client connection, one to the app, both still open.
    for peer in ["src", "dst"] {
        let peer = format!("peer=\"{peer}\"");
        assert_eq!(m.sum("tcp_open_total", &[&peer]), 1.0);
        assert_eq!(m.sum("tcp_open_connections", &[&peer]), 1.0);
        assert!(m.sum("tcp_read_bytes_total", &[&peer]) > 100.0);
    }
    drop(client);
    proxy.metrics_when(|m| m.sum("tcp_open_connections", &[r#"peer="src""#]) == 0.0).await;
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_and_holds_nothing() {
    let app = App::start(|_| std::future::pending()).await;
    let proxy = Proxy::inbound_to(app.addr, "").await;
    let addr = proxy.inbound();
    let request = tokio::spawn(async move { send(&h1(), get(addr, "web", "/")).await });
    proxy.metrics_when(|m| m.sum("requests_in_flight", &[]) == 1.0).await;
    request.abort();
    let m = proxy.metrics_when(|m| m.sum("requests_in_flight", &[]) == 0.0).await;
    assert_eq!(m.sum("inbound_http_errors_total", &[r#"error="canceled""#]), 1.0);
    proxy.metrics_when(|m| m.sum("tcp_open_connections", &[r#"peer="dst""#]) == 0.0).await;
}

#[tokio::test]
async fn every_family_is_announced_and_every_line_parses() {
    let app = App::named("a").await;
    let flags =
        format!("--inbound-listen {{ip}}:4143 --inbound-forward {} --outbound-listen {{ip}}:4140", app.addr);
    let proxy = Proxy::start(&flags).await;
    send(&h1(), get(proxy.inbound(), "web", "/")).await;
    send(&h1(), get(proxy.outbound(), &app.addr.to_string(), "/")).await;
    let text = proxy.metrics().await.0;
    for name in metric::ALL {
        let kinds = text.lines().filter(|l| l.starts_with(&format!("# TYPE {name} "))).count();
        assert_eq!(kinds, 1, "{name}");
    }
    let label = r#"[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*""#;
    let sample =
        format!(r"^[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{{{label}(?:,{label})*\}})? -?[0-9.]+(?:e-?[0-9]+)?$");
    let comment = "^# (?:HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* .+$";
    let (sample, comment) = (regex::Regex::new(&sample).unwrap(), regex::Regex::new(comment).unwrap());
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        assert!(sample.is_match(line) || comment.is_match(line), "{line:?}");
        assert!(line.starts_with('#') || seen.insert(line.rsplit_once(' ').unwrap().0), "twice: {line:?}");
    }
}

#[tokio::test]
async fn admin_answers() {
    let proxy = Proxy::outbound_with("").await;
    for (path, status) in
        [("/live", 200), ("/ready", 200), ("/-/healthy", 200), ("/-/ready", 200), ("/nothing", 404)]
    {
        assert_eq!(proxy.admin_get(path).await.unwrap().0.as_u16(), status, "{path}");
    }
}
