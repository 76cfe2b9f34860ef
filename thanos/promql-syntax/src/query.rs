//! A query as a metric's owner sees it: one number at one time, from series of which each should be there.

use thanos_model::TimestampMs;

use crate::ast::{At, BinaryOp, Expr, Kind, ValueType};
use crate::error::{Span, SyntaxError};
use crate::parse::parse;

mod pin;
mod selector;

pub use pin::Pinned;
pub use selector::SeriesSelector;

/// Most selectors of one query; each has to be watched.
pub const MAX_SELECTORS: usize = 64;

/// Furthest that a selector may look away, in milliseconds: 290 years, which its text can say.
const MAX_OFFSET_MS: u64 = 290 * 365 * 86_400_000;

/// What names begin with that have a colon and no rule behind them: inference servers put their own name before it.
const SERVERS_WITH_COLONS: [&str; 3] = ["vllm:", "llamacpp:", "sglang:"];

/// `step()` and `range()` of an instant query.
const INSTANT: crate::Context = Some((0.0, 0.0));

/// An instant query for a number or for a number per series.
///
/// ```
/// use thanos_model::{MatchOp, Matcher};
/// use thanos_promql_syntax::{Query, ValueType};
///
/// let query = Query::parse("sum(rate(requests_total{code=~`5..`}[1m] offset 5m)) / 2")?;
/// assert_eq!(query.value_type(), ValueType::Vector);
/// assert_eq!(query.at(1_500), "sum(rate(requests_total{code=~`5..`}[1m] @ 1.500 offset 5m)) / 2");
///
/// // When did its series last have a sample, those included that are up to 30 s ahead of the clock that asks?
/// let [requests] = query.selectors() else { panic!("one selector") };
/// let newest = requests.clone().offset(-30_000);
/// assert_eq!(format!("timestamp({newest})"), r#"timestamp(requests_total{code=~"5.."} offset 4m30s)"#);
///
/// let pods = Matcher::new("pod", MatchOp::Regex, "web-.+")?;
/// assert_eq!(requests.clone().with(pods).offset(-300_000).to_string(), r#"requests_total{code=~"5..",pod=~"web-.+"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    text: String,
    expression: String,
    value_type: ValueType,
    selectors: Vec<SeriesSelector>,
    window_ms: i64,
    shortest_range_ms: Option<i64>,
    pinned: Pinned,
}

impl Query {
    /// Parses the text and finds its selectors.
    ///
    /// # Errors
    /// The text is not PromQL or more than [`parse`] takes, gives a range of samples or a text, has more than
    /// [`MAX_SELECTORS`] different selectors, or looks more than 290 years away.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let wrong = |message: &str| SyntaxError::grammar(message);
        if text.trim().is_empty() {
            return Err(wrong("is empty"));
        }
        let parsed = parse(text, INSTANT)?;
        let value_type = parsed.root.value_type();
        match value_type {
            ValueType::Vector | ValueType::Scalar => {}
            ValueType::Matrix => {
                return Err(wrong("gives a range of samples; wrap it, for example in rate(…)"));
            }
            ValueType::String => return Err(wrong("gives a string; a metric needs a number")),
        }
        let mut found = Found::default();
        found.walk(&parsed.root, Around::default());
        if found.selectors.len() > MAX_SELECTORS {
            let message = format!("has more than {MAX_SELECTORS} different selectors; record parts of it");
            return Err(wrong(&message));
        }
        if found.selectors.iter().any(|s| s.offset_ms.unsigned_abs() > MAX_OFFSET_MS) {
            return Err(wrong("looks more than 290 years away"));
        }
        Ok(Self {
            text: text.to_owned(),
            value_type,
            selectors: found.selectors,
            window_ms: found.window_ms,
            shortest_range_ms: found.shortest_range_ms,
            pinned: Pinned::new(text, &parsed),
            expression: uncommented(text, &parsed.comments),
        })
    }

    /// As it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As it was given, without comments, so that it may stand inside of another query.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// [`ValueType::Scalar`] or [`ValueType::Vector`].
    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Every series selector, in reading order, each once. Empty: a constant or a clock.
    pub fn selectors(&self) -> &[SeriesSelector] {
        &self.selectors
    }

    /// How far back the longest range reads, those of subqueries around it included, in milliseconds.
    pub fn window_ms(&self) -> i64 {
        self.window_ms
    }

    /// The shortest range of any range selector, in milliseconds: a series that lags by more is absent from that
    /// range's result, however young its newest sample looks. `None` without range selectors.
    pub fn shortest_range_ms(&self) -> Option<i64> {
        self.shortest_range_ms
    }

    /// Names with a colon, in reading order, each once: by convention recorded by rules, which stamp samples with
    /// the time of the rule and not of what it read. Not those of servers that put colons into names of their own.
    pub fn recorded(&self) -> Vec<&str> {
        let of_a_server = |name: &str| SERVERS_WITH_COLONS.iter().any(|server| name.starts_with(server));
        let mut names: Vec<&str> = Vec::new();
        for name in self.selectors.iter().filter_map(SeriesSelector::name) {
            if name.contains(':') && !of_a_server(name) && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The query's text for the answer that this query has at `time_ms`, whenever it is asked: see [`Pinned`].
    pub fn at(&self, time_ms: TimestampMs) -> String {
        self.pinned.at(time_ms)
    }

    /// The same, prepared for many times.
    pub fn pinned(&self) -> &Pinned {
        &self.pinned
    }
}

fn uncommented(text: &str, comments: &[Span]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for comment in comments {
        out.push_str(text.get(from..comment.start).unwrap_or_default());
        out.push(' ');
        from = comment.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// What the expressions around a selector say about it.
#[derive(Clone, Copy, Debug, Default)]
struct Around {
    at_ms: Option<TimestampMs>,
    offset_ms: i64,
    /// Sum of the ranges.
    range_ms: i64,
    /// There is a result without it.
    optional: bool,
}

impl Around {
    /// Inside of a selector or subquery that has these modifiers: its own `@` replaces what is around it.
    fn within(self, at: Option<At>, own_ms: i64) -> Self {
        match at {
            Some(At::Time(time)) => Self { at_ms: Some(time), offset_ms: own_ms, ..self },
            // start() and end() of an instant query are its evaluation time.
            Some(At::Start | At::End) => Self { at_ms: None, offset_ms: own_ms, ..self },
            None => Self { offset_ms: self.offset_ms.saturating_add(own_ms), ..self },
        }
    }

    fn over(self, range_ms: i64) -> Self {
        Self { range_ms: self.range_ms.saturating_add(range_ms), ..self }
    }

    fn optional(self, optional: bool) -> Self {
        Self { optional: self.optional || optional, ..self }
    }
}

#[derive(Default)]
struct Found {
    selectors: Vec<SeriesSelector>,
    window_ms: i64,
    shortest_range_ms: Option<i64>,
}

impl Found {
    /// Depth is bounded by the guard.
    fn walk(&mut self, expr: &Expr, around: Around) {
        match &expr.kind {
            Kind::Selector(s, _) => {
                let here = around.within(s.at, s.offset_ms).over(s.range_ms.unwrap_or(0));
                self.window_ms = self.window_ms.max(here.range_ms);
                let shortest = [self.shortest_range_ms, s.range_ms];
                self.shortest_range_ms = shortest.into_iter().flatten().min();
                self.add(SeriesSelector {
                    matchers: s.matchers.clone(),
                    at_ms: here.at_ms,
                    offset_ms: here.offset_ms,
                    optional: here.optional,
                });
            }
            Kind::Subquery(s) => self.walk(&s.expr, around.within(s.at, s.offset_ms).over(s.range_ms)),
            Kind::Aggregate(a) => {
                a.param.iter().for_each(|p| self.walk(p, around));
                self.walk(&a.expr, around);
            }
            Kind::Call(c) => {
                let around = around.optional(matches!(c.name, "absent" | "absent_over_time"));
                c.args.iter().for_each(|a| self.walk(a, around));
            }
            Kind::Binary(b) => {
                let or = b.op == BinaryOp::Or;
                let unless = b.op == BinaryOp::Unless;
                self.walk(&b.lhs, around.optional(or || b.matching.fill_left.is_some()));
                self.walk(&b.rhs, around.optional(or || unless || b.matching.fill_right.is_some()));
            }
            Kind::Negate(e) => self.walk(e, around),
            Kind::Number(_) | Kind::Text(_) => {}
        }
    }

    /// One that is needed anywhere is needed.
    fn add(&mut self, selector: SeriesSelector) {
        if let Some(known) = self.selectors.iter_mut().find(|s| s.sees_the_same(&selector)) {
            known.optional &= selector.optional;
        } else if self.selectors.len() <= MAX_SELECTORS {
            // One more than may be, so that too many are noticed, and no more.
            self.selectors.push(selector);
        }
    }
}

#[cfg(test)]
mod tests;
