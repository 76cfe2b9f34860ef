//! The typed plan: what a query reads and how it computes, with everything static resolved once.

use std::borrow::Cow;
use std::fmt;

use thanos_model::{MatchOp, Matcher, TimestampMs, format_duration};

use self::expr::Expr;
pub use self::expr::ValueType;
use crate::engine::Steps;
use crate::error::QueryError;

mod cursor;
mod duration;
pub(crate) mod expr;
pub(crate) mod func;
mod guard;
mod lex;
mod lift;
mod lower;

/// A parsed and checked query.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) text: String,
    pub(crate) root: Expr,
    /// Whether a duration depends on the query's times, so that the plan has to be bound to them.
    depends_on_steps: bool,
    pub(crate) selectors: Vec<Selector>,
}

/// The evaluation time that a selector or subquery is pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
    /// `@ <timestamp>`
    Time(TimestampMs),
}

/// One vector or range selector of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// All must pass; the metric name is one of them.
    pub matchers: Vec<Matcher>,
    /// Width of the range; `None` for an instant selector.
    pub range_ms: Option<i64>,
    /// How far back of the evaluation time; negative looks forward.
    pub offset_ms: i64,
    /// Pinned evaluation time.
    pub at: Option<At>,
    /// How the edges of the range are found.
    pub extend: Extend,
}

/// How values at the edges of a range, or at the evaluation time, are found from samples beyond them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extend {
    /// Not at all: only what is inside counts.
    #[default]
    No,
    /// `anchored`: the newest sample before the range stands for its start.
    Anchored,
    /// `smoothed`: interpolated between the samples on both sides.
    Smoothed,
}

impl Plan {
    /// The query as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The plan for a query at these times.
    pub(crate) fn bound(&self, steps: Steps) -> Result<Cow<'_, Self>, QueryError> {
        if !self.depends_on_steps {
            return Ok(Cow::Borrowed(self));
        }
        let step_ms = if steps.instant { 0 } else { steps.step_ms };
        let context = (step_ms as f64 / 1000.0, (steps.end_ms - steps.start_ms) as f64 / 1000.0);
        parse_in(&self.text, Some(context)).map(Cow::Owned)
    }

    /// The type of the result.
    pub fn value_type(&self) -> ValueType {
        self.root.value_type()
    }

    /// What the query reads, in source order.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }
}

impl Selector {
    /// `timestamp(…)` of this selector's newest samples: what a caller asks to learn their age.
    pub fn timestamp_query(&self) -> String {
        format!("timestamp({})", Self { range_ms: None, extend: Extend::No, ..self.clone() })
    }
}

/// Reads back as the same selector.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, m) in self.matchers.iter().enumerate() {
            let op = match m.op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Regex => "=~",
                MatchOp::NotRegex => "!~",
            };
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{}{op}{}", LabelName(&m.name), Quoted(&m.value))?;
        }
        f.write_str("}")?;
        let duration = |ms: i64| format_duration(std::time::Duration::from_millis(ms.unsigned_abs()));
        if let Some(range) = self.range_ms {
            write!(f, "[{}]", duration(range))?;
        }
        match self.at {
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            Some(At::Time(t)) => write!(f, " @ {:.3}", t as f64 / 1000.0)?,
            None => {}
        }
        match self.offset_ms {
            0 => {}
            ms => write!(f, " offset {}{}", if ms < 0 { "-" } else { "" }, duration(ms))?,
        }
        f.write_str(match self.extend {
            Extend::No => "",
            Extend::Anchored => " anchored",
            Extend::Smoothed => " smoothed",
        })
    }
}

struct LabelName<'a>(&'a str);

impl fmt::Display for LabelName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        let plain = chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
            && chars.all(|c| c == '_' || c.is_ascii_alphanumeric());
        if plain { f.write_str(self.0) } else { write!(f, "{}", Quoted(self.0)) }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c if c.is_control() && u32::from(c) < 0x80 => write!(f, "\\x{:02x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Parses and checks a query.
///
/// # Errors
/// [`QueryError::BadData`] for text that is not PromQL, too long or too deeply nested;
/// [`QueryError::Unsupported`] for PromQL that this engine cannot do yet.
pub fn parse(text: &str) -> Result<Plan, QueryError> {
    parse_in(text, None)
}

fn parse_in(text: &str, context: duration::Context) -> Result<Plan, QueryError> {
    guard::length(text)?;
    let tokens = lex::scan(text);
    guard::nesting(&tokens)?;
    guard::durations(&tokens)?;
    let tree = promql_parser::parser::parse(&lift::lift(text, &tokens)).map_err(QueryError::parse)?;
    let cursor = cursor::Cursor::new(&tokens);
    let mut lower = lower::Lower { cursor, selectors: Vec::new(), context, depends_on_steps: false };
    let root = lower.expr(&tree)?;
    Ok(Plan { text: text.into(), root, selectors: lower.selectors, depends_on_steps: lower.depends_on_steps })
}

#[cfg(test)]
mod tests;
