//! A series and its points: `metric{label="value"} 1 2+3x4 _ stale {{schema:0 count:2}}`.

use thanos_model::{FloatHistogram, Labels, stale_nan};
use thanos_promql::parse;

use crate::histograms;

#[derive(Clone, Debug)]
pub(crate) enum Point {
    Nothing,
    Float(f64),
    Histogram {
        value: FloatHistogram,
        /// Whether the text says anything of counter resets.
        hint_given: bool,
    },
}

pub(crate) fn parse_series(line: &str) -> Result<(Labels, Vec<Point>), String> {
    let end = metric_end(line);
    let labels = parse_labels(line[..end].trim())?;
    let mut points = Vec::new();
    for item in items(&line[end..]) {
        push_points(item, &mut points).map_err(|e| format!("{item:?} in {line:?}: {e}"))?;
    }
    Ok((labels, points))
}

/// Where the metric ends: at a space outside braces and quotes.
fn metric_end(line: &str) -> usize {
    let (mut braces, mut quote, mut escaped) = (false, None, false);
    for (i, c) in line.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => braces = true,
            (None, '}') => braces = false,
            // `metric {a="b"} 1` is allowed too.
            (None, ' ' | '\t') if !braces && !line[i..].trim_start().starts_with(['{']) => return i,
            (None, ' ' | '\t') if !braces && line[i..].trim_start().starts_with("{{") => return i,
            _ => {}
        }
    }
    line.len()
}

/// The labels of a metric are those of the selector that is written the same.
fn parse_labels(metric: &str) -> Result<Labels, String> {
    if metric == "{}" {
        return Ok(Labels::empty());
    }
    let plan = parse(metric).map_err(|e| format!("metric {metric:?}: {e}"))?;
    let [selector] = plan.selectors() else { return Err(format!("not a metric: {metric:?}")) };
    Ok(Labels::from_pairs(selector.matchers.iter().map(|m| (m.name.clone(), m.value.clone()))))
}

/// Items between spaces, histograms whole.
fn items(text: &str) -> Vec<&str> {
    let (mut out, mut start, mut depth) = (Vec::new(), None, 0);
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if c.is_whitespace() && depth == 0 {
            if let Some(s) = start.take() {
                out.push(&text[s..i]);
            }
        } else if start.is_none() {
            start = Some(i);
        }
    }
    out.extend(start.map(|s| &text[s..]));
    out
}

fn push_points(item: &str, points: &mut Vec<Point>) -> Result<(), String> {
    let (what, times) = match item.rsplit_once('x') {
        Some((what, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => {
            (what, Some(n.parse::<usize>().map_err(|e| e.to_string())?))
        }
        _ => (item, None),
    };
    if what == "_" {
        points.extend(vec![Point::Nothing; times.unwrap_or(1)]);
    } else if what.starts_with("{{") {
        points.extend(histograms::sequence(what, times.unwrap_or(0))?);
    } else {
        let (mut v, step) = base_and_step(what)?;
        for _ in 0..=times.unwrap_or(0) {
            points.push(Point::Float(v));
            v += step;
        }
    }
    Ok(())
}

fn base_and_step(text: &str) -> Result<(f64, f64), String> {
    if let Ok(v) = parse_number(text) {
        return Ok((v, 0.0));
    }
    let signs = text.char_indices().skip(1).filter(|(_, c)| matches!(c, '+' | '-'));
    for (i, c) in signs {
        if let (Ok(base), Ok(step)) = (parse_number(&text[..i]), parse_number(&text[i + 1..])) {
            return Ok((base, if c == '-' { -step } else { step }));
        }
    }
    Err("not a number".into())
}

pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    if text == "stale" {
        return Ok(stale_nan());
    }
    let duration = || thanos_model::parse_duration(text).map(|d| d.as_secs_f64());
    text.parse().or_else(|_| duration())
}
