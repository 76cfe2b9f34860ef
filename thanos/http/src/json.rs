//! Results in Prometheus' JSON, written straight into one string.

mod histogram;

use std::collections::BTreeSet;
use std::fmt::Write;

use thanos_model::{Labels, Sample, TimestampMs, Value};
use thanos_promql::QueryValue;

/// `{"status":"success","data":…,"warnings":[…],"infos":[…]}`, the last two only where there are any.
pub(crate) fn success(data: &str, warnings: &BTreeSet<String>, infos: &BTreeSet<String>) -> String {
    let mut out = String::with_capacity(data.len() + 64);
    out.push_str(r#"{"status":"success","data":"#);
    out.push_str(data);
    for (name, texts) in [("warnings", warnings), ("infos", infos)] {
        if !texts.is_empty() {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
            array(&mut out, texts, |out, t| string(out, t));
        }
    }
    out.push('}');
    out
}

/// `{"resultType":…,"result":…}`
pub(crate) fn query_data(value: &QueryValue) -> String {
    let mut out = String::new();
    let kind = match value {
        QueryValue::Scalar { .. } => "scalar",
        QueryValue::String { .. } => "string",
        QueryValue::Vector(_) => "vector",
        QueryValue::Matrix(_) => "matrix",
    };
    out.push_str(r#"{"resultType":""#);
    out.push_str(kind);
    out.push_str(r#"","result":"#);
    match value {
        QueryValue::Scalar { t_ms, value } => point(&mut out, *t_ms, |out| float(out, *value)),
        QueryValue::String { t_ms, value } => point(&mut out, *t_ms, |out| string(out, value)),
        QueryValue::Vector(samples) => array(&mut out, samples, |out, s| {
            out.push_str(r#"{"metric":"#);
            labels(out, &s.labels);
            out.push_str(if s.value.as_float().is_some() { ",\"value\":" } else { ",\"histogram\":" });
            point(out, s.t_ms, |out| value_of(out, &s.value));
            out.push('}');
        }),
        QueryValue::Matrix(series) => array(&mut out, series, |out, s| {
            out.push_str(r#"{"metric":"#);
            labels(out, &s.labels);
            let is_float = |s: &&Sample| s.value.as_float().is_some();
            for (name, wanted) in [("values", true), ("histograms", false)] {
                let mut samples = s.samples.iter().filter(|s| is_float(s) == wanted).peekable();
                if samples.peek().is_some() {
                    out.push_str(",\"");
                    out.push_str(name);
                    out.push_str("\":");
                    array(out, samples, |out, s| point(out, s.t_ms, |out| value_of(out, &s.value)));
                }
            }
            out.push('}');
        }),
    }
    out.push('}');
    out
}

/// `["a","b"]`
pub(crate) fn strings<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let mut out = String::new();
    array(&mut out, texts, |out, t| string(out, t));
    out
}

/// `[{"__name__":"up"},…]`
pub(crate) fn label_sets<'a>(sets: impl IntoIterator<Item = &'a Labels>) -> String {
    let mut out = String::new();
    array(&mut out, sets, labels);
    out
}

fn array<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut String, T)) {
    out.push('[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        each(out, item);
    }
    out.push(']');
}

fn labels(out: &mut String, set: &Labels) {
    out.push('{');
    for (i, l) in set.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(out, &l.name);
        out.push(':');
        string(out, &l.value);
    }
    out.push('}');
}

fn point(out: &mut String, t_ms: TimestampMs, value: impl FnOnce(&mut String)) {
    out.push('[');
    time(out, t_ms);
    out.push(',');
    value(out);
    out.push(']');
}

fn value_of(out: &mut String, value: &Value) {
    match value {
        Value::Float(v) => float(out, *v),
        Value::Histogram(h) => histogram::write(out, h),
    }
}

/// Seconds, with milliseconds only where there are any: `1435781451.781`, `1435781451`.
fn time(out: &mut String, t_ms: TimestampMs) {
    if t_ms < 0 {
        out.push('-');
    }
    let ms = t_ms.unsigned_abs();
    let _ = write!(out, "{}", ms / 1000);
    if !ms.is_multiple_of(1000) {
        let _ = write!(out, ".{:03}", ms % 1000);
    }
}

/// A number in quotes, as Go's `strconv` writes the shortest exact form: an exponent below 1e-6 and from 1e21.
fn float(out: &mut String, v: f64) {
    out.push('"');
    let magnitude = v.abs();
    if v.is_nan() {
        out.push_str("NaN");
    } else if v.is_infinite() {
        out.push_str(if v > 0.0 { "+Inf" } else { "-Inf" });
    } else if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{v:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
        let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
    } else {
        let _ = write!(out, "{v}");
    }
    out.push('"');
}

fn string(out: &mut String, text: &str) {
    // serde_json writes a string into a string without failing.
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Known answers of Go's `strconv.AppendFloat` with the API's choice of format.
    #[test]
    fn floats_are_gos() {
        for (v, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (9.9e-7, "9.9e-07"),
            (1e-300, "1e-300"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e100, "-1.5e+100"),
            (123_456_789.125, "123456789.125"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = String::new();
            float(&mut out, v);
            assert_eq!(out, format!("\"{want}\""));
        }
    }

    #[test]
    fn times_keep_milliseconds() {
        for (t, want) in
            [(0, "0"), (1000, "1"), (1_435_781_451_781, "1435781451.781"), (1050, "1.050"), (-1, "-0.001")]
        {
            let mut out = String::new();
            time(&mut out, t);
            assert_eq!(out, want);
        }
    }

    proptest! {
        #[test]
        fn every_float_reads_back(v: f64) {
            let mut out = String::new();
            float(&mut out, v);
            let back: f64 = out.trim_matches('"').parse().unwrap();
            prop_assert!(back.to_bits() == v.to_bits() || back.is_nan() && v.is_nan());
        }

        #[test]
        fn every_label_is_json(name in "\\PC*", value: String) {
            let set = Labels::from_pairs([(name, value)]);
            let json: serde_json::Value = serde_json::from_str(&label_sets([&set])).unwrap();
            let back = json[0].as_object().unwrap().iter().map(|(n, v)| (n.clone(), v.as_str().unwrap().to_owned()));
            prop_assert_eq!(Labels::from_pairs(back), set);
        }
    }
}
