//! What makes two runs runs of one thing: digests of everything that they were read from.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use simulations_scenario::{Loaded, Series};

use super::InputRecord;

/// In hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The files that a scenario named, and what its queries gave.
pub(super) fn inputs(loaded: &Loaded) -> Vec<InputRecord> {
    let read = loaded.inputs.iter().map(|i| (i.kind, i.path.clone(), i.text.clone()));
    let asked = loaded.scenario.load.iter().filter_map(|load| {
        let series = load.series.as_ref().filter(|s| s.file.is_none())?;
        Some(("recorded", load.name().to_owned(), points(series)))
    });
    let record = |(kind, path, text): (&str, String, String)| InputRecord {
        kind: kind.to_owned(),
        path,
        sha256: sha256(text.as_bytes()),
        text,
    };
    read.chain(asked).map(record).collect()
}

/// As a CSV file that plays the same: seconds from the start, and the rate.
fn points(series: &Series) -> String {
    let first = series.stages.first().map(|s| format!("0,{}\n", s.from_rps)).unwrap_or_default();
    let mut at_s = 0.0;
    let rest = series.stages.iter().map(|s| {
        at_s += s.duration.as_secs_f64();
        format!("{at_s},{}\n", s.to_rps)
    });
    first + &rest.collect::<String>()
}

/// Of what was run, whatever its seed.
pub(super) fn digest(loaded: &Loaded) -> String {
    let mut scenario = loaded.effective.clone();
    if let Some(fields) = scenario.as_object_mut() {
        fields.remove("seed");
    }
    let inputs: Vec<Value> = inputs(loaded).iter().map(|i| json!([i.kind, i.path, i.sha256])).collect();
    // Objects are sorted by key, so equal trees have equal texts.
    sha256(json!([scenario, inputs]).to_string().as_bytes())
}
