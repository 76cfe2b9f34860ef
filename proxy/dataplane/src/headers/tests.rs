use super::*;
use crate::message::Role::{Inbound, Outbound};
use bytes::Bytes;
use http_body_util::Empty;
use proptest::prelude::*;

fn request(version: Version, target: &str, headers: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::builder().version(version).uri(target).body(Empty::new()).unwrap();
    for (name, value) in headers {
        request
            .headers_mut()
            .append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    request
}

#[test]
fn targets_and_authorities() {
    const H1: Version = Version::HTTP_11;
    const H2: Version = Version::HTTP_2;
    // (role, version, target, Host) → (authority, target sent on, Host sent on)
    let table = [
        (Inbound, H1, "/a?b", Some("web:80"), Some("web:80"), "/a?b", Some("web:80")),
        (Outbound, H1, "http://web/a", Some("other"), Some("web"), "/a", Some("web")),
        (Outbound, H1, "http://web", Some("web"), Some("web"), "/", Some("web")),
        (Inbound, H1, "http://web/a?b", Some("other"), Some("web"), "http://web/a?b", Some("web")),
        (Inbound, H1, "/a", Some(""), None, "/a", Some("")),
        (Outbound, Version::HTTP_10, "/a", None, None, "/a", Some("")),
        (Inbound, H2, "http://web/a", None, Some("web"), "http://web/a", None),
        (Outbound, H2, "/a", Some("web"), Some("web"), "http://web/a", None),
        (Outbound, H2, "http://web:80/a", Some("Web"), Some("web:80"), "http://web:80/a", None),
        (Outbound, H2, "http://web/a", Some("web:80"), Some("web"), "http://web/a", None),
    ];
    for (role, version, target, host, authority, sent, sent_host) in table {
        let headers: Vec<_> = host.iter().map(|h| ("host", *h)).collect();
        let mut r = request(version, target, &headers);
        let got = prepare(&mut r, role).unwrap();
        assert_eq!(got.as_ref().map(Authority::as_str), authority, "{target} {host:?}");
        assert_eq!(r.uri().to_string(), sent);
        assert_eq!(r.headers().get(HOST).map(|h| h.to_str().unwrap()), sent_host, "{target} {host:?}");
    }
}

#[test]
fn refused() {
    /// Version, target, header fields, part of the reason.
    type Case = (Version, &'static str, &'static [(&'static str, &'static str)], &'static str);
    let table: [Case; 11] = [
        (Version::HTTP_11, "/", &[], "Host"),
        (Version::HTTP_11, "/", &[("host", "a"), ("host", "a")], "more than one"),
        (Version::HTTP_11, "/", &[("host", "a b")], "not a host"),
        (Version::HTTP_11, "/", &[("host", "user@a")], "user name"),
        (Version::HTTP_11, "https://a/", &[("host", "a")], "http://"),
        (Version::HTTP_11, "a", &[("host", "")], "CONNECT"),
        (Version::HTTP_11, "a:80", &[("host", "b")], "CONNECT"),
        (Version::HTTP_11, "/", &[("host", "a"), ("transfer-encoding", "gzip, chunked")], "codings"),
        (Version::HTTP_2, "http://a:81/", &[("host", "a")], "differ"),
        (Version::HTTP_2, "http://a/", &[("host", "b")], "differ"),
        (Version::HTTP_2, "/", &[], "neither"),
    ];
    for (version, target, headers, expected) in table {
        let error = prepare(&mut request(version, target, headers), Outbound).unwrap_err().to_string();
        assert!(error.contains(expected), "{target} {headers:?}: {error}");
    }
    let mut connect = request(Version::HTTP_11, "web:443", &[("host", "web:443")]);
    *connect.method_mut() = Method::CONNECT;
    for role in [Inbound, Outbound] {
        assert!(prepare(&mut connect, role).is_ok_and(|a| a.is_some_and(|a| a == "web:443")));
    }
    *connect.version_mut() = Version::HTTP_2;
    assert!(matches!(prepare(&mut connect, Outbound), Err(Refusal::Connect)));
}

#[test]
fn an_offer_of_another_protocol_is_passed_on_where_it_is_one() {
    const H1: Version = Version::HTTP_11;
    // (version, Connection, Upgrade) → Upgrade sent on
    let table = [
        (H1, "Upgrade", "websocket", Some("websocket")),
        (H1, "keep-alive, upgrade", "websocket", Some("websocket")),
        (H1, "upgrade", "h2c, TLS/1.2", Some("TLS/1.2")),
        (H1, "upgrade, http2-settings", "h2c", None),
        (H1, "keep-alive", "websocket", None),
        (Version::HTTP_10, "upgrade", "TLS/1.0", None),
        (H1, "upgrade", "", None),
    ];
    for (version, connection, upgrade, sent) in table {
        let fields = [("host", "a"), ("connection", connection), ("upgrade", upgrade)];
        let mut r = request(version, "/", &fields);
        prepare(&mut r, Inbound).unwrap();
        let got = r.headers().get(UPGRADE).map(|v| v.to_str().unwrap());
        assert_eq!(got, sent, "{version:?} {connection} {upgrade}");
        assert_eq!(r.headers().contains_key(CONNECTION), sent.is_some());
    }
}

#[test]
fn what_is_for_another_proxy_passes_and_what_is_ours_does_not() {
    let fields = [("host", "a"), ("proxy-authorization", "x"), ("l5d-client-id", "evil"), ("l5d-x", "1")];
    let mut inbound = request(Version::HTTP_11, "http://example.com/ip", &fields);
    prepare(&mut inbound, Inbound).unwrap();
    assert!(inbound.headers().contains_key(PROXY_AUTHORIZATION));
    assert!(inbound.headers().keys().all(|n| !n.as_str().starts_with("l5d-")));
    let mut outbound = request(Version::HTTP_11, "http://example.com/ip", &fields);
    prepare(&mut outbound, Outbound).unwrap();
    assert!(!outbound.headers().contains_key(PROXY_AUTHORIZATION));
}

#[test]
fn what_concerns_only_the_connection_stays_behind() {
    let mut r = request(
        Version::HTTP_11,
        "/",
        &[
            ("host", "web"),
            ("connection", "close, X-Hop"),
            ("connection", "content-length, host"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "secret"),
            ("te", "gzip, trailers"),
            ("upgrade", "h2c"),
            ("content-length", "0"),
            ("x-end", "2"),
        ],
    );
    prepare(&mut r, Outbound).unwrap();
    let mut left: Vec<_> = r.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    left.sort();
    assert_eq!(left, ["content-length: 0", "host: web", "te: trailers", "x-end: 2"]);
}

proptest! {
    #[test]
    fn any_head_is_refused_or_fit_for_the_next_hop(
        h2: bool, inbound: bool, method in "[A-Z]{1,8}", target in "(http://|https://)?[a-z0-9:@.\\[\\]/?#%-]{0,20}",
        headers in proptest::collection::vec(("(host|connection|te|upgrade|x-[a-z])", "[ -~]{0,20}"), 0..6)
    ) {
        let version = if h2 { Version::HTTP_2 } else { Version::HTTP_11 };
        let built = Request::builder().version(version).method(method.as_str()).uri(target.as_str());
        let built = built.body(Empty::<Bytes>::new());
        let Ok(mut r) = built else { return Ok(()) };
        for (name, value) in &headers {
            r.headers_mut().append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        if prepare(&mut r, if inbound { Inbound } else { Outbound }).is_ok() {
            let tunnel = r.headers().get(CONNECTION).is_some_and(|v| v == "upgrade");
            prop_assert_eq!(r.headers().contains_key(CONNECTION), tunnel);
            prop_assert_eq!(r.headers().contains_key(UPGRADE), tunnel);
            prop_assert!(h2 || inbound || r.uri().authority().is_none());
            prop_assert!(!h2 || r.uri().authority().is_some());
            prop_assert_eq!(!h2, r.headers().contains_key(HOST));
        }
    }
}
