//! Binary operators: on numbers, on a vector and a number, and joins of two vectors. Join partners and result
//! labels are found once per pair of series; only values and presence are looked at per step.

use std::collections::BTreeMap;

use thanos_model::{Labels, METRIC_NAME, ResetHint, Value};

use super::merge::Outputs;
use super::{Evaluator, Grid, Sink, without_metadata};
use crate::annotations::Annotations;
use crate::error::QueryError;
use crate::histogram::{Hist, Keep, same};
use crate::plan::expr::{Binary, BinaryOp, Cardinality, Expr, Matching, ValueType};
use crate::row::{Bits, StepSeries};

/// An operator on two numbers; comparisons give 0 or 1.
pub(super) fn scalar(op: BinaryOp, l: f64, r: f64) -> f64 {
    let truth = |b: bool| f64::from(u8::from(b));
    match op {
        BinaryOp::Eq => truth(l == r),
        BinaryOp::Ne => truth(l != r),
        BinaryOp::Gt => truth(l > r),
        BinaryOp::Lt => truth(l < r),
        BinaryOp::Ge => truth(l >= r),
        BinaryOp::Le => truth(l <= r),
        _ => arithmetic(op, l, r),
    }
}

fn arithmetic(op: BinaryOp, l: f64, r: f64) -> f64 {
    match op {
        BinaryOp::Add => l + r,
        BinaryOp::Sub => l - r,
        BinaryOp::Mul => l * r,
        BinaryOp::Div => l / r,
        BinaryOp::Mod => l % r,
        BinaryOp::Pow => l.powf(r),
        BinaryOp::Atan2 => l.atan2(r),
        _ => f64::NAN,
    }
}

/// One element's result.
struct Element {
    value: Value,
    /// Of a comparison: whether it holds.
    keep: bool,
}

/// Where an operator stands, for what it has to say.
struct Operator<'o> {
    op: BinaryOp,
    pos: usize,
    notes: &'o Annotations,
}

impl Operator<'_> {
    fn element(&self, l: &Value, r: &Value) -> Option<Element> {
        let op = self.op;
        let arithmetic_result = |value| Some(Element { value, keep: true });
        match (l, r) {
            (Value::Float(a), Value::Float(b)) if op.is_comparison() => {
                Some(Element { value: l.clone(), keep: scalar(op, *a, *b) == 1.0 })
            }
            (Value::Float(a), Value::Float(b)) if op.is_arithmetic() => {
                arithmetic_result(Value::Float(arithmetic(op, *a, *b)))
            }
            (Value::Histogram(h), Value::Float(v)) if matches!(op, BinaryOp::Mul | BinaryOp::Div) => {
                let mut h = Hist::from(&**h);
                if op == BinaryOp::Mul {
                    h.mul(*v)
                } else {
                    h.div(*v)
                }
                arithmetic_result(Value::Histogram(h.finish()))
            }
            (Value::Float(v), Value::Histogram(h)) if op == BinaryOp::Mul => {
                let mut h = Hist::from(&**h);
                h.mul(*v);
                arithmetic_result(Value::Histogram(h.finish()))
            }
            (Value::Histogram(h), Value::Float(v)) if op == BinaryOp::TrimUpper => {
                arithmetic_result(Value::Histogram(Hist::trimmed(h, *v, Keep::Below)))
            }
            (Value::Histogram(h), Value::Float(v)) if op == BinaryOp::TrimLower => {
                arithmetic_result(Value::Histogram(Hist::trimmed(h, *v, Keep::Above)))
            }
            (Value::Histogram(a), Value::Histogram(b)) => match op {
                BinaryOp::Add | BinaryOp::Sub => self.combine(a, b).and_then(arithmetic_result),
                BinaryOp::Eq => Some(Element { value: l.clone(), keep: same(a, b) }),
                BinaryOp::Ne => Some(Element { value: l.clone(), keep: !same(a, b) }),
                _ => self.incompatible(l, r),
            },
            _ => self.incompatible(l, r),
        }
    }

    fn combine(&self, a: &thanos_model::FloatHistogram, b: &thanos_model::FloatHistogram) -> Option<Value> {
        let mut h = Hist::from(a);
        let add = self.op == BinaryOp::Add;
        let Ok(merged) = (if add { h.add(b) } else { h.sub(b) }) else {
            self.notes.warn(self.pos, || {
                format!("incompatible bucket layout encountered for binary operator {}", self.op.symbol())
            });
            return None;
        };
        let operation = if add { "addition" } else { "subtraction" };
        if !add {
            h.set_hint(ResetHint::Gauge);
        }
        if merged.reset_collision {
            self.notes.warn(self.pos, || format!("conflicting counter resets during histogram {operation}"));
        }
        if merged.bounds_reconciled {
            self.notes
                .info(self.pos, || format!("mismatched custom buckets were reconciled during {operation}"));
        }
        Some(Value::Histogram(h.finish()))
    }

    fn incompatible(&self, l: &Value, r: &Value) -> Option<Element> {
        let kind = |v: &Value| if matches!(v, Value::Float(_)) { "float" } else { "histogram" };
        let op = self.op.symbol();
        self.notes.info(self.pos, || {
            format!(
                "incompatible sample types encountered for binary operator {op:?}: {} {op} {}",
                kind(l),
                kind(r)
            )
        });
        None
    }
}

impl Evaluator<'_> {
    pub(super) fn binary(
        &self,
        b: &Binary,
        pos: usize,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        match (b.lhs.value_type(), b.rhs.value_type()) {
            (ValueType::Vector, ValueType::Scalar) => {
                self.with_scalar(b, pos, &b.lhs, &b.rhs, false, grid, sink)
            }
            (ValueType::Scalar, ValueType::Vector) => {
                self.with_scalar(b, pos, &b.rhs, &b.lhs, true, grid, sink)
            }
            _ if b.op.is_set() => self.set(b, grid, sink),
            _ => self.join(b, pos, grid, sink),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the two sides, their order, and the usual four")]
    fn with_scalar(
        &self,
        b: &Binary,
        pos: usize,
        vector: &Expr,
        number: &Expr,
        number_first: bool,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let numbers = self.scalar(number, grid)?;
        let operator = Operator { op: b.op, pos, notes: &self.notes };
        let mut out = Vec::new();
        self.stream(vector, grid, &mut |mut s| {
            s.row.map(|i, v| {
                let number = Value::Float(numbers[i]);
                let (l, r) = if number_first { (&number, &v) } else { (&v, &number) };
                let element = operator.element(l, r)?;
                match (b.return_bool, b.op.is_comparison()) {
                    (true, _) => Some(Value::Float(f64::from(u8::from(element.keep)))),
                    (false, true) => element.keep.then_some(v),
                    (false, false) => Some(element.value),
                }
            });
            if b.op.is_arithmetic() || b.return_bool {
                self.drop_name(&mut s);
            }
            if !s.row.is_empty() {
                out.push(s);
            }
            Ok(())
        })?;
        self.merged(out)?.into_iter().try_for_each(sink)
    }

    /// `and`, `or`, `unless`.
    fn set(&self, b: &Binary, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        let left = self.vector(&b.lhs, grid)?;
        let right = self.vector(&b.rhs, grid)?;
        let mut signatures = Signatures::new(&b.matching);
        let left_ids = signatures.ids(&left.series);
        let right_ids = signatures.ids(&right.series);
        let presence = |series: &[StepSeries], ids: &[usize]| {
            let mut present = vec![Bits::new(grid.steps); signatures.count()];
            for (s, id) in series.iter().zip(ids) {
                present[*id].union(s.row.present());
            }
            present
        };
        let mut out = Outputs::default();
        let masked = |mut s: StepSeries, mask: &Bits, keep: bool| {
            s.row.map(|i, v| (mask.get(i) == keep).then_some(v));
            s
        };
        if b.op == BinaryOp::Or {
            let present = presence(&left.series, &left_ids);
            left.series.into_iter().try_for_each(|s| out.add(s))?;
            for (s, id) in right.series.into_iter().zip(right_ids) {
                out.add(masked(s, &present[id], false))?;
            }
        } else {
            let present = presence(&right.series, &right_ids);
            for (s, id) in left.series.into_iter().zip(left_ids) {
                out.add(masked(s, &present[id], b.op == BinaryOp::And))?;
            }
        }
        out.series.into_iter().try_for_each(sink)
    }

    /// Arithmetic and comparison of two vectors.
    fn join(&self, b: &Binary, pos: usize, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        let left = self.vector(&b.lhs, grid)?;
        let right = self.vector(&b.rhs, grid)?;
        let swapped = b.matching.card == Cardinality::OneToMany;
        let (many, one) = if swapped { (&right.series, &left.series) } else { (&left.series, &right.series) };
        let mut signatures = Signatures::new(&b.matching);
        let many_ids = signatures.ids(many);
        let one_ids = signatures.ids(one);
        let mut join = Join {
            evaluator: self,
            binary: b,
            operator: Operator { op: b.op, pos, notes: &self.notes },
            swapped,
            out: Outputs::default(),
            one_to_one: vec![Bits::new(grid.steps); signatures.count()],
            by_result: BTreeMap::new(),
            steps: grid.steps,
        };
        let mut partners: Vec<Vec<usize>> = vec![Vec::new(); signatures.count()];
        for (i, id) in one_ids.iter().enumerate() {
            partners[*id].push(i);
        }
        join.refuse_many_to_many(&partners, many, one)?;
        // As in Prometheus, with `group_right` too: left fills the many-side, right the one-side.
        let (fill_many, fill_one) = (b.matching.fill_left, b.matching.fill_right);
        for (s, id) in many.iter().zip(&many_ids) {
            self.tick(grid.steps)?;
            let mut unmatched = s.row.present().clone();
            for at in &partners[*id] {
                let partner = &one[*at];
                for i in partner.row.present().iter() {
                    unmatched.clear(i);
                }
                join.pair(*id, Side::of(s), Side::of(partner))?;
            }
            if let Some(fill) = fill_one {
                let labels = match_labels(&b.matching, &s.labels);
                join.pair(*id, Side::of(s), Side::filled(&labels, fill, &unmatched))?;
            }
        }
        if let Some(fill) = fill_many {
            for (s, id) in one.iter().zip(&one_ids) {
                let mut unmatched = s.row.present().clone();
                for (partner, _) in many.iter().zip(&many_ids).filter(|(_, i)| *i == id) {
                    for i in partner.row.present().iter() {
                        unmatched.clear(i);
                    }
                }
                let labels = match_labels(&b.matching, &s.labels);
                join.pair(*id, Side::filled(&labels, fill, &unmatched), Side::of(s))?;
            }
        }
        join.out.series.into_iter().try_for_each(sink)
    }
}

/// One side of a pair: a series, or a stand-in with the same value at some steps.
#[derive(Clone, Copy)]
struct Side<'s> {
    labels: &'s Labels,
    values: Values<'s>,
}

#[derive(Clone, Copy)]
enum Values<'s> {
    Series(&'s StepSeries),
    Fill(f64, &'s Bits),
}

impl<'s> Side<'s> {
    fn of(s: &'s StepSeries) -> Self {
        Self { labels: &s.labels, values: Values::Series(s) }
    }

    fn filled(labels: &'s Labels, v: f64, at: &'s Bits) -> Self {
        Self { labels, values: Values::Fill(v, at) }
    }

    fn present(&self) -> &'s Bits {
        match self.values {
            Values::Series(s) => s.row.present(),
            Values::Fill(_, at) => at,
        }
    }

    fn get(&self, i: usize) -> Option<Value> {
        match self.values {
            Values::Series(s) => s.row.get(i),
            Values::Fill(v, at) => at.get(i).then_some(Value::Float(v)),
        }
    }
}

struct Join<'j, 'e> {
    evaluator: &'j Evaluator<'e>,
    binary: &'j Binary,
    operator: Operator<'j>,
    /// The many-side is on the right.
    swapped: bool,
    out: Outputs,
    /// Per match group, the steps at which it already has a result.
    one_to_one: Vec<Bits>,
    /// The same per match group and result labels, for many-to-one.
    by_result: BTreeMap<(usize, Labels), Bits>,
    steps: usize,
}

impl Join<'_, '_> {
    /// A match group must not have two series on the one-side at a step at which both sides have any.
    fn refuse_many_to_many(
        &self,
        partners: &[Vec<usize>],
        many: &[StepSeries],
        one: &[StepSeries],
    ) -> Result<(), QueryError> {
        let m = &self.binary.matching;
        let filled = m.fill_left.is_some() || m.fill_right.is_some();
        let mut any_many = Bits::new(self.steps);
        many.iter().for_each(|s| any_many.union(s.row.present()));
        for group in partners.iter().filter(|g| g.len() > 1) {
            let mut seen: Vec<Option<usize>> = vec![None; self.steps];
            for at in group {
                for i in one[*at].row.present().iter().filter(|i| filled || any_many.get(*i)) {
                    let Some(first) = seen[i].replace(*at) else { continue };
                    let mut pair = [all_labels(&one[first].labels), all_labels(&one[*at].labels)];
                    pair.sort();
                    let labels = all_labels(&match_labels(m, &one[*at].labels));
                    let side = if self.swapped { "left" } else { "right" };
                    return Err(QueryError::exec(format!(
                        "found duplicate series for the match group {labels} on the {side} hand-side of the operation: \
                         [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                        pair[0], pair[1]
                    )));
                }
            }
        }
        Ok(())
    }

    fn pair(&mut self, id: usize, many: Side<'_>, one: Side<'_>) -> Result<(), QueryError> {
        if !many.present().intersects(one.present()) {
            return Ok(());
        }
        let b = self.binary;
        let delayed = self.evaluator.options.delayed_name_removal;
        let labels = result_labels(b, many.labels, one.labels, b.return_bool && !delayed);
        let mut output = None;
        for i in many.present().iter().filter(|i| one.present().get(*i)) {
            let (Some(m), Some(o)) = (many.get(i), one.get(i)) else { continue };
            let (l, r) = if self.swapped { (&o, &m) } else { (&m, &o) };
            let Some(element) = self.operator.element(l, r) else { continue };
            if b.matching.card == Cardinality::OneToOne {
                if self.one_to_one[id].get(i) {
                    return Err(QueryError::exec(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                    ));
                }
                self.one_to_one[id].set(i);
            } else {
                let steps = self.steps;
                let taken = self.by_result.entry((id, labels.clone())).or_insert_with(|| Bits::new(steps));
                if taken.get(i) {
                    return Err(QueryError::exec(
                        "multiple matches for labels: grouping labels must ensure unique matches",
                    ));
                }
                taken.set(i);
            }
            let value = match b.return_bool {
                true => Value::Float(f64::from(u8::from(element.keep))),
                false if element.keep => element.value,
                false => continue,
            };
            let at = *output.get_or_insert_with(|| self.out.index(&labels, b.return_bool, self.steps));
            self.out.set(at, i, value)?;
        }
        Ok(())
    }
}

/// Numbers the match groups of two vectors.
struct Signatures<'m> {
    matching: &'m Matching,
    ids: BTreeMap<Labels, usize>,
}

impl<'m> Signatures<'m> {
    fn new(matching: &'m Matching) -> Self {
        Self { matching, ids: BTreeMap::new() }
    }

    fn ids(&mut self, series: &[StepSeries]) -> Vec<usize> {
        let mut out = Vec::with_capacity(series.len());
        for s in series {
            let next = self.ids.len();
            out.push(*self.ids.entry(match_labels(self.matching, &s.labels)).or_insert(next));
        }
        out
    }

    fn count(&self) -> usize {
        self.ids.len()
    }
}

/// The labels that two series must share to match.
fn match_labels(m: &Matching, labels: &Labels) -> Labels {
    let listed = |name: &str| m.labels.iter().any(|l| **l == *name);
    if m.on {
        labels.filtered(|l| listed(&l.name))
    } else {
        labels.filtered(|l| &*l.name != METRIC_NAME && !listed(&l.name))
    }
}

/// All labels in braces, the metric name among them.
fn all_labels(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|l| format!("{}={:?}", l.name, l.value)).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn result_labels(b: &Binary, many: &Labels, one: &Labels, drop_name: bool) -> Labels {
    let m = &b.matching;
    let mut labels = if drop_name || b.op.is_arithmetic() { without_metadata(many) } else { many.clone() };
    if m.card == Cardinality::OneToOne {
        labels = labels.filtered(|l| m.labels.contains(&l.name) == m.on);
    }
    for name in &m.include {
        labels = labels.with(name.clone(), one.get(name));
    }
    labels
}
