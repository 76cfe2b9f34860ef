use super::*;

const SOUND: &str = r#"
apiVersion: autoscaling.gauntlet.dev/v1alpha1
kind: ScalingPolicy
metadata: {name: web, namespace: default}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 40
  interval: 1s
  mode: Active
  metrics:
  - name: requests
    query: sum(rate(request_total{deployment="web",direction="inbound"}[30s]))
    target: {type: AverageValue, averageValue: "50"}
    evidence: {maxAge: 20s, clusters: [east, west]}
    fallback: {after: 3m, replicas: 10, behavior: IfHigher}
  behavior:
    scaleUp: {policies: [{type: Percent, value: 100, periodSeconds: 15}]}
    scaleDown: {stabilizationWindowSeconds: 30, selectPolicy: Max}
"#;

fn report(files: &[&str]) -> Report {
    let files: Vec<(String, String)> =
        files.iter().enumerate().map(|(i, text)| (format!("f{i}.yaml"), (*text).to_owned())).collect();
    judge(&files, "cluster")
}

#[test]
fn a_sound_policy_beside_other_documents_passes() {
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\n---{SOUND}");
    assert_eq!(report(&[&text]), Report { policies: 1, problems: Vec::new(), notes: Vec::new() });
}

#[test]
fn a_source_is_judged_with_the_rest() {
    let with = |source: &str| {
        report(&[&SOUND.replace("  mode: Active", &format!("  source: {source}\n  mode: Active"))]).problems
    };
    let sound = with("{addresses: [\"http://other:9090\"], bearerToken: {secretRef: {name: a, key: b}}}");
    assert_eq!(sound, Vec::<String>::new());
    let told = with("{addresses: [\"http://me:hunter2@other:9090\"]}");
    assert!(told[0].contains("spec.source.addresses[0]") && !told[0].contains("hunter2"), "{told:?}");
}

#[test]
fn what_only_the_user_can_say_is_noted_and_passes() {
    let query = "sum(rate(request_total{deployment=\"web\",direction=\"inbound\"}[30s]))";
    let noted = |changed: &str, evidence: &str| {
        let text = SOUND.replace(query, changed).replace("maxAge: 20s", &format!("maxAge: 20s{evidence}"));
        let report = report(&[&text]);
        assert_eq!(report.problems, Vec::<String>::new(), "{changed}");
        report.notes.join("\n")
    };
    for (changed, evidence, expected) in [
        (query, "", ""),
        (
            "sum(job:rps:rate5m)",
            "",
            "note: f0.yaml:1/spec.metrics[0].evidence: job:rps:rate5m looks recorded: it is fresh for as long as its rule \
             runs, whatever it was recorded from; write the series that it was recorded from into evidence.selectors, \
             and the rule's range into evidence.window",
        ),
        ("sum(job:rps:rate5m)", ", selectors: [requests_total], window: 5m", ""),
        (
            "sum(rate(errors_total[1m])) or vector(0)",
            "",
            "note: f0.yaml:1/spec.metrics[0].evidence: the query has a value without errors_total, but nothing is lowered \
             while that has no samples; write into evidence.selectors what must be there, and leave out what is seldom",
        ),
        (
            "sum(rate(errors_total[1m])) or vector(0)",
            ", selectors: ['up{job=\"web\"}'], emptyMeans: Zero",
            "",
        ),
        (
            "max_over_time(sum(rate(x[30s]))[1d:1m])",
            "",
            "note: f0.yaml:1/spec.metrics[0].query: reads back 1d30s: after a start or a gap nothing is lowered for as \
             long; shorten the ranges, or record the long one and write what it was recorded from into \
             evidence.selectors",
        ),
    ] {
        assert_eq!(noted(changed, evidence), expected, "{changed} {evidence}");
    }
}

#[test]
fn each_problem_is_one_line_with_file_document_field_and_cure() {
    let cases = [
        ("maxReplicas: 40", "maxReplicas: 1", "f0.yaml:1/spec.maxReplicas: 1 is below minReplicas 2; raise"),
        (
            "maxReplicas",
            "maxReplica",
            "f0.yaml:1/spec.maxReplica: is an unknown field; did you mean maxReplicas?",
        ),
        ("interval: 1s", "interval: 1x", "f0.yaml:1/spec.interval: \"1x\" has the wrong form"),
        (
            "[30s]))",
            "[30s])",
            "spec.metrics[0].query: the '(' is never closed, at column 4; correct the PromQL",
        ),
        ("sum(rate(", "sum(rat(", "rat"),
        (
            "maxAge: 20s",
            "maxAge: 20s, selectors: ['sum(up)']",
            "spec.metrics[0].evidence.selectors[0]: is no series selector alone",
        ),
        (
            "maxAge: 20s",
            "maxAge: 20s, emptyMeans: Zero",
            "spec.metrics[0].evidence.emptyMeans: has no evidence.selectors",
        ),
        ("[30s]", "[1e30]", "duration out of range"),
        (
            "sum(rate(request_total",
            "sum(rate(up{cluster=\"east\"}[1m])) + sum(rate(request_total",
            "a selector excludes cluster west",
        ),
        (
            "v1alpha1",
            "v1",
            "f0.yaml:1/apiVersion: \"autoscaling.gauntlet.dev/v1\" is not known; write autoscaling.gauntlet.dev/v1alpha1",
        ),
        (
            "stabilizationWindowSeconds: 30",
            "stabilizationWindowSeconds: 7200",
            "stabilizationWindowSeconds: 7200 is too large; write at most 3600",
        ),
        ("kind: ScalingPolicy", "kind: Policy", "f0.yaml: has no ScalingPolicy"),
        ("metadata: {", "metadata: [", "f0.yaml: not YAML"),
    ];
    for (from, to, expected) in cases {
        let problems = report(&[&SOUND.replacen(from, to, 1)]).problems;
        assert!(problems.iter().any(|p| p.contains(expected)), "{to}: {problems:?}");
        assert!(problems.iter().all(|p| !p.contains('\n')), "{to}: {problems:?}");
    }
}

#[test]
fn two_active_policies_on_one_target_are_found_across_files() {
    let second = SOUND.replace("name: web, namespace", "name: other, namespace");
    let problems = report(&[SOUND, &second]).problems;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with(
        "f1.yaml:1/spec.scaleTargetRef: Deployment web is already the target of the policy at f0.yaml:1"
    ));
    let shadow = second.replace("mode: Active", "mode: Shadow");
    assert_eq!(report(&[SOUND, &shadow]).problems, Vec::<String>::new());
    let elsewhere = second.replace("namespace: default", "namespace: other");
    assert_eq!(report(&[SOUND, &elsewhere]).problems, Vec::<String>::new());
}

#[test]
fn garbage_is_a_problem_never_a_panic() {
    for text in [
        "",
        "\0",
        "{",
        "- 1\n- 2",
        "kind: ScalingPolicy",
        "kind: ScalingPolicy\nspec: 3",
        "&a [*a]",
        "---\n---\n",
    ] {
        assert!(!report(&[text]).problems.is_empty(), "{text:?}");
    }
}

#[test]
fn what_would_never_come_back_from_zero_is_noted() {
    let zero = SOUND.replacen("minReplicas: 2", "minReplicas: 0", 1);
    let query = |text: &str| {
        let start = zero.find("query:").unwrap();
        let end = start + zero[start..].find('\n').unwrap();
        format!("{}query: '{text}'{}", &zero[..start], &zero[end..])
    };
    for (text, expected) in [
        ("sum(rate(requests{deployment=\"web\"}[30s]))", true),
        ("sum(rate(requests{pod=~\"web-.*\"}[30s]))", true),
        ("sum(queue_length{queue=\"web\"})", false),
        ("sum(rate(requests{deployment=\"web\"}[30s])) + sum(queue_length)", false),
        ("sum(rate(requests{deployment=\"gateway\"}[30s]))", false),
    ] {
        let report = report(&[&query(text)]);
        assert_eq!(report.problems, [""; 0], "{text}");
        let noted = report.notes.iter().any(|note| {
            note.contains(
                "spec.minReplicas: 0, and every query reads series of web's own pods: at zero there are none",
            )
        });
        assert_eq!(noted, expected, "{text}: {:?}", report.notes);
    }
}

#[test]
fn terms_are_judged_with_field_and_cure() {
    for (terms, expected) in [
        (
            "schedules: [{name: s, start: '0 8 * *', end: '0 9 * * *', minReplicas: 3}]",
            "spec.schedules[0].start: it has 4 fields",
        ),
        (
            "schedules: [{name: s, timeZone: Nowhere, start: '0 8 * * *', end: '0 9 * * *', minReplicas: 3}]",
            "spec.schedules[0].timeZone: \"Nowhere\" is unknown",
        ),
        (
            "formula: {expression: requests +, target: {type: AverageValue, averageValue: 50}}",
            "spec.formula.expression: column 11: here stands the end",
        ),
        (
            "formula: {expression: other, target: {type: AverageValue, averageValue: 50}}",
            "spec.formula.expression: column 1: there is no metric \"other\"",
        ),
        ("pause: {replicas: 99}", "spec.pause.replicas: 99 is out of range; write a number from 0 to 40"),
        ("zero: {cooldown: 5m}", "spec.zero: says how the last replica goes, but minReplicas is 2"),
        ("onDelete: Reset", "spec.onDelete: \"Reset\" is unknown; write one of Keep, Restore"),
    ] {
        let problems =
            report(&[&SOUND.replacen("maxReplicas: 40", &format!("maxReplicas: 40\n  {terms}"), 1)]).problems;
        assert!(problems.iter().any(|p| p.contains(expected)), "{terms}: {problems:?}");
        assert!(problems.len() == 1, "{terms}: {problems:?}");
    }
}
