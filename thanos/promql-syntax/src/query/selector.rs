//! Which series a query reads, and at which time; written anew with more conditions or for another time.

use std::fmt;

use thanos_model::{METRIC_NAME, MatchOp, Matcher, TimestampMs};

use crate::ast::{At, Extend, Kind, Selector};
use crate::error::SyntaxError;
use crate::parse::parse;
use crate::text::{Offset, Seconds, Series};

/// One series selector of a query, with the time that it looks at.
///
/// Displays as PromQL without a range: `request_total{code="200"} @ 1700000000.000 offset 5m`.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSelector {
    pub(super) matchers: Vec<Matcher>,
    pub(super) at_ms: Option<TimestampMs>,
    pub(super) offset_ms: i64,
    pub(super) optional: bool,
}

impl SeriesSelector {
    /// Reads one selector that stands alone, with `offset` and `@` where it has them.
    ///
    /// # Errors
    /// The text is not PromQL, or more than an instant selector.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let parsed = parse(text, super::INSTANT)?;
        let selector = match parsed.root.kind {
            Kind::Selector(s, _) if s.range_ms.is_none() && s.extend == Extend::No => *s,
            _ => {
                let message = "is no series selector alone; write for example requests_total{code=\"200\"}";
                return Err(SyntaxError::grammar(message));
            }
        };
        let Selector { matchers, offset_ms, at, .. } = selector;
        let at_ms = match at {
            Some(At::Time(time)) => Some(time),
            Some(At::Start | At::End) | None => None,
        };
        Ok(Self { matchers, at_ms, offset_ms, optional: false })
    }

    /// Conditions that all hold for its series; the metric's name is one of them.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// The metric's name, where one is given.
    pub fn name(&self) -> Option<&str> {
        let name = self.matchers.iter().find(|m| &*m.name == METRIC_NAME && m.op == MatchOp::Equal);
        name.map(|m| &*m.value)
    }

    /// The fixed time of `@`, its own or that of the subquery around it.
    pub fn at_ms(&self) -> Option<TimestampMs> {
        self.at_ms
    }

    /// How far back from there it looks, in milliseconds, those of enclosing subqueries included; negative looks
    /// forward.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// Whether the query has a value without its series: it stands at a side of `or`, right of `unless`, in
    /// `absent(…)`, or at a side that `fill` fills.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// The time that a sample's age counts from, for an evaluation at `now_ms`.
    pub fn reference_ms(&self, now_ms: TimestampMs) -> TimestampMs {
        self.at_ms.unwrap_or(now_ms).saturating_sub(self.offset_ms)
    }

    /// Whether a series with that value of a label could match.
    pub fn admits(&self, label: &str, value: &str) -> bool {
        self.matchers.iter().filter(|m| &*m.name == label).all(|m| m.matches(value))
    }

    /// The same series, of which this holds as well.
    #[must_use]
    pub fn with(mut self, matcher: Matcher) -> Self {
        self.matchers.push(matcher);
        self
    }

    /// The same series, looked at `offset_ms` earlier than now; negative looks later.
    #[must_use]
    pub fn offset(mut self, offset_ms: i64) -> Self {
        self.offset_ms = self.offset_ms.saturating_add(offset_ms);
        self
    }

    /// The same series, looked at from a fixed time; its offset stays.
    #[must_use]
    pub fn at(mut self, time_ms: TimestampMs) -> Self {
        self.at_ms = Some(time_ms);
        self
    }

    pub(super) fn sees_the_same(&self, other: &Self) -> bool {
        (&self.matchers, self.at_ms, self.offset_ms) == (&other.matchers, other.at_ms, other.offset_ms)
    }
}

impl fmt::Display for SeriesSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Series(&self.matchers))?;
        if let Some(at_ms) = self.at_ms {
            write!(f, " @ {}", Seconds(at_ms))?;
        }
        write!(f, "{}", Offset(self.offset_ms))
    }
}
