//! The dashboard: static pages over the querier's API.
//!
//! ```text
//!  browser ── GET /ui/… ──► router ──► assets, part of the binary
//!     └────── /api/v1/… ──► the querier
//! ```
//!
//! Invariants:
//! - what is served is `assets/` of this package, byte for byte: no build step, no other origin;
//! - the policy sent with every answer lets a page run only these scripts and talk only to this querier;
//! - a page makes no numbers up: what it shows came from the API, with the API's warnings.
//!
//! One module: this one.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Scripts, styles and connections of this origin; nothing inline, nothing framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Asset {
    name: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

macro_rules! assets {
    ($($name:literal $content_type:ident),* $(,)?) => {
        &[$(Asset {
            name: $name,
            content_type: $content_type,
            body: include_bytes!(concat!("../assets/", $name)),
        }),*]
    };
}

const ASSETS: &[Asset] = assets![
    "index.html" HTML,
    "app.css" CSS,
    "icon.svg" SVG,
    "api.js" JS,
    "app.js" JS,
    "chart.js" JS,
    "complete.js" JS,
    "decisions.js" JS,
    "dom.js" JS,
    "fit.js" JS,
    "format.js" JS,
    "graph.js" JS,
    "overview.js" JS,
    "query.js" JS,
    "scaling.js" JS,
    "stores.js" JS,
    "topology.js" JS,
    "words.js" JS,
];

impl Asset {
    /// FNV-1a over the body: it tells builds apart, and nothing trusts it. Weak, as a compressed body has it too.
    fn etag(&self) -> String {
        let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        format!("W/\"{:016x}\"", self.body.iter().fold(0xcbf2_9ce4_8422_2325, fnv))
    }

    fn respond(&self, request: &HeaderMap) -> Response {
        let etag = self.etag();
        let known = request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|tag| tag.trim() == etag || tag.trim() == "*");
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, self.content_type)], self.body).into_response()
        };
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        guarded(response)
    }
}

/// The headers that every answer carries.
fn guarded(mut response: Response) -> Response {
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Asked for again each time, sent again only after an upgrade.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn find(name: &str, headers: &HeaderMap) -> Response {
    match ASSETS.iter().find(|a| a.name == name) {
        Some(asset) => asset.respond(headers),
        None => guarded((StatusCode::NOT_FOUND, "no such page; the dashboard is at /ui/\n").into_response()),
    }
}

/// The pages under `/ui/`, and a redirect to them from `/`.
pub fn router() -> Router {
    Router::new()
        .route("/", get(async || Redirect::to("/ui/")))
        .route("/ui", get(async || Redirect::permanent("/ui/")))
        .route("/ui/", get(async |headers: HeaderMap| find("index.html", &headers)))
        .route("/ui/{*path}", get(async |Path(path): Path<String>, headers: HeaderMap| find(&path, &headers)))
}

#[cfg(test)]
mod tests;
