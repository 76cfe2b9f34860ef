//! What an evaluation says besides its result, in Prometheus' words and with the place in the query.

use std::cell::RefCell;
use std::collections::BTreeMap;

use thanos_model::TimestampMs;

use crate::civil::Civil;

/// At most this many are kept; the rest would say the same of other series.
const MAX_ANNOTATIONS: usize = 1000;

/// Collects while evaluating, prints at the end.
#[derive(Debug, Default)]
pub(crate) struct Annotations(RefCell<BTreeMap<String, Note>>);

#[derive(Debug)]
struct Note {
    warning: bool,
    pos: usize,
    fixed: Option<Monotonicity>,
}

/// Where bucket counts fell instead of rising.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monotonicity {
    pub(crate) first_ms: TimestampMs,
    pub(crate) last_ms: TimestampMs,
    pub(crate) min_bucket: f64,
    pub(crate) max_bucket: f64,
    pub(crate) max_diff: f64,
    pub(crate) samples: u64,
}

impl Annotations {
    pub(crate) fn warn(&self, pos: usize, text: impl FnOnce() -> String) {
        self.add(true, pos, text(), None);
    }

    pub(crate) fn info(&self, pos: usize, text: impl FnOnce() -> String) {
        self.add(false, pos, text(), None);
    }

    pub(crate) fn monotonicity(&self, pos: usize, metric: &str, m: Monotonicity) {
        let text = format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
            for_metric(metric)
        );
        self.add(false, pos, text, Some(m));
    }

    fn add(&self, warning: bool, pos: usize, text: String, fixed: Option<Monotonicity>) {
        let mut notes = self.0.borrow_mut();
        if let Some(note) = notes.get_mut(&text) {
            // Said of several places, it names the last.
            note.pos = note.pos.max(pos);
            if let (Some(a), Some(b)) = (&mut note.fixed, fixed) {
                a.first_ms = a.first_ms.min(b.first_ms);
                a.last_ms = a.last_ms.max(b.last_ms);
                a.min_bucket = a.min_bucket.min(b.min_bucket);
                a.max_bucket = a.max_bucket.max(b.max_bucket);
                a.max_diff = a.max_diff.max(b.max_diff);
                a.samples += b.samples;
            }
        } else if notes.len() < MAX_ANNOTATIONS {
            notes.insert(text, Note { warning, pos, fixed });
        }
    }

    /// Warnings and infos, printed.
    pub(crate) fn finish(self, query: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        for (text, note) in self.0.into_inner() {
            let kind = if note.warning { "warning" } else { "info" };
            let fixed = note.fixed.map_or_else(String::new, |m| {
                format!(
                    ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                    m.min_bucket,
                    m.max_bucket,
                    two_digits(m.max_diff),
                    m.samples,
                    Civil::from_seconds(m.first_ms.div_euclid(1000)),
                    Civil::from_seconds(m.last_ms.div_euclid(1000)),
                )
            });
            let (line, column) = line_column(query, note.pos);
            let text = format!("PromQL {kind}: {text}{fixed} ({line}:{column})");
            if note.warning { warnings.push(text) } else { infos.push(text) }
        }
        (warnings, infos)
    }
}

/// ` for metric name "…"`, where there is one.
pub(crate) fn for_metric(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") }
}

fn two_digits(v: f64) -> String {
    let text = format!("{v:.1e}");
    text.parse::<f64>().map_or(text, |v| v.to_string())
}

fn line_column(query: &str, pos: usize) -> (usize, usize) {
    let before = query.get(..pos).unwrap_or(query);
    let line = before.matches('\n').count() + 1;
    let column = before.rfind('\n').map_or(before.len(), |at| before.len() - at - 1) + 1;
    (line, column)
}
