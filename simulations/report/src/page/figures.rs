//! The run in figures: side by side where there are several, then load and workloads of each.

use std::collections::BTreeSet;

use crate::alike;
use crate::html::Html;
use crate::page::cell::{ROWS_MAX, cell};
use crate::page::{columns, letter, load};
use crate::record::{Figures, Record};
use crate::run::{Run, Slo};
use crate::scale::number;

/// All tables of figures.
pub(crate) fn html(runs: &[Run]) -> Html {
    let mut h = Html::new();
    if runs.len() > 1 {
        side_by_side(&mut h, runs);
    }
    columns(&mut h, runs, |h, _, run| {
        load::html(h, &run.record);
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
    /// What of two runs has to be the same for their figures to say which is better.
    measured_by: Option<fn(&Run) -> BTreeSet<String>>,
}

/// What a run is asked.
fn asked(run: &Run) -> BTreeSet<String> {
    run.record.rows.iter().map(|r| r.expectation.clone()).collect()
}

/// What users accept, service by service.
fn accepted(run: &Run) -> BTreeSet<String> {
    run.slos.iter().map(|((cluster, service), s)| format!("{cluster}/{service} {}", s.condition)).collect()
}

/// The workloads whose replicas are summed.
fn scaled(run: &Run) -> BTreeSet<String> {
    run.record.workloads.iter().map(|w| format!("{}/{}", w.cluster, w.workload)).collect()
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
        measured_by: Some(asked),
    },
    Whole { name: "requests due", lower_is_better: None, of: |r| sum(r, |f| f.planned), measured_by: None },
    Whole {
        name: "requests failed or not sent",
        lower_is_better: Some(true),
        of: |r| sum(r, |f| f.failed.saturating_add(f.dropped)),
        measured_by: None,
    },
    Whole {
        name: "latency p50, slowest cluster, ms",
        lower_is_better: Some(true),
        of: |r| worst(r, |f| f.latency_p50_ms),
        measured_by: None,
    },
    Whole {
        name: "latency p95, slowest cluster, ms",
        lower_is_better: Some(true),
        of: |r| worst(r, |f| f.latency_p95_ms),
        measured_by: None,
    },
    Whole {
        name: "latency p99, slowest cluster, ms",
        lower_is_better: Some(true),
        of: |r| worst(r, |f| f.latency_p99_ms),
        measured_by: None,
    },
    Whole {
        name: "seconds in which an slo did not hold, %",
        lower_is_better: Some(true),
        of: |r| slo_share(r, |s| s.bad_seconds, |s| s.seconds),
        measured_by: Some(accepted),
    },
    Whole {
        name: "requests over an slo, %",
        lower_is_better: Some(true),
        of: |r| slo_share(r, |s| s.bad_requests, |s| s.requests),
        measured_by: Some(accepted),
    },
    Whole {
        name: "replica-hours, all workloads",
        lower_is_better: Some(true),
        of: |r| workload_sum(r, |w| w.replica_hours),
        measured_by: Some(scaled),
    },
    Whole {
        name: "changes of wanted replicas",
        lower_is_better: Some(true),
        of: |r| workload_sum(r, |w| f64::from(w.changes)),
        measured_by: Some(scaled),
    },
    Whole {
        name: "reversals of direction",
        lower_is_better: Some(true),
        of: |r| workload_sum(r, |w| f64::from(w.reversals)),
        measured_by: Some(scaled),
    },
    Whole {
        name: "load generator's send lag p99, ms",
        lower_is_better: None,
        of: |r| worst(r, |f| f.send_lag_p99_ms),
        measured_by: None,
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
    let spoilt = alike::incomparable(runs, letter);
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
            let same_measure = whole
                .measured_by
                .is_none_or(|by| runs.windows(2).all(|w| matches!(w, [a, b] if by(a) == by(b))));
            difference(h, whole.lower_is_better.filter(|_| spoilt.is_empty() && same_measure), a, b);
        } else if runs.len() == 2 {
            cell(h, "B − A", "", &"–");
        }
        h.raw("</tr>");
    }
    h.raw("</tbody></table>");
    if !spoilt.is_empty() {
        h.fill("<p class=\"warn\">None is better or worse than another: {}.</p>", &[&spoilt.join("; ")]);
    }
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
