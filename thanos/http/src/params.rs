//! Request parameters: a query string, a form, or both, read as Prometheus reads them.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use jiff::Timestamp;
use thanos_model::{Matcher, TimestampMs, parse_duration};

use crate::error::{ApiError, Kind};

/// A form larger than this is refused; Go's servers draw the line there too.
const FORM_LIMIT_BYTES: usize = 10 << 20;
/// A form must have arrived by then.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);
/// What Prometheus takes for "since ever" and "for ever" in metadata requests, milliseconds.
const MIN_TIME_MS: TimestampMs = (i64::MIN / 1000 + 62_135_596_801) * 1000;
const MAX_TIME_MS: TimestampMs = (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999;

/// All parameters of a request, the form's before the query string's, as Go's `FormValue` prefers them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mut params = Vec::new();
        if request.method() == Method::POST {
            let kind =
                request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            if !kind.is_empty() && !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
                return Err(ApiError::new(
                    Kind::BadData,
                    format!("content type {kind:?}: send application/x-www-form-urlencoded"),
                ));
            }
            let read = axum::body::to_bytes(request.into_body(), FORM_LIMIT_BYTES);
            let body = tokio::time::timeout(FORM_TIMEOUT, read)
                .await
                .map_err(|_| ApiError::new(Kind::Timeout, "the form did not arrive in time"))?
                .map_err(|e| ApiError::new(Kind::TooLarge, format!("the form cannot be read: {e}")))?;
            params.extend(form_urlencoded::parse(&body).into_owned());
        }
        params.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
        Ok(Self(params))
    }
}

impl Params {
    /// The first value of `name`; empty is absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        found.filter(|v| !v.is_empty())
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| ApiError::parameter(name, "it is missing"))
    }

    pub(crate) fn time(&self, name: &str, default: TimestampMs) -> Result<TimestampMs, ApiError> {
        self.get(name).map_or(Ok(default), |v| time(v).map_err(|e| ApiError::parameter(name, e)))
    }

    pub(crate) fn required_time(&self, name: &str) -> Result<TimestampMs, ApiError> {
        time(self.required(name)?).map_err(|e| ApiError::parameter(name, e))
    }

    /// Milliseconds.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name).map(|v| duration_ms(v).map_err(|e| ApiError::parameter(name, e))).transpose()
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.get(name) {
            None => Ok(default),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(other) => Err(ApiError::parameter(name, format!("{other:?} is not true or false"))),
        }
    }

    /// 0 is no limit.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        let parse = |v: &str| v.parse::<usize>().map_err(|_| format!("{v:?} is not a non-negative integer"));
        self.get("limit").map_or(Ok(0), |v| parse(v).map_err(|e| ApiError::parameter("limit", e)))
    }

    /// `start` and `end` of a metadata request.
    pub(crate) fn range(&self) -> Result<(TimestampMs, TimestampMs), ApiError> {
        let (start, end) = (self.time("start", MIN_TIME_MS)?, self.time("end", MAX_TIME_MS)?);
        if end < start {
            return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
        }
        Ok((start, end))
    }

    /// The selectors of `match[]`.
    pub(crate) fn matchers(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        self.all("match[]").map(selector).collect()
    }
}

/// Seconds with a fraction, or RFC 3339.
fn time(text: &str) -> Result<TimestampMs, String> {
    let bad = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        return to_ms(seconds).ok_or_else(bad);
    }
    text.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(|_| bad())
}

/// Seconds with a fraction, or `1h30m`.
fn duration_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return to_ms(seconds)
            .ok_or_else(|| format!("cannot parse {text:?} to a valid duration. It overflows int64"));
    }
    let parsed = parse_duration(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))?;
    i64::try_from(parsed.as_millis()).map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

fn to_ms(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1000.0).round();
    // The largest magnitude whose differences and sums of two still fit.
    (ms.abs() <= (1i64 << 62) as f64).then_some(ms as i64)
}

/// One `match[]`. The engine parses expressions, and only a bare selector may be followed by a range; so with
/// one appended, whatever else the text is becomes an error.
fn selector(text: &str) -> Result<Vec<Matcher>, ApiError> {
    let plan = thanos_promql::parse(&format!("{text}\n[1s]"));
    let plan =
        plan.map_err(|e| ApiError::parameter("match[]", format!("{text:?} is not a series selector: {e}")))?;
    match plan.selectors() {
        [s] if s.range_ms == Some(1000) && s.offset_ms == 0 && s.at.is_none() => {
            if s.matchers.iter().all(Matcher::matches_empty) {
                return Err(ApiError::parameter(
                    "match[]",
                    "match[] must contain at least one non-empty matcher",
                ));
            }
            Ok(s.matchers.clone())
        }
        _ => Err(ApiError::parameter("match[]", format!("{text:?} is not a series selector"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_and_durations_are_prometheus() {
        for (text, want) in [
            ("0", Some(0)),
            ("1435781451.781", Some(1_435_781_451_781)),
            ("-1.5", Some(-1500)),
            ("1e3", Some(1_000_000)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781)),
            ("2015-07-01", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("now", None),
        ] {
            assert_eq!(time(text).ok(), want, "{text}");
        }
        for (text, want) in [
            ("15", Some(15_000)),
            ("0.001", Some(1)),
            ("1h30m", Some(5_400_000)),
            ("x", None),
            ("1e300", None),
        ] {
            assert_eq!(duration_ms(text).ok(), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = (time(&text), duration_ms(&text));
        }

        #[test]
        fn no_number_panics(number: f64) {
            let _ = (time(&number.to_string()), duration_ms(&number.to_string()));
        }
    }
}
