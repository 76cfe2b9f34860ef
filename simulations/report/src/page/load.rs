//! The figures of load.

use std::collections::BTreeMap;

use super::cell::{ROWS_MAX, cell};
use crate::html::Html;
use crate::record::{Figures, Load, Record};
use crate::scale::number;

/// Causes and statuses of one load.
const WORDS_MAX: usize = 20;

/// Columns of a load's figures.
const LOAD: [&str; 9] =
    ["due", "answered", "failed", "not sent", "p50", "p95", "p99", "longest", "send lag p99"];

pub(super) fn html(h: &mut Html, r: &Record) {
    if r.loads.is_empty() {
        h.raw("<p class=\"empty\">The record holds no figures of load.</p>");
        return;
    }
    h.raw("<table class=\"cards figures\"><caption>Load. Latency in milliseconds</caption><thead><tr>");
    let named = r.loads.iter().any(|l| l.load != r.loads.first().map_or("", |f| f.load.as_str()));
    h.raw("<th scope=\"col\">cluster");
    h.raw(if named { ", load" } else { "" });
    h.raw("</th><th scope=\"col\">stage</th>");
    for name in LOAD {
        h.fill("<th scope=\"col\" class=\"n\">{}</th>", &[&name]);
    }
    h.raw("</tr></thead><tbody>");
    for load in r.loads.iter().take(ROWS_MAX) {
        let f = &load.figures;
        h.raw(if load.stage.is_none() { "<tr class=\"whole\">" } else { "<tr>" });
        let name = match load.to.as_str() {
            _ if !named => load.cluster.clone(),
            "" => format!("{}, {}", load.cluster, load.load),
            to => format!("{}, {} to {to}", load.cluster, load.load),
        };
        h.fill("<th scope=\"row\">{}</th>", &[&name]);
        h.fill("<td class=\"stage\">{}</td>", &[&load.stage.as_deref().unwrap_or("all")]);
        let counts = [f.planned, f.completed, f.failed, f.dropped].map(|n| n as f64);
        let latencies =
            [f.latency_p50_ms, f.latency_p95_ms, f.latency_p99_ms, f.latency_max_ms, f.send_lag_p99_ms];
        for (name, v) in LOAD.into_iter().zip(counts.into_iter().chain(latencies)) {
            let wrong = matches!(name, "failed" | "not sent") && v > 0.0;
            cell(h, name, if wrong { "bad" } else { "" }, &number(v));
        }
        h.raw("</tr>");
    }
    h.raw("</tbody></table>");
    causes(h, r, |f| &f.causes, "Failures");
    answers(h, r);
}

/// Counts by word, of whole runs.
fn causes(h: &mut Html, r: &Record, of: fn(&Figures) -> &BTreeMap<String, u64>, title: &'static str) {
    let mut all: Vec<String> = Vec::new();
    for load in r.loads.iter().filter(|l| l.stage.is_none()).take(ROWS_MAX) {
        for (cause, n) in of(&load.figures).iter().take(WORDS_MAX) {
            all.push(format!("{}: {} × {cause}", load.cluster, number(*n as f64)));
        }
    }
    if !all.is_empty() {
        h.fill("<p class=\"note\">{}: {}.</p>", &[&title, &all.join("; ")]);
    }
}

/// Answers by status, and whose doing it is that requests were not sent; in records that tell it.
fn answers(h: &mut Html, r: &Record) {
    let told = |f: &Figures| f.own_failures.is_some() || f.saturated.is_some() || !f.statuses.is_empty();
    let all: Vec<&Load> = r.loads.iter().filter(|l| told(&l.figures)).take(ROWS_MAX).collect();
    if all.is_empty() {
        return;
    }
    let sum = |of: fn(&Figures) -> Option<u64>| -> u64 {
        let whole = all.iter().filter(|l| l.stage.is_none());
        whole.filter_map(|l| of(&l.figures)).fold(0, u64::saturating_add)
    };
    let unsent = sum(|f| f.own_failures).saturating_add(sum(|f| f.saturated));
    h.raw(if unsent > 0 { "<details class=\"answers\" open>" } else { "<details class=\"answers\">" });
    h.raw("<summary>Answers by status, and why requests were not sent</summary>");
    h.raw("<table class=\"cards figures\"><thead><tr><th scope=\"col\">cluster, load</th><th scope=\"col\">stage</th>");
    h.raw("<th scope=\"col\">statuses</th><th scope=\"col\" class=\"n\">own failures</th>");
    h.raw("<th scope=\"col\" class=\"n\">saturated</th></tr></thead><tbody>");
    for load in all {
        let f = &load.figures;
        h.fill("<tr><th scope=\"row\">{}, {}</th>", &[&load.cluster, &load.load]);
        h.fill("<td class=\"stage\">{}</td>", &[&load.stage.as_deref().unwrap_or("all")]);
        let statuses = f.statuses.iter().take(WORDS_MAX);
        let statuses: Vec<String> =
            statuses.map(|(status, n)| format!("{status}: {}", number(*n as f64))).collect();
        h.fill("<td>{}</td>", &[&statuses.join(", ")]);
        for (name, n) in [("own failures", f.own_failures), ("saturated", f.saturated)] {
            let class = if n.is_some_and(|n| n > 0) { "bad" } else { "" };
            cell(h, name, class, &n.map_or_else(|| "–".to_owned(), |n| number(n as f64)));
        }
        h.raw("</tr>");
    }
    h.raw("</tbody></table><p class=\"note\">Own failures: the generator's, not the service's, such as no free port. ");
    h.raw("Saturated: the service's, whose requests without an answer held every place, so that no user would have been ");
    h.raw("answered.</p></details>");
}
