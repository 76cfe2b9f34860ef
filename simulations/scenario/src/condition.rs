//! Conditions on the load's figures, in k6's grammar: `p(95)<200`, `failed==0`, `rate>=190`.
//!
//! ```text
//!  FIGURE  OPERATOR  VALUE[UNIT]     figure: avg min med max p(N)   latency, milliseconds (or ms, s)
//!                                            failed                 failed and unsent requests (a count, or %)
//!                                            count                  requests that were due
//!                                            rate                   answered well, per second
//!                                    operator: < <= > >= == !=
//! ```

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::names::nearest;

/// A request that takes longer has failed its user, and no latency is longer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// `FIGURE OPERATOR VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is looked at.
    pub figure: Figure,
    /// How it is compared.
    pub operator: Operator,
    /// With what: milliseconds of a latency, 0 to 1 of a share.
    pub value: f64,
    /// As written.
    text: String,
}

/// A figure of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// Mean latency.
    Average,
    /// Shortest latency.
    Minimum,
    /// Longest latency.
    Maximum,
    /// Latency that a share of the requests, 0 to 1, did not exceed.
    Percentile(f64),
    /// Requests that failed or were not sent.
    Failed,
    /// 0 to 1 of those that were due.
    FailedShare,
    /// Requests that were due.
    Count,
    /// Answered well, per second.
    Rate,
}

impl Figure {
    /// Whether it is a latency.
    pub fn is_latency(self) -> bool {
        matches!(self, Self::Average | Self::Minimum | Self::Maximum | Self::Percentile(_))
    }

    /// Between what it is: the least, which a latency is always above, and the most.
    fn range(self) -> (f64, f64) {
        match self {
            Self::FailedShare => (0.0, 1.0),
            Self::Failed | Self::Count | Self::Rate => (0.0, f64::INFINITY),
            _ => (0.0, REQUEST_TIMEOUT.as_secs_f64() * 1000.0),
        }
    }
}

/// How a figure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Operator {
    /// Whether the comparison is true.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::Equal => a == b,
            Self::NotEqual => a != b,
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| {
            format!(
                "threshold {text:?}: {why} (write for example p(95)<200, failed==0, failed<1% or rate>=190)"
            )
        };
        // Two-character operators first, as they begin with the others.
        let (at, sign, operator) = [
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ]
        .into_iter()
        .find_map(|(sign, operator)| text.find(sign).map(|at| (at, sign, operator)))
        .ok_or_else(|| bad("no operator"))?;
        let (name, value) = (text[..at].trim(), text[at + sign.len()..].trim());
        let digits = value.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(value.len());
        let (number, unit) = (&value[..digits], value[digits..].trim());
        let number: f64 = number.parse().map_err(|_| bad("no number after the operator"))?;
        let (figure, value) = match (figure(name).map_err(|e| bad(&e))?, unit) {
            (Figure::Failed, "%") => (Figure::FailedShare, number / 100.0),
            (f @ (Figure::Failed | Figure::Count | Figure::Rate), "") => (f, number),
            (Figure::Failed | Figure::Count | Figure::Rate, unit) => {
                return Err(bad(&format!("{name} has no unit {unit:?}")));
            }
            (f, "" | "ms") => (f, number),
            (f, "s") => (f, number * 1000.0),
            (_, unit) => return Err(bad(&format!("{unit:?} is not a unit of time, ms or s"))),
        };
        Ok(Self { figure, operator, value, text: text.to_owned() })
    }
}

fn figure(name: &str) -> Result<Figure, String> {
    const NAMES: [&str; 7] = ["avg", "min", "med", "max", "failed", "count", "rate"];
    Ok(match name {
        "avg" => Figure::Average,
        "min" => Figure::Minimum,
        "med" => Figure::Percentile(0.5),
        "max" => Figure::Maximum,
        "failed" => Figure::Failed,
        "count" => Figure::Count,
        "rate" => Figure::Rate,
        _ => {
            let percent = name.strip_prefix("p(").and_then(|n| n.strip_suffix(')'));
            let percent = percent.and_then(|n| n.trim().parse::<f64>().ok());
            match percent.filter(|p| (0.0..=100.0).contains(p)) {
                Some(p) => Figure::Percentile(p / 100.0),
                None => {
                    let known = NAMES.into_iter().chain(["p(95)"]);
                    let hint = nearest(name, known).unwrap_or_default();
                    return Err(format!("no figure {name:?}{hint}"));
                }
            }
        }
    })
}

impl Condition {
    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is what users accept: a bound on latency or failures, from above.
    pub fn is_of_quality(&self) -> bool {
        let above = matches!(self.operator, Operator::Less | Operator::LessOrEqual);
        let none = self.operator == Operator::Equal && self.value == 0.0;
        match self.figure {
            Figure::Count | Figure::Rate => false,
            Figure::Failed | Figure::FailedShare => above || none,
            _ => above,
        }
    }

    /// The latency, milliseconds, above which a request is not what users accept; none for failures.
    pub fn latency_bound_ms(&self) -> Option<f64> {
        self.figure.is_latency().then_some(self.value)
    }

    /// What it says of any load whatever, where it does: a row that cannot fail, or cannot hold, proves nothing.
    pub fn says_nothing(&self) -> Option<&'static str> {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        const ALWAYS: &str = "always holds, so it says nothing";
        const NEVER: &str = "can never hold";
        let ((least, most), v) = (self.figure.range(), self.value);
        // No latency is 0.
        let at_least = |bound: f64| bound < least || (bound == least && self.figure.is_latency());
        match self.operator {
            Less if most < v => Some(ALWAYS),
            Less if v <= least => Some(NEVER),
            LessOrEqual if most <= v => Some(ALWAYS),
            LessOrEqual if at_least(v) => Some(NEVER),
            Greater if at_least(v) => Some(ALWAYS),
            Greater if most <= v => Some(NEVER),
            GreaterOrEqual if v <= least => Some(ALWAYS),
            GreaterOrEqual if most < v => Some(NEVER),
            Equal | NotEqual if self.figure.is_latency() => {
                Some("compares a latency with one exact value; write < or <=, or > or >=")
            }
            Equal if !(least..=most).contains(&v) => Some(NEVER),
            NotEqual if !(least..=most).contains(&v) => Some(ALWAYS),
            _ => None,
        }
    }

    /// Whether nothing that comes later can make it hold again: a figure that only grows is beyond its upper bound.
    pub fn is_final_once_crossed(&self) -> bool {
        matches!(self.figure, Figure::Failed | Figure::Count | Figure::Maximum)
            && matches!(self.operator, Operator::Less | Operator::LessOrEqual | Operator::Equal)
            && (self.operator != Operator::Equal || self.value == 0.0)
    }

    /// Whether a figure that does not hold yet can be told from one that cannot hold any more.
    ///
    /// # Errors
    /// Why not.
    pub fn may_abort(&self) -> Result<(), &'static str> {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        match (self.figure, self.operator) {
            (Figure::Rate, Greater | GreaterOrEqual | Equal) => {
                Err("a rate that is too low so far may still rise: requests are under way")
            }
            (Figure::Count | Figure::Failed | Figure::Maximum, Greater | GreaterOrEqual) => {
                Err("a figure that only grows reaches a lower bound at the end or never")
            }
            (Figure::Count | Figure::Failed | Figure::Maximum, Equal) if self.value > 0.0 => {
                Err("a figure that only grows reaches a value at the end or never")
            }
            (Figure::Minimum, Less | LessOrEqual | Equal) => {
                Err("a minimum that is too high so far may still fall")
            }
            (_, NotEqual) => Err("a figure may pass through a value on its way"),
            _ => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
