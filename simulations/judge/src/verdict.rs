//! How a run ended: its rows, and whether they say anything.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use simulations_scenario::Scenario;

use crate::rows::{Crossed, Row, broken_off, judge};
use crate::timeline::Timeline;
use crate::validity::{self, Lateness};

/// How a run ended; `gauntlet run` exits with the number in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Everything held (0).
    Pass,
    /// Something did not hold (99).
    Thresholds,
    /// The run was not driven as planned, by a load generator that was late, died or had no means to send: the
    /// figures say nothing (105).
    InvalidGenerator,
    /// Broken off, so the rows judge only a part (130).
    Interrupted,
}

/// What a run left.
#[derive(Debug)]
pub struct Outcome {
    /// A row an expectation and a threshold, and those on whether the run was driven as planned.
    pub rows: Vec<Row>,
    /// How it ended.
    pub verdict: Verdict,
    /// The threshold that ended it early, where one did.
    pub aborted_by: Option<String>,
    /// What a reader should know, and what changed no row.
    pub warnings: Vec<String>,
    /// How late the load generator might be.
    pub lateness: Lateness,
    /// What happened.
    pub timeline: Timeline,
}

/// How a run came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As planned.
    Planned,
    /// A threshold did not hold any more.
    Crossed(Crossed),
    /// Somebody broke it off.
    Interrupted,
}

/// Judges a run.
pub fn verdict(scenario: &Scenario, timeline: Timeline, ended: &Ended, lateness: Lateness) -> Outcome {
    let mut rows = judge(scenario, &timeline);
    let mut aborted_by = None;
    if let Ended::Crossed(crossed) = ended {
        rows = broken_off(scenario, &timeline, crossed, rows);
        aborted_by = scenario.thresholds.get(crossed.threshold).map(ToString::to_string);
    }
    let driven = validity::judge(scenario, &timeline, &rows, lateness);
    let verdict = if *ended == Ended::Interrupted {
        Verdict::Interrupted
    } else if driven.rows.iter().any(|r| !r.held) {
        Verdict::InvalidGenerator
    } else if rows.iter().all(|r| r.held) {
        Verdict::Pass
    } else {
        Verdict::Thresholds
    };
    rows.extend(driven.rows);
    Outcome { rows, verdict, aborted_by, warnings: driven.warnings, lateness, timeline }
}
