//! For every workload what was decided for it, each decision with its own cause, limits and evidence; and the steps of
//! its replicas that no recorded decision explains.

use std::collections::BTreeMap;

use crate::html::Html;
use crate::page::{columns, letter};
use crate::record::Metric;
use crate::run::{Decided, Entry, Fact, Run, Subject};
use crate::scale::{clock, number};

mod link;

/// Rows of a run that the page holds; what is beyond is said to be so.
pub(crate) const ROWS_MAX: usize = 1_500;

/// Characters of a reason and of its evidence, and of what is said of either beside.
const TEXT_CHARS_MAX: usize = 600;
const SHORT_CHARS_MAX: usize = 120;

/// Metrics and limits of one decision.
const METRICS_MAX: usize = 8;

/// Of a step that nobody is known to have made.
const NOBODY: &str = "no recorded decision: changed by someone else, or by a decision that was not recorded";
const NOBODY_OLD: &str = "no recorded decision: changed by someone else, or the record is old";

/// Id of an entry's row.
pub(crate) fn row_id(run: usize, entry: usize) -> String {
    format!("{}-d{entry}", letter(run).to_ascii_lowercase())
}

/// What happened, in a few words.
pub(crate) fn what(entry: &Entry) -> String {
    match &entry.fact {
        Fact::Step { from, to, .. } => format!("{from} → {to} replicas"),
        Fact::Decided(d) => decided(d),
        Fact::Trust { sufficient: true, .. } => "trusts its evidence".to_owned(),
        Fact::Trust { sufficient: false, .. } => "does not trust its evidence".to_owned(),
        Fact::Said { .. } => "gives a cause".to_owned(),
    }
}

fn decided(d: &Decided) -> String {
    let Decided { from, to, .. } = d;
    match d.written {
        _ if from == to => format!("holds at {to}"),
        _ if d.seen_s.is_some() => format!("{from} → {to} replicas"),
        Some(true) => format!("{from} → {to} replicas, written"),
        Some(false) => format!("{from} → {to} wanted, not written"),
        None => format!("{from} → {to} decided"),
    }
}

/// Its own cause, and nobody else's.
pub(crate) fn cause(entry: &Entry, run: &Run) -> String {
    match &entry.fact {
        Fact::Decided(d) if d.reason.is_empty() => "the record gives no cause".to_owned(),
        Fact::Decided(d) => d.reason.clone(),
        Fact::Step { guess: Some(g), .. } => format!("guessed: {} (policy {})", g.reason, g.policy),
        Fact::Step { .. } if run.targets_told => NOBODY.to_owned(),
        Fact::Step { .. } => NOBODY_OLD.to_owned(),
        Fact::Trust { .. } => String::new(),
        Fact::Said { cause, .. } => cause.clone(),
    }
}

/// The tables of each run, one a workload.
pub(crate) fn html(runs: &[Run]) -> Html {
    let mut h = Html::new();
    columns(&mut h, runs, |h, i, run| {
        if run.entries.is_empty() {
            h.raw("<p class=\"empty\">Nothing was decided.</p>");
            return;
        }
        if run.policies_told && !run.targets_told {
            h.raw("<p class=\"warn\">This record is old: it does not say what its policies scale. What is ");
            h.raw("marked as guessed is the decision of the same cluster whose numbers and time fit, or what a ");
            h.raw("policy of the workload's name wanted then.</p>");
        }
        let mut subjects: BTreeMap<&Subject, Vec<(usize, &Entry)>> = BTreeMap::new();
        for (n, entry) in run.entries.iter().take(ROWS_MAX).enumerate() {
            subjects.entry(&entry.subject).or_default().push((n, entry));
        }
        for (subject, entries) in subjects {
            table(h, run, i, subject, &entries);
        }
        if run.entries.len() > ROWS_MAX {
            let more = run.entries.len() - ROWS_MAX;
            h.fill("<p class=\"note\">{} later decisions are in the record.</p>", &[&more]);
        }
    });
    h
}

fn table(h: &mut Html, run: &Run, index: usize, subject: &Subject, entries: &[(usize, &Entry)]) {
    h.fill("<h3>{}</h3>", &[subject]);
    if matches!(subject, Subject::Policy(..)) {
        h.raw("<p class=\"note\">What it scales, the record does not say.</p>");
    }
    h.raw("<table class=\"cards decisions\"><thead><tr><th scope=\"col\">time</th>");
    h.raw("<th scope=\"col\">decision</th><th scope=\"col\">cause</th><th scope=\"col\">evidence</th></tr>");
    h.raw("</thead><tbody>");
    for (n, entry) in entries {
        row(h, run, &row_id(index, *n), entry);
    }
    h.raw("</tbody></table>");
}

fn row(h: &mut Html, run: &Run, id: &str, entry: &Entry) {
    let fact = &entry.fact;
    h.fill("<tr id=\"{}\" class=\"{}\"><th scope=\"row\">{}</th>", &[&id, &fact.word(), &clock(entry.at_s)]);
    h.fill(
        "<td class=\"what\"><span class=\"sign\" aria-hidden=\"true\">{}</span> {}",
        &[&fact.sign(), &what(entry)],
    );
    if !entry.policy.is_empty() {
        h.raw("<small>policy ").escaped(&entry.policy, SHORT_CHARS_MAX).raw("</small>");
    }
    if let Fact::Decided(d) = fact {
        seen(h, run, entry, d);
    }
    h.raw("</td><td>");
    match cause(entry, run).as_str() {
        "" => h.raw("–"),
        cause => h.escaped(&cause, TEXT_CHARS_MAX),
    };
    if let Fact::Decided(d) = fact {
        limits(h, d);
    }
    h.raw("</td><td>");
    match fact {
        Fact::Decided(d) => evidence(h, run, d),
        Fact::Trust { evidence, value, .. } | Fact::Said { evidence, value, .. } => {
            h.escaped(evidence, TEXT_CHARS_MAX);
            if let Some(value) = value {
                h.fill(" <span class=\"value\">value {}</span>", &[&number(*value)]);
            }
        }
        Fact::Step { .. } => {
            h.raw("–");
        }
    }
    h.raw("</td></tr>");
}

/// When the step that it made was seen, or that none was.
fn seen(h: &mut Html, run: &Run, entry: &Entry, d: &Decided) {
    let Subject::Workload(target) = &entry.subject else { return };
    let watched = || run.replicas.keys().any(|t| t.covers(target));
    match d.seen_s {
        Some(at_s) => {
            h.fill("<small>seen at {}</small>", &[&clock(at_s)]);
        }
        None if d.changes() && watched() => {
            h.raw("<small>no such step of the replicas was seen</small>");
        }
        None => {}
    }
}

fn limits(h: &mut Html, d: &Decided) {
    if d.limits.is_empty() {
        return;
    }
    h.raw("<small>limits: ");
    for (i, limit) in d.limits.iter().take(METRICS_MAX).enumerate() {
        h.raw(if i > 0 { "; " } else { "" }).escaped(limit, TEXT_CHARS_MAX / 2);
    }
    if d.limits.len() > METRICS_MAX {
        h.fill("; {} more", &[&(d.limits.len() - METRICS_MAX)]);
    }
    h.raw("</small>");
}

fn evidence(h: &mut Html, run: &Run, d: &Decided) {
    if d.metrics.is_empty() {
        h.raw("<span class=\"value\">the record holds no metrics of this decision</span>");
    }
    for m in d.metrics.iter().take(METRICS_MAX) {
        metric(h, m);
    }
    if d.metrics.len() > METRICS_MAX {
        h.fill("<small>{} more metrics</small>", &[&(d.metrics.len() - METRICS_MAX)]);
    }
    if d.digest.is_empty() && d.record.is_empty() {
        return;
    }
    h.raw("<small>");
    if !d.digest.is_empty() {
        let short: String = d.digest.chars().take(12).collect();
        h.raw("digest <code title=\"").escaped(&d.digest, SHORT_CHARS_MAX);
        h.fill("\">{}</code> ", &[&short]);
    }
    if let Some(href) = link::to(&run.folder, &d.record) {
        h.raw("<a href=\"").escaped(&href, usize::MAX).raw("\">its record</a>");
    } else if !d.record.is_empty() {
        h.raw("record <code>").escaped(&d.record, SHORT_CHARS_MAX).raw("</code>");
    }
    h.raw("</small>");
}

/// `requests 61.4, target 12 a replica, 1.5 s old, sufficient, proposes 6`.
fn metric(h: &mut Html, m: &Metric) {
    h.raw("<p class=\"metric\"><b>").escaped(&m.name, SHORT_CHARS_MAX).raw("</b> ");
    match m.value {
        Some(value) => h.fill("{}", &[&number(value)]),
        None => h.raw("no value"),
    };
    if let Some(target) = m.target {
        h.fill(", target {}", &[&number(target)]);
        h.raw(if m.target_type == "AverageValue" { " a replica" } else { "" });
    }
    if let Some(age_s) = m.age_s {
        h.fill(", {} s old", &[&number(age_s)]);
    }
    h.raw(match m.sufficient {
        Some(true) => ", sufficient",
        Some(false) => ", <b>not sufficient</b>",
        None => "",
    });
    match m.proposal {
        Some(proposal) => h.fill(", proposes {}</p>", &[&proposal]),
        None => h.raw(", proposes nothing</p>"),
    };
}
