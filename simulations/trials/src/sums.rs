//! What came of many worlds, and the table of it.

use std::fmt::Write as _;

use crate::trial::Outcome;

/// What came of many worlds for one contestant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    /// Worlds.
    pub worlds: u64,
    /// Hours that they lasted.
    pub hours: f64,
    /// Lowerings.
    pub lowered: u64,
    /// Those of them that the true load did not support.
    pub unsafe_lowerings: u64,
    /// Worlds with at least one of these.
    pub worlds_unsafe: u64,
    /// Replica-hours ordered.
    pub replica_hours: f64,
    /// Seconds in which fewer served than could serve the load.
    pub violated_s: u64,
    /// Worlds at whose end replicas were not what the load asks for.
    pub astray: u64,
    /// Of these, worlds in which they were an hour later.
    pub late: u64,
}

impl Sums {
    /// One more world.
    pub fn add(&mut self, outcome: &Outcome, lasts_ms: i64) {
        let tally = &outcome.life.tally;
        self.worlds += 1;
        self.hours += lasts_ms as f64 / 3_600_000.0;
        self.lowered += u64::from(tally.lowered);
        self.unsafe_lowerings += tally.unsafe_lowerings.len() as u64;
        self.worlds_unsafe += u64::from(!tally.unsafe_lowerings.is_empty());
        self.replica_hours += tally.replica_hours;
        self.violated_s += u64::from(tally.violated_s);
        let (low, high) = outcome.life.suits;
        self.astray += u64::from(!(low..=high).contains(&outcome.life.ordered));
        self.late += u64::from(outcome.late);
    }
}

/// Markdown, a row for each.
pub fn table(rows: &[(&str, Sums)]) -> String {
    let mut out = String::from(
        "| | lowerings | unsafe | worlds with one | replica-hours | seconds of too few | astray at the end | of these right an hour later |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (title, sums) in rows {
        // Writing into memory cannot fail.
        let _ = writeln!(
            out,
            "| {title} | {} | **{}** | {} of {} | {:.0} | {} | {} | {} |",
            sums.lowered,
            sums.unsafe_lowerings,
            sums.worlds_unsafe,
            sums.worlds,
            sums.replica_hours,
            sums.violated_s,
            sums.astray,
            sums.late
        );
    }
    out
}
