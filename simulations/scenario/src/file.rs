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

use crate::counterexample::Counterexample;
use crate::names::nearest;
use crate::scenario::Scenario;

mod check;
mod readable;
mod series;
mod set;

/// Reads a file that a scenario names, as it names it.
pub type Read<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// A scenario that was judged fit to run, and what it was read from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What to run.
    pub scenario: Scenario,
    /// Its policies.
    pub policies: Vec<PolicyDocument>,
    /// The text as read.
    pub text: String,
    /// Where it came from.
    pub file: String,
    /// What was overridden.
    pub set: BTreeMap<String, String>,
    /// The scenario as it runs, with what was overridden, and without its counterexamples.
    pub effective: Value,
    /// The files that it names, as they were read.
    pub inputs: Vec<Input>,
    /// Which of its counterexamples it is, where it is one; what that sets is in [`Loaded::set`].
    pub counterexample: Option<Counterexample>,
}

/// A ScalingPolicy of a scenario. `${CLUSTER}` is still in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDocument {
    /// The whole of it.
    pub yaml: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Kind of what it scales: `Deployment` or `StatefulSet`.
    pub kind: String,
    /// Name of what it scales, in the policy's own namespace.
    pub target: String,
}

/// A file that a scenario names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// `policies` or `series`.
    pub kind: &'static str,
    /// As it is named.
    pub path: String,
    /// As it was read.
    pub text: String,
}

/// Something wrong, by the path of the value that it is in.
#[derive(Debug)]
struct Problem {
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
    pub fn counterexample(&self, name: &str, read: Read<'_>) -> Result<Self, String> {
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
        // What was set comes second, whatever its paths are spelt like, so that it wins.
        let sets = [&found.overrides(), &self.set];
        let loaded = parse_only(&self.file, &self.text, &sets, read, |_, _| Vec::new())?;
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
    read: Read<'_>,
) -> Result<Loaded, String> {
    parse_only(file, text, &[set], read, |tree, scenario| counterexamples(tree, scenario, read))
}

/// Each of `sets` is applied after the one before; `further` says what else is wrong with a tree that was read.
fn parse_only(
    file: &str,
    text: &str,
    sets: &[&BTreeMap<String, String>],
    read: Read<'_>,
    further: impl Fn(&Value, &Scenario) -> Vec<Problem>,
) -> Result<Loaded, String> {
    let lines = cli::yaml_lines(text);
    let mut tree: Value = cli::parse_yaml(text).map_err(|e| format!("{file}: {e}"))?;
    let mut overridden = Vec::new();
    for (path, value) in sets.iter().copied().flatten() {
        let shown = format!("--set {path}={value}");
        let path = set::apply(&mut tree, path, value).map_err(|e| format!("{shown}: {e}"))?;
        overridden.push((path, shown));
    }
    let show = |problems: Vec<Problem>| {
        let shown: Vec<String> = problems.iter().map(|p| locate(file, &lines, &overridden, p)).collect();
        shown.join("\n")
    };
    let mut scenario = readable::scenario(&tree).map_err(show)?;
    let Judged { policies, inputs, mut problems } = judge_one(&mut scenario, read);
    if problems.is_empty() {
        problems = further(&tree, &scenario);
    }
    if !problems.is_empty() {
        return Err(show(problems));
    }
    if let Some(fields) = tree.as_object_mut() {
        fields.remove("counterexamples");
    }
    Ok(Loaded {
        scenario,
        policies,
        text: text.to_owned(),
        file: file.to_owned(),
        set: sets.iter().copied().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
        effective: tree,
        inputs,
        counterexample: None,
    })
}

/// What came of judging a scenario.
struct Judged {
    policies: Vec<PolicyDocument>,
    inputs: Vec<Input>,
    problems: Vec<Problem>,
}

/// Reads what the scenario names, and says everything that is wrong.
fn judge_one(scenario: &mut Scenario, read: Read<'_>) -> Judged {
    let mut inputs = Vec::new();
    let mut problems = series::resolve(scenario, read, &mut inputs);
    let (policies, mut further) = check::check(scenario, read, &mut inputs);
    if !problems.is_empty() {
        // A load of unknown length has no end that a fault or a row could be after.
        further.retain(|p| !p.path.starts_with("faults") && !p.path.starts_with("expect"));
    }
    problems.extend(further);
    Judged { policies, inputs, problems }
}

/// Each counterexample is a scenario of its own, and has the rows that it says must fail.
fn counterexamples(tree: &Value, scenario: &Scenario, read: Read<'_>) -> Vec<Problem> {
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
        let (changed, found) = match readable::scenario(&changed) {
            Ok(mut s) => {
                let found = judge_one(&mut s, read).problems;
                (Some(s), found)
            }
            Err(problems) => (None, problems),
        };
        let located = |p: &Problem| Problem::new(at("set"), format!("{}: {}", p.path, p.message));
        problems.extend(found.iter().map(located));
        let Some(changed) = changed else { continue };
        let rows = changed.rows();
        for (j, named) in c.fails.iter().enumerate() {
            if !rows.iter().any(|(key, asked)| key == named || asked == named) {
                let known: BTreeSet<&str> = rows.iter().map(|(key, _)| key.as_str()).collect();
                let all: Vec<&str> = known.iter().copied().collect();
                let hint = nearest(named, known).unwrap_or_default();
                let message = format!("no expectation or threshold {named:?}, only {}{hint}", all.join(", "));
                problems.push(Problem::new(at(&format!("fails[{j}]")), message));
            }
        }
    }
    problems
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
