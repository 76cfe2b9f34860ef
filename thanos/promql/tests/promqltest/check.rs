//! Whether a result is the expected one.

use std::collections::BTreeSet;

use thanos_model::{Sample, Value, is_stale};
use thanos_promql::{MatrixSeries, QueryError, QueryResult, QueryValue, VectorSample};

use crate::histograms;
use crate::script::{Eval, Message};
use crate::series::Point;

const EPSILON: f64 = 1e-6;

/// As upstream's `almost.Equal`.
pub(crate) fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, diff) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < EPSILON * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < EPSILON
}

pub(crate) fn check(eval: &Eval, text: &str, result: Result<QueryResult, QueryError>) -> Result<(), String> {
    let result = match (result, &eval.fail) {
        (Err(e @ QueryError::Unsupported { .. }), _) => return Err(e.to_string()),
        (Err(e), Some(message)) if message.fits(&e.to_string()) => return Ok(()),
        (Err(e), _) => return Err(format!("error: {e}")),
        (Ok(_), Some(_)) => return Err(format!("expected {text} to fail")),
        (Ok(r), None) => r,
    };
    annotations("warning", &eval.warn, eval.no_warn, &result.warnings)?;
    annotations("info", &eval.info, eval.no_info, &result.infos)?;
    match &result.value {
        QueryValue::Scalar { value, .. } => match eval.scalar {
            Some(want) if almost_equal(want, *value) => Ok(()),
            want => Err(format!("expected scalar {want:?}, got {value}")),
        },
        QueryValue::String { value, .. } => match &eval.string {
            Some(want) if want == value => Ok(()),
            want => Err(format!("expected string {want:?}, got {value:?}")),
        },
        QueryValue::Vector(v) => vector(eval, v),
        QueryValue::Matrix(m) => matrix(eval, m),
    }
}

fn annotations(kind: &str, wanted: &[Message], none: bool, got: &BTreeSet<String>) -> Result<(), String> {
    if none && !got.is_empty() {
        return Err(format!("expected no {kind}, got {got:?}"));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let all_found = wanted.iter().all(|m| got.iter().any(|g| m.fits(g)));
    let all_expected = got.iter().all(|g| wanted.iter().any(|m| m.fits(g)));
    if got.is_empty() || !all_found || !all_expected {
        return Err(format!("annotation: another {kind} was expected than {got:?}"));
    }
    Ok(())
}

fn point_fits(want: &Point, got: &Value) -> bool {
    match (want, got) {
        (Point::Float(a), Value::Float(b)) => almost_equal(*a, *b),
        (Point::Histogram { value, hint_given }, Value::Histogram(h)) => {
            histograms::equal(value, h, *hint_given)
        }
        _ => false,
    }
}

fn vector(eval: &Eval, got: &[VectorSample]) -> Result<(), String> {
    if eval.scalar.is_some() || eval.string.is_some() {
        return Err("expected a scalar or string, got a vector".into());
    }
    for (at, v) in got.iter().enumerate() {
        let Some(position) = eval.series.iter().position(|(l, _)| *l == v.labels) else {
            return Err(format!("unexpected {} = {:?}", v.labels, v.value));
        };
        if eval.ordered && position != at {
            return Err(format!("{} is at {at}, not at {position}", v.labels));
        }
        let want = eval.series[position].1.first();
        if !want.is_some_and(|w| point_fits(w, &v.value)) {
            return Err(format!("expected {want:?} for {}, got {:?}", v.labels, v.value));
        }
    }
    match eval.series.iter().find(|(l, _)| !got.iter().any(|v| v.labels == *l)) {
        Some((missing, _)) => Err(format!("missing {missing}")),
        None => Ok(()),
    }
}

fn matrix(eval: &Eval, got: &[MatrixSeries]) -> Result<(), String> {
    if eval.ordered || eval.string.is_some() {
        return Err("expected an ordered vector or a string, got a matrix".into());
    }
    if !got.is_sorted_by(|a, b| a.labels <= b.labels) {
        return Err("matrix is not sorted by labels".into());
    }
    for s in got {
        let Some((_, points)) = eval.series.iter().find(|(l, _)| *l == s.labels) else {
            return Err(format!("unexpected {} = {:?}", s.labels, s.samples));
        };
        let want: Vec<(i64, &Point)> = (points.iter().enumerate())
            .filter(|(_, p)| !matches!(p, Point::Nothing))
            .map(|(i, p)| (eval.start_ms + eval.points_step_ms * i as i64, p))
            .collect();
        let fits = |(t, p): &(i64, &Point), s: &Sample| *t == s.t_ms && point_fits(p, &s.value);
        if want.len() != s.samples.len() || !want.iter().zip(&s.samples).all(|(w, s)| fits(w, s)) {
            return Err(format!("expected {want:?} for {}, got {:?}", s.labels, s.samples));
        }
    }
    match eval.series.iter().find(|(l, _)| !got.iter().any(|s| s.labels == *l)) {
        Some((missing, _)) => Err(format!("missing {missing}")),
        None => Ok(()),
    }
}

/// The middle step of a range must be what the instant query gave.
pub(crate) fn check_middle(eval: &Eval, range: &QueryValue, at_ms: i64) -> Result<(), String> {
    let QueryValue::Matrix(m) = range else { return Err("a range query gave no matrix".into()) };
    let middle: Vec<VectorSample> = (m.iter())
        .filter_map(|s| {
            let sample = s.samples.iter().find(|s| s.t_ms == at_ms)?;
            Some(VectorSample { labels: s.labels.clone(), t_ms: at_ms, value: sample.value.clone() })
        })
        .collect();
    match eval.scalar {
        None => vector(eval, &middle),
        Some(want) => match middle.first().map(|v| &v.value) {
            Some(Value::Float(got)) if almost_equal(want, *got) => Ok(()),
            got => Err(format!("expected scalar {want}, got {got:?}")),
        },
    }
}
