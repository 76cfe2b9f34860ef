//! promtool takes the alerts, and finds the same of each as our own engine does (`tests/manifests/alerts.rs`).

use std::path::Path;
use std::process::Command;

use peers::built;

#[test]
fn promtool_says_the_same_of_every_alert() {
    let Some([promtool]) = built(["promtool"]) else { return };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (action, file) in [("check", "../manifests/rules/gauntlet.yaml"), ("test", "manifests/alerts.yaml")] {
        let out = Command::new(&promtool).args([action, "rules"]).arg(tests.join(file)).output().unwrap();
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(out.status.success(), "{file}: {said}");
    }
    // Of alerts that fire otherwise than the file says, it complains: or the above says nothing.
    let dir = tempfile::tempdir().unwrap();
    let rules = std::fs::canonicalize(tests.join("../manifests/rules/gauntlet.yaml")).unwrap();
    let text = std::fs::read_to_string(tests.join("manifests/alerts.yaml")).unwrap();
    let text = text.replace("../../manifests/rules/gauntlet.yaml", &rules.display().to_string());
    let wrong = dir.path().join("wrong.yaml");
    std::fs::write(
        &wrong,
        text.replacen("target_cluster=\"east\"}', value: 1", "target_cluster=\"west\"}', value: 1", 1),
    )
    .unwrap();
    let out = Command::new(&promtool).args(["test", "rules"]).arg(&wrong).output().unwrap();
    assert!(!out.status.success());
}
