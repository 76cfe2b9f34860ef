//! `behavior` of an HPA, which is the policy's word for word.

use autoscaler_api::{Behavior, PolicyType, Quantity, RatePolicy, Rules, SelectPolicy};

use crate::field::At;
use crate::note::Note;

/// Most rate policies that a policy takes in one direction.
const MAX_RATES: usize = 16;

/// Reads both directions.
pub(crate) fn read(at: &At<'_>, notes: &mut Vec<Note>) -> Option<Behavior> {
    if !at.is_mapping() {
        notes.push(at.wrong("scaleUp and scaleDown"));
        return None;
    }
    at.tell_unknown(&["scaleUp", "scaleDown"], notes);
    let up = at.field("scaleUp").and_then(|at| rules(&at, notes));
    let down = at.field("scaleDown").and_then(|at| rules(&at, notes));
    (up.is_some() || down.is_some()).then_some(Behavior { scale_up: up, scale_down: down })
}

/// Forbids one direction, as KEDA's pauses in one direction do.
pub(crate) fn forbid(rules: &mut Option<Rules>) {
    rules.get_or_insert_default().select_policy = Some(SelectPolicy::Disabled);
}

fn rules(at: &At<'_>, notes: &mut Vec<Note>) -> Option<Rules> {
    if !at.is_mapping() {
        notes.push(at.wrong("rules for one direction"));
        return None;
    }
    at.tell_unknown(&["stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance"], notes);
    let window = at.field("stabilizationWindowSeconds").and_then(|f| f.within(0, 3600, notes));
    let words =
        [("Max", SelectPolicy::Max), ("Min", SelectPolicy::Min), ("Disabled", SelectPolicy::Disabled)];
    let select = at.field("selectPolicy").and_then(|f| f.one_of(&words, notes));
    let tolerance = at.field("tolerance").and_then(|f| tolerance(&f, notes));
    let rates = at.field("policies").and_then(|f| rates(&f, notes));
    let read =
        Rules { stabilization_window_seconds: window, select_policy: select, policies: rates, tolerance };
    (read != Rules::default()).then_some(read)
}

fn tolerance(at: &At<'_>, notes: &mut Vec<Note>) -> Option<Quantity> {
    let found = at.scalar().map(Quantity);
    let found = found.filter(|q| q.milli().is_ok_and(|milli| (0..=1_000_000).contains(&milli)));
    if found.is_none() {
        notes.push(at.wrong("a quantity between 0 and 1000, for example \"0.1\""));
    }
    found
}

fn rates(at: &At<'_>, notes: &mut Vec<Note>) -> Option<Vec<RatePolicy>> {
    let entries = at.items();
    if entries.is_empty() {
        let message = "is no list of policies, so the defaults apply";
        notes.push(Note::lost(at.path(), message, "write policies, or selectPolicy: Disabled to forbid"));
        return None;
    }
    if entries.len() > MAX_RATES {
        let message = format!("{} policies are more than the {MAX_RATES} that fit", entries.len());
        notes.push(Note::lost(at.path(), message, "drop those that never decide"));
    }
    let read: Vec<RatePolicy> = entries.iter().take(MAX_RATES).filter_map(|e| rate(e, notes)).collect();
    (!read.is_empty()).then_some(read)
}

fn rate(at: &At<'_>, notes: &mut Vec<Note>) -> Option<RatePolicy> {
    at.tell_unknown(&["type", "value", "periodSeconds"], notes);
    let Some(((kind, value), period)) =
        at.field("type").zip(at.field("value")).zip(at.field("periodSeconds"))
    else {
        notes.push(at.wrong("type, value and periodSeconds"));
        return None;
    };
    let words = [("Pods", PolicyType::Pods), ("Percent", PolicyType::Percent)];
    let kind = kind.one_of(&words, notes);
    let value = value.within(1, i32::MAX, notes);
    let period = period.within(1, 1800, notes);
    Some(RatePolicy { type_: kind?, value: value?, period_seconds: period? })
}
