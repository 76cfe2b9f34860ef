//! Asking another service over HTTP/1.1, straight or through a sidecar.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thanos_telemetry::RunError;

/// An answer larger than this is refused.
const BODY_MAX_BYTES: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// In words.
    Failed(String),
    /// It took too long.
    Late,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Late => f.write_str("no answer in time"),
        }
    }
}

impl Unanswered {
    pub(super) fn failed(e: impl fmt::Display) -> Self {
        Self::Failed(e.to_string())
    }

    /// What a gateway says of it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Failed(_) => StatusCode::BAD_GATEWAY,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// A service to ask.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    client: Client<HttpConnector, Empty<Bytes>>,
    /// Where to connect: the service, or the sidecar.
    connect_to: String,
    /// Whom to ask for.
    host: HeaderValue,
    timeout: Duration,
}

impl Upstream {
    /// `flag` is named in errors.
    ///
    /// # Errors
    /// [`RunError::Config`]: the address has no host.
    pub(super) fn new(
        flag: &str,
        uri: &Uri,
        proxy: Option<SocketAddr>,
        timeout: Duration,
    ) -> Result<Self, RunError> {
        let bad = || RunError::Config(format!("{flag} {uri}: write http://HOST[:PORT]/PATH"));
        let authority = uri.authority().ok_or_else(bad)?;
        let host = authority.as_str().parse().map_err(|_| bad())?;
        let connect_to = proxy.map_or_else(|| authority.to_string(), |proxy| proxy.to_string());
        Ok(Self { client: client(timeout), connect_to, host, timeout })
    }

    /// Status and body of the answer, whatever the status.
    ///
    /// # Errors
    /// There was none, or none in time.
    pub(super) async fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), Unanswered> {
        let mut request = http::Request::new(Empty::new());
        *request.method_mut() = method;
        *request.uri_mut() =
            format!("http://{}{path}", self.connect_to).parse().map_err(Unanswered::failed)?;
        request.headers_mut().insert(http::header::HOST, self.host.clone());
        let answer = async {
            let response = self.client.request(request).await.map_err(Unanswered::failed)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), BODY_MAX_BYTES).collect().await;
            Ok((status, body.map_err(Unanswered::failed)?.to_bytes()))
        };
        tokio::time::timeout(self.timeout, answer).await.unwrap_or(Err(Unanswered::Late))
    }
}

/// Keep-alive; connecting may take as long as the whole.
fn client(timeout: Duration) -> Client<HttpConnector, Empty<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(timeout));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector)
}
