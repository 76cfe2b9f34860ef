//! Several runs of samples of one series to one run. Pure.
//!
//! Two kinds of replicas meet here, and which one it is shows in the data:
//! - **Copies** (Receive's replication): the same samples, some missing in one. Runs that share most times and
//!   values where they overlap, or do not overlap, are united by time; nothing is lost or invented.
//! - **Twins** (a pair of Prometheus servers): the same target scraped at other times. One is followed and the
//!   other takes over at a gap, after Thanos' penalty (`pkg/dedup/iter.go`): twice the last distance, 5 s when
//!   there is none yet, so that the sample rate does not jump.
//!
//! Counters: both twins scrape the same counter, so a switch can only step back because their clocks differ.
//! A sample below the last one whose own replica did not reset is skipped; where its replica did reset, or has
//! nothing before it to tell by, it is kept and PromQL sees the reset. Thanos lifts values instead, which
//! invents increase (`thanos#7623`); here no value is ever changed.

use thanos_model::{Sample, TimestampMs, Value};

use crate::decode::Run;

/// Thanos' first penalty, before a distance is known.
const INITIAL_PENALTY_MS: i64 = 5000;

/// What the series' runs may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Parts of one series: unite by time.
    Parts,
    /// Replicas of a gauge or of something unknown.
    Replicas,
    /// Replicas of a counter.
    Counters,
}

impl Mode {
    /// Replicas, by the function around the selector.
    pub(crate) fn for_function(func: &str) -> Self {
        match func {
            "rate" | "increase" | "irate" | "resets" => Self::Counters,
            _ => Self::Replicas,
        }
    }
}

/// Merges runs, each ascending with distinct times, into one such run.
pub(crate) fn merge(mut runs: Vec<Run>, mode: Mode) -> Run {
    runs.sort_by_key(|r| r.first().map(|s| s.t_ms));
    let mut merged = unite_copies(runs, mode);
    if merged.len() > 1 {
        // Copies that share nothing with each other may both share with one that came later.
        merged = unite_copies(merged, mode);
    }
    merged.into_iter().reduce(|a, b| followed(&a, &b, mode == Mode::Counters)).unwrap_or_default()
}

fn unite_copies(runs: Vec<Run>, mode: Mode) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for run in runs {
        match out.iter_mut().find(|m| mode == Mode::Parts || are_copies(m, &run)) {
            Some(copy) => *copy = united(std::mem::take(copy), run),
            None => out.push(run),
        }
    }
    out
}

/// Whether the runs do not overlap, or agree on at least half of the shorter one where they do.
fn are_copies(a: &[Sample], b: &[Sample]) -> bool {
    let (Some(a0), Some(a1), Some(b0), Some(b1)) = (a.first(), a.last(), b.first(), b.last()) else {
        return true;
    };
    let (from, to) = (a0.t_ms.max(b0.t_ms), a1.t_ms.min(b1.t_ms));
    let within =
        |run: &[Sample]| (run.partition_point(|s| s.t_ms < from), run.partition_point(|s| s.t_ms <= to));
    let (a_from, a_to) = within(a);
    let (b_from, b_to) = within(b);
    let (Some(a), Some(b)) = (a.get(a_from..a_to), b.get(b_from..b_to)) else { return true };
    let (mut i, mut j, mut common) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        match x.t_ms.cmp(&y.t_ms) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal if x.value != y.value => return false,
            std::cmp::Ordering::Equal => (i, j, common) = (i + 1, j + 1, common + 1),
        }
    }
    from > to || common > 0 && common * 2 >= a.len().min(b.len())
}

/// All samples by time; of two at one time the first run's.
fn united(a: Run, b: Run) -> Run {
    if a.last().is_none_or(|l| b.first().is_none_or(|f| l.t_ms < f.t_ms)) {
        let mut out = a;
        out.extend(b);
        return out;
    }
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    loop {
        let take_a = match (a.peek(), b.peek()) {
            (None, None) => return out,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(x), Some(y)) => {
                let (tx, ty) = (x.t_ms, y.t_ms);
                if tx == ty {
                    b.next();
                }
                tx <= ty
            }
        };
        out.extend(if take_a { a.next() } else { b.next() });
    }
}

/// One of the two, following its samples.
struct Side<'a> {
    run: &'a [Sample],
    at: usize,
    penalty_ms: i64,
}

impl<'a> Side<'a> {
    fn seek(&mut self, from_ms: TimestampMs) -> Option<&'a Sample> {
        let rest = self.run.get(self.at..)?;
        self.at += rest.partition_point(|s| s.t_ms < from_ms);
        self.run.get(self.at)
    }

    /// Whether this replica's own counter went down just before its current sample, or cannot tell.
    fn reset_here(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|i| self.run.get(i)).and_then(float);
        let here = self.run.get(self.at).and_then(float);
        before.zip(here).is_none_or(|(before, here)| here < before)
    }
}

fn float(s: &Sample) -> Option<f64> {
    match s.value {
        Value::Float(v) if !v.is_nan() => Some(v),
        _ => None,
    }
}

/// Thanos' penalty walk over two twins.
fn followed(a: &[Sample], b: &[Sample], counter: bool) -> Run {
    let mut out: Run = Vec::with_capacity(a.len().max(b.len()));
    let mut a = Side { run: a, at: 0, penalty_ms: 0 };
    let mut b = Side { run: b, at: 0, penalty_ms: 0 };
    let mut used_a = true;
    loop {
        let last_ms = out.last().map(|s| s.t_ms);
        let from = |penalty: i64| last_ms.map_or(i64::MIN, |t| t.saturating_add(1).saturating_add(penalty));
        let next_a = a.seek(from(a.penalty_ms));
        let next_b = b.seek(from(b.penalty_ms));
        let (use_a, next, contested) = match (next_a, next_b) {
            (None, None) => return out,
            (Some(x), None) => (true, x, false),
            (None, Some(y)) => (false, y, false),
            (Some(x), Some(y)) if x.t_ms <= y.t_ms => (true, x, true),
            (Some(_), Some(y)) => (false, y, true),
        };
        let (used, other) = if use_a { (&mut a, &mut b) } else { (&mut b, &mut a) };
        if counter && use_a != used_a {
            let last = out.last().and_then(float);
            let back = last.zip(float(next)).is_some_and(|(last, now)| now < last);
            if back && !used.reset_here() {
                used.at += 1;
                continue;
            }
        }
        used.penalty_ms = 0;
        if contested {
            other.penalty_ms =
                last_ms.map_or(INITIAL_PENALTY_MS, |t| next.t_ms.saturating_sub(t).saturating_mul(2));
        }
        used_a = use_a;
        out.push(next.clone());
    }
}

#[cfg(test)]
mod tests;
