//! `manifests/` says what the program understands: its flags, its policies, its scrape configuration, and PromQL.
//! What a cluster says to it is the peers tier's to ask; which metrics exist, that of `tests/e2e`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thanos_telemetry::cli::parse_yaml_documents;

#[path = "alerts.rs"]
mod alerts;
#[path = "overlays.rs"]
mod overlays;
#[path = "policies.rs"]
mod policies;
#[path = "queries.rs"]
mod queries;
#[path = "servers.rs"]
mod servers;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every YAML file below `manifests/`, by path from the root.
fn files() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join("manifests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                let text = std::fs::read_to_string(&path).expect("text");
                found.insert(path.strip_prefix(root()).expect("below the root").to_owned(), text);
            }
        }
    }
    found
}

fn documents() -> Vec<(PathBuf, Value)> {
    let parse = |(path, text): (PathBuf, String)| {
        let documents: Vec<Value> =
            parse_yaml_documents(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        documents.into_iter().map(move |d| (path.clone(), d)).collect::<Vec<_>>()
    };
    files().into_iter().flat_map(parse).collect()
}

/// Pod templates of everything that runs.
fn pods() -> Vec<(PathBuf, Value)> {
    let template = |(path, d): (PathBuf, Value)| Some((path, d.pointer("/spec/template/spec")?.clone()));
    documents().into_iter().filter_map(template).collect()
}

/// As a kubelet would fill it in.
fn expand(argument: &str) -> String {
    let values = [
        ("$(POD_IP)", "10.0.0.1"),
        ("$(POD_NAME)", "receive-0"),
        ("$(POD_NAMESPACE)", "gauntlet-system"),
        ("$(CLUSTER)", "east"),
    ];
    values.iter().fold(argument.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Its containers and native sidecars, but for those of an app that a patch adds something to.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let all =
        ["containers", "initContainers"].map(|kind| pod[kind].as_array()).into_iter().flatten().flatten();
    all.filter(|c| c["image"].is_string())
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(expand).collect()
}

/// Parses a command line as the binary does.
fn accepts(line: &[String]) -> Result<(), String> {
    use clap::{Args, Command, Subcommand};
    let words: Vec<&str> = line.iter().map(String::as_str).collect();
    let (command, rest) = match words[..] {
        ["gauntlet", "autoscaler", ..] => {
            let command = autoscaler_controller::Command::augment_subcommands(Command::new("autoscaler"));
            (autoscaler_serve::Command::augment_subcommands(command), 1)
        }
        ["gauntlet", "proxy", "sidecar", ..] => (proxy_dataplane::Args::augment_args(Command::new("x")), 2),
        ["gauntlet", "proxy", "control", ..] => (proxy_control::Args::augment_args(Command::new("x")), 2),
        ["gauntlet", "thanos", "scrape", ..] => (thanos_scrape::Args::augment_args(Command::new("x")), 2),
        ["gauntlet", "thanos", "receive", ..] => (thanos_receive::Args::augment_args(Command::new("x")), 2),
        ["gauntlet", "thanos", "query", ..] => (thanos_http::Args::augment_args(Command::new("x")), 2),
        _ => return Err("no part of the program".into()),
    };
    command.try_get_matches_from(&line[rest..]).map(drop).map_err(|e| e.to_string())
}

#[test]
fn every_container_runs_a_command_that_the_program_takes() {
    let mut seen = 0;
    for (path, pod) in pods() {
        for container in containers(&pod) {
            let line = [strings(&container["command"]), strings(&container["args"])].concat();
            accepts(&line).unwrap_or_else(|e| panic!("{}: {line:?}: {e}", path.display()));
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen} containers were found");
    assert!(accepts(&["gauntlet".into(), "thanos".into(), "query".into(), "--nonsense".into()]).is_err());
}

#[test]
fn every_container_is_confined_and_says_what_it_needs() {
    for (path, pod) in pods() {
        let path = path.display();
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{path}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{path}");
        for c in containers(&pod) {
            let security = &c["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{path}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{path}");
            assert_eq!(security["capabilities"]["drop"][0], "ALL", "{path}");
            assert!(c["resources"]["requests"]["cpu"].is_string(), "{path}");
            assert!(c["resources"]["limits"]["memory"].is_string(), "{path}");
            for probe in ["readinessProbe", "livenessProbe"] {
                let port = &c[probe]["httpGet"]["port"];
                let ports = c["ports"].as_array().expect("ports");
                assert!(ports.iter().any(|p| &p["name"] == port), "{path}: {probe} asks no port of its own");
            }
        }
    }
}

#[test]
fn policies_are_those_that_the_controller_takes() {
    let mut seen = 0;
    for (path, document) in documents() {
        if document["kind"] == "ScalingPolicy" {
            seen += 1;
            let out = std::process::Command::new(env!("CARGO_BIN_EXE_gauntlet"))
                .args(["autoscaler", "check"])
                .arg(root().join(&path))
                .output()
                .expect("the binary runs");
            assert!(out.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&out.stderr));
        }
    }
    assert!(seen > 0);
}

#[test]
fn the_scrape_configuration_is_understood() {
    let text = std::fs::read_to_string(root().join("manifests/base/scrape/prometheus.yml")).expect("a file");
    let env = |name: &str| (name == "CLUSTER").then(|| "east".to_owned());
    thanos_scrape::config::Config::parse(&text, &env).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn every_query_of_dashboards_and_rules_parses_and_reads_metrics() {
    let queries = queries::all(root());
    assert!(queries.len() > 20, "only {} queries were found", queries.len());
    for q in queries {
        let metrics = queries::metrics(&q.text).unwrap_or_else(|e| panic!("{}: {}: {e}", q.place, q.text));
        assert!(!metrics.is_empty(), "{}: {}", q.place, q.text);
    }
}
