//! From the tree to the types: everything that has not their shape, at once.

use serde_json::Value;

use super::Problem;
use crate::names::nearest;
use crate::scenario::Scenario;

/// Of a file that is something else entirely, so many problems are enough.
const PROBLEMS_MAX: usize = 32;

/// Reads the types. serde stops at the first thing that is wrong, so it is taken out and the rest is read again.
pub(super) fn scenario(tree: &Value) -> Result<Scenario, Vec<Problem>> {
    let mut left = tree.clone();
    let mut problems: Vec<Problem> = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    while problems.len() < PROBLEMS_MAX {
        let error = match serde_path_to_error::deserialize::<_, Scenario>(&left) {
            Ok(scenario) if problems.is_empty() => return Ok(scenario),
            Ok(_) => break,
            Err(error) => error,
        };
        let problem = unreadable(&error);
        let missing = problem.message.strip_prefix("missing field `").and_then(|m| m.split('`').next());
        let path = match missing {
            Some(field) if problem.path.is_empty() || problem.path == "." => field.to_owned(),
            Some(field) => format!("{}.{field}", problem.path),
            None => problem.path.clone(),
        };
        // What is missing because it was wrong has been told, and what stays in the way hides the rest.
        if gone.contains(&path) {
            break;
        }
        let removed = missing.is_none() && remove(&mut left, &path);
        problems.push(problem);
        if !removed {
            break;
        }
        gone.push(path);
    }
    Err(problems)
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
