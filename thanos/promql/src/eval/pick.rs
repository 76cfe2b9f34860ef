//! Aggregations that need all series of a step at once: `topk`, `bottomk`, `limitk`, `limit_ratio`,
//! `quantile`, `count_values`.

use std::cmp::Ordering;

use thanos_model::{Labels, Value};
use twox_hash::XxHash64;

use super::aggregate::{Groups, group_labels};
use super::labels::{format_f, format_g, text};
use super::merge::Outputs;
use super::over_time::{bad_quantile, quantile};
use super::{Evaluator, Grid, Sink};
use crate::error::QueryError;
use crate::histogram;
use crate::plan::expr::{Aggregate, AggregateOp, Grouping};
use crate::row::{Row, StepSeries};

impl Evaluator<'_> {
    fn aggregate_param(&self, a: &Aggregate, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match &a.param {
            Some(p) => self.scalar(p, grid),
            None => Err(QueryError::exec("missing aggregation parameter")),
        }
    }

    /// A selection of the input series, each as it was.
    pub(super) fn pick(
        &self,
        a: &Aggregate,
        pos: usize,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let params = self.aggregate_param(a, grid)?;
        let is_ratio = a.op == AggregateOp::LimitRatio;
        if is_ratio {
            self.check_ratios(a, &params)?
        } else {
            check_counts(&params)?
        }
        let none = |p: f64| if is_ratio { p == 0.0 } else { p < 1.0 };
        let frame = self.vector(&a.expr, grid)?;
        if params.iter().all(|p| none(*p)) {
            return Ok(());
        }
        let mut groups: Groups<Vec<usize>> = Groups::default();
        for (i, s) in frame.series.iter().enumerate() {
            let at = groups.of(&a.grouping, &s.labels, Vec::new);
            groups.groups[at].1.push(i);
        }
        let mut rows: Vec<Option<Row>> = vec![None; frame.series.len()];
        let mut order = Vec::new();
        for (step, param) in params.iter().enumerate().filter(|(_, p)| !none(**p)) {
            for (_, members) in &groups.groups {
                self.tick(members.len())?;
                for at in self.chosen(a, pos, *param, members, &frame.series, step) {
                    if grid.steps == 1 {
                        order.push(at);
                    }
                    if let Some(v) = frame.series[at].row.get(step) {
                        rows[at].get_or_insert_with(|| Row::new(grid.steps)).set(step, v);
                    }
                }
            }
        }
        if grid.steps > 1 {
            order.extend(0..rows.len());
        }
        for at in order {
            if let Some(row) = rows[at].take() {
                let s = &frame.series[at];
                sink(StepSeries { labels: s.labels.clone(), drop_name: s.drop_name, row })?;
            }
        }
        Ok(())
    }

    /// Which members of a group are chosen at a step, in the order of an instant result.
    fn chosen(
        &self,
        a: &Aggregate,
        pos: usize,
        param: f64,
        members: &[usize],
        series: &[StepSeries],
        step: usize,
    ) -> Vec<usize> {
        let present = members.iter().copied().filter(|at| series[*at].row.has(step));
        match a.op {
            AggregateOp::LimitK => present.take(param as usize).collect(),
            AggregateOp::LimitRatio => present.filter(|at| in_ratio(param, &series[*at].labels)).collect(),
            _ => {
                let mut floats: Vec<(f64, usize)> = Vec::with_capacity(members.len());
                for at in present {
                    match series[at].row.float(step) {
                        Some(v) => floats.push((v, at)),
                        None => {
                            self.notes
                                .info(pos, || format!("ignored histogram in {} aggregation", a.op.name()));
                        }
                    }
                }
                // NaN is never better than a number.
                floats.sort_by(|(x, _), (y, _)| {
                    let order =
                        x.partial_cmp(y).map(|o| if a.op == AggregateOp::TopK { o.reverse() } else { o });
                    order.unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()))
                });
                floats.into_iter().take(param as usize).map(|(_, at)| at).collect()
            }
        }
    }

    fn check_ratios(&self, a: &Aggregate, params: &[f64]) -> Result<(), QueryError> {
        let (min, max) = extremes(params);
        if min == 0.0 && max == 0.0 {
            return Ok(());
        }
        if params.iter().any(|p| p.is_nan()) {
            return Err(QueryError::exec("Ratio value is NaN"));
        }
        let pos = a.param.as_ref().map_or(0, |p| p.pos);
        for (bad, v, cap) in [(max > 1.0, max, "1"), (min < -1.0, min, "-1")] {
            if bad {
                self.notes.warn(pos, || {
                    format!("ratio value should be between -1 and 1, got {}, capping to {cap}", format_g(v))
                });
            }
        }
        Ok(())
    }

    pub(super) fn quantile_aggregate(
        &self,
        a: &Aggregate,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let q = self.aggregate_param(a, grid)?;
        let (min, max) = extremes(&q);
        let pos = a.param.as_ref().map_or(0, |p| p.pos);
        for (bad, v) in [(q.iter().any(|q| q.is_nan()), f64::NAN), (max > 1.0, max), (min < 0.0, min)] {
            if bad {
                self.notes.warn(pos, || bad_quantile(v));
            }
        }
        let frame = self.vector(&a.expr, grid)?;
        let mut groups: Groups<Vec<usize>> = Groups::default();
        for (i, s) in frame.series.iter().enumerate() {
            let at = groups.of(&a.grouping, &s.labels, Vec::new);
            groups.groups[at].1.push(i);
        }
        for (labels, members) in groups.groups {
            self.tick(members.len() * grid.steps)?;
            let mut row = Row::new(grid.steps);
            let mut values = Vec::new();
            for (i, q) in q.iter().enumerate() {
                values.clear();
                for at in &members {
                    let row = &frame.series[*at].row;
                    match row.float(i) {
                        Some(v) => values.push(v),
                        None if row.has(i) => self.ignored_histogram(a),
                        None => {}
                    }
                }
                if !values.is_empty() {
                    row.set_float(i, quantile(*q, &mut values));
                }
            }
            let drop_name = members.iter().any(|at| frame.series[*at].drop_name);
            sink(StepSeries { labels, drop_name, row })?;
        }
        Ok(())
    }

    pub(super) fn count_values(
        &self,
        a: &Aggregate,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let label = text(a.param.as_slice(), 0);
        if label.is_empty() {
            return Err(QueryError::exec("invalid label name \"\""));
        }
        let mut grouping: Grouping = a.grouping.clone();
        if !grouping.without {
            grouping.labels.push(label.into());
        }
        let frame = self.vector(&a.expr, grid)?;
        let mut out = Outputs::default();
        for s in &frame.series {
            self.tick(grid.steps)?;
            for i in s.row.present().iter() {
                let value = match s.row.get(i) {
                    Some(Value::Float(v)) => format_f(v),
                    Some(Value::Histogram(h)) => histogram::describe(&h),
                    None => continue,
                };
                let at = out.index(&group_labels(&grouping, &s.labels.with(label, value)), false, grid.steps);
                let row = &mut out.series[at].row;
                let count = row.float(i).unwrap_or(0.0) + 1.0;
                row.set_float(i, count);
            }
        }
        out.series.into_iter().try_for_each(sink)
    }
}

/// The smallest and the largest, NaN aside.
fn extremes(params: &[f64]) -> (f64, f64) {
    params.iter().fold((f64::MAX, f64::MIN), |(min, max), p| (min.min(*p), max.max(*p)))
}

fn check_counts(params: &[f64]) -> Result<(), QueryError> {
    let (min, max) = extremes(params);
    if max < 1.0 && !params.iter().any(|p| p.is_nan()) {
        return Ok(());
    }
    if params.iter().any(|p| p.is_nan()) {
        return Err(QueryError::exec("Parameter value is NaN"));
    }
    if min <= i64::MIN as f64 {
        return Err(QueryError::exec(format!("Scalar value {} underflows int64", format_g(min))));
    }
    if max >= i64::MAX as f64 {
        return Err(QueryError::exec(format!("Scalar value {} overflows int64", format_g(max))));
    }
    Ok(())
}

/// Whether a series is in a share of all series, the same at every time: by the hash of its labels, in
/// Prometheus' encoding so that the same series are chosen. A negative share is the complement.
fn in_ratio(ratio: f64, labels: &Labels) -> bool {
    let offset = label_hash(labels) as f64 / u64::MAX as f64;
    match ratio.partial_cmp(&0.0) {
        Some(Ordering::Less) => offset >= 1.0 + ratio.max(-1.0),
        _ => offset < ratio.min(1.0),
    }
}

fn label_hash(labels: &Labels) -> u64 {
    let mut data = Vec::new();
    for text in labels.iter().flat_map(|l| [&l.name, &l.value]) {
        match u8::try_from(text.len()) {
            Ok(n) if n < 255 => data.push(n),
            _ => data.extend([255, text.len() as u8, (text.len() >> 8) as u8, (text.len() >> 16) as u8]),
        }
        data.extend(text.as_bytes());
    }
    XxHash64::oneshot(0, &data)
}
