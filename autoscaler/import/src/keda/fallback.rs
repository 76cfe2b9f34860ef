//! KEDA's fallback (`pkg/fallback/fallback.go`): what a trigger's metric is once its queries failed too often.

use crate::draft::{Fallback, SYNC_S};
use crate::field::At;
use crate::note::Note;

/// KEDA's words and the policy's. `None`: policies have nothing like it yet, and hold.
const BEHAVIORS: &[(&str, Option<&str>)] = &[
    ("static", Some("Static")),
    ("currentReplicas", Some("CurrentReplicas")),
    // The higher of the two numbers is proposed: that only raises.
    ("currentReplicasIfHigher", Some("IfHigher")),
    ("currentReplicasIfLower", None),
    ("scalingModifiers", None),
];

/// A policy's fallback waits for a day at most.
const LONGEST_S: i64 = 86_400;

/// Reads it, for every trigger that is a query.
pub(super) fn read(at: &At<'_>, notes: &mut Vec<Note>) -> Option<Fallback> {
    at.tell_unknown(&["failureThreshold", "replicas", "behavior"], notes);
    let behavior = match at.field("behavior") {
        Some(word) => word.one_of(BEHAVIORS, notes)?,
        None => Some("Static"),
    };
    let Some(behavior) = behavior else {
        let word = at.field("behavior").and_then(|b| b.scalar()).unwrap_or_default();
        let message =
            format!("{word}: policies have nothing like it yet, and hold the replicas that are there");
        notes.push(Note::lost(at.path_of("behavior"), message, "choose Static, IfHigher or CurrentReplicas"));
        return None;
    };
    let Some((failures, replicas)) = at.field("failureThreshold").zip(at.field("replicas")) else {
        notes.push(at.wrong("failureThreshold and replicas"));
        return None;
    };
    let failures = failures.within(0, i32::MAX, notes)?;
    let replicas = replicas.within(0, i32::MAX, notes)?;
    if replicas == 0 {
        let message = "0: a fallback of a policy has at least one replica, so there is none";
        notes.push(Note::lost(
            at.path_of("replicas"),
            message,
            "write the replicas that are safe without metrics",
        ));
        return None;
    }
    let after_s = (i64::from(failures) * SYNC_S).clamp(1, LONGEST_S);
    notes.push(Note::differs(
        at.path(),
        format!("{failures} failures are {after_s} s, since the HPA asks every {SYNC_S} s"),
        "here missing, stale and partial answers count too, and not failed queries alone",
    ));
    Some(Fallback { after_s, replicas, behavior })
}
