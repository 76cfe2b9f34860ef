//! The scenarios that ship, inside the program.

use std::collections::BTreeMap;

use simulations_scenario::names::nearest;
use simulations_scenario::{Loaded, parse};

/// Name and text.
pub const SCENARIOS: [(&str, &str); 19] = [
    ("controller-failover", include_str!("../../scenarios/controller-failover.yaml")),
    ("demo", include_str!("../../scenarios/demo.yaml")),
    ("diurnal", include_str!("../../scenarios/diurnal.yaml")),
    ("flash-crowd", include_str!("../../scenarios/flash-crowd.yaml")),
    ("grpc-service", include_str!("../../scenarios/grpc-service.yaml")),
    ("http-service", include_str!("../../scenarios/http-service.yaml")),
    ("inference-server", include_str!("../../scenarios/inference-server.yaml")),
    ("lost-cluster", include_str!("../../scenarios/lost-cluster.yaml")),
    ("noisy-neighbour", include_str!("../../scenarios/noisy-neighbour.yaml")),
    ("policy-comparison", include_str!("../../scenarios/policy-comparison.yaml")),
    ("querier-down", include_str!("../../scenarios/querier-down.yaml")),
    ("queue-worker", include_str!("../../scenarios/queue-worker.yaml")),
    ("ramp", include_str!("../../scenarios/ramp.yaml")),
    ("receive-ring", include_str!("../../scenarios/receive-ring.yaml")),
    ("saw-tooth", include_str!("../../scenarios/saw-tooth.yaml")),
    ("slow-start", include_str!("../../scenarios/slow-start.yaml")),
    ("spike", include_str!("../../scenarios/spike.yaml")),
    ("stale-metrics", include_str!("../../scenarios/stale-metrics.yaml")),
    ("step", include_str!("../../scenarios/step.yaml")),
];

/// Files that they name.
const FILES: [(&str, &str); 4] = [
    ("demo/gullible.yaml", include_str!("../../scenarios/demo/gullible.yaml")),
    ("demo/policies.yaml", include_str!("../../scenarios/demo/policies.yaml")),
    ("series/diurnal.csv", include_str!("../../scenarios/series/diurnal.csv")),
    ("series/flash-crowd.csv", include_str!("../../scenarios/series/flash-crowd.csv")),
];

/// Reads a scenario that ships.
///
/// # Errors
/// There is none of that name, or `set` spoils it.
pub fn load(name: &str, set: &BTreeMap<String, String>) -> Result<Loaded, String> {
    let Some((_, text)) = SCENARIOS.iter().find(|(n, _)| *n == name) else {
        let hint = nearest(name, SCENARIOS.iter().map(|(n, _)| *n)).unwrap_or_default();
        return Err(format!(
            "{name}: neither a file nor a scenario that ships (see gauntlet run --list){hint}"
        ));
    };
    parse(&format!("built in: {name}"), text, set, &file)
}

/// Reads a file that a scenario which ships names.
///
/// # Errors
/// There is none.
pub fn file(name: &str) -> Result<String, String> {
    let found = FILES.iter().find(|(n, _)| *n == name);
    found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("{name} is not built in"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_series_that_ships_is_as_it_says() {
        use simulations_load::series::{parse_csv, stages};
        // Name, speed at which a scenario of minutes plays it, length, least and most.
        for (name, speed, length_s, least, most) in [
            ("series/diurnal.csv", 480.0, 180.0, 10.0..12.0, 55.0..60.0),
            ("series/flash-crowd.csv", 1.0, 240.0, 14.0..15.1, 89.0..90.1),
        ] {
            let (_, text) = FILES.iter().find(|(n, _)| *n == name).unwrap();
            let stages = stages(&parse_csv(text, None).unwrap(), speed, 1.0).unwrap();
            let rates: Vec<f64> = stages.iter().map(|s| s.to_rps).collect();
            let (min, max) =
                (rates.iter().copied().fold(f64::MAX, f64::min), rates.iter().copied().fold(0.0, f64::max));
            assert!(least.contains(&min) && most.contains(&max), "{name}: {min} to {max}");
            let length: f64 = stages.iter().map(|s| s.duration.as_secs_f64()).sum();
            assert!((length - length_s).abs() < 1e-6, "{name}: {length}");
        }
    }

    #[test]
    fn every_scenario_that_ships_is_sound_can_fail_and_has_its_page() {
        let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
        let reference = std::fs::read_to_string(docs.join("scenarios.md")).unwrap();
        for (name, _) in SCENARIOS {
            let loaded = load(name, &BTreeMap::new()).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(loaded.scenario.name, name);
            assert!(!loaded.scenario.description.is_empty(), "{name}");
            assert!(!loaded.scenario.expect.is_empty(), "{name}");
            assert!(!loaded.scenario.counterexamples.is_empty(), "{name} has no counterexample");
            let page = std::fs::read_to_string(docs.join(format!("scenarios/{name}.md"))).unwrap_or_default();
            assert!(page.contains(&format!("gauntlet run {name}")), "docs/scenarios/{name}.md");
            for c in &loaded.scenario.counterexamples {
                loaded.counterexample(&c.name, &file).unwrap_or_else(|e| panic!("{name}, {}: {e}", c.name));
                assert!(!c.why.is_empty(), "{name}, {}", c.name);
                assert!(page.contains(&c.name), "docs/scenarios/{name}.md does not name {:?}", c.name);
            }
            assert!(reference.contains(&format!("(scenarios/{name}.md)")), "docs/scenarios.md: {name}");
        }
        assert!(load("querier-dwon", &BTreeMap::new()).unwrap_err().contains("`querier-down`"));
    }

    #[test]
    fn every_scenario_file_ships() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<String> = files
            .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, SCENARIOS.map(|(name, _)| name));
    }
}
