//! What a proxy must do to a message's head: hop-by-hop fields, the request target, the authority (RFC 9110 §7, RFC
//! 9112 §3, RFC 9113 §8).

use http::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};
use proxy_api::header::{NOT_SENT, PROXY_ERROR};

use crate::framing;
use crate::message::{Protocol, Role};
use crate::refusal::Refusal;

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Longest authority, in bytes: a DNS name has 253, a port 6 more.
const AUTHORITY_MAX: usize = 260;
/// What starts so is between proxies; an app must not take a stranger's word for ours.
const OWN_PREFIX: &str = "l5d-";

/// Checks a request and makes it fit for the next hop. Returns the authority that it asks for, if it names one.
pub(crate) fn prepare<B: http_body::Body>(
    request: &mut Request<B>,
    role: Role,
) -> Result<Option<Authority>, Refusal> {
    let version = request.version();
    let connect = request.method() == Method::CONNECT;
    if connect && version != Version::HTTP_11 {
        return Err(Refusal::Connect);
    }
    framing::coding(request.headers()).map_err(Refusal::Coding)?;
    let authority = authority(request)?;
    let upgrade = upgrade(request);
    strip_hop_by_hop(request.headers_mut());
    if role == Role::Outbound {
        request.headers_mut().remove(PROXY_AUTHORIZATION);
    } else {
        strip_own(request.headers_mut());
    }
    match Protocol::of(version) {
        Protocol::H1 => {
            if !connect {
                target_h1(request, authority.as_ref(), role)?;
            }
            // A 1.0 client's framing ends here: the next hop speaks 1.1, which obliges to a Host field.
            *request.version_mut() = Version::HTTP_11;
            if !request.headers().contains_key(HOST) {
                request.headers_mut().insert(HOST, HeaderValue::from_static(""));
            }
            if let Some(upgrade) = upgrade {
                request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
                request.headers_mut().insert(UPGRADE, upgrade);
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
    let mut headers = std::mem::take(request.headers_mut());
    framing::frame_request(&mut headers, request.version(), request.body());
    *request.headers_mut() = headers;
    Ok(authority)
}

/// What a peer's proxy says of a request that reached no app, if that is what this response is.
///
/// Only of the responses that our refusals are: a peer may copy fields from elsewhere.
pub(crate) fn declined<B>(response: &http::Response<B>) -> Option<String> {
    let headers = response.headers();
    let unavailable = matches!(response.status().as_u16(), 502 | 503)
        || headers.get("grpc-status").is_some_and(|s| s.as_bytes() == b"14");
    if !headers.contains_key(NOT_SENT) || !unavailable {
        return None;
    }
    let words = response.headers().get(PROXY_ERROR).and_then(|v| v.to_str().ok());
    Some(words.unwrap_or("no reason given").to_owned())
}

/// Makes a response fit for the way back. An upgrade that was asked for keeps its words.
pub(crate) fn prepare_response<B>(
    response: &mut http::Response<B>,
    role: Role,
) -> Result<(), framing::Unknown> {
    framing::response_coding(response.headers())?;
    let upgrade = if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
        response.headers().get(UPGRADE).cloned()
    } else {
        None
    };
    strip_hop_by_hop(response.headers_mut());
    if role == Role::Outbound {
        response.headers_mut().remove(PROXY_AUTHENTICATE);
    }
    response.headers_mut().remove(NOT_SENT);
    if response.version() < Version::HTTP_11 {
        // What we send, we frame: an app of HTTP/1.0 must not make its client close.
        *response.version_mut() = Version::HTTP_11;
    }
    if let Some(upgrade) = upgrade {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(UPGRADE, upgrade);
    }
    Ok(())
}

/// An absolute target is the sender's word to a proxy. Outbound that is us, and what goes on is origin-form, whose
/// authority is the Host field alone; inbound it is the app, and stays. Either way it wins over a Host field that
/// differs (RFC 9112 §3.2.2).
fn target_h1<B>(request: &mut Request<B>, authority: Option<&Authority>, role: Role) -> Result<(), Refusal> {
    if let Some(scheme) = request.uri().scheme() {
        if *scheme != Scheme::HTTP {
            return Err(Refusal::BadRequest("only http:// targets are forwarded"));
        }
        if let Some(value) = authority.and_then(|a| HeaderValue::from_str(a.as_str()).ok()) {
            request.headers_mut().insert(HOST, value);
        }
        // `OPTIONS http://web` should become `OPTIONS *` (RFC 9112 §3.2.4); the library reads it as `http://web/`.
        if role == Role::Outbound {
            *request.uri_mut() = origin_form(request.uri());
        }
    } else if request.uri().authority().is_some() {
        // RFC 9112 §3.2.3; the next hop might read as Host what we did not route by.
        return Err(Refusal::BadRequest("a target of only host and port is CONNECT's"));
    }
    Ok(())
}

/// Removes what concerned only the connection that the message came by, framing included.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = tokens(headers, &CONNECTION).filter_map(|t| t.parse().ok()).collect();
        headers.remove(CONNECTION);
        for name in named.iter().filter(|n| !protected(n)) {
            headers.remove(name);
        }
    }
    headers.remove(&KEEP_ALIVE);
    headers.remove(&PROXY_CONNECTION);
    headers.remove(UPGRADE);
    framing::unframe(headers);
    if headers.contains_key(TE) {
        // `TE: trailers` is how a gRPC client says that trailers reach it; through us they do.
        let trailers = tokens(headers, &TE).any(|t| t.eq_ignore_ascii_case("trailers"));
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
}

fn strip_own(headers: &mut HeaderMap) {
    while let Some(name) = headers.keys().find(|n| n.as_str().starts_with(OWN_PREFIX)).cloned() {
        headers.remove(name);
    }
}

/// Elements of a field that is a list, over all of its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim)
}

/// Fields that frame or route the message stay, whatever a client's `Connection` field says of them.
fn protected(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host" | "content-length" | "transfer-encoding" | "trailer" | "te" | "date" | "content-type"
    )
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
        && !same_entity(t, h)
    {
        return Err(Refusal::BadRequest(":authority and Host differ"));
    }
    let authority = target.or(host);
    if authority.as_ref().is_some_and(|a| a.as_str().contains('@') || a.as_str().len() > AUTHORITY_MAX) {
        return Err(Refusal::BadRequest("the authority is too long or has a user name"));
    }
    Ok(authority)
}

/// Whether both name one host and port, of which 80 is the one that need not be said (RFC 9113 §8.3.1).
fn same_entity(a: &Authority, b: &Authority) -> bool {
    fn bare(a: &Authority) -> &str {
        let text = a.as_str();
        text.strip_suffix(":80").or_else(|| text.strip_suffix(':')).unwrap_or(text)
    }
    bare(a).eq_ignore_ascii_case(bare(b))
}

/// The protocols that a client offers to change to, if it can and says so to us: an offer without `Connection:
/// upgrade`, or from HTTP/1.0, is none (RFC 9110 §7.8), and the one to HTTP/2 is declined by saying nothing of it.
fn upgrade<B>(request: &Request<B>) -> Option<HeaderValue> {
    let headers = request.headers();
    if request.version() != Version::HTTP_11
        || !headers.contains_key(UPGRADE)
        || !tokens(headers, &CONNECTION).any(|t| t.eq_ignore_ascii_case("upgrade"))
    {
        return None;
    }
    let offered: Vec<_> =
        tokens(headers, &UPGRADE).filter(|t| !t.is_empty() && !t.eq_ignore_ascii_case("h2c")).collect();
    HeaderValue::from_str(&offered.join(", ")).ok().filter(|v| !v.is_empty())
}

/// Whether a request, made fit, asks for another protocol on its connection.
pub(crate) fn asks_for_a_tunnel<B>(request: &Request<B>) -> bool {
    names_a_tunnel(request.method(), request.headers())
}

/// The same by its parts.
pub(crate) fn names_a_tunnel(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::CONNECT || headers.contains_key(UPGRADE)
}

fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from)
}

#[cfg(test)]
mod tests;
