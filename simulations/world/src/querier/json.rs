//! Answers in Prometheus' JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use thanos_model::{Labels, TimestampMs, Value};
use thanos_promql::{QueryResult, QueryValue};

/// A result with what the evaluation had to say about it; `isPartial` is only written where it is so.
pub(super) fn success(result: &QueryResult, is_partial: bool) -> String {
    let mut out = String::from(r#"{"status":"success","#);
    if is_partial {
        out.push_str(r#""isPartial":true,"#);
    }
    out.push_str(r#""data":{"resultType":""#);
    match &result.value {
        QueryValue::Scalar { t_ms, value } => {
            out.push_str(r#"scalar","result":"#);
            point(&mut out, *t_ms, &float(*value));
        }
        QueryValue::String { t_ms, value } => {
            out.push_str(r#"string","result":"#);
            point(&mut out, *t_ms, value);
        }
        QueryValue::Vector(samples) => {
            out.push_str(r#"vector","result":["#);
            for (i, sample) in samples.iter().enumerate() {
                separate(&mut out, i);
                metric(&mut out, &sample.labels);
                out.push_str(r#","value":"#);
                point(&mut out, sample.t_ms, &number(&sample.value));
                out.push('}');
            }
            out.push(']');
        }
        QueryValue::Matrix(series) => {
            out.push_str(r#"matrix","result":["#);
            for (i, one) in series.iter().enumerate() {
                separate(&mut out, i);
                metric(&mut out, &one.labels);
                out.push_str(r#","values":["#);
                for (i, sample) in one.samples.iter().enumerate() {
                    separate(&mut out, i);
                    point(&mut out, sample.t_ms, &number(&sample.value));
                }
                out.push_str("]}");
            }
            out.push(']');
        }
    }
    out.push('}');
    texts(&mut out, "warnings", &result.warnings);
    texts(&mut out, "infos", &result.infos);
    out.push('}');
    out
}

/// An error.
pub(super) fn error(kind: &str, message: &str) -> String {
    let mut out = String::from(r#"{"status":"error","errorType":"#);
    text(&mut out, kind);
    out.push_str(r#","error":"#);
    text(&mut out, message);
    out.push('}');
    out
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

fn metric(out: &mut String, labels: &Labels) {
    out.push_str(r#"{"metric":{"#);
    for (i, label) in labels.iter().enumerate() {
        separate(out, i);
        text(out, &label.name);
        out.push(':');
        text(out, &label.value);
    }
    out.push('}');
}

fn point(out: &mut String, t_ms: TimestampMs, value: &str) {
    let sign = if t_ms < 0 { "-" } else { "" };
    let (seconds, rest) = (t_ms.unsigned_abs() / 1000, t_ms.unsigned_abs() % 1000);
    // Writing into memory cannot fail.
    let _ = write!(out, "[{sign}{seconds}.{rest:03},");
    text(out, value);
    out.push(']');
}

/// A world's counters are floats: its histograms are none.
fn number(value: &Value) -> String {
    value.as_float().map_or_else(|| "NaN".to_owned(), float)
}

fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    value.to_string()
}

fn texts(out: &mut String, name: &str, texts: &BTreeSet<String>) {
    if texts.is_empty() {
        return;
    }
    let _ = write!(out, ",\"{name}\":[");
    for (i, one) in texts.iter().enumerate() {
        separate(out, i);
        text(out, one);
    }
    out.push(']');
}

fn text(out: &mut String, text: &str) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        let _ = write!(out, "\"{text}\"");
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}
