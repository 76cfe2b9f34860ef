//! Every decision with its evidence and reason, in order of time.

use crate::html::Html;
use crate::page::{columns, letter};
use crate::run::{Decision, Kind, Run};
use crate::scale::{clock, number};

/// Decisions of a run that the page holds; what is beyond is said to be so.
pub(crate) const ROWS_MAX: usize = 1_500;

/// Characters of a reason and of its evidence.
const TEXT_CHARS_MAX: usize = 600;

/// Id of a decision's row.
pub(crate) fn row_id(run: usize, decision: usize) -> String {
    format!("{}-d{decision}", letter(run).to_ascii_lowercase())
}

/// What was decided, in a few words.
pub(crate) fn what(d: &Decision) -> String {
    let name = format!("{}/{}", d.key.0, d.key.1);
    match d.kind {
        Kind::Scale { from, to } => format!("{name}: {} → {} replicas", number(from), number(to)),
        Kind::Trust(true) => format!("{name} trusts its evidence"),
        Kind::Trust(false) => format!("{name} does not trust its evidence"),
        Kind::Said => format!("{name} changes nothing"),
    }
}

/// The table of each run.
pub(crate) fn html(runs: &[Run]) -> Html {
    let mut h = Html::new();
    columns(&mut h, runs, |h, i, run| {
        if run.decisions.is_empty() {
            h.raw("<p class=\"empty\">Nothing was decided.</p>");
            return;
        }
        h.raw("<table class=\"cards decisions\"><thead><tr><th scope=\"col\">time</th>");
        h.raw("<th scope=\"col\">decision</th><th scope=\"col\">reason</th><th scope=\"col\">evidence</th></tr>");
        h.raw("</thead><tbody>");
        for (n, d) in run.decisions.iter().take(ROWS_MAX).enumerate() {
            row(h, &row_id(i, n), d);
        }
        h.raw("</tbody></table>");
        if run.decisions.len() > ROWS_MAX {
            let more = run.decisions.len() - ROWS_MAX;
            h.fill("<p class=\"note\">{} later decisions are in the record.</p>", &[&more]);
        }
    });
    h
}

fn row(h: &mut Html, id: &str, d: &Decision) {
    h.fill("<tr id=\"{}\" class=\"{}\"><th scope=\"row\">{}</th>", &[&id, &d.kind.word(), &clock(d.at_s)]);
    h.fill(
        "<td class=\"what\"><span class=\"sign\" aria-hidden=\"true\">{}</span> {}</td>",
        &[&d.kind.sign(), &what(d)],
    );
    let reason = match (d.reason.as_str(), d.kind) {
        (_, Kind::Trust(_)) | ("", _) => "–",
        (reason, _) => reason,
    };
    h.raw("<td>").escaped(&reason, TEXT_CHARS_MAX).raw("</td><td>").escaped(&d.evidence, TEXT_CHARS_MAX);
    if let Some(value) = d.value {
        h.fill(" <span class=\"value\">value {}</span>", &[&number(value)]);
    }
    h.raw("</td></tr>");
}
