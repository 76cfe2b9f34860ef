//! What is asked of each target, and which answers are well. Pure.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use percent_encoding::percent_decode_str;
use thanos_model::http_url;

use crate::tls::Tls;

/// As each request names its sender, unless told.
const AGENT: &str = concat!("gauntlet/", env!("CARGO_PKG_VERSION"));

/// Fields that follow from the request and its connection, and would contradict them.
const NOT_TO_SET: [HeaderName; 4] = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE];

/// One request, sent to each target in turn. Redirects are answers, and are not followed.
#[derive(Clone, Debug)]
pub struct Request {
    /// Any but CONNECT.
    pub method: Method,
    /// Beside Host, User-Agent and, for a URL with a user, Authorization, which they replace.
    pub headers: HeaderMap,
    /// Sent each time; empty for none.
    pub body: Bytes,
    /// Answers that are well.
    pub ok: Statuses,
    /// Longest wait for a name, a connection and TLS together; a request's own timeout unless told.
    pub connect_timeout: Option<Duration>,
    /// Whether connections are used again.
    pub keep_alive: bool,
    /// HTTP/2 alone: by prior knowledge, with TLS by ALPN.
    pub http2: bool,
    /// How `https` targets are trusted; without it these fail.
    pub tls: Option<Tls>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: Method::GET,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            ok: Statuses::default(),
            connect_timeout: None,
            keep_alive: true,
            http2: false,
            tls: None,
        }
    }
}

/// A set of statuses. As text: `200..399,404`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Whether this status is one of them.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// 2xx and 3xx.
impl Default for Statuses {
    fn default() -> Self {
        Self(vec![200..=399])
    }
}

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |part: &str, why: &str| format!("{part:?} {why} (write 200..399, 404, or 200..299,404)");
        let status = |part: &str| match part.trim().parse::<u16>() {
            Ok(status) if (100..=999).contains(&status) => Ok(status),
            _ => Err(bad(part, "is no status from 100 to 999")),
        };
        let range = |part: &str| {
            let (from, to) = part.split_once("..").unwrap_or((part, part));
            // Rust's form of "up to and with".
            let (from, to) = (status(from)?, status(to.strip_prefix('=').unwrap_or(to))?);
            if from > to { Err(bad(part, "has its larger status first")) } else { Ok(from..=to) }
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.0.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let (from, to) = (range.start(), range.end());
            if from == to { write!(f, "{comma}{from}")? } else { write!(f, "{comma}{from}..{to}")? }
        }
        Ok(())
    }
}

/// Reads a field as curl and hey take it: `Name: value`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) =
        text.split_once(':').ok_or_else(|| format!("{text:?} has no colon (write 'Name: value')"))?;
    let name: HeaderName =
        name.trim().parse().map_err(|_| format!("{name:?} is no name of a field (write 'Name: value')"))?;
    if NOT_TO_SET.contains(&name) {
        let cure =
            if name == CONNECTION { "; for a connection per request there is --no-keepalive" } else { "" };
        return Err(format!("{name} follows from the request and cannot be set{cure}"));
    }
    let value = HeaderValue::from_bytes(value.trim().as_bytes())
        .map_err(|_| format!("{text:?}: a field's value is one line"))?;
    Ok((name, value))
}

/// Reads a URL that load can be sent to.
///
/// # Errors
/// What is wrong with it.
pub fn parse_url(text: &str) -> Result<Uri, String> {
    let form = "write http://HOST[:PORT]/PATH or https://…";
    let uri: Uri = match text.parse() {
        Ok(uri) => uri,
        Err(_) if !text.contains("://") => return Err(format!("it has no scheme: {form}")),
        Err(e) => return Err(format!("{e}: {form}")),
    };
    check_url(&uri).map_err(|e| format!("{e}: {form}"))?;
    Ok(uri)
}

/// Whether load can be sent there.
///
/// # Errors
/// Why not.
pub(crate) fn check_url(uri: &Uri) -> Result<(), String> {
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(other) => return Err(format!("{other:?} is neither http nor https")),
        None => return Err("it has no scheme".into()),
    }
    let authority = uri.authority().ok_or("it has no host")?;
    let host = authority.host();
    if host.is_empty() {
        return Err("it has no host".into());
    }
    let after_host = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, rest)| rest);
    match after_host.get(host.len()..).unwrap_or_default() {
        "" => Ok(()),
        port => match port.trim_start_matches(':').parse::<u16>() {
            Ok(1..) => Ok(()),
            _ => Err(format!("{port:?} is no port from 1 to 65535")),
        },
    }
}

/// A target's address and what is sent there, made once.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) https: bool,
    pub(crate) method: Method,
    /// For HTTP/1 the path alone, for HTTP/2 the whole URL.
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Parts {
    /// For these targets; whoever's URL is none finds no host.
    pub(crate) fn new(target: &Uri, request: &Request) -> Self {
        let https = target.scheme() == Some(&Scheme::HTTPS);
        let authority = target.authority();
        let whole = authority.map_or("", Authority::as_str);
        let (user, host_and_port) =
            whole.rsplit_once('@').map_or((None, whole), |(user, rest)| (Some(user), rest));
        let host = target.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = target.port_u16().unwrap_or(if https { 443 } else { 80 });

        let mut headers = HeaderMap::new();
        let named = request.headers.get(HOST).cloned();
        if let Some(name) = named.clone().or_else(|| HeaderValue::from_str(host_and_port).ok())
            && !request.http2
        {
            headers.insert(HOST, name);
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(value) = user.and_then(basic) {
            headers.insert(AUTHORIZATION, value);
        }
        if !request.keep_alive && !request.http2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        for name in request.headers.keys().filter(|name| *name != HOST) {
            headers.remove(name);
            for value in request.headers.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        let path = target.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let uri = if request.http2 {
            let authority = named.and_then(|n| n.to_str().ok()?.parse().ok());
            absolute(target, authority.or_else(|| host_and_port.parse().ok()), path)
        } else {
            path.into()
        };
        Self { host, port, https, method: request.method.clone(), uri, headers }
    }

    /// Whether sending it twice does what sending it once does (RFC 9110 §9.2.2).
    pub(crate) fn idempotent(&self) -> bool {
        self.method.is_idempotent()
    }
}

fn absolute(target: &Uri, authority: Option<Authority>, path: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = target.scheme().cloned();
    parts.authority = authority;
    parts.path_and_query = Some(path);
    // Scheme, authority and path are all there, of a URL that was one.
    Uri::from_parts(parts).unwrap_or_else(|_| target.clone())
}

/// `USER[:PASSWORD]` of a URL, percent-decoded, as RFC 7617 sends it.
fn basic(user: &str) -> Option<HeaderValue> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut credentials: Vec<u8> = percent_decode_str(name).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(password));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A URL as it is shown: without passwords and tokens.
pub(crate) fn shown(uri: &Uri) -> String {
    http_url::without_secrets(&uri.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_as_text() {
        for (text, well, not) in [
            ("200..399", &[200, 204, 302, 399][..], &[199, 400, 404, 429, 500][..]),
            ("200..399,404", &[200, 404], &[403, 405]),
            ("404", &[404], &[200]),
            ("200..=299, 304", &[299, 304], &[300]),
        ] {
            let statuses: Statuses = text.parse().unwrap();
            assert!(well.iter().all(|s| statuses.contains(*s)), "{text}");
            assert!(!not.iter().any(|s| statuses.contains(*s)), "{text}");
            assert_eq!(statuses.to_string().parse::<Statuses>().unwrap(), statuses);
        }
        assert_eq!(Statuses::default(), "200..399".parse().unwrap());
        for text in ["", "2xx", "200-299", "399..200", "20", "200,", "1000", "..", "-1"] {
            assert!(text.parse::<Statuses>().unwrap_err().contains("write 200..399"), "{text}");
        }
    }

    #[test]
    fn urls_that_cannot_be_asked_say_why() {
        for text in [
            "http://h",
            "http://h/",
            "http://h?q=1",
            "http://h:1/p?q",
            "https://h",
            "http://[::1]:8/",
            "http://u:p@h:80/",
            "http://[::1]",
            "http://u@[fe80::1]:443/x",
        ] {
            parse_url(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
        for (text, want) in [
            ("localhost:8080", "scheme"),
            ("localhost:8080/x", "scheme"),
            ("/x", "no scheme"),
            ("ftp://h/", "neither http nor https"),
            ("http://", "HOST"),
            ("http:///x", "HOST"),
            ("http://h:0/", "no port from 1"),
            ("http://h:99999/", "HOST"),
            ("http://h:x/", "HOST"),
            ("http://h/a b", "HOST"),
            ("", "HOST"),
        ] {
            let error = parse_url(text).unwrap_err();
            assert!(error.contains(want) && error.contains("write http://HOST"), "{text:?}: {error}");
        }
    }

    #[test]
    fn fields_are_read_as_curl_reads_them() {
        for (text, name, value) in [
            ("Accept: text/html", "accept", "text/html"),
            ("x-empty:", "x-empty", ""),
            ("X:a:b", "x", "a:b"),
            ("cookie:  a=1; b=2 ", "cookie", "a=1; b=2"),
        ] {
            assert_eq!(parse_header(text).unwrap(), (name.parse().unwrap(), value.parse().unwrap()));
        }
        for (text, want) in [
            ("Accept", "no colon"),
            (": x", "no name of a field"),
            ("a b: x", "no name of a field"),
            ("x: a\nb: c", "one line"),
            ("Content-Length: 5", "content-length follows"),
            ("transfer-encoding: chunked", "transfer-encoding follows"),
            ("Connection: close", "--no-keepalive"),
        ] {
            let error = parse_header(text).unwrap_err();
            assert!(error.contains(want), "{text:?}: {error}");
        }
    }

    fn parts(url: &str, request: &Request) -> (String, u16, String, Vec<String>) {
        let p = Parts::new(&url.parse().unwrap(), request);
        let shown = |(n, v): (&HeaderName, &HeaderValue)| format!("{n}: {}", v.to_str().unwrap());
        (p.host.clone(), p.port, p.uri.to_string(), p.headers.iter().map(shown).collect())
    }

    #[test]
    fn a_target_s_user_goes_into_authorization_and_never_into_host() {
        let agent = format!("user-agent: {AGENT}");
        for (url, host, port, path, fields) in [
            ("http://h/", "h", 80, "/", vec!["host: h"]),
            ("http://h:8080/a?b=c", "h", 8080, "/a?b=c", vec!["host: h:8080"]),
            ("https://h", "h", 443, "/", vec!["host: h"]),
            ("http://h?q", "h", 80, "/?q", vec!["host: h"]),
            ("http://[::1]:8080/x", "::1", 8080, "/x", vec!["host: [::1]:8080"]),
            ("http://user:pw@h:81/", "h", 81, "/", vec!["host: h:81", "authorization: Basic dXNlcjpwdw=="]),
            ("http://user@h/", "h", 80, "/", vec!["host: h", "authorization: Basic dXNlcjo="]),
            // "ü:a@b:c" with all that a URL must encode.
            (
                "http://%C3%BC:a%40b%3Ac@h/",
                "h",
                80,
                "/",
                vec!["host: h", "authorization: Basic w7w6YUBiOmM="],
            ),
        ] {
            let (h, p, u, mut f) = parts(url, &Request::default());
            assert_eq!((h.as_str(), p, u.as_str()), (host, port, path), "{url}");
            assert_eq!(f.remove(1), agent);
            assert_eq!(f, fields, "{url}");
        }
    }

    #[test]
    fn fields_that_are_told_replace_ours_and_may_come_several_times() {
        let mut request = Request::default();
        for text in ["Host: other", "user-agent: me", "authorization: Bearer x", "cookie: a", "cookie: b"] {
            let (name, value) = parse_header(text).unwrap();
            request.headers.append(name, value);
        }
        let (_, _, uri, mut fields) = parts("http://u:p@h/x", &request);
        fields.sort();
        assert_eq!(uri, "/x");
        assert_eq!(
            fields,
            ["authorization: Bearer x", "cookie: a", "cookie: b", "host: other", "user-agent: me"]
        );
        request.http2 = true;
        let (_, _, uri, fields) = parts("http://u:p@h/x", &request);
        assert_eq!(uri, "http://other/x");
        assert!(!fields.iter().any(|f| f.starts_with("host")), "{fields:?}");
        request.headers.clear();
        assert_eq!(parts("https://u:p@h:8443?q", &request).2, "https://h:8443/?q");
    }

    #[test]
    fn passwords_are_not_shown() {
        for (url, want) in [("http://u:p@h/x", "http://h/x"), ("http://h/x@y", "http://h/x@y")] {
            assert_eq!(shown(&url.parse().unwrap()), want);
        }
    }
}
