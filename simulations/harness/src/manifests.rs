//! The YAML that a world's clusters are filled with: the parts that every world has, and the scenario's services.

use std::time::Duration;

use simulations_scenario::{Scenario, Service, ServiceTime};
use thanos_model::format_duration;

/// The parts, in the order in which they depend on each other. `${NAME}` is filled in per cluster.
pub(crate) const NAMESPACES: &str = include_str!("../../scenarios/platform/namespaces.yaml");
/// Who the parts are and what they may do, as in production.
const DESTINATION_RBAC: &str = include_str!("../../../manifests/components/mesh/rbac.yaml");
const SCRAPE_RBAC: &str = include_str!("../../../manifests/base/scrape/rbac.yaml");
const AUTOSCALER_RBAC: &str = include_str!("../../../manifests/base/autoscaler/rbac.yaml");
pub(crate) const MESH: &str = include_str!("../../scenarios/platform/mesh.yaml");
pub(crate) const METRICS: &str = include_str!("../../scenarios/platform/metrics.yaml");
const GLOBAL: &str = include_str!("../../scenarios/platform/global.yaml");

/// A service's Deployment and Service. `$`-names as above; `@`-names are filled in per service.
const SERVICE: &str = include_str!("../../scenarios/platform/service.yaml");

/// What a service that calls another tells its sidecar.
const OUTBOUND: &str = "        - --outbound-listen=$(POD_IP):4140
        - --destination=http://${DESTINATION}:8086
        - --metrics-idle-timeout=5s
";

const SERVICE_TIME: Duration = Duration::from_millis(50);
const CONCURRENCY: u16 = 2;

/// Service accounts and roles, each with the namespace that it goes to. A world has its parts in three namespaces,
/// and the controller's roles both where its Lease is and where the ring's file is.
pub(crate) fn rbac() -> [(&'static str, String); 4] {
    let within = |namespace, text: &str| text.replace("gauntlet-system", namespace);
    [
        ("mesh", within("mesh", DESTINATION_RBAC)),
        ("monitoring", within("monitoring", SCRAPE_RBAC)),
        ("gauntlet-system", AUTOSCALER_RBAC.to_owned()),
        ("monitoring", AUTOSCALER_RBAC.to_owned()),
    ]
}

/// Querier and controller for these clusters.
pub(crate) fn global(scenario: &Scenario) -> String {
    let clusters = &scenario.clusters;
    let arguments = |each: &dyn Fn(&String) -> String| {
        clusters.iter().map(|c| format!("        - {}", each(c))).collect::<Vec<_>>().join("\n")
    };
    GLOBAL
        .replace(
            "${ENDPOINTS}",
            &arguments(&|c| format!("--endpoint=dnssrv+_grpc._tcp.receive.monitoring.svc.{c}.local")),
        )
        .replace("${CONTEXTS}", &arguments(&|c| format!("--context={c}")))
        .replace("${CONTROLLERS}", &scenario.controllers.to_string())
}

/// Everything that says at which ports pods listen.
pub(crate) fn all(scenario: &Scenario) -> String {
    [MESH, METRICS, &global(scenario), &services(scenario)].join("\n---\n")
}

/// Every service's manifests.
pub(crate) fn services(scenario: &Scenario) -> String {
    let all: Vec<String> =
        scenario.services.iter().map(|(name, s)| service(name, s, scenario.seed)).collect();
    all.join("---\n")
}

fn service(name: &str, s: &Service, seed: u64) -> String {
    let mut outbound = "";
    let (app, arguments) = match &s.calls {
        Some(upstream) => {
            outbound = OUTBOUND;
            let upstream = format!("http://{upstream}.default.svc.cluster.local/");
            ("front", vec![format!("--upstream={upstream}"), "--proxy=$(POD_IP):4140".to_owned()])
        }
        None => {
            let concurrency = s.concurrency.unwrap_or(CONCURRENCY);
            let start_up = format_duration(s.start_up.unwrap_or_default());
            let mut flags = s.service_time.unwrap_or(ServiceTime::fixed(SERVICE_TIME)).flags();
            flags.push(format!("--concurrency={concurrency}"));
            flags.push(format!("--start-up={start_up}"));
            flags.push(format!("--seed={seed}"));
            // A pod's own, wherever it runs.
            flags.push("--stream=$(POD_NAME)".to_owned());
            ("web", flags)
        }
    };
    let arguments: String = arguments.iter().map(|a| format!("        - {a}\n")).collect();
    SERVICE
        .replace("@NAME", name)
        .replace("@REPLICAS", &s.replicas.to_string())
        .replace("@APP", app)
        .replace("        - @ARGUMENTS\n", &arguments)
        .replace("        - @OUTBOUND\n", outbound)
        .replace("@SEED", &seed.to_string())
}
