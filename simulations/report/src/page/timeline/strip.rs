//! Strips over the time axis: stages, faults, whether each policy trusted its evidence, restarts.

use crate::chart::{bands, place, time_axis};
use crate::html::Html;
use crate::run::{PolicySeries, Run, Span};
use crate::scale::{clock, number};
use crate::series::STRETCHES;

/// Faults that are drawn.
pub(super) const FAULTS_MAX: usize = 100;

/// Bars of one strip.
const BARS_MAX: usize = STRETCHES;

/// Loads with a strip.
const LOADS_MAX: usize = 16;

/// Policies with a strip, and services.
const POLICIES_MAX: usize = 60;

/// Characters of what a bar says.
const TEXT_CHARS_MAX: usize = 200;

/// One bar.
struct Bar {
    span: Span,
    style: &'static str,
    text: String,
}

/// The strips of a run.
pub(super) fn strips(h: &mut Html, run: &Run, length_s: f64) {
    h.raw(
        "<figure class=\"strips\"><figcaption><b>Stages, faults, trust in the evidence, and slos</b></figcaption>",
    );
    h.raw("<div class=\"frame\"><div class=\"plot rows\">");
    bands(h, run.faults.get(..FAULTS_MAX.min(run.faults.len())).unwrap_or_default(), length_s);
    for load in run.load_names().into_iter().take(LOADS_MAX) {
        let mut name = if load.is_empty() { "stages".to_owned() } else { format!("stages of {load}") };
        let only_on = run.only_on(load);
        if !only_on.is_empty() {
            name = format!("{name}, in {} only", only_on.join(", "));
        }
        strip(h, &name, stages(run, load), length_s);
    }
    // A strip each: faults may overlap, and all have names to be read.
    for fault in run.faults.iter().take(FAULTS_MAX) {
        let bar = Bar { span: fault.clone(), style: "fault", text: String::new() };
        strip(h, &format!("fault: {} ({})", fault.name, fault.detail), vec![bar], length_s);
    }
    for (id, policy) in run.policies.iter().take(POLICIES_MAX) {
        let of = id.target.as_ref().map(|t| format!(" on {}", t.short())).unwrap_or_default();
        let name = format!("evidence of {}/{}{of}", id.cluster, id.full_name());
        strip(h, &name, trust(policy, length_s), length_s);
    }
    for ((cluster, service), slo) in run.slos.iter().take(POLICIES_MAX) {
        let name = format!("{} of {cluster}/{service} not held: {}", slo.words(), slo.misses());
        let bar = |s: &Span| Bar { span: s.clone(), style: "missed", text: String::new() };
        strip(h, &name, slo.missed.iter().map(bar).collect(), length_s);
    }
    if !run.restarts.is_empty() {
        let bar = |(at_s, text): &(f64, String)| Bar {
            span: Span { name: text.clone(), detail: String::new(), from_s: *at_s, to_s: *at_s },
            style: "moment",
            text: String::new(),
        };
        strip(h, "restarts", run.restarts.iter().take(BARS_MAX).map(bar).collect(), length_s);
    }
    h.raw("</div>");
    time_axis(h, length_s);
    h.raw("</div></figure>");
}

fn strip(h: &mut Html, name: &str, bars: Vec<Bar>, length_s: f64) {
    h.fill("<div class=\"strip\"><p>{}</p><ul>", &[&name]);
    for bar in bars.iter().take(BARS_MAX) {
        let (left, width) = place(&bar.span, length_s);
        let until = if bar.span.to_s > bar.span.from_s {
            format!(" to {}", clock(bar.span.to_s))
        } else {
            String::new()
        };
        let title = format!("{}: {}{until}. {}", bar.span.name, clock(bar.span.from_s), bar.text);
        h.fill("<li class=\"bar {}\" style=\"left:{}%;width:{}%\" title=\"", &[&bar.style, &left, &width]);
        h.escaped(&title, TEXT_CHARS_MAX).raw("\"><span class=\"hidden\">").escaped(&title, TEXT_CHARS_MAX);
        h.raw("</span><span aria-hidden=\"true\">").escaped(&bar.text, TEXT_CHARS_MAX).raw("</span></li>");
    }
    h.raw("</ul></div>");
}

fn stages(run: &Run, load: &str) -> Vec<Bar> {
    let bar = |(i, s): (usize, &crate::record::Stage)| {
        let rates = || s.points.iter().flatten().map(|p| p.rps);
        let rate = if let Some((least, most)) = rates().reduce(f64::min).zip(rates().reduce(f64::max)) {
            format!("{} to {}", number(least), number(most))
        } else if s.from_rps == s.to_rps {
            number(s.from_rps)
        } else {
            format!("{} → {}", number(s.from_rps), number(s.to_rps))
        };
        Bar {
            span: Span { name: s.name.clone(), detail: String::new(), from_s: s.start_s, to_s: s.end_s },
            style: if i % 2 == 0 { "stage" } else { "stage odd" },
            text: format!("{} {rate} rps", s.name),
        }
    };
    run.record
        .stages
        .iter()
        .filter(|s| s.load == load && s.start_s < run.length_s)
        .enumerate()
        .map(bar)
        .collect()
}

/// Stretches of equal trust.
fn trust(policy: &PolicySeries, length_s: f64) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for group in policy.states.chunk_by(|a, b| a.sufficient == b.sufficient) {
        let Some(first) = group.first() else { continue };
        if let Some(last) = bars.last_mut() {
            last.span.to_s = first.at_s;
        }
        let (style, text) = match first.sufficient {
            Some(true) => ("trusted", "trusted"),
            Some(false) => ("doubted", "not trusted"),
            None => ("unjudged", "not judged yet"),
        };
        let span =
            Span { name: first.evidence.clone(), detail: String::new(), from_s: first.at_s, to_s: length_s };
        bars.push(Bar { span, style, text: text.to_owned() });
    }
    bars
}
