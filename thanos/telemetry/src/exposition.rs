//! The text a scrape reads: Prometheus 0.0.4 and OpenMetrics 1.0.
//!
//! ```text
//!  bytes ─► Parser ─► Sample { series: &str, value, timestamp } ─► labels() only where the series is new
//! ```
//!
//! A scrape sees the same few hundred series every second, so a [`Sample`] borrows the series' text as it was
//! written, which a cache can look up; [`Sample::labels`] builds the label set when the cache does not know
//! it. Syntax is checked either way. Exemplars, help and units are skipped.
//!
//! As in Prometheus 3: `le` and `quantile` of classic histograms and summaries are written the OpenMetrics way
//! (`1` becomes `1.0`), whichever format they came in; names may be quoted (`{"http.requests", "a.b"="c"}`);
//! any NaN becomes the one ordinary NaN, so that no target can forge a staleness marker.

mod float;
mod series;
#[cfg(test)]
mod tests;

use thanos_model::{Labels, TimestampMs};

/// An ordinary NaN (Prometheus `model/value/value.go`, `NormalNaN`).
const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// Which grammar a body follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4: timestamps in milliseconds, blank lines and comments anywhere.
    Text,
    /// OpenMetrics 1.0: timestamps in seconds, exemplars, closed by `# EOF`.
    OpenMetrics,
}

impl Format {
    /// The format that a `Content-Type` header announces; `None` where it is neither.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "text/plain" => Some(Self::Text),
            "application/openmetrics-text" => Some(Self::OpenMetrics),
            _ => None,
        }
    }
}

/// What a body may cost. The caller bounds the body itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest line in bytes.
    pub line_bytes: usize,
    /// Most labels on one series, the name included.
    pub labels: usize,
    /// Most samples in one body.
    pub samples: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line_bytes: 64 << 10, labels: 256, samples: 5_000_000 }
    }
}

/// What a family was announced as by the last `# TYPE` line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the format's own words")]
pub enum Kind {
    #[default]
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl Kind {
    fn parse(text: &str, format: Format) -> Option<Self> {
        use Format::OpenMetrics;
        Some(match (text, format) {
            ("untyped", Format::Text) | ("unknown", _) => Self::Unknown,
            ("counter", _) => Self::Counter,
            ("gauge", _) => Self::Gauge,
            ("histogram", _) => Self::Histogram,
            ("summary", _) => Self::Summary,
            ("gaugehistogram", OpenMetrics) => Self::GaugeHistogram,
            ("info", OpenMetrics) => Self::Info,
            ("stateset", OpenMetrics) => Self::StateSet,
            _ => return None,
        })
    }
}

/// A body that does not follow its format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

/// One sample line.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Name and labels exactly as written; equal text is the same series.
    pub series: &'a str,
    /// The value; a NaN is an ordinary one.
    pub value: f64,
    /// Only where the line carries one.
    pub timestamp_ms: Option<TimestampMs>,
    /// Its family's type.
    pub kind: Kind,
    line: usize,
}

impl Sample<'_> {
    /// The series' labels, `__name__` among them.
    ///
    /// # Errors
    /// A label is given twice, or there is no name.
    pub fn labels(&self) -> Result<Labels, ParseError> {
        series::labels(self.series, self.kind).map_err(|message| ParseError { line: self.line, message })
    }
}

/// Reads a body sample by sample; ends after the first error.
#[derive(Debug)]
pub struct Parser<'a> {
    rest: &'a str,
    format: Format,
    limits: Limits,
    line: usize,
    samples: usize,
    kind: Kind,
    eof_seen: bool,
    finished: bool,
}

impl<'a> Parser<'a> {
    /// A parser over a whole body.
    pub fn new(body: &'a str, format: Format, limits: Limits) -> Self {
        let (line, samples, kind) = (0, 0, Kind::Unknown);
        Self { rest: body, format, limits, line, samples, kind, eof_seen: false, finished: false }
    }

    fn next_line(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        Some(line)
    }

    fn next_sample(&mut self) -> Result<Option<Sample<'a>>, String> {
        while let Some(line) = self.next_line() {
            if self.eof_seen {
                return Err("unexpected text after # EOF".into());
            }
            if line.len() > self.limits.line_bytes {
                return Err(format!("line is {} bytes, the limit is {}", line.len(), self.limits.line_bytes));
            }
            let text = line.trim_matches([' ', '\t']);
            if let Some(comment) = text.strip_prefix('#') {
                self.comment(comment)?;
            } else if text.is_empty() {
                if self.format == Format::OpenMetrics {
                    return Err("OpenMetrics has no blank lines".into());
                }
            } else {
                return self.sample(text).map(Some);
            }
        }
        if self.format == Format::OpenMetrics && !self.eof_seen {
            return Err("the body does not end with # EOF: it was cut off, or is not OpenMetrics".into());
        }
        Ok(None)
    }

    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let mut words = comment.split([' ', '\t']).filter(|w| !w.is_empty());
        match (words.next(), self.format) {
            (Some("TYPE"), format) => {
                let (Some(_name), Some(kind)) = (words.next(), words.next()) else {
                    return Err("TYPE needs a name and a type".into());
                };
                self.kind = Kind::parse(kind, format).ok_or_else(|| format!("unknown type {kind:?}"))?;
            }
            (Some("EOF"), Format::OpenMetrics) => self.eof_seen = true,
            (Some("UNIT"), Format::OpenMetrics) => {
                let name = words.next().unwrap_or_default().trim_matches('"');
                let unit = words.next().unwrap_or_default();
                if !unit.is_empty() && !name.strip_suffix(unit).is_some_and(|n| n.ends_with('_')) {
                    return Err(format!("the name {name:?} does not end in its unit, _{unit}"));
                }
            }
            (Some("HELP"), _) | (_, Format::Text) => {}
            (_, Format::OpenMetrics) => {
                return Err("OpenMetrics has no comments but HELP, TYPE, UNIT and EOF".into());
            }
        }
        Ok(())
    }

    fn sample(&mut self, text: &'a str) -> Result<Sample<'a>, String> {
        self.samples += 1;
        if self.samples > self.limits.samples {
            return Err(format!("more than {} samples", self.limits.samples));
        }
        let (series, rest) = text.split_at(series::scan(text, self.limits.labels)?);
        let rest = match self.format {
            // An exemplar follows value and timestamp; neither can hold a '#'.
            Format::OpenMetrics => rest.split_once('#').map_or(rest, |(before, _)| before),
            Format::Text => rest,
        };
        let mut words = rest.split([' ', '\t']).filter(|w| !w.is_empty());
        let value = words.next().ok_or_else(|| format!("no value after {series:?}"))?;
        let value = float::parse(value).ok_or_else(|| format!("{value:?} is not a number"))?;
        let timestamp_ms = words.next().map(|t| self.timestamp_ms(t)).transpose()?;
        if let Some(extra) = words.next() {
            return Err(format!("unexpected {extra:?} after the timestamp"));
        }
        Ok(Sample { series, value, timestamp_ms, kind: self.kind, line: self.line })
    }

    fn timestamp_ms(&self, text: &str) -> Result<TimestampMs, String> {
        let bad = || format!("{text:?} is not a timestamp");
        match self.format {
            Format::Text => text.parse().map_err(|_| bad()),
            Format::OpenMetrics => {
                let ms = float::parse(text).ok_or_else(bad)? * 1000.0;
                // Beyond 2^53 milliseconds a float no longer holds every one of them.
                if ms.abs() < (1u64 << 53) as f64 { Ok(ms as TimestampMs) } else { Err(bad()) }
            }
        }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Sample<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_sample().map_err(|message| ParseError { line: self.line.max(1), message });
        self.finished = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

/// Reads a whole body into label sets: for tools and tests, which have no cache.
///
/// # Errors
/// The first line that is wrong.
pub fn parse_all(
    body: &str,
    format: Format,
    limits: Limits,
) -> Result<Vec<(Labels, f64, Option<TimestampMs>)>, ParseError> {
    Parser::new(body, format, limits)
        .map(|sample| sample.and_then(|s| Ok((s.labels()?, s.value, s.timestamp_ms))))
        .collect()
}
