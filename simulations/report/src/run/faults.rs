//! Marks and faults: as they were planned, and as they were made.

use std::collections::BTreeMap;

use super::{Span, time};
use crate::record::{Event, Record, What};

/// A mark.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MarkMade {
    pub(crate) name: String,
    pub(crate) planned_s: Option<f64>,
    pub(crate) at_s: f64,
}

impl MarkMade {
    /// Seconds after its plan; where it had one.
    pub(crate) fn late_s(&self) -> Option<f64> {
        self.planned_s.map(|planned| self.at_s - planned)
    }
}

/// Marks say when a fault happened; the plan says what it was.
pub(super) fn faults(record: &Record, events: &[Event]) -> Vec<Span> {
    let mut marks: BTreeMap<&str, f64> = BTreeMap::new();
    for event in events {
        if let What::Mark(mark) = &event.what {
            marks.entry(&mark.name).or_insert(event.at_s);
        }
    }
    let mark = |name: &str| marks.get(name).copied();
    let span = |f: &crate::record::Fault| {
        let from_s = mark(&f.name).unwrap_or(time(f.start_s));
        let to_s = mark(&format!("{} ended", f.name)).unwrap_or(from_s + time(f.end_s - f.start_s));
        let detail = format!("{} {}", f.kind, f.target);
        Span { name: f.name.clone(), detail, from_s, to_s }
    };
    record.faults.iter().map(span).collect()
}
