//! A formula: its text, and what it means.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::FormulaError;
use crate::evaluate::{Failure, Undefined};
use crate::parse::parse;
use crate::tree::{Mention, Number};

/// A formula that makes sense. Copies share what was understood; equal texts are equal formulas.
#[derive(Clone)]
pub struct Formula(Arc<Compiled>);

struct Compiled {
    text: String,
    tree: Number,
    metrics: Vec<Mention>,
}

impl Formula {
    /// Understands `text`.
    ///
    /// # Errors
    /// What is wrong, and in which column: too long, too deep, not of the language, not a number, or of no metric.
    pub fn compile(text: &str) -> Result<Self, FormulaError> {
        let (tree, metrics) = parse(text)?;
        Ok(Self(Arc::new(Compiled { text: text.to_owned(), tree, metrics })))
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The metrics that it reads, in the order of their first mention.
    #[must_use]
    pub fn metrics(&self) -> &[Mention] {
        &self.0.metrics
    }

    /// Whether it reads `metric`.
    #[must_use]
    pub fn reads(&self, metric: &str) -> bool {
        self.0.metrics.iter().any(|mention| mention.name == metric)
    }

    /// Its number for the metrics' values, in the order of [`Self::metrics`].
    ///
    /// # Errors
    /// Why there is none; not where the value that is missing is of no account.
    pub fn evaluate(&self, values: &[Option<f64>]) -> Result<f64, Undefined> {
        match self.0.tree.evaluate(values) {
            Ok(value) if value.is_finite() => Ok(value),
            Ok(_) => Err(Undefined::NotFinite),
            Err(Failure::DivisionByZero) => Err(Undefined::DivisionByZero),
            Err(Failure::NoValue(index)) => {
                let metric = self.0.metrics.get(index).map(|metric| metric.name.clone());
                Err(Undefined::NoValue { metric: metric.unwrap_or_default() })
            }
        }
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Formula {}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text(), f)
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Formula {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Formula {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::compile(&text).map_err(serde::de::Error::custom)
    }
}
