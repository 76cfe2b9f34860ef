//! Aggregations that fold one series at a time into their groups: `sum`, `avg`, `min`, `max`, `count`,
//! `group`, `stddev`, `stdvar`. State is by column, so that a group's steps lie beside each other.

use std::collections::BTreeMap;

use thanos_model::{Labels, METRIC_NAME, Value};

use super::over_time::HistogramTotal;
use super::{Evaluator, Grid, Held, Sink};
use crate::error::QueryError;
use crate::kahan::{Kahan, Mean};
use crate::plan::expr::{Aggregate, AggregateOp, Grouping};
use crate::row::{Bits, Row, StepSeries};

/// Groups in order of first appearance.
pub(super) struct Groups<T> {
    by_labels: BTreeMap<Labels, usize>,
    pub(super) groups: Vec<(Labels, T)>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self { by_labels: BTreeMap::new(), groups: Vec::new() }
    }
}

impl<T> Groups<T> {
    pub(super) fn of(&mut self, grouping: &Grouping, labels: &Labels, new: impl FnOnce() -> T) -> usize {
        let key = group_labels(grouping, labels);
        if let Some(at) = self.by_labels.get(&key) {
            return *at;
        }
        self.by_labels.insert(key.clone(), self.groups.len());
        self.groups.push((key, new()));
        self.groups.len() - 1
    }
}

pub(super) fn group_labels(grouping: &Grouping, labels: &Labels) -> Labels {
    let listed = |name: &str| grouping.labels.iter().any(|l| **l == *name);
    match (grouping.without, grouping.labels.is_empty()) {
        (true, _) => labels.filtered(|l| &*l.name != METRIC_NAME && !listed(&l.name)),
        (false, true) => Labels::empty(),
        (false, false) => labels.filtered(|l| listed(&l.name)),
    }
}

/// One group's state at every step.
struct State {
    seen: Bits,
    drop_name: bool,
    numbers: Numbers,
    histograms: Option<Histograms>,
}

enum Numbers {
    Sum(Vec<Kahan>),
    Avg(Vec<Mean>),
    /// Min, max, count and group.
    One(Vec<f64>),
    /// Count, mean and sum of squared distances (Welford).
    Deviation(Vec<[f64; 3]>),
}

struct Histograms {
    totals: Vec<Option<HistogramTotal>>,
    floats: Bits,
    incompatible: Bits,
}

impl State {
    fn new(op: AggregateOp, steps: usize) -> Self {
        let numbers = match op {
            AggregateOp::Sum => Numbers::Sum(vec![Kahan::default(); steps]),
            AggregateOp::Avg => Numbers::Avg(vec![Mean::default(); steps]),
            AggregateOp::Stddev | AggregateOp::Stdvar => Numbers::Deviation(vec![[0.0; 3]; steps]),
            _ => Numbers::One(vec![0.0; steps]),
        };
        Self { seen: Bits::new(steps), drop_name: false, numbers, histograms: None }
    }

    fn bytes(&self) -> u64 {
        let per_step = match &self.numbers {
            Numbers::Sum(v) => size_of_val(&v[..]),
            Numbers::Avg(v) => size_of_val(&v[..]),
            Numbers::One(v) => size_of_val(&v[..]),
            Numbers::Deviation(v) => size_of_val(&v[..]),
        };
        per_step as u64
    }

    fn add_float(&mut self, op: AggregateOp, i: usize, v: f64) {
        let first = !self.seen.get(i);
        self.seen.set(i);
        match &mut self.numbers {
            Numbers::Sum(s) => s[i].add(v),
            Numbers::Avg(m) => m[i].add(v),
            Numbers::One(n) => {
                let n = &mut n[i];
                *n = match op {
                    AggregateOp::Count => *n + 1.0,
                    AggregateOp::Group => 1.0,
                    AggregateOp::Min if first || *n > v || n.is_nan() => v,
                    AggregateOp::Max if first || *n < v || n.is_nan() => v,
                    _ => *n,
                };
            }
            Numbers::Deviation(d) => {
                let [count, mean, squares] = &mut d[i];
                *count += 1.0;
                if first {
                    *mean = v;
                    *squares = if v.is_finite() { 0.0 } else { f64::NAN };
                } else {
                    let delta = v - *mean;
                    *mean += delta / *count;
                    *squares += delta * (v - *mean);
                }
            }
        }
        if let Some(h) = &mut self.histograms {
            h.floats.set(i);
        }
    }

    /// The histogram columns; floats seen so far are marked in them.
    fn histograms(&mut self, steps: usize) -> &mut Histograms {
        self.histograms.get_or_insert_with(|| Histograms {
            totals: vec![None; steps],
            floats: self.seen.clone(),
            incompatible: Bits::new(steps),
        })
    }
}

impl Evaluator<'_> {
    pub(super) fn aggregate(
        &self,
        a: &Aggregate,
        pos: usize,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        match a.op {
            AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::LimitK | AggregateOp::LimitRatio => {
                self.pick(a, pos, grid, sink)
            }
            AggregateOp::Quantile => self.quantile_aggregate(a, grid, sink),
            AggregateOp::CountValues => self.count_values(a, grid, sink),
            _ => self.fold(a, grid, sink),
        }
    }

    fn fold(&self, a: &Aggregate, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        let mut groups: Groups<State> = Groups::default();
        let mut held = Held::nothing(self.budget);
        self.stream(&a.expr, grid, &mut |s| {
            let before = groups.groups.len();
            let at = groups.of(&a.grouping, &s.labels, || State::new(a.op, grid.steps));
            let state = &mut groups.groups[at].1;
            if at == before {
                held.grow((0, state.bytes()))?;
            }
            state.drop_name |= s.drop_name;
            for i in s.row.present().iter() {
                match s.row.get(i) {
                    Some(Value::Float(v)) => state.add_float(a.op, i, v),
                    Some(Value::Histogram(h)) => self.fold_histogram(a, state, i, &h, &s, grid.steps),
                    None => {}
                }
            }
            Ok(())
        })?;
        for (labels, state) in groups.groups {
            let drop_name = state.drop_name;
            let row = self.finish_group(a, state, grid.steps);
            sink(StepSeries { labels, drop_name, row })?;
        }
        Ok(())
    }

    fn fold_histogram(
        &self,
        a: &Aggregate,
        state: &mut State,
        i: usize,
        h: &thanos_model::FloatHistogram,
        s: &StepSeries,
        steps: usize,
    ) {
        match a.op {
            AggregateOp::Sum | AggregateOp::Avg => {}
            AggregateOp::Count | AggregateOp::Group => return state.add_float(a.op, i, 0.0),
            _ => return self.ignored_histogram(a),
        }
        let histograms = state.histograms(steps);
        if histograms.incompatible.get(i) {
            return;
        }
        let total = histograms.totals[i].get_or_insert_with(|| HistogramTotal::new(a.op == AggregateOp::Avg));
        if total.add(h).is_err() {
            histograms.incompatible.set(i);
            let name = s.labels.metric_name();
            self.notes.warn(a.expr.pos, || {
                format!(
                    "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {name:?}"
                )
            });
        }
        state.seen.set(i);
    }

    pub(super) fn ignored_histogram(&self, a: &Aggregate) {
        self.notes.info(a.expr.pos, || format!("ignored histogram in {} aggregation", a.op.name()));
    }

    fn finish_group(&self, a: &Aggregate, mut state: State, steps: usize) -> Row {
        let mut row = Row::new(steps);
        for i in state.seen.iter() {
            if let Some(h) = &mut state.histograms
                && let Some(total) = h.totals[i].take()
            {
                if h.floats.get(i) {
                    self.notes.warn(a.expr.pos, || {
                        "encountered a mix of histograms and floats for aggregation".into()
                    });
                    continue;
                }
                if h.incompatible.get(i) {
                    continue;
                }
                if total.bounds_reconciled {
                    self.notes.info(a.expr.pos, || {
                        "mismatched custom buckets were reconciled during aggregation".into()
                    });
                }
                if total.has_collision() {
                    self.notes.warn(a.expr.pos, || {
                        "conflicting counter resets during histogram aggregation".into()
                    });
                }
                if let Some(h) = total.finish() {
                    row.set(i, Value::Histogram(h));
                }
                continue;
            }
            row.set_float(
                i,
                match &state.numbers {
                    Numbers::Sum(s) => s[i].value(),
                    Numbers::Avg(m) => m[i].value(),
                    Numbers::One(n) => n[i],
                    Numbers::Deviation(d) => {
                        let [count, _, squares] = d[i];
                        let variance = squares / count;
                        if a.op == AggregateOp::Stddev { variance.sqrt() } else { variance }
                    }
                },
            );
        }
        row
    }
}
