//! What a proxy must do to a message's head: hop-by-hop fields, the request target, the authority (RFC 9110 §7, RFC
//! 9112 §3, RFC 9113 §8).

use http::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};

use crate::refusal::Refusal;

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Longest authority, in bytes: a DNS name has 253, a port 6 more.
const AUTHORITY_MAX: usize = 260;

/// How a message is framed on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    H1,
    H2,
}

impl Protocol {
    pub(crate) fn of(version: Version) -> Self {
        if version == Version::HTTP_2 { Self::H2 } else { Self::H1 }
    }
}

/// Checks a request and makes it fit for the next hop. Returns the authority that it asks for, if it names one.
pub(crate) fn prepare<B>(request: &mut Request<B>) -> Result<Option<Authority>, Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let authority = authority(request)?;
    upgrade(request.headers())?;
    strip_hop_by_hop(request.headers_mut());
    match Protocol::of(request.version()) {
        Protocol::H1 => {
            // What is sent on is origin-form, whose authority is the Host field alone; the request target wins
            // over a Host field that differs (RFC 9112 §3.2.2).
            if let Some(scheme) = request.uri().scheme() {
                if *scheme != Scheme::HTTP {
                    return Err(Refusal::BadRequest("only http:// targets are forwarded"));
                }
                if let Some(value) = authority.as_ref().and_then(|a| HeaderValue::from_str(a.as_str()).ok()) {
                    request.headers_mut().insert(HOST, value);
                }
                *request.uri_mut() = origin_form(request.uri());
            } else if request.uri().authority().is_some() {
                // RFC 9112 §3.2.3; the next hop might read as Host what we did not route by.
                return Err(Refusal::BadRequest("a target of only host and port is CONNECT's"));
            }
            // A 1.0 client's framing ends here: the next hop speaks 1.1, which obliges to a Host field.
            *request.version_mut() = Version::HTTP_11;
            if !request.headers().contains_key(HOST) {
                request.headers_mut().insert(HOST, HeaderValue::from_static(""));
            }
        }
        Protocol::H2 => {
            let Some(authority) = authority.clone() else {
                return Err(Refusal::BadRequest("the request has neither :authority nor Host"));
            };
            let mut parts = std::mem::take(request.uri_mut()).into_parts();
            parts.scheme = Some(Scheme::HTTP);
            parts.authority = Some(authority);
            parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
            *request.uri_mut() =
                Uri::from_parts(parts).map_err(|_| Refusal::BadRequest("the request target is not valid"))?;
            request.headers_mut().remove(HOST);
        }
    }
    Ok(authority)
}

/// Removes what concerned only the connection that the message came by.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .filter_map(|token| token.trim().parse().ok())
            .collect();
        headers.remove(CONNECTION);
        for name in named.iter().filter(|n| !protected(n)) {
            headers.remove(name);
        }
    }
    headers.remove(&KEEP_ALIVE);
    headers.remove(&PROXY_CONNECTION);
    headers.remove(PROXY_AUTHENTICATE);
    headers.remove(PROXY_AUTHORIZATION);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(UPGRADE);
    // `TE: trailers` is how a gRPC client says that trailers reach it; through us they do.
    let trailers = headers
        .get_all(TE)
        .iter()
        .any(|v| v.to_str().is_ok_and(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case("trailers"))));
    headers.remove(TE);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Fields that frame or route the message stay, whatever a client's `Connection` field says of them.
fn protected(name: &HeaderName) -> bool {
    matches!(name.as_str(), "host" | "content-length" | "trailer" | "te" | "date" | "content-type")
}

fn authority<B>(request: &Request<B>) -> Result<Option<Authority>, Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::BadRequest("the request has more than one Host field"));
    }
    if host.is_none() && request.version() == Version::HTTP_11 {
        return Err(Refusal::BadRequest("an HTTP/1.1 request needs a Host field"));
    }
    let host = match host.filter(|h| !h.is_empty()) {
        None => None,
        Some(h) => Some(
            Authority::try_from(h.as_bytes())
                .map_err(|_| Refusal::BadRequest("the Host field is not a host and port"))?,
        ),
    };
    let target = request.uri().authority().cloned();
    if let (Some(t), Some(h)) = (&target, &host)
        && request.version() == Version::HTTP_2
        && t != h
    {
        return Err(Refusal::BadRequest(":authority and Host differ"));
    }
    let authority = target.or(host);
    if authority.as_ref().is_some_and(|a| a.as_str().contains('@') || a.as_str().len() > AUTHORITY_MAX) {
        return Err(Refusal::BadRequest("the authority is too long or has a user name"));
    }
    Ok(authority)
}

/// An upgrade to HTTP/2 may be ignored (RFC 9110 §7.8); anything else would leave its client talking to nobody.
fn upgrade(headers: &HeaderMap) -> Result<(), Refusal> {
    let other = |v: &HeaderValue| {
        !v.to_str().is_ok_and(|v| v.split(',').all(|t| t.trim().eq_ignore_ascii_case("h2c")))
    };
    if headers.get_all(UPGRADE).iter().any(other) { Err(Refusal::Upgrade) } else { Ok(()) }
}

fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from)
}

/// Whether a request is gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(http::header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"))
}

#[cfg(test)]
mod tests;
