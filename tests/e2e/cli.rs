//! Every wrong flag and file ends in one clear line that names it, exit 64, before any port opens.

use std::process::Command;

fn gauntlet(args: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(args)
        .env_remove("KUBECONFIG")
        .env("GAUNTLET_LOG", "error")
        .output()
        .expect("the binary runs");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

#[test]
fn wrong_usage_is_named_and_exits_64() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let unknown_key = file("scrape.yml", "global: {scrape_intervall: 1s}\n");
    let bad_policy = file(
        "policy.yaml",
        "apiVersion: autoscaling.gauntlet.dev/v1alpha1\nkind: ScalingPolicy\nmetadata: {name: web}\nspec:\n  \
         scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  minReplicas: 9\n  maxReplicas: 3\n  \
         metrics:\n  - name: m\n    query: sum(rate(x[\n    target: {type: Value, value: \"1\"}\n",
    );
    let data = dir.path().join("data").display().to_string();
    let cases: &[(&[&str], &str)] = &[
        (&["nonsense"], "nonsense"),
        (&["load", "--url", "ftp://host/", "--stage", "1s@1"], "--url"),
        (&["load", "--url", "http://127.0.0.1:1/", "--stage", "1s"], "30s@200"),
        (&["thanos", "scrape", "--config.file", "/does/not/exist.yml"], "/does/not/exist.yml"),
        (&["thanos", "scrape", "--config.file", &unknown_key], "scrape_intervall"),
        (&["thanos", "receive", "--tsdb.path", &data], "label"),
        (&["thanos", "query", "--endpoint", "no port"], "no port"),
        (&["proxy", "sidecar", "--inbound-listen", "nowhere"], "--inbound-listen"),
        (&["proxy", "sidecar", "--inbound-listen", "127.0.0.1:0"], "--inbound-forward"),
        (&["autoscaler", "run", "--query-url", "not a url"], "--query-url"),
        (&["autoscaler", "check", "/does/not/exist.yaml"], "/does/not/exist.yaml"),
        (&["autoscaler", "check", &bad_policy], "minReplicas"),
        (&["autoscaler", "explain", "/does/not/exist.json"], "/does/not/exist.json"),
        (&["autoscaler", "explain", "policy/web", "--records", "/does/not/exist"], "/does/not/exist"),
        (&["autoscaler", "replay", "/does/not/exist"], "/does/not/exist"),
        (&["autoscaler", "import", "/does/not/exist.yaml"], "/does/not/exist.yaml"),
        (&["autoscaler", "import", &bad_policy], "neither a HorizontalPodAutoscaler nor a ScaledObject"),
        (&["autoscaler", "import", "-", "--mode", "active"], "write Shadow, Active or Paused"),
    ];
    for (args, named) in cases {
        let (code, stdout, stderr) = gauntlet(args);
        assert_eq!(code, 64, "{args:?}: {stdout}{stderr}");
        assert!(
            format!("{stdout}{stderr}").contains(named),
            "{args:?} does not name {named:?}: {stdout}{stderr}"
        );
    }
}

#[test]
fn a_wrong_scenario_exits_104_with_file_line_and_the_nearest_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("small.yaml");
    let text = "name: small\nclusters: [east]\nservices: {web: {}}\nload:\n  to: wbe\n  stages: [{name: s, for: 1s, rate: 1}]\n";
    std::fs::write(&path, text).expect("a file");
    let path = path.display().to_string();
    let cases: &[(&[&str], &[&str])] = &[
        (&["run", &path], &["small.yaml:5: load.to: no service \"wbe\"", "did you mean `web`?"]),
        (&["run", &path, "--set", "sed=3"], &["--set sed=3: unknown field", "did you mean `seed`?"]),
        (&["run", "stepp"], &["did you mean `step`?"]),
    ];
    for (args, wants) in cases {
        let (code, stdout, stderr) = gauntlet(args);
        assert_eq!(code, 104, "{args:?}: {stdout}{stderr}");
        for want in *wants {
            assert!(stderr.contains(want), "{args:?}: {want:?} is not in {stderr}");
        }
    }
}

#[test]
fn an_import_reads_standard_input_and_exits_2_where_something_is_left_open() {
    use std::io::Write;
    let hpa = "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {scaleTargetRef: \
               {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 5, metrics: [{type: External, external: \
               {metric: {name: jobs}, target: {type: AverageValue, averageValue: 5}}}]}}";
    let mut child = Command::new(env!("CARGO_BIN_EXE_gauntlet"))
        .args(["autoscaler", "import", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(hpa.as_bytes()).expect("it reads");
    let out = child.wait_with_output().expect("it ends");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("query: sum(jobs)\n"), "{}", text(&out.stdout));
    assert!(text(&out.stderr).contains("1 policy of 1: 1 thing needs a look"), "{}", text(&out.stderr));
}

#[test]
fn what_ships_is_listed_and_the_schema_is_json() {
    let (code, stdout, stderr) = gauntlet(&["run", "--list"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.lines().any(|l| l.starts_with("demo ")), "{stdout}");
    let (code, stdout, stderr) = gauntlet(&["run", "--schema"]);
    assert_eq!(code, 0, "{stderr}");
    let schema: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(schema["title"], "Gauntlet scenario");
}

#[test]
fn every_part_explains_itself() {
    let parts: &[&[&str]] = &[
        &[],
        &["demo"],
        &["run"],
        &["autoscaler"],
        &["autoscaler", "run"],
        &["autoscaler", "check"],
        &["autoscaler", "explain"],
        &["autoscaler", "replay"],
        &["autoscaler", "crd"],
        &["proxy", "sidecar"],
        &["proxy", "control"],
        &["thanos", "scrape"],
        &["thanos", "receive"],
        &["thanos", "query"],
        &["load"],
        &["app", "web"],
        &["app", "front"],
        &["cluster"],
    ];
    for part in parts {
        let (code, stdout, stderr) = gauntlet(&[part, &["--help"][..]].concat());
        assert_eq!(code, 0, "{part:?}: {stderr}");
        assert!(stdout.contains("Usage: gauntlet"), "{part:?}: {stdout}");
    }
}

#[test]
fn the_demo_s_own_policies_pass_the_check_that_users_run() {
    let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/simulations/scenarios/demo/policies.yaml");
    let (code, stdout, stderr) = gauntlet(&["autoscaler", "check", policies]);
    assert_eq!(code, 0, "{stdout}{stderr}");
}

#[test]
fn the_doctor_names_what_is_in_the_way_and_exits_1() {
    let (code, stdout, stderr) = gauntlet(&["doctor", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("one line of JSON");
    assert_eq!(code == 0, report["ok"] == true, "{stdout}{stderr}");
    assert!(report["wakeUpsUs"]["samples"].as_u64().is_some_and(|n| n > 0), "{stdout}");
    let ports = report["checks"].as_array().expect("checks").iter().find(|c| c["name"] == "ports of pods");
    assert!(ports.expect("ports are looked at").to_string().contains("4143"), "{stdout}");
    // Where nobody can write.
    let (code, stdout, stderr) = gauntlet(&["doctor", "--dir", "/proc/none"]);
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.lines().any(|l| l.starts_with("PROBLEM") && l.contains("/proc")), "{stdout}");
    assert!(stderr.contains("the demo would not start"), "{stderr}");
}
