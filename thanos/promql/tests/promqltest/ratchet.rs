//! What passes is written down; passing less, or more, than is written fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use crate::Outcome;

type Lines = BTreeMap<String, BTreeSet<usize>>;

pub(crate) fn hold(outcomes: &BTreeMap<String, Outcome>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promqltest");
    let (supported, gaps) = (dir.join("SUPPORTED.toml"), dir.join("UNSUPPORTED.md"));
    if let Ok(path) = std::env::var("PROMQLTEST_FAILURES") {
        std::fs::write(path, failures(outcomes)).unwrap();
    }
    if std::env::var_os("PROMQLTEST_FILE").is_some() {
        return;
    }
    let passed: Lines = (outcomes.iter())
        .map(|(f, o)| (f.clone(), o.iter().filter(|(_, r)| r.is_ok()).map(|(l, _)| *l).collect()))
        .collect();
    if std::env::var_os("UPDATE_RATCHET").is_some() {
        std::fs::write(&supported, print(&passed, outcomes)).unwrap();
        std::fs::write(&gaps, ranking(outcomes)).unwrap();
        return;
    }
    let wanted = read(&std::fs::read_to_string(&supported).unwrap());
    let mut wrong = String::new();
    for file in wanted.keys().chain(outcomes.keys()).collect::<BTreeSet<_>>() {
        let empty = BTreeSet::new();
        let (want, got) = (wanted.get(file).unwrap_or(&empty), passed.get(file).unwrap_or(&empty));
        for line in want.difference(got) {
            let what = match outcomes.get(file).and_then(|o| o.get(line)) {
                Some(Err(e)) => format!("regressed: {e}"),
                _ => "is listed, but there is no eval".into(),
            };
            let _ = writeln!(wrong, "{file}:{line} {what}");
        }
        for line in got.difference(want) {
            let _ = writeln!(wrong, "{file}:{line} passes, but is not listed");
        }
    }
    assert!(wrong.is_empty(), "run with UPDATE_RATCHET=1 and review what changes:\n{wrong}");
}

fn print(passed: &Lines, outcomes: &BTreeMap<String, Outcome>) -> String {
    let total: usize = outcomes.values().map(BTreeMap::len).sum();
    let mut out = format!(
        "# Lines of the evals that pass: {} of {total}. Written with UPDATE_RATCHET=1.\n",
        passed.values().map(BTreeSet::len).sum::<usize>()
    );
    for (file, lines) in passed {
        let all = outcomes.get(file).map_or(0, BTreeMap::len);
        let _ = write!(out, "\n# {} of {all}\n{file:?} = [", lines.len());
        for (i, line) in lines.iter().enumerate() {
            let _ = write!(out, "{}{line},", if i % 16 == 0 { "\n  " } else { " " });
        }
        out.push_str("\n]\n");
    }
    out
}

fn read(text: &str) -> Lines {
    let mut out = Lines::new();
    let mut file = String::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        if let Some((name, _)) = line.split_once(" = [") {
            file = name.trim_matches('"').into();
            out.entry(file.clone()).or_default();
        } else if let Some(lines) = out.get_mut(&file) {
            lines.extend(line.split(',').filter_map(|n| n.trim().parse::<usize>().ok()));
        }
    }
    out
}

fn failures(outcomes: &BTreeMap<String, Outcome>) -> String {
    let mut out = String::new();
    for (file, outcome) in outcomes {
        for (line, result) in outcome {
            if let Err(e) = result {
                let _ = writeln!(out, "{file}:{line}: {e}");
            }
        }
    }
    out
}

/// Gaps by the number of evals that they block.
fn ranking(outcomes: &BTreeMap<String, Outcome>) -> String {
    let mut gaps: BTreeMap<String, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for (file, outcome) in outcomes {
        for error in outcome.values().filter_map(|r| r.as_ref().err()) {
            let gap = gaps.entry(gap(error)).or_default();
            gap.0 += 1;
            gap.1.insert(file.trim_end_matches(".test"));
        }
    }
    let mut gaps: Vec<_> = gaps.into_iter().collect();
    gaps.sort_by_key(|(name, (n, _))| (std::cmp::Reverse(*n), name.clone()));
    let mut out =
        String::from("# What blocks evals of Prometheus' suite\n\n| evals | gap | files |\n|---|---|---|\n");
    for (name, (n, files)) in gaps {
        let files = files.into_iter().collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "| {n} | {name} | {files} |");
    }
    out
}

fn gap(error: &str) -> String {
    let text = error.rsplit(": as ").next().unwrap_or(error);
    if let Some(at) = text.find("not supported yet: ") {
        return text[at..].to_owned();
    }
    if text.contains("parse error") {
        return "the grammar refuses the query".into();
    }
    if text.starts_with("annotation") || text.starts_with("expected no ") {
        return "another annotation".into();
    }
    if text.contains("error: ") || text.contains("to fail") {
        return "another error".into();
    }
    "another result".into()
}
