//! Series that turn out to have equal labels.

use std::collections::BTreeMap;

use thanos_model::{Labels, Value};

use crate::error::QueryError;
use crate::row::{Row, StepSeries};

const DUPLICATE: &str = "vector cannot contain metrics with the same labelset";

pub(super) fn duplicate() -> QueryError {
    QueryError::exec(DUPLICATE)
}

/// Joins series with equal labels.
///
/// # Errors
/// Two of them have a value at the same step.
pub(super) fn merge_equal_labels(series: Vec<StepSeries>) -> Result<Vec<StepSeries>, QueryError> {
    let mut out = Outputs::default();
    for s in series {
        out.add(s)?;
    }
    Ok(out.series)
}

/// Output series by their labels, in order of first appearance.
#[derive(Default)]
pub(super) struct Outputs {
    by_labels: BTreeMap<Labels, usize>,
    pub(super) series: Vec<StepSeries>,
}

impl Outputs {
    /// The index of the series with these labels.
    pub(super) fn index(&mut self, labels: &Labels, drop_name: bool, steps: usize) -> usize {
        if let Some(i) = self.by_labels.get(labels) {
            return *i;
        }
        let i = self.series.len();
        self.by_labels.insert(labels.clone(), i);
        self.series.push(StepSeries { labels: labels.clone(), drop_name, row: Row::new(steps) });
        i
    }

    pub(super) fn set(&mut self, index: usize, step: usize, v: Value) -> Result<(), QueryError> {
        let row = &mut self.series[index].row;
        if row.has(step) {
            return Err(duplicate());
        }
        row.set(step, v);
        Ok(())
    }

    pub(super) fn add(&mut self, s: StepSeries) -> Result<(), QueryError> {
        if let Some(i) = self.by_labels.get(&s.labels) {
            let row = &mut self.series[*i].row;
            if row.present().intersects(s.row.present()) {
                return Err(duplicate());
            }
            row.absorb(s.row);
            return Ok(());
        }
        self.by_labels.insert(s.labels.clone(), self.series.len());
        self.series.push(s);
        Ok(())
    }
}
