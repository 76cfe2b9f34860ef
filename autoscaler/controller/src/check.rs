//! `gauntlet autoscaler check`: judges policy files without a cluster.
//!
//! The same schema, validation and query reading as the API server and the controller use, so what passes here
//! is evaluated there. One line per problem: `file:document/field: what is wrong; what to do`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use autoscaler_api::{GROUP, Metric, Mode, Problem, ScalingPolicy, VERSION, schema, validate};
use serde_json::Value;
use thanos_promql_syntax::{Query, SeriesSelector};
use thanos_telemetry::{RunError, cli};

mod terms;

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

/// Ranges beyond this make lowering wait for longer than most people expect, in milliseconds.
const LONG_WINDOW_MS: i64 = 3_600_000;

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
    notes.extend(terms::notes(&policy));
    duplicate(&policy, at, targets, &mut found);
    found
}

fn queries(policy: &ScalingPolicy, cluster_label: &str, found: &mut Vec<Problem>, notes: &mut Vec<Problem>) {
    for (i, metric) in policy.spec.metrics.iter().enumerate() {
        let at = format!("spec.metrics[{i}]");
        if !metric.has_query() {
            notes.push(Problem::new(
                at,
                "is read from metrics.k8s.io, which this cannot see",
                "look with kubectl top pods; no pods there means no metrics-server, and pods need requests for a Utilization",
            ));
            continue;
        }
        let query = match Query::parse(&metric.query) {
            Ok(query) => query,
            Err(_) if metric.query.trim().is_empty() => continue,
            Err(e) => {
                found.push(Problem::new(format!("{at}.query"), e.to_string(), "correct the PromQL"));
                continue;
            }
        };
        let mut named = Vec::new();
        for (n, text) in metric.evidence.selectors.iter().enumerate() {
            match SeriesSelector::parse(text) {
                Ok(selector) => named.push(selector),
                Err(e) => {
                    let fix = "write one series selector, for example up{job=\"web\"}";
                    found.push(Problem::new(format!("{at}.evidence.selectors[{n}]"), e.to_string(), fix));
                }
            }
        }
        notes.extend(unsaid(metric, &query, &at));
        let read = if metric.evidence.selectors.is_empty() { query.selectors() } else { &named };
        for cluster in &metric.evidence.clusters {
            if read.iter().any(|s| !s.admits(cluster_label, cluster)) {
                let message =
                    format!("a selector excludes cluster {cluster}, which evidence.clusters expects");
                let fix = format!("drop the matcher on {cluster_label}, or {cluster} from evidence.clusters");
                found.push(Problem::new(format!("{at}.query"), message, fix));
            }
        }
    }
}

/// What only the user can say of the evidence, and a range that makes every lowering wait.
fn unsaid(metric: &Metric, query: &Query, at: &str) -> Vec<Problem> {
    let mut notes = Vec::new();
    let evidence = &metric.evidence;
    let names_selectors = !evidence.selectors.is_empty();
    if let Some(name) = query.recorded().first().filter(|_| !names_selectors || evidence.window.is_none()) {
        notes.push(Problem::new(
            format!("{at}.evidence"),
            format!("{name} looks recorded: it is fresh for as long as its rule runs, whatever it was recorded from"),
            "write the series that it was recorded from into evidence.selectors, and the rule's range into \
             evidence.window",
        ));
    }
    if let Some(optional) = query.selectors().iter().find(|s| s.is_optional()).filter(|_| !names_selectors) {
        notes.push(Problem::new(
            format!("{at}.evidence"),
            format!(
                "the query has a value without {optional}, but nothing is lowered while that has no samples"
            ),
            "write into evidence.selectors what must be there, and leave out what is seldom",
        ));
    }
    if query.window_ms() > LONG_WINDOW_MS {
        let range = Duration::from_millis(query.window_ms().unsigned_abs());
        notes.push(Problem::new(
            format!("{at}.query"),
            format!(
                "reads back {}: after a start or a gap nothing is lowered for as long",
                thanos_model::format_duration(range)
            ),
            "shorten the ranges, or record the long one and write what it was recorded from into evidence.selectors",
        ));
    }
    notes
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
