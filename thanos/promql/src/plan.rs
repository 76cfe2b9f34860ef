//! The typed plan: what a query reads and how it computes, with everything static resolved once.

use std::borrow::Cow;

use thanos_promql_syntax::Context;
pub use thanos_promql_syntax::ast::{At, Extend, Selector, ValueType};

use self::expr::Expr;
use crate::error::QueryError;
use crate::steps::Steps;

pub(crate) mod expr;
pub(crate) mod func;
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

/// Parses and checks a query.
///
/// # Errors
/// [`QueryError::BadData`] for text that is not PromQL, too long or too deeply nested;
/// [`QueryError::Unsupported`] for PromQL that this engine cannot do yet.
pub fn parse(text: &str) -> Result<Plan, QueryError> {
    parse_in(text, None)
}

fn parse_in(text: &str, context: Context) -> Result<Plan, QueryError> {
    let parsed = thanos_promql_syntax::parse(text, context)?;
    let mut lower = lower::Lower::default();
    let root = lower.expr(&parsed.root)?;
    Ok(Plan {
        text: text.into(),
        root,
        selectors: lower.selectors,
        depends_on_steps: parsed.depends_on_steps,
    })
}

#[cfg(test)]
mod tests;
