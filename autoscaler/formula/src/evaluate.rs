//! From values to a number, or to why there is none.

use serde::{Deserialize, Serialize};

use crate::tree::{Comparison, Join, Number, Operator, Pick, Truth};

/// Why a formula has no number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Undefined {
    /// It reads a metric that has no value.
    #[error("{metric} has no value")]
    NoValue {
        /// Which.
        metric: String,
    },
    /// It divides by zero.
    #[error("it divides by zero")]
    DivisionByZero,
    /// It is infinite, or no number at all.
    #[error("it is not a finite number")]
    NotFinite,
}

/// A failure within: a metric is named by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NoValue(usize),
    DivisionByZero,
}

/// The metrics' values, in the order of their first mention.
pub(crate) type Values<'a> = &'a [Option<f64>];

impl Number {
    pub(crate) fn evaluate(&self, values: Values<'_>) -> Result<f64, Failure> {
        match self {
            Self::Literal(value) => Ok(*value),
            Self::Metric(index) => values.get(*index).copied().flatten().ok_or(Failure::NoValue(*index)),
            Self::Negated(inner) => Ok(-inner.evaluate(values)?),
            Self::Reckoned(operator, left, right) => {
                let (left, right) = (left.evaluate(values)?, right.evaluate(values)?);
                match operator {
                    Operator::Add => Ok(left + right),
                    Operator::Subtract => Ok(left - right),
                    Operator::Multiply => Ok(left * right),
                    Operator::Divide if right == 0.0 => Err(Failure::DivisionByZero),
                    Operator::Divide => Ok(left / right),
                }
            }
            Self::Picked(pick, all) => {
                let mut best: Option<f64> = None;
                for number in all {
                    let value = number.evaluate(values)?;
                    // Not `f64::max`, which lets NaN disappear.
                    let is_better = best.is_none_or(|best| match pick {
                        Pick::Highest => value > best || value.is_nan(),
                        Pick::Lowest => value < best || value.is_nan(),
                    });
                    if is_better {
                        best = Some(value);
                    }
                }
                Ok(best.unwrap_or(f64::NAN))
            }
            Self::Chosen(condition, then, otherwise) => {
                if condition.evaluate(values)? {
                    then.evaluate(values)
                } else {
                    otherwise.evaluate(values)
                }
            }
        }
    }
}

impl Truth {
    pub(crate) fn evaluate(&self, values: Values<'_>) -> Result<bool, Failure> {
        match self {
            Self::Literal(value) => Ok(*value),
            Self::Has(index) => Ok(values.get(*index).is_some_and(Option::is_some)),
            Self::Compared(comparison, left, right) => {
                let (left, right) = (left.evaluate(values)?, right.evaluate(values)?);
                Ok(match comparison {
                    Comparison::Equal => left == right,
                    Comparison::Different => left != right,
                    Comparison::Less => left < right,
                    Comparison::AtMost => left <= right,
                    Comparison::Greater => left > right,
                    Comparison::AtLeast => left >= right,
                })
            }
            Self::Same(same, left, right) => Ok((left.evaluate(values)? == right.evaluate(values)?) == *same),
            Self::Not(inner) => Ok(!inner.evaluate(values)?),
            // A side that settles it does so whatever the other one fails with, as in CEL.
            Self::Joined(join, left, right) => {
                let settles = *join == Join::Or;
                match (left.evaluate(values), || right.evaluate(values)) {
                    (Ok(left), _) if left == settles => Ok(settles),
                    (Ok(_), right) => right(),
                    (Err(failure), right) => match right() {
                        Ok(right) if right == settles => Ok(settles),
                        _ => Err(failure),
                    },
                }
            }
            Self::Chosen(condition, then, otherwise) => {
                if condition.evaluate(values)? {
                    then.evaluate(values)
                } else {
                    otherwise.evaluate(values)
                }
            }
        }
    }
}
