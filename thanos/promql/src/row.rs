//! One series' values at every step, by column: floats beside a bitmap of where there is a value.

use std::sync::Arc;

use thanos_model::{FloatHistogram, Labels, Value};

/// Values at the steps of a query. A step has a float, a histogram or nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    values: Vec<f64>,
    present: Bits,
    /// Only where a histogram ever was.
    histograms: Option<Vec<Option<Arc<FloatHistogram>>>>,
}

/// A set of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

/// A series at every step.
#[derive(Clone, Debug)]
pub(crate) struct StepSeries {
    pub(crate) labels: Labels,
    /// The metric name no longer fits and goes when the evaluation ends.
    pub(crate) drop_name: bool,
    pub(crate) row: Row,
}

impl Bits {
    pub(crate) fn new(steps: usize) -> Self {
        Self(vec![0; steps.div_ceil(64)])
    }

    #[inline]
    pub(crate) fn get(&self, i: usize) -> bool {
        self.0.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 == 1)
    }

    #[inline]
    pub(crate) fn set(&mut self, i: usize) {
        if let Some(w) = self.0.get_mut(i / 64) {
            *w |= 1 << (i % 64);
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self, i: usize) {
        if let Some(w) = self.0.get_mut(i / 64) {
            *w &= !(1 << (i % 64));
        }
    }

    pub(crate) fn union(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    pub(crate) fn intersects(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|w| *w == 0)
    }

    /// Set steps, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                if word == 0 {
                    return None;
                }
                let bit = word.trailing_zeros() as usize;
                word &= word - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

impl Row {
    pub(crate) fn new(steps: usize) -> Self {
        Self { values: vec![0.0; steps], present: Bits::new(steps), histograms: None }
    }

    pub(crate) fn steps(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn present(&self) -> &Bits {
        &self.present
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    pub(crate) fn has(&self, i: usize) -> bool {
        self.present.get(i)
    }

    pub(crate) fn get(&self, i: usize) -> Option<Value> {
        if !self.present.get(i) {
            return None;
        }
        match self.histogram(i) {
            Some(h) => Some(Value::Histogram(h.clone())),
            None => self.values.get(i).copied().map(Value::Float),
        }
    }

    pub(crate) fn histogram(&self, i: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.as_ref()?.get(i)?.as_ref()
    }

    #[inline]
    pub(crate) fn float(&self, i: usize) -> Option<f64> {
        if !self.present.get(i) || self.histogram(i).is_some() {
            return None;
        }
        self.values.get(i).copied()
    }

    #[inline]
    pub(crate) fn set_float(&mut self, i: usize, v: f64) {
        if let Some(slot) = self.values.get_mut(i) {
            *slot = v;
            self.present.set(i);
            if let Some(h) = &mut self.histograms {
                h[i] = None;
            }
        }
    }

    pub(crate) fn set(&mut self, i: usize, v: Value) {
        match v {
            Value::Float(v) => self.set_float(i, v),
            Value::Histogram(h) => {
                let steps = self.values.len();
                if let Some(slot) = self.histograms.get_or_insert_with(|| vec![None; steps]).get_mut(i) {
                    *slot = Some(h);
                    self.present.set(i);
                }
            }
        }
    }

    pub(crate) fn clear(&mut self, i: usize) {
        self.present.clear(i);
        if let Some(h) = self.histograms.as_mut().and_then(|h| h.get_mut(i)) {
            *h = None;
        }
    }

    /// Replaces each value; `None` takes it away.
    pub(crate) fn map(&mut self, mut f: impl FnMut(usize, Value) -> Option<Value>) {
        for i in 0..self.steps() {
            if let Some(v) = self.get(i) {
                match f(i, v) {
                    Some(v) => self.set(i, v),
                    None => self.clear(i),
                }
            }
        }
    }

    /// Replaces each float and takes histograms away.
    pub(crate) fn map_floats(&mut self, mut f: impl FnMut(usize, f64) -> f64) {
        if let Some(histograms) = self.histograms.take() {
            for (i, _) in histograms.iter().enumerate().filter(|(_, h)| h.is_some()) {
                self.present.clear(i);
            }
        }
        for (i, v) in self.values.iter_mut().enumerate() {
            if self.present.get(i) {
                *v = f(i, *v);
            }
        }
    }

    /// Takes in another row's values at steps where there are none.
    pub(crate) fn absorb(&mut self, other: Self) {
        for i in other.present.iter() {
            if let Some(v) = other.get(i) {
                self.set(i, v);
            }
        }
    }

    /// What it weighs against a query's budget: samples and bytes.
    pub(crate) fn weight(&self) -> (u64, u64) {
        let mut bytes = self.values.len() * 8 + self.present.0.len() * 8;
        let mut samples = self.present.count();
        for h in self.histograms.iter().flatten().flatten() {
            let size = histogram_bytes(h);
            bytes += size;
            samples += size / 16;
        }
        (samples as u64, bytes as u64)
    }
}

/// What a histogram takes in memory, roughly.
pub(crate) fn histogram_bytes(h: &FloatHistogram) -> usize {
    let numbers = h.positive_buckets.len()
        + h.negative_buckets.len()
        + h.positive_spans.len()
        + h.negative_spans.len()
        + h.custom_values.len();
    168 + numbers * 8
}
