//! The answer as text: policies in YAML, with what is to tell in comments above each.

use std::fmt::Write;

use autoscaler_api::{Metric, ScalingPolicy};
use serde_json::Value;

use crate::note::Note;

/// Longest line of a comment; what is longer was hardly written by hand.
const MAX_LINE: usize = 600;
/// Longest comment.
const MAX_NOTES: usize = 200;

/// What stands for one object.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) notes: Vec<Note>,
    pub(crate) policy: Option<ScalingPolicy>,
    /// What each suggested metric needs and its YAML, and the policy that has them if it has no others.
    pub(crate) suggestions: Vec<(String, String)>,
    pub(crate) suggested_policy: Option<ScalingPolicy>,
    pub(crate) steps: Vec<String>,
}

/// All of it.
pub(crate) fn text(head: &[String], sections: &[Section]) -> String {
    let mut out = String::new();
    for line in head {
        comment(&mut out, line);
    }
    for section in sections {
        out.push_str(if out.is_empty() { "---\n" } else { "\n---\n" });
        one(&mut out, section);
    }
    out
}

fn one(out: &mut String, section: &Section) {
    comment(out, &section.title);
    for note in section.notes.iter().take(MAX_NOTES) {
        comment(out, &note.to_string());
    }
    if let Some(left) = section.notes.len().checked_sub(MAX_NOTES).filter(|left| *left > 0) {
        comment(out, &format!("and {left} more"));
    }
    for (needs, yaml) in section.suggestions.iter().filter(|_| section.suggested_policy.is_none()) {
        comment(out, &format!("suggested for spec.metrics, if the querier has {needs}:"));
        quoted(out, yaml);
    }
    if let Some(policy) = &section.suggested_policy {
        let needs: Vec<&str> = section.suggestions.iter().map(|(needs, _)| needs.as_str()).collect();
        comment(out, "No policy, since nothing of the metrics carried over. Suggested, if the querier has");
        let mut told: Vec<&str> = Vec::new();
        for need in needs {
            if !told.contains(&need) {
                told.push(need);
                comment(out, &format!("- {need}"));
            }
        }
        quoted(out, &yaml(policy));
    }
    if !section.steps.is_empty() {
        comment(out, "Taking over without a jump:");
        for (i, step) in section.steps.iter().enumerate() {
            comment(out, &format!("{}. {step}", i + 1));
        }
    }
    if let Some(policy) = &section.policy {
        out.push_str(&yaml(policy));
    }
}

/// A value as YAML that ends in a line break.
pub(crate) fn yaml<T: serde::Serialize>(value: &T) -> String {
    let mut text = serde_saphyr::to_string(value).unwrap_or_else(|e| format!("# cannot be shown: {e}\n"));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// One metric as an entry of a list, its fields in the policy's order.
pub(crate) fn metric(value: &Value) -> String {
    match serde_json::from_value::<Metric>(value.clone()) {
        Ok(metric) => yaml(&[metric]),
        Err(_) => yaml(&[value]),
    }
}

/// YAML that is not in force.
fn quoted(out: &mut String, yaml: &str) {
    for line in yaml.lines() {
        let _ = writeln!(out, "#   {line}");
    }
}

/// A comment is one line, whatever it tells: a line break within would end it.
fn comment(out: &mut String, text: &str) {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    let mut line: String = text.chars().take(MAX_LINE).map(|c| if breaks(c) { ' ' } else { c }).collect();
    if text.chars().nth(MAX_LINE).is_some() {
        line.push('…');
    }
    let _ = writeln!(out, "# {}", line.trim_end());
}
