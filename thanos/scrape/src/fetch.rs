//! One HTTP request to a target and its body, within limits.

use std::io::Read;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use thanos_telemetry::exposition::Format;

use crate::target::Target;

const ACCEPT_VALUE: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
    text/plain;version=0.0.4;q=0.4,*/*;q=0.3";

/// A target's answer.
#[derive(Debug)]
pub struct Body {
    /// Decompressed.
    pub text: String,
    /// As the target announced, or as the job assumes where it did not.
    pub format: Format,
}

/// Why a target gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke.
    #[error("{0}")]
    Http(String),
    /// No whole answer in time.
    #[error("no answer within the scrape timeout of {0:?}")]
    Timeout(Duration),
    /// Not 200.
    #[error("server returned HTTP status {0}")]
    Status(reqwest::StatusCode),
    /// Larger than allowed, compressed or not.
    #[error("body size limit exceeded: more than {0} bytes")]
    TooLarge(u64),
    /// Neither text nor OpenMetrics.
    #[error(
        "content type {0:?} is not one of Prometheus' text formats; fallback_scrape_protocol can name one"
    )]
    ContentType(String),
    /// Not what its headers say.
    #[error("body is not valid {0}")]
    Garbled(&'static str),
}

/// Builds the client that all targets of a process share.
///
/// # Errors
/// TLS could not be set up.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(1)
        // Each request has its scrape's own, shorter timeout.
        .timeout(Duration::from_secs(600))
        .build()
}

/// Scrapes a target once.
///
/// # Errors
/// It gave no body that can be read.
pub async fn fetch(
    client: &reqwest::Client,
    target: &Target,
    body_limit_bytes: u64,
    fallback: Option<Format>,
) -> Result<Body, FetchError> {
    tokio::time::timeout(target.timeout, read(client, target, body_limit_bytes, fallback))
        .await
        .unwrap_or(Err(FetchError::Timeout(target.timeout)))
}

async fn read(
    client: &reqwest::Client,
    target: &Target,
    body_limit_bytes: u64,
    fallback: Option<Format>,
) -> Result<Body, FetchError> {
    let http = |e: reqwest::Error| FetchError::Http(format!("{:#}", anyhow::Error::from(e.without_url())));
    let request = client
        .get(target.url.expose().clone())
        .header(ACCEPT, ACCEPT_VALUE)
        .header(ACCEPT_ENCODING, "gzip")
        .header(USER_AGENT, crate::USER_AGENT)
        .header("X-Prometheus-Scrape-Timeout-Seconds", target.timeout.as_secs_f64().to_string());
    let mut answer = request.send().await.map_err(http)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    let header = |name| answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type = header(CONTENT_TYPE).to_owned();
    let format = Format::from_content_type(&content_type).or(fallback);
    let format = format.ok_or(FetchError::ContentType(content_type))?;
    let gzip = header(CONTENT_ENCODING).eq_ignore_ascii_case("gzip");

    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(http)? {
        if (bytes.len() + chunk.len()) as u64 > body_limit_bytes {
            return Err(FetchError::TooLarge(body_limit_bytes));
        }
        bytes.extend_from_slice(&chunk);
    }
    if gzip {
        bytes = gunzip(&bytes, body_limit_bytes)?;
    }
    let text = String::from_utf8(bytes).map_err(|_| FetchError::Garbled("UTF-8"))?;
    Ok(Body { text, format })
}

fn gunzip(bytes: &[u8], limit_bytes: u64) -> Result<Vec<u8>, FetchError> {
    let mut out = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(limit_bytes.saturating_add(1));
    reader.read_to_end(&mut out).map_err(|_| FetchError::Garbled("gzip"))?;
    if out.len() as u64 > limit_bytes {
        return Err(FetchError::TooLarge(limit_bytes));
    }
    Ok(out)
}
