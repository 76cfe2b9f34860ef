//! Functions of labels: `label_replace`, `label_join`, and the labels that `absent` can know.

use std::collections::BTreeSet;

use thanos_model::{Labels, METRIC_NAME, MatchOp};

use super::{Evaluator, Grid, Sink, merge::merge_equal_labels};
use crate::error::QueryError;
use crate::plan::expr::{Call, Expr, Kind, Range};
use crate::row::StepSeries;

/// The text of a string argument; the plan's types make sure that it is one.
pub(super) fn text(args: &[Expr], i: usize) -> &str {
    match args.get(i).map(|a| &a.kind) {
        Some(Kind::Text(s)) => s,
        _ => "",
    }
}

fn label_name<'n>(name: &'n str, what: &str, function: &str) -> Result<&'n str, QueryError> {
    if name.is_empty() {
        return Err(QueryError::exec(format!("invalid {what} label name in {function}(): {name}")));
    }
    Ok(name)
}

impl Evaluator<'_> {
    pub(super) fn label_replace(
        &self,
        call: &Call,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let [target, template, source, pattern] = [1, 2, 3, 4].map(|i| text(&call.args, i));
        let regex = thanos_model::matcher::anchored(pattern).map_err(|_| {
            QueryError::exec(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        label_name(target, "destination", "label_replace")?;
        self.relabel(call, grid, target, sink, |labels| {
            let captures = regex.captures(labels.get(source))?;
            let mut value = String::new();
            captures.expand(template, &mut value);
            Some(value)
        })
    }

    pub(super) fn label_join(&self, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        let (target, separator) = (text(&call.args, 1), text(&call.args, 2));
        let sources: Vec<&str> = (3..call.args.len()).map(|i| text(&call.args, i)).collect();
        for s in &sources {
            label_name(s, "source", "label_join")?;
        }
        label_name(target, "destination", "label_join")?;
        self.relabel(call, grid, target, sink, |labels| {
            Some(sources.iter().map(|s| labels.get(s)).collect::<Vec<_>>().join(separator))
        })
    }

    fn relabel(
        &self,
        call: &Call,
        grid: Grid,
        target: &str,
        sink: &mut Sink<'_>,
        value: impl Fn(&Labels) -> Option<String>,
    ) -> Result<(), QueryError> {
        let Some(input) = call.args.first() else { return Ok(()) };
        let mut out: Vec<StepSeries> = Vec::new();
        self.stream(input, grid, &mut |mut s| {
            if let Some(value) = value(&s.labels) {
                s.labels = s.labels.with(target, value);
                s.drop_name &= target != METRIC_NAME;
            }
            out.push(s);
            Ok(())
        })?;
        merge_equal_labels(out)?.into_iter().try_for_each(sink)
    }

    /// The labels that a missing series would have had: those that one equality matcher pins down.
    pub(super) fn labels_when_absent(&self, e: &Expr) -> Labels {
        let (Kind::Instant(id) | Kind::Range(Range::Selector(id))) = e.kind else { return Labels::empty() };
        let matchers = self.plan.selectors.get(id).map_or(&[][..], |s| &s.matchers);
        let mut seen = BTreeSet::new();
        let mut labels = Labels::empty();
        for m in matchers.iter().filter(|m| &*m.name != METRIC_NAME) {
            let known = m.op == MatchOp::Equal && seen.insert(m.name.clone());
            labels =
                if known { labels.with(m.name.clone(), m.value.clone()) } else { labels.without(&m.name) };
        }
        labels
    }
}

/// A float as Go's `%g` prints it.
pub(crate) fn format_g(v: f64) -> String {
    if v.is_nan() {
        return "NaN".into();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let scientific = format!("{v:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return v.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// A float as a label value: plain decimal digits.
pub(super) fn format_f(v: f64) -> String {
    if v.is_finite() { v.to_string() } else { format_g(v) }
}
