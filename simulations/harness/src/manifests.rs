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

/// What a service that asks another tells its sidecar.
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
    let all: Vec<String> = scenario.services.iter().map(|(name, s)| service(name, s, scenario)).collect();
    all.join("---\n")
}

fn service(name: &str, s: &Service, of: &Scenario) -> String {
    let App { name: app, flags, asks_others, has_metrics } = app(name, s, of);
    let flags: String = flags.iter().map(|a| format!("        - {a}\n")).collect();
    SERVICE
        .replace("@NAME", name)
        .replace("@REPLICAS", &s.replicas.to_string())
        .replace("@APP", app)
        // What is scraped is found by its port's name.
        .replace("@PORT", if has_metrics { "metrics" } else { "http" })
        .replace("        - @ARGUMENTS\n", &flags)
        .replace("        - @OUTBOUND\n", if asks_others { OUTBOUND } else { "" })
        .replace("@SEED", &of.seed.to_string())
}

/// What a service's container runs.
struct App {
    name: &'static str,
    flags: Vec<String>,
    /// Through the sidecar's outbound side.
    asks_others: bool,
    has_metrics: bool,
}

fn app(service: &str, s: &Service, of: &Scenario) -> App {
    let through = |flag: &str, upstream: &str| {
        vec![
            format!("--{flag}=http://{upstream}.default.svc.cluster.local/"),
            "--proxy=$(POD_IP):4140".to_owned(),
        ]
    };
    // A pod's own draws, wherever it runs.
    let draws = [format!("--seed={}", of.seed), "--stream=$(POD_NAME)".to_owned()];
    let start_up = format!("--start-up={}", format_duration(s.start_up.unwrap_or_default()));
    let work = || {
        let mut flags = s.service_time.unwrap_or(ServiceTime::fixed(SERVICE_TIME)).flags();
        flags.push(format!("--concurrency={}", s.concurrency.unwrap_or(CONCURRENCY)));
        flags.push(start_up.clone());
        flags.extend(draws.clone());
        flags
    };
    let app = |name, flags| App { name, flags, asks_others: false, has_metrics: false };
    if let Some(upstream) = &s.calls {
        let mut flags = through("upstream", upstream);
        flags.extend(of.services.get(upstream).filter(|s| s.grpc).map(|_| "--grpc".to_owned()));
        App { asks_others: true, ..app("front", flags) }
    } else if let Some(queue) = &s.queue {
        let within = queue.ack_within.map(|d| format!("--ack-within={}", format_duration(d)));
        app("queue", within.into_iter().collect())
    } else if let Some(queue) = &s.drains {
        App { asks_others: true, ..app("worker", [through("queue", queue), work()].concat()) }
    } else if let Some(queue) = &s.exports {
        let flags = [through("queue", queue), vec![format!("--name={queue}")]].concat();
        App { asks_others: true, has_metrics: true, ..app("exporter", flags) }
    } else if let Some(inference) = &s.inference {
        let own = vec![format!("--model={service}"), start_up];
        let flags = [inference.flags(), own, draws.to_vec()].concat();
        App { has_metrics: true, ..app("inference", flags) }
    } else {
        let mut flags = work();
        flags.extend(s.grpc.then(|| "--grpc".to_owned()));
        app("web", flags)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;
    use simulations_load::app::App;
    use thanos_telemetry::cli::parse_yaml_documents;

    use super::*;
    use crate::builtin;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        _app: App,
    }

    #[test]
    fn every_service_of_every_scenario_runs_a_command_that_the_program_takes() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, _) in builtin::SCENARIOS {
            let loaded = builtin::load(name, &BTreeMap::new()).unwrap_or_else(|e| panic!("{e}"));
            let text = services(&loaded.scenario).replace("${DESTINATION}", "127.0.0.1");
            assert!(!text.contains('@'), "{name}: {text}");
            let documents: Vec<serde_json::Value> = parse_yaml_documents(&text).unwrap();
            for document in documents.iter().filter(|d| d["kind"] == "Deployment") {
                let container = &document["spec"]["template"]["spec"]["containers"][0];
                let words = |key: &str| -> Vec<String> {
                    let all = container[key].as_array().unwrap().iter();
                    let filled =
                        |word: &str| word.replace("$(POD_IP)", "127.0.0.1").replace("$(POD_NAME)", "a");
                    all.map(|word| filled(word.as_str().unwrap())).collect()
                };
                // `gauntlet app NAME …`; the parser takes its own name first.
                let line = [&words("command")[1..], &words("args")[..]].concat();
                Program::try_parse_from(&line).unwrap_or_else(|e| panic!("{name}: {line:?}: {e}"));
                seen.insert(line[1].clone());
            }
        }
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            ["exporter", "front", "inference", "queue", "web", "worker"]
        );
    }
}
