//! One request of remote write 1.0 and what its answer means.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use thanos_model::{HttpUrl, Scrubber, http_url, secret};

use super::Queued;
use crate::config::Remote;
use crate::metrics::RemoteMetrics;

/// Longest pause that a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// How much of an error's body is read, and how much of it is logged.
const ERROR_BODY_BYTES: usize = 4 << 10;
const ERROR_TEXT_CHARS: usize = 256;

#[derive(Debug)]
pub(super) enum SendError {
    /// Send the same again, after what the receiver asked for.
    Retry { after: Option<Duration> },
    /// The receiver will never take it.
    Refused,
}

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: HttpUrl,
    headers: HeaderMap,
    pub(super) metrics: RemoteMetrics,
    /// Receivers quote what they were sent.
    scrubber: Scrubber,
    /// Whether the last request failed: a burst is logged once at its start and once at its end.
    failing: AtomicBool,
}

impl Client {
    pub(super) fn new(remote: &Remote, metrics: RemoteMetrics) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .timeout(remote.remote_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(remote.queue.max_shards);
        builder = match &remote.proxy_url {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.expose().clone())?),
            // Prometheus too reads HTTP_PROXY only where it is told to.
            None => builder.no_proxy(),
        };
        let telling = remote.headers.iter().filter(|(name, _)| http_url::is_telling(name.as_str()));
        let values = telling.filter_map(|(_, value)| value.to_str().ok());
        let scrubber =
            Scrubber::new(remote.url.secrets().into_iter().chain(values.flat_map(secret::in_header)));
        let mut headers = remote.headers.clone();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert("X-Prometheus-Remote-Write-Version", HeaderValue::from_static("0.1.0"));
        headers.insert(USER_AGENT, HeaderValue::from_static(crate::USER_AGENT));
        let (http, url) = (builder.build()?, remote.url.clone());
        Ok(Self { http, url, headers, metrics, scrubber, failing: false.into() })
    }

    /// Sends an encoded batch once.
    pub(super) async fn send(&self, encoded: &[u8], batch: &[Queued]) -> Result<(), SendError> {
        if batch.is_empty() {
            return Ok(());
        }
        let samples = batch.len() as u64;
        let body = match snap::raw::Encoder::new().compress_vec(encoded) {
            Ok(body) => body,
            Err(error) => {
                return Err(self.refuse(samples, &format!("the batch cannot be compressed: {error}")));
            }
        };
        self.metrics.samples.inc_by(samples);
        self.metrics.bytes.inc_by(body.len() as u64);
        let started = Instant::now();
        let sent =
            self.http.post(self.url.expose().clone()).headers(self.headers.clone()).body(body).send().await;
        self.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                return Err(self.retry(
                    samples,
                    None,
                    &format!("{:#}", anyhow::Error::from(error.without_url())),
                ));
            }
        };
        let status = answer.status();
        if status.is_success() {
            if self.failing.swap(false, Ordering::AcqRel) {
                tracing::info!(remote = self.metrics.name(), "remote write works again");
            }
            if let Some(newest) = batch.iter().map(|q| q.t_ms).max() {
                self.metrics.highest_sent(newest);
            }
            return Ok(());
        }
        let after = retry_after(answer.headers());
        let text = format!("server answered {status}: {}", start_of_body(answer, &self.scrubber).await);
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Err(self.retry(samples, after, &text))
        } else {
            Err(self.refuse(samples, &text))
        }
    }

    fn retry(&self, samples: u64, after: Option<Duration>, error: &str) -> SendError {
        self.metrics.retried.inc_by(samples);
        if !self.failing.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                remote = self.metrics.name(),
                error,
                "remote write fails, sending again until it works"
            );
        }
        SendError::Retry { after }
    }

    fn refuse(&self, samples: u64, error: &str) -> SendError {
        self.metrics.failed.inc_by(samples);
        if !self.failing.swap(true, Ordering::AcqRel) {
            tracing::error!(
                remote = self.metrics.name(),
                samples,
                error,
                "remote write was refused, samples dropped"
            );
        }
        SendError::Refused
    }
}

/// `Retry-After` in seconds; the other form, a date, is not used by receivers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

async fn start_of_body(mut answer: reqwest::Response, scrubber: &Scrubber) -> String {
    let mut text = Vec::new();
    while text.len() < ERROR_BODY_BYTES {
        match answer.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    text.truncate(ERROR_BODY_BYTES);
    // Before it is cut: half a secret would not be found.
    let text = scrubber.scrub(&String::from_utf8_lossy(&text));
    text.trim().replace('\n', " ").chars().take(ERROR_TEXT_CHARS).collect()
}
