//! One field at a time.

use autoscaler_api::{
    Compatibility, FallbackBehavior, MetricTargetType, MetricType, Mode, Quantity, SelectPolicy,
};
use autoscaler_import::{Import, NoteKind, Options};

use crate::{options, read};

const HPA: &str = r#"
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 9
  metrics:
  - type: External
    external: {metric: {name: jobs}, target: {type: AverageValue, averageValue: "5"}}
"#;

const SCALED_OBJECT: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: web, namespace: shop, annotations: {x: y}}
spec:
  scaleTargetRef: {name: web}
  minReplicaCount: 2
  maxReplicaCount: 9
  fallback: {failureThreshold: 3, replicas: 6, behavior: static}
  triggers:
  - type: prometheus
    metadata: {serverAddress: "http://p:9090", query: "sum(rate(x[2m]))", threshold: "5", ignoreNullValues: "false"}
"#;

/// Each note in one line.
fn told(imported: &Import) -> Vec<String> {
    imported.notes.iter().map(ToString::to_string).collect()
}

/// The input with one piece replaced.
fn with(text: &str, from: &str, to: &str) -> Import {
    assert!(text.contains(from), "{from:?} is not in the input");
    read(&text.replacen(from, to, 1), options()).unwrap()
}

#[test]
fn a_scaled_object_that_carries_over_whole_leaves_nothing_open() {
    let imported = read(SCALED_OBJECT, options()).unwrap();
    assert_eq!(imported.open(), 0, "{:?}", told(&imported));
    let spec = &imported.policies[0].spec;
    assert_eq!((spec.min_replicas, spec.max_replicas, spec.interval.as_deref()), (2, 9, Some("15s")));
    assert_eq!(spec.mode, Mode::Shadow);
    assert_eq!(spec.scale_target_ref.kind, "Deployment");
    let metric = &spec.metrics[0];
    assert_eq!((metric.query.as_str(), metric.evidence.max_age.as_str()), ("sum(rate(x[2m]))", "1m"));
    let fallback = metric.fallback.as_ref().unwrap();
    assert_eq!((fallback.after.as_str(), fallback.replicas), ("45s", 6));
}

#[test]
fn what_does_not_carry_over_is_told_with_its_field() {
    let cases: &[(&str, &str, &str, &str)] = &[
        (
            HPA,
            "minReplicas: 2",
            "minReplicas: 0",
            "not carried over: spec.minReplicas: policies do not scale to zero",
        ),
        (
            HPA,
            "minReplicas: 2",
            "minReplicas: two",
            "spec.minReplicas: \"two\" is left out; write a whole number",
        ),
        (HPA, "minReplicas: 2", "minReplica: 2", "not carried over: spec.minReplica: is an unknown field"),
        (HPA, "name: jobs", "name: pubsub.googleapis.com|size", "another adapter serves it"),
        (
            HPA,
            "name: jobs",
            "name: jobs",
            "guessed: spec.metrics[0].external: what the metrics adapter asks for jobs",
        ),
        (
            HPA,
            "type: External",
            "type: Externals",
            "spec.metrics[0].type: \"Externals\" is no type of metric",
        ),
        (
            HPA,
            "    external: {",
            "    extern: {",
            "spec.metrics[0].external: is missing beside type External",
        ),
        (
            HPA,
            "averageValue: \"5\"",
            "averageValue: \"0\"",
            "averageValue: \"0\" is left out; write a quantity above zero",
        ),
        (
            HPA,
            "kind: Deployment",
            "kind: Rollout",
            "differs: spec.scaleTargetRef.kind: the controller's role covers",
        ),
        (
            HPA,
            "namespace: shop",
            "namespace: Shop",
            "not carried over: metadata: name or namespace is no name",
        ),
        (
            HPA,
            "maxReplicas: 9",
            "maxReplicas: 1",
            "not carried over: spec.maxReplicas: no policy: 1 is below minReplicas 2",
        ),
        (
            HPA,
            "maxReplicas: 9",
            "behavior: {scaleUp: {selectPolicy: Most}}\n  maxReplicas: 9",
            "spec.behavior.scaleUp.selectPolicy: \"Most\" is left out",
        ),
        (
            HPA,
            "maxReplicas: 9",
            "behavior: {scaleUp: {policies: []}}\n  maxReplicas: 9",
            "spec.behavior.scaleUp.policies: is no list of policies",
        ),
        (
            SCALED_OBJECT,
            "minReplicaCount: 2",
            "x: 2",
            "not carried over: spec.minReplicaCount: 0 (KEDA's default",
        ),
        (
            SCALED_OBJECT,
            "minReplicaCount: 2",
            "idleReplicaCount: 0\n  minReplicaCount: 2",
            "spec.idleReplicaCount: 0: policies know no idle replicas beside a minimum",
        ),
        (
            SCALED_OBJECT,
            "minReplicaCount: 2",
            "cooldownPeriod: 9\n  minReplicaCount: 2",
            "differs: spec.cooldownPeriod: is about scaling to zero only",
        ),
        (
            SCALED_OBJECT,
            "behavior: static",
            "behavior: currentReplicasIfLower",
            "spec.fallback.behavior: currentReplicasIfLower: policies have nothing like it yet",
        ),
        (
            SCALED_OBJECT,
            "replicas: 6",
            "replicas: 0",
            "spec.fallback.replicas: 0: a fallback of a policy has at least one replica",
        ),
        (
            SCALED_OBJECT,
            "ignoreNullValues: \"false\"",
            "ignoreNullValues: \"true\"",
            "differs: spec.triggers[0].metadata.ignoreNullValues: true: an empty answer",
        ),
        (
            SCALED_OBJECT,
            "ignoreNullValues: \"false\"",
            "namespace: shop",
            "spec.triggers[0].metadata.namespace: a query parameter",
        ),
        (
            SCALED_OBJECT,
            "ignoreNullValues: \"false\"",
            "customHeaders: A=b",
            "spec.triggers[0].metadata.customHeaders: headers of every request",
        ),
        (
            SCALED_OBJECT,
            "ignoreNullValues: \"false\"",
            "unsafeSsl: true",
            "spec.triggers[0].metadata.unsafeSsl: takes any certificate",
        ),
        (
            SCALED_OBJECT,
            "ignoreNullValues: \"false\"",
            "activationThreshold: '1'",
            "differs: spec.triggers[0].metadata.activationThreshold",
        ),
        (
            SCALED_OBJECT,
            "ignoreNullValues: \"false\"",
            "treshold: '1'",
            "metadata.treshold: is unknown to KEDA's prometheus trigger",
        ),
        (
            SCALED_OBJECT,
            "threshold: \"5\"",
            "threshold: \"-1\"",
            "metadata.threshold: \"-1\" is left out; write a number above zero",
        ),
        (
            SCALED_OBJECT,
            "sum(rate(x[2m]))",
            "sum(rate(x[2m])",
            "spec.triggers[0]: the query does not do for a policy",
        ),
        (
            SCALED_OBJECT,
            "sum(rate(x[2m]))",
            "sum(x) or vector( 0 )",
            "differs: spec.triggers[0].metadata.query: the 0 of vector(0)",
        ),
        (
            SCALED_OBJECT,
            "type: prometheus",
            "type: kafka",
            "query sum(kafka_consumergroup_lag) of kafka_exporter",
        ),
        (
            SCALED_OBJECT,
            "type: prometheus",
            "type: datadog",
            "trigger \"datadog\" asks something that is no Prometheus",
        ),
        (
            SCALED_OBJECT,
            "type: prometheus",
            "type: cron",
            "write it into spec.schedules, with the same start and end",
        ),
        (
            SCALED_OBJECT,
            "type: prometheus",
            "type: prometheus\n    authenticationRef: {name: t}",
            "spec.triggers[0].authenticationRef: credentials of t",
        ),
        (
            SCALED_OBJECT,
            "x: y",
            "autoscaling.keda.sh/force-activation: 'true'",
            "is about scaling from zero only",
        ),
        (SCALED_OBJECT, "kind: ScaledObject", "kind: ScaledJob", "not carried over: kind: starts Jobs"),
    ];
    for (text, from, to, wanted) in cases {
        let imported = with(text, from, to);
        let told = told(&imported);
        assert!(told.iter().any(|line| line.contains(wanted)), "{to}: {wanted:?} is not in {told:#?}");
        assert!(!told.iter().any(|line| line.contains('\n')), "{told:#?}");
        let lost = imported.notes.iter().any(|n| n.kind != NoteKind::Differs);
        assert_eq!(imported.open() > 0, lost);
    }
}

#[test]
fn fallbacks_become_those_that_do_the_same() {
    for (keda, ours) in [
        ("static", FallbackBehavior::Static),
        ("currentReplicas", FallbackBehavior::CurrentReplicas),
        ("currentReplicasIfHigher", FallbackBehavior::IfHigher),
    ] {
        let imported = with(SCALED_OBJECT, "behavior: static", &format!("behavior: {keda}"));
        assert_eq!(imported.policies[0].spec.metrics[0].fallback.as_ref().unwrap().behavior, ours);
    }
    // KEDA's own default.
    let imported = with(SCALED_OBJECT, ", behavior: static", "");
    let fallback = imported.policies[0].spec.metrics[0].fallback.clone().unwrap();
    assert_eq!(fallback.behavior, FallbackBehavior::Static);
}

#[test]
fn pauses_stay_pauses() {
    let spec = |annotation: &str| with(SCALED_OBJECT, "x: y", annotation).policies[0].spec.clone();
    for (annotation, paused) in [
        ("autoscaling.keda.sh/paused: 'true'", true),
        ("autoscaling.keda.sh/paused: ''", true),
        ("autoscaling.keda.sh/paused: 'false'", false),
        ("autoscaling.keda.sh/paused-replicas: '3'", true),
        ("autoscaling.keda.sh/other: 'true'", false),
    ] {
        assert_eq!(spec(annotation).mode == Mode::Paused, paused, "{annotation}");
    }
    let down = spec("autoscaling.keda.sh/paused-scale-in: 'true'").behavior.unwrap();
    assert_eq!(down.scale_down.unwrap().select_policy, Some(SelectPolicy::Disabled));
    assert_eq!(down.scale_up, None);
    let up = spec("autoscaling.keda.sh/paused-scale-out: 'true'").behavior.unwrap();
    assert_eq!(up.scale_up.unwrap().select_policy, Some(SelectPolicy::Disabled));
}

#[test]
fn thresholds_and_targets_keep_their_numbers_and_types() {
    for (written, milli) in
        [("\"5\"", 5000), ("0.25", 250), ("\" 7 \"", 7000), ("\"1e3\"", 1_000_000), ("\"+0.5\"", 500)]
    {
        let imported = with(SCALED_OBJECT, "threshold: \"5\"", &format!("threshold: {written}"));
        let target = imported.policies[0].spec.metrics[0].target.as_ref().unwrap();
        assert_eq!(target.type_, MetricTargetType::AverageValue, "{written}");
        assert_eq!(target.average_value.as_ref().map(Quantity::milli), Some(Ok(milli)), "{written}");
    }
    let value = with(SCALED_OBJECT, "type: prometheus", "type: prometheus\n    metricType: Value");
    let target = value.policies[0].spec.metrics[0].target.as_ref().unwrap();
    assert_eq!(target.type_, MetricTargetType::Value);
    let hpa = with(HPA, "type: AverageValue, averageValue: \"5\"", "type: Value, value: 2k");
    assert_eq!(hpa.policies[0].spec.metrics[0].target.as_ref().unwrap().value, Some("2k".into()));
}

#[test]
fn an_age_is_never_more_than_what_the_query_reads() {
    for (range, max_age) in [("30s", "30s"), ("1m", "1m"), ("5m", "1m")] {
        let imported = with(SCALED_OBJECT, "[2m]", &format!("[{range}]"));
        assert_eq!(imported.policies[0].spec.metrics[0].evidence.max_age, max_age);
    }
}

#[test]
fn triggers_of_another_server_are_told_and_secrets_are_not() {
    let other =
        SCALED_OBJECT.replace("name: web", "name: api").replace("http://p:9090", "http://me:pw@q:9090/?k=pw");
    let text = format!("{SCALED_OBJECT}---{}---{other}", SCALED_OBJECT.replace("name: web", "name: two"));
    let imported = read(&text, options()).unwrap();
    assert!(imported.text.contains("--query-url=http://p:9090\n"), "{}", imported.text);
    let told = told(&imported);
    let of_servers: Vec<&String> = told.iter().filter(|line| line.contains("serverAddress")).collect();
    assert_eq!(of_servers.len(), 1, "{told:#?}");
    assert!(of_servers[0].contains("http://q:9090, while others ask http://p:9090"), "{told:#?}");
    assert!(!imported.text.contains("pw"), "{}", imported.text);
}

#[test]
fn two_objects_on_one_target_are_told_and_only_one_would_write() {
    let active = Options { mode: Mode::Active, ..options() };
    let imported = read(&format!("{HPA}---{SCALED_OBJECT}"), active).unwrap();
    let modes: Vec<Mode> = imported.policies.iter().map(|p| p.spec.mode).collect();
    assert_eq!(modes, [Mode::Active, Mode::Shadow]);
    let names: Vec<&str> = imported.policies.iter().filter_map(|p| p.metadata.name.as_deref()).collect();
    assert_eq!(names, ["web", "web-2"]);
    assert!(
        told(&imported)
            .iter()
            .any(|l| l.contains("Deployment web is scaled by HorizontalPodAutoscaler shop/web"))
    );
}

#[test]
fn suggestions_are_comments_until_they_are_taken() {
    let pods = HPA.replace("External", "Pods").replace("external", "pods");
    let left = read(&pods, options()).unwrap();
    assert_eq!(left.policies.len(), 0);
    assert!(left.text.contains("#   kind: ScalingPolicy"), "{}", left.text);
    let taken = read(&pods, Options { take_suggestions: true, ..options() }).unwrap();
    let metric = &taken.policies[0].spec.metrics[0];
    assert_eq!((metric.name.as_str(), metric.type_), ("jobs", MetricType::Pods));
    assert!(metric.query.starts_with("sum by (pod) (jobs{namespace=\"shop\",pod=~"), "{}", metric.query);
    assert!(taken.open() > 0 && left.open() > 0);
}

const EXTERNAL: &str = "  - type: External\n    external: {metric: {name: jobs}, target: {type: AverageValue, averageValue: \"5\"}}\n";

#[test]
fn metrics_of_resources_carry_over_as_they_are() {
    for (written, name, container, utilization, average) in [
        (
            "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}",
            "cpu",
            None,
            Some(70),
            None,
        ),
        (
            "{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 400Mi}}}",
            "memory",
            None,
            None,
            Some("400Mi"),
        ),
        (
            "{type: ContainerResource, containerResource: {name: cpu, container: app, target: {type: Utilization, averageUtilization: 50}}}",
            "cpu-app",
            Some("app"),
            Some(50),
            None,
        ),
    ] {
        let imported = with(HPA, EXTERNAL, &format!("  - {written}\n"));
        assert_eq!(imported.open(), 0, "{:?}", told(&imported));
        let metric = &imported.policies[0].spec.metrics[0];
        assert_eq!(metric.name, name);
        let target = metric.held_to().unwrap();
        assert_eq!(
            (target.average_utilization, &target.average_value),
            (utilization, &average.map(Quantity::from))
        );
        assert_eq!(metric.container_resource.as_ref().map(|of| of.container.as_str()), container);
        assert!(!metric.has_query());
    }
    // No metrics are 80 % of the CPU requests, as the API server has it.
    let none = with(HPA, &format!("  metrics:\n{EXTERNAL}"), "");
    assert_eq!(none.open(), 0, "{:?}", told(&none));
    assert_eq!(none.policies[0].spec.metrics[0].held_to().unwrap().average_utilization, Some(80));
    // KEDA's fallbacks are for queries.
    let cpu = "  - {type: cpu, metricType: Utilization, metadata: {value: '60'}}\n  - type: prometheus\n";
    let keda = with(SCALED_OBJECT, "  - type: prometheus\n", cpu);
    assert_eq!(keda.open(), 0, "{:?}", told(&keda));
    let metrics = &keda.policies[0].spec.metrics;
    assert_eq!(metrics[0].held_to().unwrap().average_utilization, Some(60));
    assert_eq!((metrics[0].fallback.is_some(), metrics[1].fallback.is_some()), (false, true));
    let odd = with(
        HPA,
        EXTERNAL,
        "  - {type: Resource, resource: {name: 'c p u', target: {type: Utilization, averageUtilization: 70}}}\n",
    );
    assert!(told(&odd).iter().any(|line| line.contains("\"c p u\" names no resource")), "{:?}", told(&odd));
}

#[test]
fn whoever_wants_the_hpas_own_answer_asks_for_it() {
    let to_the_letter = Options { compatibility: Some(Compatibility::Hpa), ..options() };
    let imported = read(HPA, to_the_letter).unwrap();
    assert_eq!(imported.policies[0].spec.compatibility, Some(Compatibility::Hpa));
    assert!(!imported.text.contains("--compatibility=HPA"), "{}", imported.text);
    let safer = read(HPA, options()).unwrap();
    assert_eq!(safer.policies[0].spec.compatibility, None);
    assert!(safer.text.contains("--compatibility=HPA"), "{}", safer.text);
    // Which has no fallbacks.
    let keda = read(SCALED_OBJECT, to_the_letter).unwrap();
    assert_eq!(keda.policies[0].spec.metrics[0].fallback, None);
    assert!(
        told(&keda).iter().any(|line| line.contains("compatibility: HPA has no fallbacks")),
        "{:?}",
        told(&keda)
    );
}

#[test]
fn input_that_is_of_no_use_is_an_error_that_names_the_file() {
    for (text, wanted) in [
        ("", "in.yaml: neither a HorizontalPodAutoscaler nor a ScaledObject"),
        ("kind: Deployment\napiVersion: apps/v1", "neither"),
        ("a: [", "in.yaml: not YAML"),
        ("a: {{ .Values.x }}\nb: [", "render it first"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]",
            "in.yaml: ",
        ),
    ] {
        let error = read(text, options()).unwrap_err();
        assert!(error.contains(wanted), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
