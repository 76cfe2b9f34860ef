//! The scenarios that ship, inside the program.

use std::collections::BTreeMap;

use crate::scenario::file::{Loaded, nearest, parse};

/// Name and text.
pub const SCENARIOS: [(&str, &str); 4] = [
    ("demo", include_str!("../../scenarios/demo.yaml")),
    ("lost-cluster", include_str!("../../scenarios/lost-cluster.yaml")),
    ("querier-down", include_str!("../../scenarios/querier-down.yaml")),
    ("step", include_str!("../../scenarios/step.yaml")),
];

/// Files that they name.
const FILES: [(&str, &str); 1] = [("demo/policies.yaml", include_str!("../../scenarios/demo/policies.yaml"))];

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
    use super::*;

    #[test]
    fn every_scenario_that_ships_is_sound_and_says_what_it_is_about() {
        for (name, _) in SCENARIOS {
            let loaded = load(name, &BTreeMap::new()).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(loaded.scenario.name, name);
            assert!(!loaded.scenario.description.is_empty(), "{name}");
            assert!(!loaded.scenario.expect.is_empty(), "{name}");
        }
        assert!(load("querier-dwon", &BTreeMap::new()).unwrap_err().contains("`querier-down`"));
    }
}
