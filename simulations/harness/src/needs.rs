//! What a scenario's world needs of the machine, for the look before anything starts.

use std::path::Path;

use simulations_cluster::preflight::{Needs, ports_in};
use simulations_scenario::{FaultKind, Scenario};

use crate::{builtin, manifests};

/// Processes of one service's pod: the service and its sidecar; each with its threads.
const TASKS_A_POD: u64 = 16;
/// Pods that a policy may make of one service where it does not say how many.
const PODS_A_SERVICE: u64 = 24;
/// Beside services, in every cluster: scrape, receive, destination, and in the first querier and controllers.
const PLATFORM_PODS: u64 = 8;
/// Resident memory of a pod's processes, and of the harness itself with its API servers.
const POD_BYTES: u64 = 24 << 20;
const HARNESS_BYTES: u64 = 256 << 20;
const DISK_BYTES: u64 = 256 << 20;
/// Connections and files beside the load's own.
const OPEN_FILES: u64 = 2048;

/// What a scenario needs, with its data in `dir`.
pub fn of(scenario: &Scenario, dir: &Path) -> Needs {
    let clusters = scenario.clusters.len();
    let cut = scenario.faults.iter().any(|f| f.kind == FaultKind::Partition);
    let links = if cut { clusters * (clusters - 1) } else { 0 };
    let start: u64 = scenario.services.values().map(|s| u64::from(s.replicas)).sum();
    let policies = scenario.policies.len().min(scenario.services.len()) as u64;
    let pods = clusters as u64 * (start + policies * PODS_A_SERVICE + PLATFORM_PODS);
    Needs {
        octets: clusters + links,
        ports: ports_in(&manifests::all(scenario)),
        open_files: OPEN_FILES,
        tasks: pods * TASKS_A_POD,
        memory_bytes: HARNESS_BYTES + pods * POD_BYTES,
        dir: dir.to_owned(),
        disk_bytes: DISK_BYTES,
    }
}

/// What the demo needs.
///
/// # Errors
/// What ships is not sound.
pub fn of_demo() -> Result<Needs, String> {
    let loaded = builtin::load("demo", &Default::default())?;
    Ok(of(&loaded.scenario, &std::env::temp_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_needs_what_its_manifests_say() {
        let needs = of_demo().unwrap();
        assert_eq!(needs.octets, 2);
        for port in [8080, 4143, 4140, 4191, 9090, 10901, 19291, 8086] {
            assert!(needs.ports.contains(&port), "{port} of {:?}", needs.ports);
        }
        let cut = builtin::load("lost-cluster", &std::collections::BTreeMap::new()).unwrap();
        assert_eq!(of(&cut.scenario, Path::new("/tmp")).octets, cut.scenario.clusters.len());
    }
}
