//! Sizes and times: what one request, one connection and one proxy may take.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::message::Call;

/// Largest head of a request: beyond, 431. So with more than a hundred fields in HTTP/1, which is hyper's own limit:
/// another one, even a smaller one, makes it prepare room for every request.
pub(crate) const HEAD_MAX_BYTES: usize = 64 << 10;
/// Longest deadline that a request may ask for.
const ASKED_MAX: Duration = Duration::from_secs(3600);

/// Times of requests, as configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// From the end of the request to the response's head.
    pub(crate) request: Duration,
    /// Between two pieces of a request's body, until the response's head.
    pub(crate) upload_idle: Duration,
    /// Between two frames of the response.
    pub(crate) stream_idle: Duration,
    /// For a client that ended its own side: without a byte going out to it.
    pub(crate) half_close: Duration,
}

/// Times of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    timeouts: Timeouts,
    arrived: Instant,
    /// What its client asked for, from its arrival to the response's head.
    asked: Option<Duration>,
    /// Calls of gRPC may be quiet for as long as they like, unless they ask for a deadline.
    quiet: bool,
}

impl Limits {
    /// `asked`: by a header of ours; gRPC's own counts as well.
    pub(crate) fn of(
        timeouts: Timeouts,
        arrived: Instant,
        call: Call,
        headers: &HeaderMap,
        asked: Option<Duration>,
    ) -> Self {
        let grpc = if call == Call::Http { None } else { grpc_timeout(headers) };
        let asked = match (asked, grpc) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { timeouts, arrived, asked: asked.map(|d| d.min(ASKED_MAX)), quiet: call != Call::Http }
    }

    /// When it is over in any case, if that is known.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.asked.map(|d| self.arrived + d)
    }

    /// How long the response's head may take once the request is over, if it may not take for ever.
    pub(crate) fn response(&self) -> Option<Duration> {
        (self.asked.is_none() && !self.quiet).then_some(self.timeouts.request)
    }

    /// How long the body of the request may stand still before there is a response.
    pub(crate) fn upload_idle(&self) -> Option<Duration> {
        (!self.quiet).then_some(self.timeouts.upload_idle)
    }

    pub(crate) fn stream_idle(&self) -> Duration {
        self.timeouts.stream_idle
    }

    pub(crate) fn half_close(&self) -> Duration {
        self.timeouts.half_close
    }

    /// For words: how long was waited.
    pub(crate) fn waited(&self) -> Duration {
        self.asked.unwrap_or(self.timeouts.request)
    }

    /// By when somebody must have been found who takes it.
    pub(crate) fn find_by(&self) -> Instant {
        self.arrived + self.waited()
    }
}

/// `grpc-timeout`: up to eight digits and a unit. One that is wrong is none, as if it had not been sent: the app
/// will say what it thinks of it.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

/// `250ms`, `2s`, `1m`, `1h`: a whole number and a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?}: expected a number and a unit, such as 250ms"))?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("{text:?}: the unit must be ms, s, m or h")),
    };
    // A year is forever here, and far from every overflow.
    let ms = number.checked_mul(unit_ms).filter(|ms| *ms <= 366 * 24 * 3_600_000);
    ms.map(Duration::from_millis).ok_or_else(|| format!("{text:?}: longer than a year"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "5", "-1s", "1.5s", "5d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn deadlines_of_grpc() {
        let table = [
            ("1H", Some(Duration::from_secs(3600))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("250m", Some(Duration::from_millis(250))),
            ("10u", Some(Duration::from_micros(10))),
            ("0n", Some(Duration::ZERO)),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("1s", None),
            ("-1S", None),
            ("1 S", None),
            ("é", None),
        ];
        for (text, expected) in table {
            let value = http::HeaderValue::from_bytes(text.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), value)]);
            assert_eq!(grpc_timeout(&headers), expected, "{text}");
        }
    }
}
