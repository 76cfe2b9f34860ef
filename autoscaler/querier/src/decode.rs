//! What the bytes of an answer mean: every server's way of answering, of refusing, and of saying that something is
//! missing.

use autoscaler_core::FailureKind;
use reqwest::StatusCode;
use thanos_model::Scrubber;

use crate::querier::{Answer, QueryError, Series};
pub(crate) use envelope::ITEMS_MAX;
use envelope::{Envelope, Item, Items, gateway_text};

mod envelope;

/// Most characters of a server's words that go into a message.
const QUOTE_CHARS_MAX: usize = 200;

/// What a body says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// A querier spoke: an answer, or why there is none.
    Answered(Result<Answer, QueryError>),
    /// Nobody who knows the data spoke: a proxy, or a querier that cannot work. Another address may know more.
    Silent(QueryError),
}

/// Reads an answer of a server that is not on the other side of a socket: what it is worth is what it would be worth from
/// there.
///
/// # Errors
/// As of [`Querier::instant`](crate::Querier::instant): the server refuses, or what it says is no answer.
pub fn read(status: u16, body: &[u8], max_series: usize) -> Result<Answer, QueryError> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match (Decoder { scrubber: &Scrubber::default(), max_series }).decode(status, body) {
        Said::Answered(outcome) => outcome,
        Said::Silent(error) => Err(error),
    }
}

/// Reads answers; what it quotes of a server's words is without secrets, and short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'a> {
    pub(crate) scrubber: &'a Scrubber,
    pub(crate) max_series: usize,
}

impl Decoder<'_> {
    /// Reads an answer, whatever it is.
    pub(crate) fn decode(self, status: StatusCode, body: &[u8]) -> Said {
        let envelope: Envelope<'_> = match serde_json::from_slice(body) {
            Ok(envelope) => envelope,
            Err(_) if !status.is_success() => return self.bare_status(status, body),
            Err(e) => {
                return Said::Answered(Err(
                    self.bad("the answer is not the Prometheus API's", &e.to_string())
                ));
            }
        };
        match envelope.status.as_str() {
            "success" if status.is_success() => Said::Answered(self.answer(envelope)),
            "success" => self.bare_status(status, b"a success by its body"),
            _ => self.refusal(status, &envelope),
        }
    }

    fn answer(self, envelope: Envelope<'_>) -> Result<Answer, QueryError> {
        let Some(data) = envelope.data else {
            return Err(self.bad("the answer is not the Prometheus API's", "it has no data"));
        };
        let items = |most| {
            data.items(most).map_err(|e| self.bad("the answer is not the Prometheus API's", &e.to_string()))
        };
        let series = match data.result_type.as_str() {
            "vector" => self.vector(items(self.max_series)?)?,
            "scalar" => vec![Series { labels: Default::default(), value: Some(self.scalar(&items(2)?)?) }],
            "matrix" => {
                return Err(self.bad("the query must return one series or a scalar", "it returned ranges"));
            }
            other => {
                let found = format!("it returned a {other}");
                return Err(self.bad("the query must return one series or a scalar", &found));
            }
        };
        let incomplete = envelope.is_partial.then(|| "the server says that its answer is partial".to_owned());
        // An info speaks of the query and not of the data, unless it says so.
        let incomplete = incomplete
            .or_else(|| envelope.infos.0.iter().find(|info| says_partial(info)).map(|info| self.quote(info)));
        let warnings = envelope.warnings.0.iter().map(|w| self.quote(w)).collect();
        Ok(Answer { series, warnings, incomplete, answered_by: Default::default() })
    }

    fn vector(self, items: Items) -> Result<Vec<Series>, QueryError> {
        if items.seen > self.max_series {
            let (n, max) = (items.seen, self.max_series);
            let message = format!("{n} series, over the limit of {max}; aggregate, for example with sum(…)");
            return Err(QueryError::new(FailureKind::ManySeries, message));
        }
        let series = |item| match item {
            Item::Series { labels, value } => {
                Ok(Series { labels, value: value.map(|text| self.number(&text)).transpose()? })
            }
            Item::Number | Item::Text(_) => {
                Err(self.bad("the answer is not the Prometheus API's", "no series in a vector"))
            }
        };
        items.kept.into_iter().map(series).collect()
    }

    fn scalar(self, items: &Items) -> Result<f64, QueryError> {
        match items.kept.as_slice() {
            [Item::Number, Item::Text(value)] => self.number(value),
            _ => Err(self.bad("the answer is not the Prometheus API's", "a scalar is [time, \"value\"]")),
        }
    }

    /// `NaN`, `+Inf` and `-Inf` are numbers too.
    fn number(self, text: &str) -> Result<f64, QueryError> {
        text.parse().map_err(|_| self.bad("a value in the answer is not a number", text))
    }

    fn refusal(self, status: StatusCode, envelope: &Envelope<'_>) -> Said {
        let said = self.quote(envelope.error.as_deref().unwrap_or("no reason given"));
        let refused =
            |kind| Said::Answered(Err(QueryError::new(kind, format!("the querier refused: {said}"))));
        let cannot = || {
            let message = format!("the querier cannot answer: {said}");
            Said::Silent(QueryError::new(FailureKind::Execution, message))
        };
        match envelope.error_type.as_deref().unwrap_or_default() {
            "bad_data" => refused(FailureKind::BadQuery),
            "timeout" | "canceled" => refused(FailureKind::Timeout),
            "unavailable" | "internal" => cannot(),
            // VictoriaMetrics has the status here.
            "400" => refused(FailureKind::BadQuery),
            "422" if said.contains("parse") => refused(FailureKind::BadQuery),
            code if code.len() == 3 && code.starts_with('5') => cannot(),
            // A gateway that has the form and not the words.
            _ if matches!(status.as_u16(), 401 | 403) => Said::Answered(Err(self.told(status, &said))),
            _ => refused(FailureKind::Execution),
        }
    }

    /// An answer from something between us and the querier, or not from a querier at all.
    fn bare_status(self, status: StatusCode, body: &[u8]) -> Said {
        let said = gateway_text(body).unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
        let error = self.told(status, &self.quote(&said));
        match status.as_u16() {
            408 | 429 | 500..=599 => Said::Silent(error),
            _ => Said::Answered(Err(error)),
        }
    }

    /// A status with its cure.
    fn told(self, status: StatusCode, said: &str) -> QueryError {
        let kind = match status.as_u16() {
            404 | 405 => FailureKind::BadResponse,
            408 | 504 => FailureKind::Timeout,
            // What a proxy says when nothing stands behind it.
            502 | 503 => FailureKind::Unreachable,
            300..=399 | 401 | 403 => FailureKind::Other,
            _ => FailureKind::Execution,
        };
        let cure = cure(status, said).map(|cure| format!("; {cure}")).unwrap_or_default();
        QueryError::new(kind, format!("{status}: {said:?}{cure}"))
    }

    fn bad(self, what: &str, why: &str) -> QueryError {
        QueryError::new(FailureKind::BadResponse, format!("{what}: {}", self.quote(why)))
    }

    /// The first of a server's words.
    fn quote(self, text: &str) -> String {
        // A secret that is cut in half would not be found.
        clip(&self.scrubber.scrub(text))
    }
}

fn cure(status: StatusCode, said: &str) -> Option<&'static str> {
    Some(match status.as_u16() {
        401 if said.to_ascii_lowercase().contains("no org id") => "name the tenant (tenant, --query-tenant)",
        401 | 403 => "check the source's token, user, certificate and tenant, and what they may read",
        404 | 405 => "check the address: /api/v1/query must hang under it, perhaps below a pathPrefix",
        429 => "the server limits how much is asked: lengthen intervals, or raise its limit",
        300..=399 => "redirects are not followed: write the address that it leads to",
        _ => return None,
    })
}

/// Words by which servers say in a free text that data is missing.
/// Source: Cortex `pkg/querier/partialdata` (the result may contain partial data).
fn says_partial(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["partial data", "partial response", "partial result", "incomplete"]
        .iter()
        .any(|words| text.contains(words))
}

/// The first of a text.
fn clip(text: &str) -> String {
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
