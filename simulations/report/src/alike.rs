//! What two runs have to share: to be runs of one thing, for their spread; to have had the same to carry, for one to be
//! better than the other. And what differs, so that a reader sees what a comparison is of.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Record, Verdict};
use crate::run::Run;

/// Characters of a value that is told to differ.
const VALUE_CHARS_MAX: usize = 80;

/// Settings that are told one by one.
const SETTINGS_MAX: usize = 40;

/// Why a run's figures say nothing, if they do.
pub(crate) fn void(record: &Record) -> Option<String> {
    Some(match (&record.verdict, &record.aborted_by) {
        (Verdict::InvalidGenerator, _) => {
            "the load generator was late or lost requests, so its figures say nothing about the policy"
                .to_owned()
        }
        (Verdict::Interrupted, _) => "the run was broken off, so its figures are of a part of it".to_owned(),
        (Verdict::Other(word), _) if word.is_empty() => {
            "the record does not say how the run ended".to_owned()
        }
        (Verdict::Other(word), _) => {
            format!("the run ended as {}, which this version does not know", quoted(word))
        }
        (_, Some(by)) => format!(
            "the run was ended early by the threshold {}, so its figures are of a part of it",
            quoted(by)
        ),
        (_, None) => return None,
    })
}

/// What keeps `b` from being a run of the same as `a`, their seeds apart.
pub(crate) fn other_scenario(a: &Record, b: &Record) -> Option<String> {
    let counterexample = |r: &Record| r.counterexample.as_ref().map_or("", |c| c.name.as_str()).to_owned();
    let two = |what: &str, x: &str, y: &str| {
        (x != y).then(|| format!("{what}: {} here, {} there", quoted(y), quoted(x)))
    };
    two("scenario", &a.scenario.name, &b.scenario.name)
        .or_else(|| two("counterexample", &counterexample(a), &counterexample(b)))
        .or_else(|| two("version", &a.version, &b.version))
        .or_else(|| two("clusters", &a.clusters.join(", "), &b.clusters.join(", ")))
        .or_else(|| (a.clusters != b.clusters).then(|| "clusters".to_owned()))
        .or_else(|| {
            let (name, values) = settings(&[a, b]).into_iter().next()?;
            Some(format!("set {name}: {:?} here, {:?} there", values.get(1)?, values.first()?))
        })
        .or_else(|| other_text(a, b))
}

/// The digest covers text and inputs; records without one are compared by what they have.
fn other_text(a: &Record, b: &Record) -> Option<String> {
    let (x, y) = (&a.scenario, &b.scenario);
    if x.digest.is_empty() && y.digest.is_empty() {
        return if x.text != y.text {
            Some(format!("the text of the scenario{}", other_line(&x.text, &y.text)))
        } else if x.file != y.file {
            Some(format!("file: {} here, {} there", quoted(&y.file), quoted(&x.file)))
        } else {
            other_input(a, b)
        };
    }
    if x.digest == y.digest {
        return None;
    }
    let digests = format!("digest: {} here, {} there", short(&y.digest), short(&x.digest));
    let cause = other_input(a, b).or_else(|| {
        (!same_but_for_the_seed(&x.effective, &y.effective))
            .then(|| format!("the scenario as it ran{}", other_line(&x.effective, &y.effective)))
    });
    Some(cause.map_or(digests.clone(), |cause| format!("{cause}; {digests}")))
}

fn other_input(a: &Record, b: &Record) -> Option<String> {
    let (name, values) = inputs(&[a, b]).into_iter().next()?;
    Some(format!("{name}: {} here, {} there", values.get(1)?, values.first()?))
}

/// What kept two runs from carrying the same, in words, if anything did: other load, other clusters, other faults.
pub(crate) fn other_conditions(a: &Record, b: &Record) -> Option<&'static str> {
    let sent = |r: &Record| -> Vec<(String, String, String)> {
        let whole = r.loads.iter().filter(|l| l.stage.is_none());
        whole.map(|l| (l.cluster.clone(), l.load.clone(), l.to.clone())).collect()
    };
    let (sent_a, sent_b) = (sent(a), sent(b));
    // Older records do not say where load is sent.
    let told = |sent: &[(String, String, String)]| sent.iter().all(|(_, _, to)| !to.is_empty());
    if a.stages != b.stages {
        Some("other stages of load")
    } else if a.clusters != b.clusters {
        Some("other clusters")
    } else if told(&sent_a) && told(&sent_b) && sent_a != sent_b {
        Some("load to other services")
    } else if a.faults != b.faults {
        Some("other faults")
    } else if inputs_told(a) && inputs_told(b) && series(a) != series(b) {
        Some("another recorded load")
    } else {
        None
    }
}

/// Digests of recorded loads, wherever they lay.
fn series(r: &Record) -> BTreeSet<&str> {
    r.inputs.iter().filter(|i| i.kind == "series").map(|i| i.sha256.as_str()).collect()
}

/// Why no run of these is better than another, for each that spoils it.
pub(crate) fn incomparable(runs: &[Run], letter: impl Fn(usize) -> char) -> Vec<String> {
    let Some(first) = runs.first() else { return Vec::new() };
    let mut all = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        if let Some(why) = void(&run.record) {
            all.push(format!("{}: {why}", letter(i)));
        } else if let Some(why) = other_conditions(&first.record, &run.record) {
            all.push(format!("{}: {why} than {}", letter(i), letter(0)));
        }
    }
    all
}

/// What differs between runs, each with its value in every run.
pub(crate) fn differences(runs: &[Run]) -> Vec<(String, Vec<String>)> {
    let records: Vec<&Record> = runs.iter().map(|r| &r.record).collect();
    let mut all = Vec::new();
    let mut add = |name: &str, of: &dyn Fn(&Record) -> String| {
        let values: Vec<String> = records.iter().map(|r| cut(&of(r))).collect();
        let differ = records.windows(2).any(|w| matches!(w, [a, b] if of(a) != of(b)));
        if differ {
            all.push((name.to_owned(), values));
        }
    };
    add("scenario", &|r| r.scenario.name.clone());
    add("counterexample", &|r| r.counterexample.as_ref().map_or("–".to_owned(), |c| c.name.clone()));
    add("version", &|r| r.version.clone());
    add("clusters", &|r| r.clusters.join(", "));
    add("seed", &|r| r.seed.to_string());
    add("file", &|r| r.scenario.file.clone());
    add("length as it ran, s", &|r| format!("{:.0}", r.duration_s));
    let digests: BTreeSet<&str> = records.iter().map(|r| r.scenario.digest.as_str()).collect();
    if digests.len() > 1 {
        let told = records.iter().map(|r| short(&r.scenario.digest)).collect();
        all.push(("scenario and inputs, digest".to_owned(), told));
    }
    all.extend(settings(&records).into_iter().take(SETTINGS_MAX).map(|(name, v)| (format!("set {name}"), v)));
    all.extend(inputs(&records).into_iter().take(SETTINGS_MAX));
    type Same = fn(&Record, &Record) -> bool;
    let wholes: [(&str, Same); 3] = [
        ("stages of load", |a, b| a.stages == b.stages),
        ("faults", |a, b| a.faults == b.faults),
        ("scenario's text", |a, b| same_but_for_the_seed(as_it_ran(a), as_it_ran(b))),
    ];
    for (name, same) in wholes {
        let Some(first) = records.first() else { break };
        let words = records.iter().map(|r| if same(first, r) { "as A" } else { "other than A" }.to_owned());
        let words: Vec<String> = words.collect();
        if words.iter().any(|w| w != "as A") {
            all.push((name.to_owned(), words));
        }
    }
    all
}

/// The scenario as it ran, or as it was read where the record has no more.
pub(crate) fn as_it_ran(r: &Record) -> &str {
    if r.scenario.effective.is_empty() { &r.scenario.text } else { &r.scenario.effective }
}

/// `--set` keys of which values differ.
fn settings(records: &[&Record]) -> Vec<(String, Vec<String>)> {
    let of = |r: &Record| r.scenario.set.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    differing(records.iter().map(|r| of(r)).collect(), "not set", cut)
}

/// Inputs of which digests differ, by kind and path.
fn inputs(records: &[&Record]) -> Vec<(String, Vec<String>)> {
    if !records.iter().all(|r| inputs_told(r)) {
        return Vec::new();
    }
    let of =
        |r: &Record| r.inputs.iter().map(|i| (format!("{} {}", i.kind, i.path), i.sha256.clone())).collect();
    differing(records.iter().map(|r| of(r)).collect(), "not used", short)
}

/// Records from before there were any say nothing of them.
fn inputs_told(r: &Record) -> bool {
    !r.inputs.is_empty() || !r.scenario.digest.is_empty()
}

fn differing(
    all: Vec<BTreeMap<String, String>>,
    absent: &str,
    told: fn(&str) -> String,
) -> Vec<(String, Vec<String>)> {
    let names: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let values = |name: &String| all.iter().map(|m| m.get(name)).collect::<Vec<_>>();
    let differ = |name: &&String| values(name).windows(2).any(|w| matches!(w, [a, b] if a != b));
    let row = |name: &String| {
        let values = values(name).into_iter().map(|v| v.map_or_else(|| absent.to_owned(), |v| told(v)));
        (cut(name), values.collect())
    };
    names.into_iter().filter(differ).map(row).collect()
}

/// A scenario's lines, as YAML or as JSON, without that of its seed.
fn unseeded(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let seed = |line: &str| {
        let rest = line.trim_start().trim_start_matches('"').strip_prefix("seed");
        rest.is_some_and(|rest| rest.starts_with([':', '"']))
    };
    text.lines().enumerate().filter(move |(_, line)| !seed(line))
}

fn same_but_for_the_seed(a: &str, b: &str) -> bool {
    unseeded(a).map(|l| l.1).eq(unseeded(b).map(|l| l.1))
}

/// ` from line 7`: where texts begin to differ.
fn other_line(a: &str, b: &str) -> String {
    let (mut a, mut b) = (unseeded(a), unseeded(b));
    loop {
        match (a.next(), b.next()) {
            (Some((_, x)), Some((_, y))) if x == y => {}
            (Some((i, _)), _) | (None, Some((i, _))) => return format!(" from line {}", i + 1),
            (None, None) => return String::new(),
        }
    }
}

/// Enough of a digest to tell it from another.
fn short(digest: &str) -> String {
    if digest.is_empty() { "none".to_owned() } else { digest.chars().take(12).collect() }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("{:?}", cut(text))
}
