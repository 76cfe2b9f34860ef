//! `gauntlet autoscaler check`: judges policy files without a cluster.
//!
//! The same schema, validation and query reading as the API server and the controller use, so what passes here
//! is evaluated there. One line per problem: `file:document/field: what is wrong; what to do`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use autoscaler_api::{GROUP, Mode, Problem, ScalingPolicy, VERSION, schema, validate};
use serde_json::Value;
use thanos_telemetry::{RunError, cli};

use crate::promql;

/// Flags of `gauntlet autoscaler check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Files with one or more YAML documents; documents of other kinds are left alone
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Label that tells clusters apart in the metrics
    #[arg(long, default_value = "cluster")]
    pub cluster_label: String,
}

/// Prints every problem.
///
/// # Errors
/// [`RunError::Config`] if a file cannot be read; [`RunError::Verdict`] with exit code 64 if anything is wrong.
pub(crate) fn run(args: &Args) -> Result<(), RunError> {
    let mut files = Vec::with_capacity(args.files.len());
    for path in &args.files {
        files.push((path.display().to_string(), cli::read_config(path)?));
    }
    let report = judge(&files, &args.cluster_label);
    crate::print(&report.notes.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    if report.problems.is_empty() {
        let n = report.policies;
        return crate::print(&format!("{n} {}: no problems\n", if n == 1 { "policy" } else { "policies" }));
    }
    let lines: String = report.problems.iter().map(|line| format!("{line}\n")).collect();
    crate::print(&lines)?;
    let n = report.problems.len();
    let message = format!("{n} {} found", if n == 1 { "problem" } else { "problems" });
    Err(RunError::Verdict { code: cli::EXIT_CONFIG, message })
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    /// Policies seen.
    policies: usize,
    /// One line each.
    problems: Vec<String>,
    /// What is sound but does not do what it says; one line each.
    notes: Vec<String>,
}

/// Namespace, then group, kind and name of the target.
type TargetKey = (String, String, String, String);

fn judge(files: &[(String, String)], cluster_label: &str) -> Report {
    let mut report = Report::default();
    let mut targets: BTreeMap<TargetKey, String> = BTreeMap::new();
    for (file, text) in files {
        let documents: Vec<Value> = match cli::parse_yaml_documents(text) {
            Ok(documents) => documents,
            Err(e) => {
                let first = e.lines().next().unwrap_or_default();
                report.problems.push(format!("{file}: not YAML: {first}; correct the syntax"));
                continue;
            }
        };
        let before = report.policies;
        for (i, document) in documents.iter().enumerate().filter(|(_, d)| d["kind"] == "ScalingPolicy") {
            report.policies += 1;
            let at = format!("{file}:{}", i + 1);
            let mut notes = Vec::new();
            let problems = document_problems(document, cluster_label, &at, &mut targets, &mut notes);
            report.problems.extend(problems.iter().map(|p| format!("{at}/{p}")));
            report.notes.extend(notes.iter().map(|p| format!("note: {at}/{p}")));
        }
        if report.policies == before {
            report.problems.push(format!("{file}: has no ScalingPolicy; check the file's name, and kind"));
        }
    }
    report
}

fn document_problems(
    document: &Value,
    cluster_label: &str,
    at: &str,
    targets: &mut BTreeMap<TargetKey, String>,
    notes: &mut Vec<Problem>,
) -> Vec<Problem> {
    let mut found = Vec::new();
    let version = format!("{GROUP}/{VERSION}");
    if document["apiVersion"] != version.as_str() {
        let message = format!("{} is not known", document["apiVersion"]);
        found.push(Problem::new("apiVersion", message, format!("write {version}")));
    }
    found.extend(schema::check(document));
    let policy: ScalingPolicy = match serde_json::from_value(document.clone()) {
        Ok(policy) => policy,
        // The schema has named the field, or names nothing and the reader must.
        Err(e) if found.is_empty() => {
            found.push(Problem::new("spec", e.to_string(), "correct the field"));
            return found;
        }
        Err(_) => return found,
    };
    // What the schema found already, it said better.
    let known: Vec<String> = found.iter().map(|p| p.field.clone()).collect();
    found.extend(validate(&policy).into_iter().filter(|p| !known.contains(&p.field)));
    queries(&policy, cluster_label, &mut found, notes);
    duplicate(&policy, at, targets, &mut found);
    found
}

fn queries(policy: &ScalingPolicy, cluster_label: &str, found: &mut Vec<Problem>, notes: &mut Vec<Problem>) {
    for (i, metric) in policy.spec.metrics.iter().enumerate() {
        let field = format!("spec.metrics[{i}].query");
        let query = match promql::parse(&metric.query) {
            Ok(query) => query,
            Err(_) if metric.query.trim().is_empty() => continue,
            Err(e) => {
                found.push(Problem::new(field, e, "correct the PromQL"));
                continue;
            }
        };
        notes.extend(short_range(&metric.evidence.max_age, &query, &format!("spec.metrics[{i}]")));
        for cluster in &metric.evidence.clusters {
            if query.selectors.iter().any(|s| !s.admits(cluster_label, cluster)) {
                let message =
                    format!("a selector excludes cluster {cluster}, which evidence.clusters expects");
                let fix = format!("drop the matcher on {cluster_label}, or {cluster} from evidence.clusters");
                found.push(Problem::new(field.clone(), message, fix));
            }
        }
    }
}

/// A `maxAge` that the query's range cuts short.
fn short_range(max_age: &str, query: &promql::Query, at: &str) -> Option<Problem> {
    let max_age_ms = thanos_model::parse_duration(max_age).ok()?.as_millis();
    let range_ms = u64::try_from(query.shortest_range_ms?).ok()?;
    let range = thanos_model::format_duration(Duration::from_millis(range_ms));
    (max_age_ms > u128::from(range_ms)).then(|| {
        Problem::new(
            format!("{at}.evidence.maxAge"),
            format!("{max_age} is more than the query's shortest range, so {range} counts"),
            format!("write {range} or less, better half of it, or make the range longer"),
        )
    })
}

fn duplicate(
    policy: &ScalingPolicy,
    at: &str,
    targets: &mut BTreeMap<TargetKey, String>,
    found: &mut Vec<Problem>,
) {
    if policy.spec.mode != Mode::Active {
        return;
    }
    let target = &policy.spec.scale_target_ref;
    let group = target.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let namespace = policy.metadata.namespace.clone().unwrap_or_default();
    let key = (namespace, group.to_owned(), target.kind.clone(), target.name.clone());
    if let Some(first) = targets.get(&key) {
        found.push(Problem::new(
            "spec.scaleTargetRef",
            format!("{} {} is already the target of the policy at {first}", target.kind, target.name),
            "keep one, or set mode: Shadow or Paused",
        ));
    } else {
        targets.insert(key, at.to_owned());
    }
}

#[cfg(test)]
mod tests;
