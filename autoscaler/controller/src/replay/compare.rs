//! Two decisions side by side, and what one hands to the next.

use autoscaler_core::{Decision, History, Input};
use serde_json::Value;

/// Most differences of one record that are told.
const LINES_MAX: usize = 8;
/// Longest value that is told.
const VALUE_MAX: usize = 60;

/// What a decision handed on.
#[derive(Debug)]
pub(super) struct Handed {
    history: History,
    wrote: bool,
}

impl Handed {
    pub(super) fn of(input: &Input, decision: &Decision) -> Self {
        // An unanswered write of before may be told between as well.
        let wrote = decision.write.is_some() || input.scale.spec_replicas != decision.desired_replicas;
        Self { history: decision.history.clone(), wrote }
    }
}

/// How the next decision began.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// With what the one before handed on.
    Whole,
    /// After others, of which nothing is recorded since they were no news.
    Between,
    /// With what a status remembers, or nothing: another process went on.
    Anew,
    /// With something else; the fields.
    Otherwise(Vec<String>),
}

/// How a decision began that came after `before`, by its input's history.
pub(super) fn carried(before: &Handed, next: &History) -> Carried {
    let handed = &before.history;
    match (next.decided_ms, handed.decided_ms) {
        (Some(next_ms), Some(handed_ms)) if next_ms > handed_ms => return Carried::Between,
        (Some(next_ms), Some(handed_ms)) if next_ms == handed_ms => {}
        _ => return Carried::Anew,
    }
    // A change that was written in between is added by whoever wrote it.
    let without = |history: &History| History {
        scale_up_events: Vec::new(),
        scale_down_events: Vec::new(),
        ..history.clone()
    };
    if handed == next || (before.wrote && without(handed) == without(next)) {
        return Carried::Whole;
    }
    // A status has neither.
    if next.ready.changes().is_empty() && next.support.is_none() && handed.support.is_some() {
        return Carried::Anew;
    }
    let lines = compare(handed, next, "handed on", "taken up");
    Carried::Otherwise(lines.into_iter().map(|line| format!("history.{line}")).collect())
}

/// What differs between a recorded decision and the one of now, field by field.
pub(super) fn differences(recorded: &Decision, now: &Decision) -> Vec<String> {
    compare(recorded, now, "recorded", "now")
}

fn compare<T: serde::Serialize>(a: &T, b: &T, a_is: &str, b_is: &str) -> Vec<String> {
    let value = |v: &T| serde_json::to_value(v).unwrap_or_default();
    let mut found = Vec::new();
    walk("", &value(a), &value(b), &mut |path, a, b| {
        found.push(format!("{path}: {} {a_is}, {} {b_is}", short(a), short(b)));
    });
    let more = found.len().saturating_sub(LINES_MAX);
    found.truncate(LINES_MAX);
    found.extend((more > 0).then(|| format!("and {more} more fields")));
    found
}

/// Tells each leaf that differs; what is only on one side is told against nothing.
fn walk(path: &str, a: &Value, b: &Value, tell: &mut impl FnMut(&str, &Value, &Value)) {
    let below =
        |key: &dyn std::fmt::Display| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let side = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                walk(&below(key), &side(a), &side(b), tell);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for at in 0..a.len().max(b.len()) {
                let side = |list: &[Value]| list.get(at).cloned().unwrap_or_default();
                walk(&below(&at), &side(a), &side(b), tell);
            }
        }
        _ if a == b => {}
        _ => tell(path, a, b),
    }
}

fn short(value: &Value) -> String {
    if value.is_null() {
        return "nothing".to_owned();
    }
    let text = value.to_string();
    let end = text.floor_char_boundary(VALUE_MAX);
    if end < text.len() { format!("{}…", text.get(..end).unwrap_or_default()) } else { text }
}

#[cfg(test)]
mod tests {
    use autoscaler_core::{Recorded, replay};

    use super::*;

    fn kept() -> (Input, Decision) {
        let replayed = replay(include_bytes!("../../../core/testdata/record-v2.json").trim_ascii()).unwrap();
        match replayed.recorded {
            Recorded::Current(decision) => (replayed.input, *decision),
            Recorded::Older(_) => panic!("of today"),
        }
    }

    #[test]
    fn decisions_differ_field_by_field() {
        let (_, now) = kept();
        let mut recorded = now.clone();
        assert_eq!(differences(&recorded, &now), [""; 0]);
        recorded.desired_replicas += 1;
        recorded.history.decided_ms = None;
        let wanted = now.desired_replicas;
        assert_eq!(
            differences(&recorded, &now),
            [
                format!("desiredReplicas: {} recorded, {wanted} now", wanted + 1),
                format!("history.decidedMs: nothing recorded, {} now", now.history.decided_ms.unwrap()),
            ]
        );
        recorded.history = History { held_ms: 1, ..History::default() };
        recorded.metrics.clear();
        let lines = differences(&recorded, &now);
        assert!(lines.len() <= LINES_MAX + 1, "{lines:#?}");
    }

    #[test]
    fn what_is_handed_on_is_taken_up() {
        let (input, decision) = kept();
        let handed = Handed { wrote: false, ..Handed::of(&input, &decision) };
        let history = decision.history;
        assert!(history.support.is_some(), "{history:?}");
        let later = history.decided_ms.map(|ms| ms + 1_000);
        let mut written = history.clone();
        written.record_written(&input.policy, input.now_ms, 3, 8);
        let mut remembered = History { ready: Default::default(), support: None, ..history.clone() };
        remembered.recommendations = None;
        for (next, expected) in [
            (history.clone(), Carried::Whole),
            (History { decided_ms: later, ..history.clone() }, Carried::Between),
            (History::default(), Carried::Anew),
            (remembered, Carried::Anew),
        ] {
            assert_eq!(carried(&handed, &next), expected);
        }
        let Carried::Otherwise(lines) = carried(&handed, &written) else { panic!("nothing was written") };
        assert!(lines[0].starts_with("history.scaleUpEvents"), "{lines:?}");
        assert_eq!(carried(&Handed { wrote: true, ..handed }, &written), Carried::Whole);
    }
}
