//! From the tree to the types: everything that has not their shape, at once.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Problem;
use crate::counterexample::Counterexample;
use crate::expectation::Expectation;
use crate::fault::Fault;
use crate::load::Phase;
use crate::names::nearest;
use crate::scenario::{PolicySource, Scenario, Service};
use crate::threshold::Threshold;

/// Of a file that is something else entirely, so many problems are enough.
const PROBLEMS_MAX: usize = 32;

/// Reads the types. serde stops at the first thing that is wrong, so each service, stage, fault and row is read by itself,
/// and then what is around them.
pub(super) fn scenario(tree: &Value) -> Result<Scenario, Vec<Problem>> {
    let whole = match serde_path_to_error::deserialize::<_, Scenario>(tree) {
        Ok(scenario) => return Ok(scenario),
        Err(error) => unreadable(&error),
    };
    let mut around = tree.clone();
    let mut problems = Vec::new();
    if let Some(services) = around.get_mut("services").and_then(Value::as_object_mut) {
        for (name, service) in std::mem::take(services) {
            problems.extend(part::<Service>(&service, &format!("services.{name}")));
        }
    }
    list::<PolicySource>(&mut around, "policies", &mut problems);
    list::<Fault>(&mut around, "faults", &mut problems);
    list::<Threshold>(&mut around, "thresholds", &mut problems);
    list::<Expectation>(&mut around, "expect", &mut problems);
    list::<Counterexample>(&mut around, "counterexamples", &mut problems);
    match around.get_mut("load") {
        Some(Value::Array(loads)) => {
            for (i, load) in loads.iter_mut().enumerate() {
                list_in::<Phase>(load, "stages", &format!("load[{i}]."), &mut problems);
            }
        }
        Some(load) => list_in::<Phase>(load, "stages", "load.", &mut problems),
        None => {}
    }
    problems.extend(part::<Scenario>(&around, ""));
    problems.truncate(PROBLEMS_MAX);
    // What is only wrong as a whole is told as a whole.
    Err(if problems.is_empty() { vec![whole] } else { problems })
}

fn list<T: DeserializeOwned>(tree: &mut Value, key: &str, problems: &mut Vec<Problem>) {
    list_in::<T>(tree, key, "", problems);
}

/// Reads each item of a list by itself, and leaves the list empty.
fn list_in<T: DeserializeOwned>(tree: &mut Value, key: &str, prefix: &str, problems: &mut Vec<Problem>) {
    let Some(items) = tree.get_mut(key).and_then(Value::as_array_mut) else { return };
    for (i, item) in std::mem::take(items).iter().enumerate() {
        problems.extend(part::<T>(item, &format!("{prefix}{key}[{i}]")));
    }
}

/// What is wrong with one part: what is wrong is taken out, and the rest read again.
fn part<T: DeserializeOwned>(part: &Value, at: &str) -> Vec<Problem> {
    let mut left = part.clone();
    let mut problems: Vec<Problem> = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    while problems.len() < PROBLEMS_MAX {
        let Err(error) = serde_path_to_error::deserialize::<_, T>(&left) else { break };
        let problem = unreadable(&error);
        let inner = if problem.path == "." { "" } else { problem.path.as_str() };
        let missing = problem.message.strip_prefix("missing field `").and_then(|m| m.split('`').next());
        let within =
            |field: &str| if inner.is_empty() { field.to_owned() } else { format!("{inner}.{field}") };
        let path = missing.map_or_else(|| inner.to_owned(), within);
        // What is missing because it was wrong has been told.
        if gone.contains(&path) {
            break;
        }
        let joint = if at.is_empty() || inner.is_empty() { "" } else { "." };
        problems.push(Problem::new(format!("{at}{joint}{inner}"), problem.message.clone()));
        if missing.is_some() || !remove(&mut left, &path) {
            break;
        }
        gone.push(path);
    }
    problems
}

/// Takes the value at a path such as `load.stages[1].rate` out; in a list, null takes no other's place.
fn remove(tree: &mut Value, path: &str) -> bool {
    let path = path.replace('[', ".").replace(']', "");
    let steps: Vec<&str> = path.split('.').filter(|s| !s.is_empty()).collect();
    let Some((last, way)) = steps.split_last() else { return false };
    let mut at = tree;
    for step in way {
        let next = match at {
            Value::Object(fields) => fields.get_mut(*step),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match at {
        Value::Object(fields) => fields.remove(*last).is_some(),
        _ => false,
    }
}

/// What serde says, with the nearest of the names that it expected.
fn unreadable(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let message = error.inner().to_string();
    let mut path = error.path().to_string();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.strip_prefix("unknown ").and_then(|_| quoted.next());
    let Some(unknown) = unknown else { return Problem::new(path, message) };
    if path == "." {
        path.clear();
    }
    if !path.ends_with(&format!(".{unknown}")) && path != unknown && message.starts_with("unknown field") {
        path = if path.is_empty() { unknown.to_owned() } else { format!("{path}.{unknown}") };
    }
    let hint = nearest(unknown, quoted).unwrap_or_default();
    Problem::new(path, format!("{message}{hint}"))
}
