//! The Prometheus scaler: from a query's result to a number and whether that is activity.

use crate::quantity::milli;
use crate::scaled_object::PrometheusTrigger;

/// What an instant query came back with, as far as KEDA looks.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryResult {
    /// No series.
    Empty,
    /// More than one series.
    Many,
    /// One series whose value is `null`.
    Null,
    /// One series and its value, whatever its age and whatever warnings came along.
    Value(f64),
    /// No answer within three seconds, another status than 2xx, or what is not JSON.
    Failed(String),
}

/// A number that is told, and whether it makes the target active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Thousandths.
    pub milli: i64,
    /// Above `activationThreshold`.
    pub active: bool,
}

/// Reads a result.
///
/// # Errors
///
/// The query failed, there are several series, or `ignoreNullValues` is off and there is no finite number.
///
/// Upstream: `pkg/scalers/prometheus_scaler.go`, `ExecutePromQuery` and `GetMetricsAndActivity`.
pub fn read(trigger: &PrometheusTrigger, result: &QueryResult) -> Result<Reading, String> {
    let null = |what: &str| {
        if trigger.ignore_null_values {
            Ok(0.0)
        } else {
            Err(format!("{what}; with ignoreNullValues that would be zero"))
        }
    };
    let value = match result {
        QueryResult::Empty => null("no series"),
        QueryResult::Many => Err("more than one series; aggregate them".to_owned()),
        QueryResult::Null => Ok(-1.0),
        QueryResult::Value(value) if !value.is_finite() => null("no finite number"),
        QueryResult::Value(value) => Ok(*value),
        QueryResult::Failed(why) => Err(why.clone()),
    }?;
    Ok(Reading { milli: milli(value), active: value > trigger.activation_threshold })
}
