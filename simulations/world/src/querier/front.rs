//! The querier on a socket, for clients that speak HTTP.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing};
use thanos_telemetry::Shutdown;
use tokio::net::TcpListener;

use super::Querier;

/// A form that is longer is refused.
const FORM_MAX_BYTES: usize = 1 << 20;

/// Serves `/api/v1/query` until shutdown, in real time: a client that waits keeps a paused clock from standing still.
///
/// # Errors
/// The listener fails.
pub async fn serve(listener: TcpListener, querier: Querier, shutdown: Shutdown) -> std::io::Result<()> {
    let router = Router::new().route("/api/v1/query", routing::any(query)).with_state(querier);
    axum::serve(listener, router).with_graceful_shutdown(shutdown.wait()).await
}

async fn query(State(querier): State<Querier>, request: Request) -> Response {
    let form = match *request.method() {
        Method::GET => request.uri().query().unwrap_or_default().as_bytes().to_vec(),
        Method::POST => match axum::body::to_bytes(request.into_body(), FORM_MAX_BYTES).await {
            Ok(bytes) => bytes.to_vec(),
            Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        },
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let field = |wanted: &str| {
        let mut all = form_urlencoded::parse(&form);
        all.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let time_ms = field("time").and_then(|text| milliseconds(&text));
    match querier.instant(&field("query").unwrap_or_default(), time_ms).await {
        Ok(reply) => {
            let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, "application/json")], reply.body).into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// Seconds since the epoch, with a fraction.
fn milliseconds(text: &str) -> Option<i64> {
    let seconds: f64 = text.parse().ok()?;
    seconds.is_finite().then(|| (seconds * 1000.0).round() as i64)
}
