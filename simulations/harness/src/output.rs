//! What a run leaves behind: `report.html` for people; `result.json`, `junit.xml`, `summary.md` for programs. Each
//! a function of the record.

use std::path::Path;

use simulations_judge::record::{RunRecord, Verdict};

/// Files that a run leaves.
const FILES: [&str; 4] = ["result.json", "junit.xml", "summary.md", "report.html"];

/// Takes away what an earlier run has left in `dir`: its result is not this one's, even where this one has none.
///
/// # Errors
/// A file could not be removed.
pub fn clear(dir: &Path) -> std::io::Result<()> {
    let gone = |removed: std::io::Result<()>| match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    };
    for file in FILES {
        gone(std::fs::remove_file(dir.join(file)))?;
    }
    gone(std::fs::remove_dir_all(dir.join(crate::records::FOLDER)))
}

/// Writes all of them into `dir`, which is made.
///
/// # Errors
/// A file could not be written.
pub fn write_all(dir: &Path, record: &RunRecord) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let json = serde_json::to_string_pretty(record).map_err(std::io::Error::other)?;
    let json = json + "\n";
    std::fs::write(dir.join("result.json"), &json)?;
    std::fs::write(dir.join("junit.xml"), junit(record))?;
    std::fs::write(dir.join("summary.md"), summary(record))?;
    // Last: what programs wait for is there, whatever becomes of the page.
    let page = simulations_report::render(&[("result.json".to_owned(), json.into_bytes())]);
    std::fs::write(dir.join("report.html"), page.map_err(std::io::Error::other)?)
}

/// JUnit's XML as CI systems read it: one test suite, a test case a row.
///
/// Of a counterexample, the rows that had to fail: a failure there is what was wanted. A run that was broken off, or not
/// driven as planned, says nothing whatever its rows say: an error, which no CI takes for passed.
pub fn junit(record: &RunRecord) -> String {
    let rows = record.counterexample.as_ref().map_or(&record.rows, |c| &c.rows);
    let failures = rows.iter().filter(|r| !r.held).count();
    let error = match record.verdict {
        Verdict::Pass | Verdict::Thresholds => None,
        Verdict::Interrupted => Some(("the run came to its end", "broken off".to_owned())),
        Verdict::InvalidGenerator => {
            let why = record.rows.iter().rev().find(|r| !r.held).map(|r| r.found.clone());
            Some(("the run was driven as planned", why.unwrap_or_else(|| "it was not".to_owned())))
        }
    };
    let name = xml(&record.scenario.name);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"{name}\" tests=\"{}\" \
         failures=\"{failures}\" errors=\"{}\" skipped=\"0\" time=\"{:.3}\" timestamp=\"{}\">\n",
        rows.len() + usize::from(error.is_some()),
        u8::from(error.is_some()),
        record.duration_s,
        xml(&record.started_at),
    );
    for row in rows {
        out.push_str(&format!("    <testcase classname=\"{name}\" name=\"{}\">\n", xml(&row.expectation)));
        if row.held {
            out.push_str(&format!("      <system-out>{}</system-out>\n", xml(&row.found)));
        } else {
            out.push_str(&format!("      <failure message=\"{}\"/>\n", xml(&row.found)));
        }
        out.push_str("    </testcase>\n");
    }
    if let Some((what, why)) = error {
        out.push_str(&format!(
            "    <testcase classname=\"{name}\" name=\"{what}\">\n      <error message=\"{}\"/>\n    </testcase>\n",
            xml(&why)
        ));
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// What CI finds of a run that came to no result: an error, and not what an earlier run has left.
///
/// # Errors
/// It could not be written.
pub fn write_error(dir: &Path, scenario: &str, why: &str) -> std::io::Result<()> {
    let file = dir.join("junit.xml");
    if file.exists() {
        return Ok(());
    }
    let name = xml(scenario);
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" \
         errors=\"1\" skipped=\"0\" time=\"0\">\n    <testcase classname=\"{name}\" name=\"the run came to a result\">\n      \
         <error message=\"{}\"/>\n    </testcase>\n  </testsuite>\n</testsuites>\n",
        xml(why)
    );
    std::fs::write(file, text)
}

/// Escaped for text and attributes; characters that XML cannot hold become U+FFFD.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' => out.push(' '),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Markdown for a CI job's summary page (`cat summary.md >> "$GITHUB_STEP_SUMMARY"`).
pub fn summary(record: &RunRecord) -> String {
    let verdict = match record.verdict {
        Verdict::Pass => "✅ passed",
        Verdict::Thresholds => "❌ did not hold",
        Verdict::InvalidGenerator => "⚠️ invalid: not driven as planned",
        Verdict::Interrupted => "⚠️ broken off",
    };
    let mut out = format!(
        "## {}: {verdict}\n\n{}\n\nSeed {}, {:.0} s, clusters {}.\n\n| | expectation | found |\n|---|---|---|\n",
        markdown(&record.scenario.name),
        markdown(&record.scenario.description),
        record.seed,
        record.duration_s,
        markdown(&record.clusters.join(", ")),
    );
    let must_fail = record.counterexample.iter().flat_map(|c| &c.rows);
    for row in record.rows.iter().chain(must_fail) {
        let mark = if row.held { "✅" } else { "❌" };
        out.push_str(&format!("| {mark} | {} | {} |\n", markdown(&row.expectation), markdown(&row.found)));
    }
    for warning in &record.warnings {
        out.push_str(&format!("\n⚠️ {}\n", markdown(warning)));
    }
    out.push_str("\n| load | requests | failed | not sent | p50 | p95 | p99 | max |\n|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for load in &record.loads {
        let f = &load.figures;
        let stage = load.stage.as_ref().map(|s| format!(", {s}")).unwrap_or_default();
        out.push_str(&format!(
            "| {} | {} | {} | {} | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms |\n",
            markdown(&format!("{}, {}{stage}", load.cluster, load.load)),
            f.planned,
            f.failed,
            f.dropped,
            f.latency_p50_ms,
            f.latency_p95_ms,
            f.latency_p99_ms,
            f.latency_max_ms
        ));
    }
    out.push_str(
        "\n| workload | first | most | last | changes | reversals | replica-hours | θ_U | θ_O | τ_U | τ_O | υ |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for w in &record.workloads {
        let elasticity = w.elasticity.map_or(" | | | | ".to_owned(), |e| {
            format!(
                "{:.1} % | {:.1} % | {:.1} % | {:.1} % | {:.1} %",
                e.under_accuracy_percent,
                e.over_accuracy_percent,
                e.under_timeshare_percent,
                e.over_timeshare_percent,
                e.instability_percent
            )
        });
        out.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {:.3} | {elasticity} |\n",
            markdown(&format!("{}/{}", w.cluster, w.workload)),
            w.first_wanted,
            w.most_wanted,
            w.last_wanted,
            w.changes,
            w.reversals,
            w.replica_hours,
        ));
    }
    out
}

/// One line that no table cell or HTML reader misunderstands.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '`' | '\\' | '[' | ']' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
