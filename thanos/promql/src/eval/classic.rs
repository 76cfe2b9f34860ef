//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction`: over native histograms and over
//! classic ones, which are groups of series that differ in `le`.

use std::collections::BTreeMap;

use thanos_model::{FloatHistogram, Labels};

use super::labels::{format_g, text};
use super::merge::Outputs;
use super::over_time::bad_quantile;
use super::{Evaluator, Grid, Sink};
use crate::annotations::{Monotonicity, for_metric};
use crate::error::QueryError;
use crate::histogram::{self, NanEffect};
use crate::plan::expr::{Call, Expr};
use crate::plan::func::Func;
use crate::row::StepSeries;

const BUCKET_LABEL: &str = "le";
/// Differences between neighbouring buckets below this share are rounding.
const SMALL_DELTA: f64 = 1e-12;

/// What is asked of each histogram.
enum Ask {
    Quantile(Vec<f64>),
    Fraction(Vec<f64>, Vec<f64>),
}

/// One histogram's series: the classic buckets by bound, and the native series.
struct Group {
    labels: Labels,
    drop_name: bool,
    buckets: Vec<(f64, usize)>,
    native: Option<usize>,
}

impl Evaluator<'_> {
    pub(super) fn histogram_call(
        &self,
        call: &Call,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let arg = |i: usize| call.args.get(i).ok_or_else(|| QueryError::exec("missing argument"));
        let scalar = |i: usize| self.scalar(arg(i)?, grid);
        let (input, asks): (&Expr, Vec<(Option<String>, Ask)>) = match call.func {
            Func::HistogramQuantile => (arg(1)?, vec![(None, Ask::Quantile(self.quantiles(arg(0)?, grid)?))]),
            Func::HistogramQuantiles => {
                let mut asks = Vec::new();
                for e in call.args.iter().skip(2) {
                    let q = self.quantiles(e, grid)?;
                    let name = q.first().map_or_else(String::new, |q| open_metrics_float(*q));
                    asks.push((Some(name), Ask::Quantile(q)));
                }
                (arg(0)?, asks)
            }
            _ => (arg(2)?, vec![(None, Ask::Fraction(scalar(0)?, scalar(1)?))]),
        };
        let frame = self.vector(input, grid)?;
        let groups = self.histogram_groups(&frame.series, input.pos);
        let mut out = Outputs::default();
        for (label, ask) in &asks {
            for group in &groups {
                self.tick(group.buckets.len() * grid.steps)?;
                let mut s = StepSeries {
                    labels: group.labels.clone(),
                    drop_name: group.drop_name,
                    row: crate::row::Row::new(grid.steps),
                };
                for i in 0..grid.steps {
                    if let Some(v) = self.ask_group(group, &frame.series, ask, i, input.pos, grid) {
                        s.row.set_float(i, v);
                    }
                }
                self.drop_name(&mut s);
                if let Some(value) = label {
                    s.labels = s.labels.with(text(&call.args, 1), value.as_str());
                }
                if !s.row.is_empty() {
                    out.add(s)?;
                }
            }
        }
        out.series.into_iter().try_for_each(sink)
    }

    fn quantiles(&self, e: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        let q = self.scalar(e, grid)?;
        for q in q.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            self.notes.warn(e.pos, || bad_quantile(*q));
        }
        Ok(q)
    }

    fn histogram_groups(&self, series: &[StepSeries], pos: usize) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut by_labels: BTreeMap<Labels, usize> = BTreeMap::new();
        let mut group_of = |labels: Labels, drop_name: bool| {
            let next = by_labels.len();
            let at = *by_labels.entry(labels.clone()).or_insert(next);
            if at == groups.len() {
                groups.push(Group { labels, drop_name, buckets: Vec::new(), native: None });
            }
            at
        };
        let mut found: Vec<(usize, usize, Option<f64>)> = Vec::new();
        for (i, s) in series.iter().enumerate() {
            let steps = s.row.present();
            if steps.iter().any(|step| s.row.histogram(step).is_some()) {
                found.push((group_of(s.labels.clone(), s.drop_name), i, None));
            }
            if steps.iter().any(|step| s.row.float(step).is_some()) {
                let bound = s.labels.get(BUCKET_LABEL);
                match bound.parse::<f64>() {
                    Ok(le) => {
                        let at = group_of(s.labels.without(BUCKET_LABEL), s.drop_name);
                        found.push((at, i, Some(le)));
                    }
                    Err(_) => self.notes.warn(pos, || {
                        let metric = self.noted_name(&s.labels);
                        format!(
                            "bucket label \"le\" is missing or has a malformed value of {bound:?}{metric}"
                        )
                    }),
                }
            }
        }
        for (at, i, bound) in found {
            match bound {
                Some(le) => groups[at].buckets.push((le, i)),
                None => groups[at].native = Some(i),
            }
        }
        for g in &mut groups {
            g.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        groups
    }

    fn noted_name(&self, labels: &Labels) -> String {
        if self.options.delayed_name_removal { for_metric(labels.metric_name()) } else { String::new() }
    }

    fn ask_group(
        &self,
        group: &Group,
        series: &[StepSeries],
        ask: &Ask,
        i: usize,
        pos: usize,
        grid: Grid,
    ) -> Option<f64> {
        let mut buckets: Vec<(f64, f64)> =
            group.buckets.iter().filter_map(|(le, at)| Some((*le, series[*at].row.float(i)?))).collect();
        let native = group.native.and_then(|at| series[at].row.histogram(i));
        match (native, buckets.is_empty()) {
            (Some(h), true) => Some(self.ask_native(h, group, ask, i, pos)),
            (Some(_), false) => {
                self.notes.warn(pos, || {
                    format!(
                        "vector contains a mix of classic and native histograms{}",
                        self.noted_name(&group.labels)
                    )
                });
                None
            }
            (None, true) => None,
            (None, false) => Some(match ask {
                Ask::Quantile(q) => {
                    let (v, fixed) = bucket_quantile(q[i], &mut buckets);
                    if let Some(fixed) = fixed {
                        let name =
                            if self.options.delayed_name_removal { group.labels.metric_name() } else { "" };
                        let at = grid.time(i);
                        self.notes.monotonicity(
                            pos,
                            name,
                            Monotonicity { first_ms: at, last_ms: at, ..fixed },
                        );
                    }
                    v
                }
                Ask::Fraction(lower, upper) => bucket_fraction(lower[i], upper[i], &mut buckets),
            }),
        }
    }

    fn ask_native(&self, h: &FloatHistogram, group: &Group, ask: &Ask, i: usize, pos: usize) -> f64 {
        let (v, effect) = match ask {
            Ask::Quantile(q) => histogram::quantile(q[i], h),
            Ask::Fraction(lower, upper) => histogram::fraction(lower[i], upper[i], h),
        };
        let text = match effect {
            NanEffect::None => return v,
            NanEffect::ResultIsNan => "input to histogram_quantile has NaN observations, result is NaN",
            NanEffect::SkewedHigher => {
                "input to histogram_quantile has NaN observations, result is skewed higher"
            }
            NanEffect::Excluded => {
                "input to histogram_fraction has NaN observations, which are excluded from all fractions"
            }
        };
        self.notes.info(pos, || format!("{text}{}", for_metric(group.labels.metric_name())));
        v
    }
}

/// `0.5`, `1.0`, `NaN`: as OpenMetrics writes a float.
fn open_metrics_float(v: f64) -> String {
    if v.is_finite() && v.fract() == 0.0 && v.abs() < 1e6 { format!("{v:.1}") } else { format_g(v) }
}

/// Equal bounds become one bucket.
fn coalesce(buckets: &mut Vec<(f64, f64)>) {
    let mut out: Vec<(f64, f64)> = Vec::with_capacity(buckets.len());
    for (le, count) in buckets.drain(..) {
        match out.last_mut() {
            Some(last) if last.0 == le => last.1 += count,
            _ => out.push((le, count)),
        }
    }
    *buckets = out;
}

/// Counts rise with the bound; falls are raised to the count before and, unless mere rounding, reported.
fn make_monotonic(buckets: &mut [(f64, f64)]) -> Option<Monotonicity> {
    let mut fixed: Option<Monotonicity> = None;
    let mut previous = buckets.first()?.1;
    for (le, count) in buckets.iter_mut().skip(1) {
        if *count == previous {
            continue;
        }
        if almost_equal(previous, *count) {
            *count = previous;
        } else if *count < previous {
            let diff = previous - *count;
            let m = fixed.get_or_insert(Monotonicity {
                first_ms: 0,
                last_ms: 0,
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_diff: 0.0,
                samples: 1,
            });
            m.min_bucket = m.min_bucket.min(*le);
            m.max_bucket = m.max_bucket.max(*le);
            m.max_diff = m.max_diff.max(diff);
            *count = previous;
        } else {
            previous = *count;
        }
    }
    fixed
}

fn almost_equal(a: f64, b: f64) -> bool {
    let (sum, diff) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < SMALL_DELTA
}

/// The `q`-quantile of cumulative buckets sorted by bound, linear inside a bucket.
fn bucket_quantile(q: f64, buckets: &mut Vec<(f64, f64)>) -> (f64, Option<Monotonicity>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, None);
    }
    if buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let fixed = make_monotonic(buckets);
    let [.., before_last, last] = &buckets[..] else { return (f64::NAN, fixed) };
    if last.1 == 0.0 {
        return (f64::NAN, fixed);
    }
    let mut rank = q * last.1;
    let at = buckets[..buckets.len() - 1].iter().position(|b| b.1 >= rank).unwrap_or(buckets.len() - 1);
    if at == buckets.len() - 1 {
        return (before_last.0, fixed);
    }
    let (upper, mut count) = buckets[at];
    if at == 0 && upper <= 0.0 {
        return (upper, fixed);
    }
    let mut lower = 0.0;
    if at > 0 {
        lower = buckets[at - 1].0;
        count -= buckets[at - 1].1;
        rank -= buckets[at - 1].1;
    }
    (lower + (upper - lower) * (rank / count), fixed)
}

/// The share of observations between two values, linear inside a bucket.
fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<(f64, f64)>) -> f64 {
    if buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let total = buckets.last().map_or(0.0, |b| b.1);
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let first_lower = if buckets.first().is_some_and(|b| b.0 <= 0.0) { f64::NEG_INFINITY } else { 0.0 };
    let rank_of = |v: f64| {
        let (mut rank, mut start) = (0.0, first_lower);
        for (end, count) in buckets.iter() {
            if start >= v {
                return rank;
            }
            if *end > v {
                let inside =
                    if start == f64::NEG_INFINITY { return *count } else { (v - start) / (end - start) };
                return rank + (count - rank) * inside;
            }
            (rank, start) = (*count, *end);
        }
        total
    };
    (rank_of(upper).min(total) - rank_of(lower).min(total)) / total
}
