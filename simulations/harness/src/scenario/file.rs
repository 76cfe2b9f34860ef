//! Reads a scenario file, with `--set` applied, and judges it: every problem with file, line and the nearest
//! right name.
//!
//! ```text
//!  text ─► tree ─► --set ─► types (unknown keys, wrong units) ─► check (names, marks, bounds) ─► Loaded
//!    └──► lines: path ─► line, for whatever is wrong on the way
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use thanos_telemetry::cli;

use super::{Counterexample, Scenario};
use crate::judge::judge;
use crate::timeline::Timeline;

mod check;
mod series;
mod set;

/// A scenario that was judged fit to run, and what it was read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What to run.
    pub scenario: Scenario,
    /// Its policies as YAML documents; `${CLUSTER}` is still in them.
    pub policies: Vec<String>,
    /// The text as read.
    pub text: String,
    /// Where it came from.
    pub file: String,
    /// What was overridden.
    pub set: BTreeMap<String, String>,
    /// Which of its counterexamples it is, where it is one; what that sets is in [`Loaded::set`].
    pub counterexample: Option<Counterexample>,
}

/// Something wrong, by the path of the value that it is in.
#[derive(Debug)]
pub(crate) struct Problem {
    path: String,
    message: String,
}

impl Problem {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl Loaded {
    /// The same with what a counterexample sets: the first of them where `name` is empty. What was set already
    /// wins.
    ///
    /// # Errors
    /// There is none of that name, or it does not fit what was set.
    pub fn counterexample(
        &self,
        name: &str,
        read: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Self, String> {
        let Scenario { name: scenario, counterexamples: all, .. } = &self.scenario;
        let found = if name.is_empty() { all.first() } else { all.iter().find(|c| c.name == name) };
        let found = found.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
            let hint = nearest(name, names.iter().copied()).unwrap_or_default();
            match names[..] {
                [] => format!("--counterexample: {scenario} has none"),
                _ => format!("--counterexample: {scenario} has no {name:?}, only {}{hint}", names.join(", ")),
            }
        })?;
        let mut set = found.overrides();
        set.extend(self.set.clone());
        let loaded = parse_only(&self.file, &self.text, &set, read, |_, _| Vec::new())?;
        Ok(Self { counterexample: Some(found.clone()), ..loaded })
    }
}

/// Reads `text`, which came from `file`. `set` overrides values by path: `load.stages[1].rate` or
/// `load.stages.step.rate`. `read` reads the policy files that it names.
///
/// # Errors
/// Every problem, one a line: `FILE:LINE: PATH: what is wrong`.
pub fn parse(
    file: &str,
    text: &str,
    set: &BTreeMap<String, String>,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Loaded, String> {
    parse_only(file, text, set, read, |tree, scenario| counterexamples(tree, scenario, read))
}

/// `further` says what else is wrong with a tree that was read.
fn parse_only(
    file: &str,
    text: &str,
    set: &BTreeMap<String, String>,
    read: &dyn Fn(&str) -> Result<String, String>,
    further: impl Fn(&Value, &Scenario) -> Vec<Problem>,
) -> Result<Loaded, String> {
    let lines = cli::yaml_lines(text);
    let mut tree: Value = cli::parse_yaml(text).map_err(|e| format!("{file}: {e}"))?;
    let mut overridden = Vec::new();
    for (path, value) in set {
        let shown = format!("--set {path}={value}");
        let path = set::apply(&mut tree, path, value).map_err(|e| format!("{shown}: {e}"))?;
        overridden.push((path, shown));
    }
    let show = |problems: Vec<Problem>| {
        let shown: Vec<String> = problems.iter().map(|p| locate(file, &lines, &overridden, p)).collect();
        shown.join("\n")
    };
    let mut scenario: Scenario =
        serde_path_to_error::deserialize(&tree).map_err(|e| show(vec![unreadable(&e)]))?;
    let (policies, mut problems) = judge_one(&mut scenario, read);
    if problems.is_empty() {
        problems = further(&tree, &scenario);
    }
    if !problems.is_empty() {
        return Err(show(problems));
    }
    Ok(Loaded {
        scenario,
        policies,
        text: text.to_owned(),
        file: file.to_owned(),
        set: set.clone(),
        counterexample: None,
    })
}

/// Reads what the scenario names; the policies' documents, and everything that is wrong.
fn judge_one(
    scenario: &mut Scenario,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> (Vec<String>, Vec<Problem>) {
    let mut problems = series::resolve(scenario, read);
    let (policies, mut further) = check::check(scenario, read);
    if !problems.is_empty() {
        // A load of unknown length has no end that a fault could be after.
        further.retain(|p| !p.path.starts_with("faults"));
    }
    problems.extend(further);
    (policies, problems)
}

/// Each counterexample is a scenario of its own, and has the rows that it says must fail.
fn counterexamples(
    tree: &Value,
    scenario: &Scenario,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (i, c) in scenario.counterexamples.iter().enumerate() {
        let at = |field: &str| format!("counterexamples[{i}].{field}");
        if scenario.counterexamples[..i].iter().any(|other| other.name == c.name) {
            problems.push(Problem::new(at("name"), format!("{:?} is there twice", c.name)));
        }
        if c.fails.is_empty() {
            problems.push(Problem::new(at("fails"), "say what must fail, for example [reaches]"));
        }
        let mut changed = tree.clone();
        let set = c.overrides();
        let wrong = set.iter().filter_map(|(path, value)| set::apply(&mut changed, path, value).err());
        problems.extend(wrong.map(|e| Problem::new(at("set"), e)));
        let (changed, found) = match serde_path_to_error::deserialize::<_, Scenario>(&changed) {
            Ok(mut s) => {
                let found = judge_one(&mut s, read).1;
                (Some(s), found)
            }
            Err(e) => (None, vec![unreadable(&e)]),
        };
        let located = |p: &Problem| Problem::new(at("set"), format!("{}: {}", p.path, p.message));
        problems.extend(found.iter().map(located));
        let Some(changed) = changed else { continue };
        // What would be judged, judged on nothing.
        let rows = judge(&changed, &Timeline::default());
        for (j, named) in c.fails.iter().enumerate() {
            if !rows.iter().any(|r| r.is_named(named)) {
                let known: BTreeSet<&str> = rows.iter().map(|r| r.key.as_str()).collect();
                let all: Vec<&str> = known.iter().copied().collect();
                let hint = nearest(named, known).unwrap_or_default();
                let message = format!("no expectation or threshold {named:?}, only {}{hint}", all.join(", "));
                problems.push(Problem::new(at(&format!("fails[{j}]")), message));
            }
        }
    }
    problems
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

/// `; did you mean …?`, where a known name is near.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let far = (name.chars().count() / 3).max(2);
    let near = known.into_iter().map(|k| (strsim::damerau_levenshtein(name, k), k)).min()?;
    (near.0 <= far).then(|| format!("; did you mean `{}`?", near.1))
}

/// `FILE:LINE: PATH: MESSAGE`; what was set on the command line has no line.
fn locate(
    file: &str,
    lines: &BTreeMap<String, u64>,
    overridden: &[(String, String)],
    Problem { path, message }: &Problem,
) -> String {
    let within = |outer: &str| {
        path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    if let Some((_, shown)) = overridden.iter().find(|(path, _)| within(path)) {
        return format!("{shown}: {message}");
    }
    // The longest known path: what is missing has no line, but what it is missing from has.
    let line =
        lines.iter().filter(|(known, _)| known.is_empty() || within(known)).max_by_key(|(k, _)| k.len());
    match line {
        Some((_, line)) if path.is_empty() || path == "." => format!("{file}:{line}: {message}"),
        Some((_, line)) => format!("{file}:{line}: {path}: {message}"),
        None => format!("{file}: {path}: {message}"),
    }
}

#[cfg(test)]
mod tests;
