//! The run in figures: side by side where there are several, then load and workloads of each.

use std::fmt::Display;

use crate::html::Html;
use crate::page::{columns, letter, void};
use crate::record::{Figures, Record};
use crate::run::{Run, Slo};
use crate::scale::number;

/// Rows of a table of figures.
const ROWS_MAX: usize = 300;

/// All tables of figures.
pub(crate) fn html(runs: &[Run]) -> Html {
    let mut h = Html::new();
    if runs.len() > 1 {
        side_by_side(&mut h, runs);
    }
    columns(&mut h, runs, |h, _, run| {
        loads(h, &run.record);
        slos(h, run);
        workloads(h, &run.record);
    });
    h
}

/// A figure of a whole run; which way is better, where one way is.
struct Whole {
    name: &'static str,
    lower_is_better: Option<bool>,
    of: fn(&Run) -> Option<f64>,
}

fn sum(run: &Run, of: fn(&Figures) -> u64) -> Option<f64> {
    let whole: Vec<&Figures> =
        run.record.loads.iter().filter(|l| l.stage.is_none()).map(|l| &l.figures).collect();
    (!whole.is_empty()).then(|| whole.iter().map(|f| of(f) as f64).sum())
}

fn worst(run: &Run, of: fn(&Figures) -> f64) -> Option<f64> {
    run.record.loads.iter().filter(|l| l.stage.is_none()).map(|l| of(&l.figures)).reduce(f64::max)
}

fn workload_sum(run: &Run, of: fn(&crate::record::Workload) -> f64) -> Option<f64> {
    let all = &run.record.workloads;
    (!all.is_empty()).then(|| all.iter().map(of).sum())
}

/// A share over all services with an slo, in percent.
fn slo_share(run: &Run, part: fn(&Slo) -> u64, of: fn(&Slo) -> u64) -> Option<f64> {
    let sum = |f: fn(&Slo) -> u64| run.slos.values().map(|s| f(s) as f64).sum::<f64>();
    (!run.slos.is_empty()).then(|| percent(sum(part), sum(of)))
}

fn percent(part: f64, of: f64) -> f64 {
    100.0 * part / of.max(1.0)
}

const WHOLES: &[Whole] = &[
    Whole {
        name: "thresholds that failed",
        lower_is_better: Some(true),
        of: |r| Some(r.record.rows.iter().filter(|r| !r.held).count() as f64),
    },
    Whole { name: "requests due", lower_is_better: None, of: |r| sum(r, |f| f.planned) },
    Whole {
        name: "requests failed or not sent",
        lower_is_better: Some(true),
        of: |r| sum(r, |f| f.failed.saturating_add(f.dropped)),
    },
    Whole {
        name: "latency p50, slowest cluster, ms",
        lower_is_better: Some(true),
        of: |r| worst(r, |f| f.latency_p50_ms),
    },
    Whole {
        name: "latency p95, slowest cluster, ms",
        lower_is_better: Some(true),
        of: |r| worst(r, |f| f.latency_p95_ms),
    },
    Whole {
        name: "latency p99, slowest cluster, ms",
        lower_is_better: Some(true),
        of: |r| worst(r, |f| f.latency_p99_ms),
    },
    Whole {
        name: "seconds in which an slo did not hold, %",
        lower_is_better: Some(true),
        of: |r| slo_share(r, |s| s.bad_seconds, |s| s.seconds),
    },
    Whole {
        name: "requests over an slo, %",
        lower_is_better: Some(true),
        of: |r| slo_share(r, |s| s.bad_requests, |s| s.requests),
    },
    Whole {
        name: "replica-hours, all workloads",
        lower_is_better: Some(true),
        of: |r| workload_sum(r, |w| w.replica_hours),
    },
    Whole {
        name: "changes of wanted replicas",
        lower_is_better: Some(true),
        of: |r| workload_sum(r, |w| f64::from(w.changes)),
    },
    Whole {
        name: "reversals of direction",
        lower_is_better: Some(true),
        of: |r| workload_sum(r, |w| f64::from(w.reversals)),
    },
    Whole {
        name: "load generator's send lag p99, ms",
        lower_is_better: None,
        of: |r| worst(r, |f| f.send_lag_p99_ms),
    },
];

fn side_by_side(h: &mut Html, runs: &[Run]) {
    h.raw("<table class=\"cards figures\"><caption>Side by side");
    if runs.len() == 2 {
        h.raw("; the last column is B against A. One run each: small differences may be chance");
    }
    h.raw("</caption><thead><tr><th scope=\"col\">figure</th>");
    for i in 0..runs.len() {
        h.fill("<th scope=\"col\" class=\"n\"><b class=\"letter\">{}</b></th>", &[&letter(i)]);
    }
    if runs.len() == 2 {
        h.raw("<th scope=\"col\" class=\"n\">B − A</th>");
    }
    h.raw("</tr></thead><tbody>");
    let comparable = runs.iter().all(|r| void(r.record.verdict).is_none() && r.record.aborted_by.is_none());
    for whole in WHOLES {
        let values: Vec<Option<f64>> = runs.iter().map(|r| (whole.of)(r)).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        h.fill("<tr><th scope=\"row\">{}</th>", &[&whole.name]);
        for (i, v) in values.iter().enumerate() {
            cell(h, letter(i), "", &v.map_or_else(|| "–".to_owned(), number));
        }
        if let [Some(a), Some(b)] = values[..] {
            difference(h, whole.lower_is_better.filter(|_| comparable), a, b);
        } else if runs.len() == 2 {
            cell(h, "B − A", "", &"–");
        }
        h.raw("</tr>");
    }
    h.raw("</tbody></table>");
}

/// A number; its column's name is beside it where there is no room for columns.
fn cell(h: &mut Html, name: impl Display, class: &str, value: &dyn Display) {
    h.fill("<td class=\"n {}\" data-name=\"{}\">{}</td>", &[&class, &name, value]);
}

fn difference(h: &mut Html, lower_is_better: Option<bool>, a: f64, b: f64) {
    let d = b - a;
    // A difference that rounding hides is none.
    let (class, word) = match lower_is_better {
        _ if number(a) == number(b) => ("", "same"),
        None => ("", ""),
        Some(lower) if (d < 0.0) == lower => ("good", "better"),
        Some(_) => ("bad", "worse"),
    };
    h.fill("<td class=\"n {}\" data-name=\"B − A\">", &[&class]);
    if word != "same" {
        let sign = if d > 0.0 { "+" } else { "−" };
        h.fill("{}{}", &[&sign, &number(d.abs())]);
        if a > 0.0 && a != b {
            h.fill(" ({}{} %)", &[&sign, &number((d.abs() / a * 100.0).round())]);
        }
    }
    h.fill(" {}</td>", &[&word]);
}

/// Columns of a load's figures.
const LOAD: [&str; 9] =
    ["due", "answered", "failed", "not sent", "p50", "p95", "p99", "longest", "send lag p99"];

fn loads(h: &mut Html, r: &Record) {
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
    let mut causes: Vec<String> = Vec::new();
    for load in r.loads.iter().filter(|l| l.stage.is_none()) {
        for (cause, n) in load.figures.causes.iter().take(20) {
            causes.push(format!("{}: {} × {cause}", load.cluster, number(*n as f64)));
        }
    }
    if !causes.is_empty() {
        h.fill("<p class=\"note\">Failures: {}.</p>", &[&causes.join("; ")]);
    }
}

fn slos(h: &mut Html, run: &Run) {
    if run.slos.is_empty() {
        return;
    }
    h.raw("<table class=\"cards figures\"><caption>Service level: seconds in which requests were due and the slo did ");
    h.raw("not hold on them, and requests that were slower than it says, or failed</caption><thead><tr>");
    h.raw("<th scope=\"col\">service</th><th scope=\"col\">slo</th>");
    const COLUMNS: [&str; 6] = ["seconds", "not held", "% of seconds", "requests", "over", "% of requests"];
    for name in COLUMNS {
        h.fill("<th scope=\"col\" class=\"n\">{}</th>", &[&name]);
    }
    h.raw("</tr></thead><tbody>");
    for ((cluster, service), s) in run.slos.iter().take(ROWS_MAX) {
        h.fill("<tr><th scope=\"row\">{}/{}</th>", &[cluster, service]);
        h.fill("<td class=\"stage\">{}</td>", &[&s.condition]);
        for (i, (part, of)) in
            [(s.bad_seconds, s.seconds), (s.bad_requests, s.requests)].into_iter().enumerate()
        {
            let (part, of) = (part as f64, of as f64);
            for (name, v) in COLUMNS.into_iter().skip(i * 3).zip([of, part, percent(part, of)]) {
                cell(h, name, "", &number(v));
            }
        }
        h.raw("</tr>");
    }
    h.raw("</tbody></table>");
}

fn workloads(h: &mut Html, r: &Record) {
    if r.workloads.is_empty() {
        return;
    }
    let elastic = r.workloads.iter().any(|w| w.elasticity.is_some());
    h.raw("<table class=\"cards figures\"><caption>Replicas");
    if elastic {
        h.raw(". θ<sub>U</sub> and θ<sub>O</sub>: replicas missing and in surplus, as a share of those needed; ");
        h.raw(
            "τ<sub>U</sub> and τ<sub>O</sub>: share of time with too few and too many; υ: share of time in ",
        );
        h.raw("which supply and demand moved differently");
    }
    h.raw("</caption><thead><tr><th scope=\"col\">workload</th>");
    for name in ["first", "most", "last", "changes", "reversals", "replica-hours"] {
        h.fill("<th scope=\"col\" class=\"n\">{}</th>", &[&name]);
    }
    if elastic {
        h.raw("<th scope=\"col\" class=\"n\">θ<sub>U</sub> %</th><th scope=\"col\" class=\"n\">θ<sub>O</sub> %</th>");
        h.raw("<th scope=\"col\" class=\"n\">τ<sub>U</sub> %</th><th scope=\"col\" class=\"n\">τ<sub>O</sub> %</th>");
        h.raw("<th scope=\"col\" class=\"n\">υ %</th>");
    }
    h.raw("</tr></thead><tbody>");
    for w in r.workloads.iter().take(ROWS_MAX) {
        h.fill("<tr><th scope=\"row\">{}/{}</th>", &[&w.cluster, &w.workload]);
        cell(h, "first", "", &w.first_wanted);
        cell(h, "most", "", &w.most_wanted);
        cell(h, "last", "", &w.last_wanted);
        cell(h, "changes", "", &w.changes);
        cell(h, "reversals", "", &w.reversals);
        cell(h, "replica-hours", "", &format_args!("{:.3}", w.replica_hours));
        if let Some(e) = &w.elasticity {
            for (name, v) in [
                ("θU %", e.under_accuracy_percent),
                ("θO %", e.over_accuracy_percent),
                ("τU %", e.under_timeshare_percent),
                ("τO %", e.over_timeshare_percent),
                ("υ %", e.instability_percent),
            ] {
                cell(h, name, "", &number(v));
            }
        } else if elastic {
            h.raw("<td colspan=\"5\" class=\"n none\">–</td>");
        }
        h.raw("</tr>");
    }
    h.raw("</tbody></table>");
}
