//! An HPA's metric sources: one function for each type that there is.

use crate::draft::{Found, Measure, Metric, Suggestion, Target, Workload, quantity};
use crate::field::At;
use crate::note::Note;
use crate::promql::{self, Matcher};
use crate::resource::{Ask, Resource, take};

use super::flat;

/// Reads one source into metrics, suggestions and notes.
type Read = fn(source: &At<'_>, workload: &Workload, found: &mut Found);

/// What becomes of each type: its name, the field that holds it, and who reads it.
const SOURCES: &[(&str, &str, Read)] = &[
    ("External", "external", external),
    ("Resource", "resource", resource),
    ("ContainerResource", "containerResource", resource),
    ("Pods", "pods", pods),
    ("Object", "object", object),
];

/// Reads one entry of `spec.metrics`.
pub(super) fn read(at: &At<'_>, workload: &Workload, found: &mut Found) {
    let kind = at.field("type").and_then(|t| t.text().map(str::to_owned)).unwrap_or_default();
    let Some((_, name, read)) = SOURCES.iter().find(|(known, ..)| *known == kind) else {
        let message = format!("{kind:?} is no type of metric");
        let cure = "write External, Resource, ContainerResource, Pods or Object";
        found.notes.push(Note::lost(at.path_of("type"), message, cure));
        return;
    };
    let Some(source) = at.field(name).filter(At::is_mapping) else {
        let message = format!("is missing beside type {kind}");
        found.notes.push(Note::lost(at.path_of(name), message, "say which metric, and its target"));
        return;
    };
    let value = flat::nested(&source);
    read(&At::standing_at(&value, source.path()), workload, found);
}

fn resource(source: &At<'_>, _: &Workload, found: &mut Found) {
    source.tell_unknown(&["name", "container", "target"], &mut found.notes);
    let Some(name) = source.field("name").and_then(|n| n.text()) else {
        found.notes.push(source.wrong("a resource with name and target"));
        return;
    };
    let container = source.field("container").and_then(|c| c.text());
    let Some(target) = source.field("target") else {
        found.notes.push(source.wrong("a target beside the name"));
        return;
    };
    let Some(ask) = Ask::of_target(&target, &mut found.notes) else { return };
    take(Resource { name, container, field: source.path() }, ask, found);
}

/// A metric's name and matchers, and what its value is held to.
struct Asked {
    name: String,
    matchers: Vec<Matcher>,
    target: Target,
}

fn asked(source: &At<'_>, found: &mut Found) -> Option<Asked> {
    source.tell_unknown(&["metric", "target", "describedObject"], &mut found.notes);
    let metric = source.field("metric");
    let name = metric.as_ref().and_then(|m| m.field("name")).and_then(|n| n.text());
    let (Some(metric), Some(name)) = (&metric, name.filter(|n| !n.is_empty())) else {
        found.notes.push(source.wrong("a metric with a name"));
        return None;
    };
    let matchers = promql::matchers(metric.field("selector"), &mut found.notes);
    let Some(target) = source.field("target") else {
        found.notes.push(source.wrong("a target beside the metric"));
        return None;
    };
    let average = match target.field("type") {
        Some(kind) => kind.one_of(&[("AverageValue", true), ("Value", false)], &mut found.notes)?,
        None => target.field("averageValue").is_some(),
    };
    let field = if average { "averageValue" } else { "value" };
    let Some(value) = target.field(field) else {
        found.notes.push(target.wrong(&format!("{field} beside the type")));
        return None;
    };
    let value = quantity(&value, &mut found.notes)?;
    let target = if average { Target::AverageValue(value) } else { Target::Value(value) };
    Some(Asked { name: name.to_owned(), matchers, target })
}

/// The sum of what an adapter would have summed, as far as its name tells.
fn guessed(source: &At<'_>, asked: Asked, own: Vec<Matcher>) -> Metric {
    let matchers = [own, asked.matchers].concat();
    Metric {
        measure: Measure::Query(promql::sum(&asked.name, &matchers)),
        name: asked.name,
        target: asked.target,
        fallback: None,
        field: source.path().to_owned(),
        server: None,
    }
}

fn external(source: &At<'_>, _: &Workload, found: &mut Found) {
    let Some(asked) = asked(source, found) else { return };
    if !promql::is_metric_name(&asked.name) {
        found.notes.push(Note::lost(
            source.path(),
            format!(
                "{:?} is not named as Prometheus names metrics, so another adapter serves it",
                asked.name
            ),
            "find an exporter for it, and write its query",
        ));
        return;
    }
    let metric = guessed(source, asked, Vec::new());
    found.notes.push(Note::guess(
        source.path(),
        format!(
            "what the metrics adapter asks for {} is in its own configuration; {} is written",
            metric.name,
            metric.measure.query().unwrap_or_default()
        ),
        "compare with the adapter's rule, and add a matcher on namespace if it has one",
    ));
    found.metrics.push(metric);
}

/// Suggests what a metrics adapter would have asked for a metric of an object or of pods.
fn suggest(source: &At<'_>, what: &str, asked: Asked, own: Vec<Matcher>, found: &mut Found) {
    let name = asked.name.clone();
    let message = format!("what the metrics adapter asks for {name} of {what} is in its own configuration");
    if !promql::is_metric_name(&name) {
        found.notes.push(Note::lost(source.path(), message, "find an exporter for it, and write its query"));
        return;
    }
    found.notes.push(Note::lost(
        source.path(),
        message,
        "compare the suggested query with the adapter's rule",
    ));
    let needs = "what the metrics adapter reads, under these names";
    found.suggestions.push(Suggestion { needs: needs.to_owned(), metric: guessed(source, asked, own) });
}

fn in_namespace(workload: &Workload) -> Vec<Matcher> {
    workload.namespace.iter().map(|n| Matcher::new("namespace", "=", n.as_str())).collect()
}

fn pods(source: &At<'_>, workload: &Workload, found: &mut Found) {
    let Some(asked) = asked(source, found) else { return };
    let mut own = in_namespace(workload);
    own.push(Matcher::new("pod", "=~", promql::pods_of(&workload.target)));
    let before = found.suggestions.len();
    suggest(source, "the target's pods", asked, own, found);
    for suggestion in found.suggestions.iter_mut().skip(before) {
        let metric = &mut suggestion.metric;
        if let (Measure::Query(query), Target::AverageValue(_)) = (&metric.measure, &metric.target) {
            metric.measure = Measure::QueryByPod(query.replacen("sum(", "sum by (pod) (", 1));
        }
    }
}

fn object(source: &At<'_>, workload: &Workload, found: &mut Found) {
    let Some(asked) = asked(source, found) else { return };
    let described = source.field("describedObject");
    let word = |name: &str| described.as_ref().and_then(|o| o.field(name)).and_then(|f| f.text());
    let (Some(kind), Some(name)) = (word("kind"), word("name")) else {
        found.notes.push(source.wrong("describedObject with kind and name"));
        return;
    };
    let label: String = kind.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let mut own = in_namespace(workload);
    // Of a namespace itself, the name is the namespace.
    if label == "namespace" || label.is_empty() {
        own = vec![Matcher::new("namespace", "=", name)];
    } else if !label.starts_with(|c: char| c.is_ascii_digit()) {
        own.push(Matcher::new(&label, "=", name));
    }
    suggest(source, &format!("{kind} {name}"), asked, own, found);
}
