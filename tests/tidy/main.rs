//! Tests over the source itself: the direction of dependencies and the shape of the tree.

mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which of our packages each may name, outside of tests. Data flows down docs/ARCHITECTURE.md's picture; across
/// parts only the shared words, PromQL's syntax, telemetry, the wire and the `api` crates may be named. `simulations` and
/// `tests/peers` may use everything; only the binary uses the first, nothing the second.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("thanos-model", &[]),
    ("thanos-telemetry", &["thanos-model"]),
    ("thanos-storepb", &["thanos-model"]),
    ("thanos-tsdb", &["thanos-model"]),
    ("thanos-promql-syntax", &["thanos-model"]),
    ("thanos-promql", &["thanos-model", "thanos-promql-syntax"]),
    ("thanos-scrape", &["thanos-model", "thanos-storepb", "thanos-telemetry"]),
    ("thanos-receive", &["thanos-model", "thanos-storepb", "thanos-telemetry", "thanos-tsdb"]),
    ("thanos-store", &["thanos-model", "thanos-promql", "thanos-storepb", "thanos-telemetry", "thanos-tsdb"]),
    (
        "thanos-http",
        &[
            "thanos-model",
            "thanos-promql",
            "thanos-store",
            "thanos-storepb",
            "thanos-telemetry",
            "thanos-tsdb",
            "thanos-ui",
        ],
    ),
    ("thanos-ui", &[]),
    ("proxy-api", &[]),
    ("proxy-core", &["proxy-api"]),
    ("proxy-dataplane", &["proxy-api", "proxy-core", "thanos-model", "thanos-telemetry"]),
    ("proxy-control", &["proxy-api", "thanos-model", "thanos-telemetry"]),
    (
        "autoscaler-api",
        &["autoscaler-formula", "autoscaler-schedule", "thanos-model", "thanos-promql-syntax"],
    ),
    ("autoscaler-core", &["autoscaler-formula", "autoscaler-hpa"]),
    ("autoscaler-formula", &[]),
    ("autoscaler-schedule", &[]),
    ("autoscaler-hpa", &[]),
    ("autoscaler-keda", &["autoscaler-hpa"]),
    ("autoscaler-pods", &["autoscaler-api", "autoscaler-core", "autoscaler-hpa"]),
    ("autoscaler-engine", &["autoscaler-api", "autoscaler-core", "autoscaler-schedule", "thanos-model"]),
    ("autoscaler-querier", &["autoscaler-core", "thanos-model", "thanos-telemetry"]),
    ("autoscaler-import", &["autoscaler-api", "thanos-model"]),
    (
        "autoscaler-controller",
        &[
            "autoscaler-api",
            "autoscaler-core",
            "autoscaler-engine",
            "autoscaler-import",
            "autoscaler-querier",
            "autoscaler-schedule",
            "thanos-model",
            "thanos-promql-syntax",
            "thanos-telemetry",
        ],
    ),
];

/// Pure crates, which neither await nor do I/O: what they may not depend on.
const CORES: &[&str] = &[
    "autoscaler-core",
    "autoscaler-formula",
    "autoscaler-engine",
    "autoscaler-hpa",
    "autoscaler-keda",
    "autoscaler-pods",
    "autoscaler-import",
    "autoscaler-schedule",
    "proxy-core",
    "simulations-judge",
    "simulations-scenario",
    "thanos-model",
    "thanos-promql-syntax",
];
const NOT_IN_A_CORE: &[&str] = &["tokio", "hyper", "reqwest", "kube", "tonic", "axum", "rand", "rustix"];

/// Files longer than this carry a reason in a comment that starts with `// Long:`.
const LINES_MAX: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Package name to its normal dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).expect("cargo metadata is JSON");
    let text = |v: &serde_json::Value| v.as_str().expect("a string").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|p| {
            let dependencies = p["dependencies"].as_array().expect("dependencies");
            let normal = dependencies.iter().filter(|d| d["kind"].is_null()).map(|d| text(&d["name"]));
            (text(&p["name"]), normal.collect())
        })
        .collect()
}

#[test]
fn dependencies_point_down_the_picture() {
    let all = dependencies();
    let ours: BTreeSet<&String> = all.keys().collect();
    let free = |name: &str| ["gauntlet", "peers"].contains(&name) || name.starts_with("simulations-");
    let mut wrong = Vec::new();
    for (name, dependencies) in all.iter().filter(|(n, _)| !free(n)) {
        let Some((_, may)) = MAY_NAME.iter().find(|(n, _)| n == name) else {
            wrong.push(format!("{name} is not in MAY_NAME: say what it may depend on"));
            continue;
        };
        for d in dependencies.iter().filter(|d| ours.contains(d) && !may.contains(&d.as_str())) {
            wrong.push(format!("{name} must not depend on {d}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cores_stay_pure() {
    let all = dependencies();
    for core in CORES {
        for banned in NOT_IN_A_CORE {
            assert!(!all[*core].contains(*banned), "{core} is a core and must not depend on {banned}");
        }
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path()) {
        let name = entry.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if entry.is_dir() && !name.starts_with('.') && name != "target" {
            sources(&entry, found);
        } else if name.ends_with(".rs") {
            found.push(entry);
        }
    }
}

#[test]
fn files_are_short_and_modules_have_one_form() {
    let mut files = Vec::new();
    sources(root(), &mut files);
    assert!(files.len() > 50, "found only {} source files", files.len());
    let mut wrong = Vec::new();
    for file in files.iter().filter(|f| !f.to_string_lossy().contains("/src/gen/")) {
        let text = std::fs::read_to_string(file).expect("UTF-8 source");
        let shown = file.strip_prefix(root()).unwrap_or(file).display();
        let lines = text.lines().count();
        if lines > LINES_MAX && !text.contains("// Long:") {
            wrong.push(format!("{shown}: {lines} lines; split it, or say why in a comment // Long: …"));
        }
        if file.ends_with("mod.rs") {
            wrong.push(format!("{shown}: modules are foo.rs and foo/, not mod.rs"));
        }
        if file.ends_with("src/lib.rs") && !text.starts_with("//! ") {
            wrong.push(format!("{shown}: a lib.rs opens with its sentence"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_package_has_the_workspace_lints() {
    for (name, manifest) in manifests() {
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name} does not opt into the workspace lints"
        );
    }
}

fn manifests() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in ["autoscaler", "proxy", "thanos", "simulations", "tests"] {
        for entry in std::fs::read_dir(root().join(part)).expect("a part").flatten() {
            let path = entry.path().join("Cargo.toml");
            if let Ok(text) = std::fs::read_to_string(&path) {
                found.push((path.display().to_string(), text));
            }
        }
    }
    assert!(found.len() >= 22, "found only {} packages", found.len());
    found
}
