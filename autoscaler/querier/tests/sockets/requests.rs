//! What is sent.

use std::collections::BTreeMap;

use autoscaler_core::FailureKind;
use autoscaler_querier::{Authorization, Prometheus};
use thanos_model::HttpUrl;

use crate::server::{Server, ask_source, response, source, value};

#[tokio::test]
async fn a_query_is_a_form_with_time_and_what_is_left_of_the_deadline() {
    let server = Server::start(|_| value(1.0)).await;
    let answer = ask_source(&source(&[&format!("{}/base/?dedup=false", server.url)])).await.unwrap();
    assert_eq!(answer.series[0].value, Some(1.0));
    assert_eq!(&*answer.answered_by, format!("{}/base/api/v1/query?dedup=false", server.url));
    let request = server.requests.lock()[0].clone();
    assert!(request.head.starts_with("POST /base/api/v1/query?dedup=false HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("accept-encoding"), Some("gzip"));
    assert!(request.header("user-agent").unwrap().starts_with("gauntlet-autoscaler/"));
    let fields: BTreeMap<&str, &str> = request.body.split('&').filter_map(|f| f.split_once('=')).collect();
    assert_eq!((fields["query"], fields["time"]), ("up", "1700000000.500"));
    let left: u64 = fields["timeout"].strip_suffix("ms").unwrap().parse().unwrap();
    assert!((1..=20_000).contains(&left));
}

#[tokio::test]
async fn credentials_tenant_headers_and_prefix_are_sent() {
    let server = Server::start(|_| value(1.0)).await;
    let mut s = source(&[&server.url]);
    s.path_prefix = "/prometheus/".into();
    s.tenant = Some("team-a|team-b".into());
    s.headers = vec![("X-Scope".into(), "one".into()), ("x-other".into(), "two".into())];
    let basic = Authorization::Basic { username: "user".into(), password: "pass:word".into() };
    for (authorization, sent) in [
        (Some(Authorization::Bearer("abc".into())), Some("Bearer abc")),
        (Some(basic), Some("Basic dXNlcjpwYXNzOndvcmQ=")),
        (None, None),
    ] {
        s.authorization = authorization;
        ask_source(&s).await.unwrap();
        let request = server.requests.lock().pop().unwrap();
        assert!(request.head.starts_with("POST /prometheus/api/v1/query HTTP/1.1\r\n"), "{}", request.head);
        assert_eq!(request.header("x-scope-orgid"), Some("team-a|team-b"));
        assert_eq!((request.header("x-scope"), request.header("x-other")), (Some("one"), Some("two")));
        assert_eq!(request.header("authorization"), sent);
    }
    // User info of an address does the same.
    let mut address = HttpUrl::parse(&server.url).unwrap().expose().clone();
    address.set_username("user").unwrap();
    address.set_password(Some("pass:word")).unwrap();
    ask_source(&source(&[address.as_str()])).await.unwrap();
    assert_eq!(server.requests.lock()[0].header("authorization"), Some("Basic dXNlcjpwYXNzOndvcmQ="));
}

#[tokio::test]
async fn a_proxy_is_asked_with_the_whole_address_and_its_own_credentials() {
    let proxy = Server::start(|_| value(3.0)).await;
    let mut s = source(&["http://query.monitoring.svc.cluster.local:9090"]);
    s.authorization = Some(Authorization::Bearer("for-the-querier".into()));
    s.proxy = Some(HttpUrl::parse(&format!("http://me:mine@localhost:{}", proxy.port)).unwrap());
    assert_eq!(ask_source(&s).await.unwrap().series[0].value, Some(3.0));
    let request = proxy.requests.lock()[0].clone();
    let first = "POST http://query.monitoring.svc.cluster.local:9090/api/v1/query HTTP/1.1";
    assert_eq!(request.head.lines().next(), Some(first));
    assert_eq!(request.header("proxy-authorization"), Some("Basic bWU6bWluZQ=="));
    assert_eq!(request.header("authorization"), Some("Bearer for-the-querier"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(|_| value(1.0)).await;
    let to = format!("location: {}/login?token=s3cret-s3cret\r\n", elsewhere.url);
    let server = Server::start(move |_| response("302 Found", &to, b"moved, says hunter2")).await;
    let error = ask_source(&source(&[&server.url])).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Other);
    assert!(error.message.contains(&format!("{}/login?token=…", elsewhere.url)), "{error}");
    assert!(error.message.contains("redirects are not followed"), "{error}");
    assert_eq!(elsewhere.asked(), 0);
}

#[test]
fn each_wrong_part_of_a_source_is_named_with_its_cure() {
    let with = |change: fn(&mut autoscaler_querier::Source)| {
        let mut s = source(&["http://h"]);
        change(&mut s);
        Prometheus::new(&s).unwrap_err().to_string()
    };
    for (said, expected) in [
        (with(|s| s.addresses.clear()), "addresses: there are 0; name 1 to 8"),
        (with(|s| s.addresses = vec![s.addresses[0].clone(); 9]), "addresses: there are 9"),
        (with(|s| s.path_prefix = "/a/../b".into()), "pathPrefix: is no path"),
        (with(|s| s.path_prefix = "a?b".into()), "pathPrefix: is no path"),
        (
            with(|s| s.headers = vec![("a b".into(), "x".into())]),
            "headers[0]: \"a b\" is no name of a header",
        ),
        (with(|s| s.headers = vec![("a".into(), "x\ny".into())]), "headers[0]: is not one line"),
        (
            with(|s| s.headers = vec![("a".into(), "x".into()), ("A".into(), "y".into())]),
            "headers[1]: a is there twice",
        ),
        (
            with(|s| s.headers = vec![("Host".into(), "x".into())]),
            "headers[0]: host follows from the request",
        ),
        (with(|s| s.headers = vec![("a".into(), "x".into()); 33]), "headers: there are 33"),
        (with(|s| s.tenant = Some(" ".into())), "tenant: is empty"),
        (
            with(|s| {
                s.tenant = Some("a".into());
                s.headers = vec![("X-Scope-OrgID".into(), "b".into())];
            }),
            "tenant: is among the headers too",
        ),
        (with(|s| s.authorization = Some(Authorization::Bearer("".into()))), "bearerToken: is empty"),
        (
            with(|s| s.authorization = Some(Authorization::Bearer("a\nb".into()))),
            "bearerToken: is not one line",
        ),
        (
            with(|s| {
                s.authorization = Some(Authorization::Basic { username: "a:b".into(), password: "".into() })
            }),
            "basicAuth.username: has a colon",
        ),
        (
            with(|s| {
                s.authorization = Some(Authorization::Bearer("a".into()));
                s.headers = vec![("authorization".into(), "b".into())];
            }),
            "bearerToken: is there beside a header Authorization",
        ),
        (
            with(|s| {
                s.authorization = Some(Authorization::Bearer("a".into()));
                s.addresses = vec![HttpUrl::parse("http://user:pass@h/x").unwrap()];
            }),
            "addresses[0]: http://h/x has user info beside another authorization",
        ),
        (with(|s| s.max_series = 0), "maxSeries: 0 is not from 1 to"),
        (with(|s| s.tls.ca = Some("no".into())), "tls.ca: has no certificate in PEM"),
        (with(|s| s.tls.server_name = Some("a b".into())), "tls.serverName: \"a b\" is no host name"),
        (
            with(|s| {
                s.tls.insecure_skip_verify = true;
                s.tls.ca = Some("x".into());
            }),
            "tls.insecureSkipVerify: checks nothing",
        ),
    ] {
        assert!(said.starts_with(expected), "{said}");
    }
}
