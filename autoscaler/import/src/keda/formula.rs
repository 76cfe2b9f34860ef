//! `advanced.scalingModifiers`: one number out of several triggers, which then ask for nothing by themselves.
//!
//! KEDA's formulas are expr-lang's. Sums, differences, products and quotients of triggers and numbers mean the same in
//! PromQL; whatever else there is (`max`, `??`, conditions) is told only.

use std::collections::BTreeMap;

use crate::draft::{Found, Measure, Metric, Suggestion, Target};
use crate::field::At;
use crate::note::Note;

use super::prometheus::above_zero;

/// Longest formula that is looked at.
const MAX_LEN: usize = 4096;

/// Tells it, suggests its PromQL where there is one, and takes back what the triggers asked for.
pub(super) fn read(modifiers: &At<'_>, spec: &At<'_>, found: &mut Found) {
    modifiers.tell_unknown(&["formula", "target", "activationTarget", "metricType"], &mut found.notes);
    let Some(formula) = modifiers.field("formula").and_then(|f| f.scalar()).filter(|f| !f.is_empty()) else {
        return;
    };
    // Only resources stand beside a formula.
    let all = std::mem::take(&mut found.metrics);
    let (inputs, resources): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|metric| metric.measure.query().is_some());
    found.metrics = resources;
    let path = modifiers.path_of("formula");
    let message =
        format!("{formula}: a policy's formulas are CEL's, and the triggers in it ask for nothing alone");
    let suggested = suggestion(modifiers, &formula, &names(spec, &inputs), &path, &mut found.notes);
    let cure = if suggested.is_some() { "take the suggested query" } else { "write it as spec.formula" };
    found.notes.push(Note::lost(path, message, cure));
    found.suggestions.extend(suggested);
}

/// Queries by the names of their triggers.
fn names(spec: &At<'_>, inputs: &[Metric]) -> BTreeMap<String, String> {
    let triggers = spec.field("triggers").map(|t| t.items()).unwrap_or_default();
    let named = triggers.iter().filter_map(|t| Some((t.field("name")?.scalar()?, t.path().to_owned())));
    named
        .filter_map(|(name, path)| {
            Some((name, inputs.iter().find(|m| m.field == path)?.measure.query()?.to_owned()))
        })
        .collect()
}

fn suggestion(
    modifiers: &At<'_>,
    formula: &str,
    queries: &BTreeMap<String, String>,
    path: &str,
    notes: &mut Vec<Note>,
) -> Option<Suggestion> {
    let query = as_promql(formula, queries)?;
    let target = above_zero(&modifiers.field("target")?, notes)?;
    let value = modifiers.field("metricType").is_some_and(|t| t.text() == Some("Value"));
    Some(Suggestion {
        needs: "a value of each of its queries at all times".to_owned(),
        metric: Metric {
            name: "formula".to_owned(),
            measure: Measure::Query(query),
            target: if value { Target::Value(target) } else { Target::AverageValue(target) },
            fallback: None,
            field: path.to_owned(),
            server: None,
        },
    })
}

/// The formula with each trigger's query in the place of its name; `None` if it does more than reckon.
fn as_promql(formula: &str, queries: &BTreeMap<String, String>) -> Option<String> {
    if formula.len() > MAX_LEN {
        return None;
    }
    let mut out = String::new();
    let mut rest = formula;
    while let Some(c) = rest.chars().next() {
        let len = if c.is_ascii_alphabetic() || c == '_' {
            let name_len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            // Several series have labels of their own, by which they would not match.
            out.push_str(&format!("sum({})", queries.get(rest.get(..name_len)?)?));
            name_len
        } else {
            if !(c.is_ascii_digit() || ".+-*/() ".contains(c)) {
                return None;
            }
            out.push(c);
            c.len_utf8()
        };
        rest = rest.get(len..)?;
    }
    // A power, a comment, or a number before a name is not what it seems.
    let strange = out.contains("**") || out.contains("//");
    (!strange && out.contains("sum(")).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reckoning_becomes_promql_and_nothing_else_does() {
        let queries =
            BTreeMap::from([("a".to_owned(), "qa".to_owned()), ("b_2".to_owned(), "qb".to_owned())]);
        for (formula, wanted) in [
            ("(a + b_2) / 2", Some("(sum(qa) + sum(qb)) / 2")),
            ("a*0.5", Some("sum(qa)*0.5")),
            ("max([a, b_2])", None),
            ("a > 5 ? a : b_2", None),
            ("a ?? b_2", None),
            ("a ** 2", None),
            ("c + 1", None),
            ("2 + 3", None),
        ] {
            assert_eq!(as_promql(formula, &queries).as_deref(), wanted, "{formula}");
        }
    }
}
