use super::*;
use proptest::prelude::*;

fn request(version: Version, target: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().version(version).uri(target).body(()).unwrap();
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
    // (version, target, Host) → (authority, target sent on, Host sent on)
    let table = [
        (H1, "/a?b", Some("web:80"), Some("web:80"), "/a?b", Some("web:80")),
        (H1, "http://web/a", Some("other"), Some("web"), "/a", Some("web")),
        (H1, "http://web", Some("web"), Some("web"), "/", Some("web")),
        (H1, "/a", Some(""), None, "/a", Some("")),
        (Version::HTTP_10, "/a", None, None, "/a", Some("")),
        (H2, "http://web/a", None, Some("web"), "http://web/a", None),
        (H2, "/a", Some("web"), Some("web"), "http://web/a", None),
    ];
    for (version, target, host, authority, sent, sent_host) in table {
        let headers: Vec<_> = host.iter().map(|h| ("host", *h)).collect();
        let mut r = request(version, target, &headers);
        let got = prepare(&mut r).unwrap();
        assert_eq!(got.as_ref().map(Authority::as_str), authority, "{target} {host:?}");
        assert_eq!(r.uri().to_string(), sent);
        assert_eq!(r.headers().get(HOST).map(|h| h.to_str().unwrap()), sent_host, "{target} {host:?}");
    }
}

#[test]
fn refused() {
    /// Version, target, header fields, part of the reason.
    type Case = (Version, &'static str, &'static [(&'static str, &'static str)], &'static str);
    let table: [Case; 10] = [
        (Version::HTTP_11, "/", &[], "Host"),
        (Version::HTTP_11, "/", &[("host", "a"), ("host", "a")], "more than one"),
        (Version::HTTP_11, "/", &[("host", "a b")], "not a host"),
        (Version::HTTP_11, "/", &[("host", "user@a")], "user name"),
        (Version::HTTP_11, "https://a/", &[("host", "a")], "http://"),
        (Version::HTTP_11, "a", &[("host", "")], "CONNECT"),
        (Version::HTTP_11, "a:80", &[("host", "b")], "CONNECT"),
        (Version::HTTP_11, "/", &[("host", "a"), ("upgrade", "websocket")], "upgrading"),
        (Version::HTTP_2, "http://a/", &[("host", "b")], "differ"),
        (Version::HTTP_2, "/", &[], "neither"),
    ];
    for (version, target, headers, expected) in table {
        let error = prepare(&mut request(version, target, headers)).unwrap_err().to_string();
        assert!(error.contains(expected), "{target} {headers:?}: {error}");
    }
    let mut connect = request(Version::HTTP_11, "web:443", &[("host", "web:443")]);
    *connect.method_mut() = Method::CONNECT;
    assert!(matches!(prepare(&mut connect), Err(Refusal::Connect)));
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
    prepare(&mut r).unwrap();
    let mut left: Vec<_> = r.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    left.sort();
    assert_eq!(left, ["content-length: 0", "host: web", "te: trailers", "x-end: 2"]);
}

proptest! {
    #[test]
    fn any_head_is_refused_or_fit_for_the_next_hop(
        h2: bool, method in "[A-Z]{1,8}", target in "(http://|https://)?[a-z0-9:@.\\[\\]/?#%-]{0,20}",
        headers in proptest::collection::vec(("(host|connection|te|upgrade|x-[a-z])", "[ -~]{0,20}"), 0..6)
    ) {
        let version = if h2 { Version::HTTP_2 } else { Version::HTTP_11 };
        let built = Request::builder().version(version).method(method.as_str()).uri(target.as_str()).body(());
        let Ok(mut r) = built else { return Ok(()) };
        for (name, value) in &headers {
            r.headers_mut().append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        if prepare(&mut r).is_ok() {
            prop_assert!(!r.headers().contains_key(CONNECTION) && !r.headers().contains_key(UPGRADE));
            prop_assert_eq!(h2, r.uri().authority().is_some());
            prop_assert_eq!(!h2, r.headers().contains_key(HOST));
        }
    }
}
