//! The Prometheus HTTP API as a [`Querier`]: Prometheus, Thanos, Mimir, or ours.

use std::collections::BTreeMap;
use std::time::Duration;

use autoscaler_core::FailureKind;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;
use thanos_telemetry::RunError;
use tokio::time::Instant;

use super::{Answer, Outcome, Querier, QueryError, Series};

/// Most bytes of one answer that are kept.
const MAX_BODY_BYTES: usize = 4 << 20;
/// Most queries of one batch in flight.
const MAX_IN_FLIGHT: usize = 32;
/// Most characters of a server's words that go into a message.
const MAX_QUOTE: usize = 200;

/// A Prometheus HTTP API.
#[derive(Clone, Debug)]
pub(crate) struct Prometheus {
    client: Client,
    endpoint: Url,
    max_series: usize,
}

impl Prometheus {
    /// `base` is what the API's `/api/v1/query` hangs under; `proxy` an HTTP proxy on the way.
    ///
    /// # Errors
    /// [`RunError::Config`] naming the flag.
    pub(crate) fn new(base: &str, proxy: Option<&str>, max_series: usize) -> Result<Self, RunError> {
        let url = |flag: &str, text: &str| -> Result<Url, RunError> {
            let bad = |e: &dyn std::fmt::Display| {
                RunError::Config(format!("{flag} {text:?}: {e}; write for example http://query:9090"))
            };
            let url = Url::parse(text).map_err(|e| bad(&e))?;
            let web = matches!(url.scheme(), "http" | "https") && url.has_host();
            if web { Ok(url) } else { Err(bad(&"not an http(s) URL")) }
        };
        let base = url("--query-url", base)?;
        let path = format!("{}/api/v1/query", base.path().trim_end_matches('/'));
        let mut endpoint = base;
        endpoint.set_path(&path);
        let mut builder = Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(2))
            // A backstop: every call also has its batch's deadline.
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("gauntlet-autoscaler/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = proxy {
            let proxy = url("--query-proxy-url", proxy)?;
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(RunError::config)?);
        }
        let client = builder.build().map_err(|e| RunError::Config(format!("--query-url: {e}")))?;
        Ok(Self { client, endpoint, max_series })
    }

    async fn instant(self, time_ms: i64, query: String, until: Instant) -> Outcome {
        let left = until.saturating_duration_since(Instant::now());
        let form = reqwest::Url::parse_with_params(
            "http://form.invalid/",
            [
                ("query", query.as_str()),
                ("time", &format!("{}.{:03}", time_ms.div_euclid(1000), time_ms.rem_euclid(1000))),
                ("timeout", &format!("{}ms", left.as_millis().max(1))),
            ],
        );
        let form = form.ok().and_then(|u| u.query().map(str::to_owned)).unwrap_or_default();
        let request = self
            .client
            .post(self.endpoint.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form);
        let exchange = async {
            let response = request.send().await.map_err(|e| self.transport(&e))?;
            let status = response.status();
            let body = self.read(response).await?;
            decode(status, &body, self.max_series)
        };
        match tokio::time::timeout_at(until, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(QueryError::new(
                FailureKind::Timeout,
                format!("{} gave no answer in time", self.endpoint),
            )),
        }
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, QueryError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.transport(&e))? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(QueryError::new(
                    FailureKind::BadResponse,
                    format!("the answer is over {MAX_BODY_BYTES} bytes; aggregate, for example with sum(…)"),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn transport(&self, e: &reqwest::Error) -> QueryError {
        let mut cause: &dyn std::error::Error = e;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let kind = if e.is_timeout() { FailureKind::Timeout } else { FailureKind::Unreachable };
        QueryError::new(kind, format!("cannot reach {}: {cause}", self.endpoint))
    }
}

impl Querier for Prometheus {
    fn instant_batch(
        &self,
        time_ms: i64,
        queries: Vec<String>,
        deadline: Duration,
    ) -> BoxStream<'static, (usize, Outcome)> {
        let until = Instant::now() + deadline;
        let this = self.clone();
        futures::stream::iter(queries.into_iter().enumerate())
            .map(move |(i, query)| {
                let call = this.clone().instant(time_ms, query, until);
                async move { (i, call.await) }
            })
            .buffer_unordered(MAX_IN_FLIGHT)
            .boxed()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    status: String,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Element>),
    Scalar((IgnoredAny, String)),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

#[derive(Deserialize)]
struct Element {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<(IgnoredAny, String)>,
}

/// Reads an answer, whatever it is.
pub(crate) fn decode(status: StatusCode, body: &[u8], max_series: usize) -> Outcome {
    let envelope: Envelope = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(_) if !status.is_success() => return Err(bare_status(status, body)),
        Err(e) => {
            let message = format!("the answer is not the Prometheus API's: {e}");
            return Err(QueryError::new(FailureKind::BadResponse, message));
        }
    };
    if envelope.status != "success" {
        let kind = match envelope.error_type.as_deref() {
            Some("bad_data") => FailureKind::BadQuery,
            Some("timeout" | "canceled") => FailureKind::Timeout,
            _ => FailureKind::Execution,
        };
        let said = envelope.error.as_deref().unwrap_or("no reason given");
        return Err(QueryError::new(kind, format!("the querier refused: {}", clip(said))));
    }
    let not_a_vector = |what: &str| {
        let message = format!("the query returned a {what}; it must return one series or a scalar");
        Err(QueryError::new(FailureKind::BadResponse, message))
    };
    let series = match envelope.data {
        Some(Data::Vector(elements)) if elements.len() > max_series => {
            let n = elements.len();
            let message =
                format!("{n} series, over --max-series {max_series}; aggregate, for example with sum(…)");
            return Err(QueryError::new(FailureKind::ManySeries, message));
        }
        Some(Data::Vector(elements)) => elements
            .into_iter()
            .map(|e| Ok(Series { labels: e.metric, value: e.value.map(|(_, v)| number(&v)).transpose()? }))
            .collect::<Result<_, QueryError>>()?,
        Some(Data::Scalar((_, v))) => vec![Series { labels: BTreeMap::new(), value: Some(number(&v)?) }],
        Some(Data::Matrix(_)) => return not_a_vector("range of samples"),
        Some(Data::String(_)) => return not_a_vector("string"),
        None => return not_a_vector("success without data"),
    };
    Ok(Answer { series, warnings: envelope.warnings.iter().map(|w| clip(w)).collect() })
}

fn number(text: &str) -> Result<f64, QueryError> {
    text.parse().map_err(|_| {
        QueryError::new(FailureKind::BadResponse, format!("{:?} in the answer is not a number", clip(text)))
    })
}

/// An answer from something between us and the querier, or not from a querier at all.
fn bare_status(status: StatusCode, body: &[u8]) -> QueryError {
    let said = clip(String::from_utf8_lossy(body).trim());
    let kind = match status.as_u16() {
        404 | 405 => FailureKind::BadResponse,
        408 | 504 => FailureKind::Timeout,
        // What a proxy says when nothing stands behind it.
        502 | 503 => FailureKind::Unreachable,
        401 | 403 => FailureKind::Other,
        _ => FailureKind::Execution,
    };
    QueryError::new(kind, format!("{status}: {said:?}"))
}

fn clip(text: &str) -> String {
    if text.chars().count() <= MAX_QUOTE {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MAX_QUOTE).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests;
