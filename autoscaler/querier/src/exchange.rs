//! One request to one address, and the bytes of its answer within bounds.

use std::io::Read;

use autoscaler_core::FailureKind;
use flate2::read::MultiGzDecoder;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode};
use thanos_model::{Scrubber, http_url};
use tokio::sync::Semaphore;

use crate::decode::{Decoder, Said};
use crate::querier::QueryError;
use crate::source::Endpoint;

/// Bytes of an answer: some for its envelope, and some for each series.
const ENVELOPE_BYTES: usize = 256 << 10;
const SERIES_BYTES: usize = 2 << 10;
/// Up to here reading takes less than a tenth of a millisecond.
const QUICK_BYTES: usize = 16 << 10;
/// An answer that is not the API's is only quoted.
const REFUSAL_BYTES: usize = 64 << 10;

/// What an answer may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_series: usize,
}

impl Limits {
    /// Bytes of one body, packed and unpacked.
    pub(crate) fn body_bytes(self) -> usize {
        self.max_series.saturating_mul(SERIES_BYTES).saturating_add(ENVELOPE_BYTES)
    }
}

/// Sends a form and reads what comes back. Whoever calls sets the deadline.
pub(crate) async fn exchange(
    client: &Client,
    endpoint: &Endpoint,
    form: String,
    scrubber: &Scrubber,
    limits: Limits,
) -> Said {
    let request = client
        .post(endpoint.url.expose().clone())
        .headers(endpoint.headers.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .header(ACCEPT_ENCODING, "gzip")
        .body(form);
    let response = match request.send().await {
        Ok(response) => response,
        Err(e) => return Said::Silent(transport(endpoint, e, scrubber)),
    };
    let status = response.status();
    let body = if status.is_redirection() {
        let to =
            response.headers().get(LOCATION).and_then(|l| l.to_str().ok()).map(http_url::without_secrets);
        Ok(Body { packed: false, bytes: to.map(|to| format!("to {to}")).unwrap_or_default().into_bytes() })
    } else {
        read(response, limits).await
    };
    let said = match body {
        Ok(body) => match body.quick() {
            Ok(body) => understood(status, body, scrubber, limits),
            Err(body) => aside(status, body, scrubber.clone(), limits).await,
        },
        Err(broken) => Err(broken),
    };
    match said {
        Ok(Said::Silent(e)) => {
            Said::Silent(QueryError::new(e.kind, format!("{}: {}", endpoint.shown, e.message)))
        }
        Ok(answered) => answered,
        Err(Broken::Transport(e)) => Said::Silent(transport(endpoint, e, scrubber)),
        Err(Broken::Large(bytes)) => {
            refused(format!("the answer is over {bytes} bytes; aggregate, for example with sum(…)"))
        }
        Err(Broken::Packed(why)) => refused(format!("the answer cannot be unpacked: {why}")),
    }
}

fn refused(message: String) -> Said {
    Said::Answered(Err(QueryError::new(FailureKind::BadResponse, message)))
}

/// Why a body was not read to its end.
enum Broken {
    Transport(reqwest::Error),
    Large(usize),
    Packed(String),
}

/// Bytes of an answer, as they came.
struct Body {
    bytes: Vec<u8>,
    packed: bool,
}

impl Body {
    /// Itself, unpacked, where it is read in no time, as the answer of an aggregation is.
    fn quick(self) -> Result<Self, Self> {
        if self.bytes.len() > QUICK_BYTES {
            return Err(self);
        }
        if !self.packed {
            return Ok(self);
        }
        match unpack(&self.bytes, QUICK_BYTES) {
            Ok(bytes) => Ok(Self { bytes, packed: false }),
            Err(_) => Err(self),
        }
    }
}

/// Unpacks and decodes.
fn understood(status: StatusCode, body: Body, scrubber: &Scrubber, limits: Limits) -> Result<Said, Broken> {
    let bytes = if body.packed { unpack(&body.bytes, most_bytes(status, limits))? } else { body.bytes };
    Ok((Decoder { scrubber, max_series: limits.max_series }).decode(status, &bytes))
}

/// The same where it takes milliseconds: one after the other, on a thread that nobody else waits for. Whoever sends
/// large answers takes his time from those who do the same, and not from leases, writes and other policies.
async fn aside(status: StatusCode, body: Body, scrubber: Scrubber, limits: Limits) -> Result<Said, Broken> {
    static TURN: Semaphore = Semaphore::const_new(1);
    let turn = TURN.acquire().await;
    let done = tokio::task::spawn_blocking(move || {
        // Until it is done, even if nobody waits for it any more.
        let _turn = turn;
        understood(status, body, &scrubber, limits)
    });
    done.await.unwrap_or_else(|e| Err(Broken::Packed(e.to_string())))
}

async fn read(mut response: Response, limits: Limits) -> Result<Body, Broken> {
    let most = most_bytes(response.status(), limits);
    let encoding = response.headers().get(CONTENT_ENCODING).cloned();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Broken::Transport)? {
        if bytes.len().saturating_add(chunk.len()) > most {
            return Err(Broken::Large(most));
        }
        bytes.extend_from_slice(&chunk);
    }
    match encoding.as_ref().map(|e| e.as_bytes()) {
        None | Some(b"" | b"identity") => Ok(Body { bytes, packed: false }),
        Some(b"gzip" | b"x-gzip") => Ok(Body { bytes, packed: true }),
        Some(_) => {
            Err(Broken::Packed("it is packed otherwise than by gzip, which alone was asked for".into()))
        }
    }
}

fn most_bytes(status: StatusCode, limits: Limits) -> usize {
    if status.is_success() { limits.body_bytes() } else { limits.body_bytes().min(REFUSAL_BYTES) }
}

fn unpack(packed: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed)
        .take(one_more)
        .read_to_end(&mut body)
        .map_err(|e| Broken::Packed(e.to_string()))?;
    if body.len() > most { Err(Broken::Large(most)) } else { Ok(body) }
}

fn transport(endpoint: &Endpoint, e: reqwest::Error, scrubber: &Scrubber) -> QueryError {
    let kind = if e.is_timeout() { FailureKind::Timeout } else { FailureKind::Unreachable };
    let e = e.without_url();
    let mut cause: &dyn std::error::Error = &e;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    QueryError::new(kind, format!("cannot reach {}: {}", endpoint.shown, scrubber.scrub(&cause.to_string())))
}
