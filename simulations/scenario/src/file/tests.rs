use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

const GOOD: &str = "\
name: small
clusters: [east]
services:
  web: {serviceTime: 50ms}
  front:
    calls: web
load:
  to: front
  stages:
  - {name: quiet, for: 10s, rate: 5}
  - name: ramp
    for: 10s
    rate: 5..50
faults:
- {name: cut, at: 3s, for: 4s, kind: dropMetrics, cluster: east}
- {name: dead, at: 12s, kind: kill, cluster: east, part: web/proxy}
thresholds:
- p(95)<200
- {that: failed==0, stage: ramp, cluster: east}
expect:
- reaches: {workload: east/web, atLeast: 3, after: ramp, within: 5s}
- neverLowered: {from: cut, to: cut ended}
";

fn read(_: &str) -> Result<String, String> {
    Err("no such file".into())
}

fn parse_with(text: &str, set: &[(&str, &str)]) -> Result<Loaded, String> {
    let set = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    parse("small.yaml", text, &set, &read)
}

fn marks(s: &Scenario) -> Vec<String> {
    s.marks().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_sound_file_is_read_and_brings_a_policy_for_the_ring() {
    let loaded = parse_with(GOOD, &[]).unwrap();
    assert_eq!(marks(&loaded.scenario), ["quiet", "ramp", "cut", "cut ended", "dead", "end"]);
    assert_eq!(loaded.scenario.faults[1].target().unwrap().container, "proxy");
    assert_eq!(loaded.scenario.seed, 1);
    assert_eq!(loaded.policies.len(), 1, "{:?}", loaded.policies);
}

#[test]
fn every_problem_has_its_line_and_the_nearest_right_name() {
    // What is replaced, by what, and what the error holds.
    for (good, bad, wants) in [
        (
            "clusters:",
            "clutsers:",
            &["small.yaml:2: clutsers: unknown field", "did you mean `clusters`?"][..],
        ),
        (
            "rate: 5..50",
            "rat: 5..50",
            &["small.yaml:13: load.stages[1].rat: unknown", "did you mean `rate`?"],
        ),
        ("rate: 5..50", "rate: 50ms", &["small.yaml:13: load.stages[1].rate: not a rate", "20..200"]),
        ("rate: 5..50", "rate: -1", &["small.yaml:13: load.stages[1].rate: a rate is from 0"]),
        ("for: 10s\n", "for: 10\n", &["small.yaml:12: load.stages[1].for: "]),
        ("for: 10s\n", "for: 0s\n", &["small.yaml:12: load.stages[1].for: is longer"]),
        (
            "serviceTime: 50ms",
            "serviceTime: 50rps",
            &["small.yaml:4: services.web.serviceTime: not a duration"],
        ),
        (
            "calls: web",
            "calls: wbe",
            &["small.yaml:6: services.front.calls: no service", "did you mean `web`?"],
        ),
        ("calls: web", "calls: front", &["small.yaml:6: services.front.calls: the calls go round"]),
        ("to: front", "to: fornt", &["small.yaml:8: load.to: no service \"fornt\"", "did you mean `front`?"]),
        (
            "kind: kill",
            "kind: kil",
            &["small.yaml:16: faults[1].kind: unknown variant", "did you mean `kill`?"],
        ),
        ("part: web/proxy", "part: web/prox", &["small.yaml:16: faults[1].part: no part", "`web/proxy`?"]),
        ("at: 12s", "at: 30s", &["small.yaml:16: faults[1].at: begins or ends after the load"]),
        ("for: 4s, ", "", &["small.yaml:15: faults[0].for: say how long"]),
        ("p(95)<200", "p(95)<200rps", &["small.yaml:18: thresholds[0]: threshold", "not a unit of time"]),
        ("stage: ramp", "stage: rmap", &["small.yaml:19: thresholds[1].stage: no stage", "`ramp`?"]),
        ("after: ramp", "after: ram", &["small.yaml:21: expect[0].reaches.after: no mark", "`ramp`?"]),
        (
            "east/web, at",
            "eats/web, at",
            &["small.yaml:21: expect[0].reaches.workload: no cluster", "`east`?"],
        ),
        ("east/web, at", "web, at", &["small.yaml:21: expect[0].reaches.workload: ", "is not CLUSTER/NAME"]),
        ("atLeast: 3, ", "", &["small.yaml:21: expect[0].reaches.atLeast: say atLeast"]),
        (
            "neverLowered",
            "neverLowred",
            &["small.yaml:22: expect[1]: unknown variant", "did you mean `neverLowered`?"],
        ),
        (
            "thresholds:",
            "policies: [{file: gone.yaml}]\nthresholds:",
            &["small.yaml:17: policies[0].file: no such"],
        ),
        (
            "reaches: {workload: east/web, atLeast: 3, after: ramp, within: 5s}",
            "elasticity: {workload: east/web, tauU: 5%}",
            &["small.yaml:21: expect[0].elasticity.workload: needs services.web.sustainsRps"],
        ),
        (
            "reaches: {workload: east/web, atLeast: 3, after: ramp, within: 5s}",
            "overshoot: {workload: east/web, after: ramp, atMost: much}",
            &["small.yaml:21: expect[0].overshoot.atMost: not percent", "20%"],
        ),
        (
            "reaches: {workload: east/web, atLeast: 3, after: ramp, within: 5s}",
            "sloViolations: {service: web, atMost: 5%}",
            &["small.yaml:21: expect[0].sloViolations.service: needs services.web.slo"],
        ),
        ("serviceTime: 50ms", "slo: rate>5", &["small.yaml:4: services.web.slo: is a bound on latency"]),
        (
            "- p(95)<200",
            "- {that: count>9, abortOnFail: true}",
            &["small.yaml:18: thresholds[0].abortOnFail: count>9 can only be judged at the end"],
        ),
        (
            "- p(95)<200",
            "- {that: p(95)<200, service: web}",
            &["small.yaml:18: thresholds[0].service: no load to \"web\", only front"],
        ),
        (
            "- p(95)<200",
            "- {that: p(95)<200, delayAbortEval: 5s}",
            &["small.yaml:18: thresholds[0].delayAbortEval: is of a threshold with abortOnFail"],
        ),
        ("name: ramp", "name: quiet", &["small.yaml:9: load.stages: two stages or faults make the mark"]),
        ("services:", "controllers: 0\nservices:", &["small.yaml:3: controllers: is from 1 to 5"]),
        ("[east]", "[east", &["small.yaml: "]),
    ] {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "{good}");
        let error = parse_with(&text, &[]).unwrap_err();
        for want in wants {
            assert!(error.contains(want), "{bad}: {want:?} is not in: {error}");
        }
    }
}

/// The load of [`GOOD`] as one of two.
fn several() -> String {
    let one = "load:\n  to: front\n  stages:\n  - {name: quiet, for: 10s, rate: 5}\n";
    let list = "load:\n- {name: jobs, to: web, clusters: [east], stages: [{name: job, for: 25s, rate: 10}]}\n- name: \
                users\n  to: front\n  stages:\n  - {name: quiet, for: 10s, rate: 5}\n";
    GOOD.replace(one, list)
}

#[test]
fn several_loads_add_up_on_what_they_reach() {
    let s = parse_with(&several().replace("[east]\nser", "[east, west]\nser"), &[]).unwrap().scenario;
    assert_eq!(marks(&s), ["job", "quiet", "ramp", "cut", "cut ended", "dead", "end"]);
    assert_eq!(s.duration(), Duration::from_secs(25));
    let moments = |rps: Vec<f64>| [rps[0], rps[15], rps[24]];
    // Halfway up the ramp from 5 to 50 the front's users make 27.5 calls to web.
    assert_eq!(moments(s.planned_rps("east", "web")), [15.0, 37.5, 10.0]);
    assert_eq!(moments(s.planned_rps("west", "web")), [5.0, 27.5, 0.0]);
    assert_eq!(moments(s.planned_rps("east", "front")), [5.0, 27.5, 0.0]);
    let set = [("load.users.stages.ramp.rate", "7")];
    assert_eq!(parse_with(&several(), &set).unwrap().scenario.planned_rps("east", "web")[15], 17.0);
}

#[test]
fn what_is_wrong_with_one_of_several_loads_has_its_line() {
    for (good, bad, wants) in [
        ("name: users", "name: jobs", "small.yaml:9: load[1].name: \"jobs\" is there twice"),
        ("name: jobs, ", "", "small.yaml:8: load[0]: one of several loads has a `name`"),
        ("name: job,", "name: ramp,", "small.yaml:7: load: two stages or faults make the mark \"ramp\""),
        ("to: web", "to: wbe", "small.yaml:8: load[0].to: no service \"wbe\", only front, web; did you mean"),
        (
            "[east],",
            "[eats],",
            "small.yaml:8: load[0].clusters[0]: no cluster \"eats\", only east; did you mean",
        ),
        ("[east],", "[],", "small.yaml:8: load[0].clusters: name at least one"),
        ("rate: 5..50", "rte: 5..50", "small.yaml:15: load[1].stages[1].rte: unknown field"),
    ] {
        let text = several().replacen(good, bad, 1);
        assert_ne!(text, several(), "{good}");
        let error = parse_with(&text, &[]).unwrap_err();
        assert!(error.contains(wants), "{bad}: {wants:?} is not in: {error}");
    }
    let error = parse_with(&several(), &[("load", "[]")]).unwrap_err();
    assert!(error.contains("--set load=[]: name 1 to 8 loads"), "{error}");
}

/// The load of [`GOOD`] as a recorded one.
fn recorded(series: &str) -> String {
    let start = GOOD.find("  stages:").unwrap();
    let end = GOOD.find("faults:").unwrap();
    GOOD.replace(&GOOD[start..end], &format!("  name: ramp\n  series:\n    {series}\n"))
}

fn read_csv(name: &str) -> Result<String, String> {
    match name {
        "trace.csv" => Ok("time,value\n0,10\n60,20\n120,0\n".into()),
        "bad.csv" => Ok("time,value\n0,10\n60,x\n".into()),
        _ => Err(format!("{name}: no such file")),
    }
}

#[test]
fn a_recorded_load_is_read_and_is_one_stage_with_its_name() {
    let text = recorded("{file: trace.csv, speed: 6, scale: 3}");
    let s = parse("small.yaml", &text, &BTreeMap::new(), &read_csv).unwrap().scenario;
    assert_eq!(marks(&s), ["ramp", "cut", "cut ended", "dead", "end"]);
    assert_eq!(s.duration(), Duration::from_secs(20));
    let rps = s.planned_rps("east", "web");
    assert_eq!([rps[0], rps[5], rps[10], rps[15]], [30.0, 45.0, 60.0, 30.0]);
    let text = text.replace("  name: ramp\n", "");
    let error = parse("small.yaml", &text, &BTreeMap::new(), &read_csv).unwrap_err();
    assert!(error.contains("no stage \"ramp\", only front"), "{error}");
}

#[test]
fn what_is_wrong_with_a_recorded_load_has_its_line() {
    let query = "{url: \"http://p:9090\", query: up, from: 2026-01-01T00:00:00Z, to: 2026-01-01T01:00:00Z, step: 15s}";
    let without = |what: &str| query.replace(what, "");
    for (series, wants) in [
        ("{file: gone.csv}".to_owned(), "small.yaml:11: load.series.file: gone.csv: no such file"),
        ("{file: bad.csv}".into(), "small.yaml:11: load.series.file: bad.csv: row 3: \"x\" is no number"),
        (
            "{file: trace.csv, step: 1s}".into(),
            "small.yaml:11: load.series.file: trace.csv: row 1: rows have a time",
        ),
        (
            "{file: trace.csv, scale: 1e5}".into(),
            "trace.csv: point 2, 60 s from the start: 2000000 is not a rate",
        ),
        ("{file: trace.csv, speed: 0}".into(), "small.yaml:11: load.series.speed: `speed` is above 0"),
        ("{file: trace.csv, scale: -1}".into(), "small.yaml:11: load.series.scale: `scale` is above 0"),
        ("{file: trace.csv, sped: 2}".into(), "small.yaml:11: load.series.sped: unknown field"),
        (
            "{file: trace.csv, query: up}".into(),
            "small.yaml:11: load.series.query: is of a query; this series is a",
        ),
        (
            "{file: trace.csv}\n  stages: [{name: a, for: 1s, rate: 1}]".into(),
            "load.series: is there beside `stages`",
        ),
        ("{step: 1s}".into(), "load.series: say `file`, or `url`,"),
        (without("query: up, "), "small.yaml:10: load.series: a query needs `query` too"),
        (without(", step: 15s"), "small.yaml:10: load.series: a query needs `step` too"),
        (query.replace("T01:00", "T00:00"), "small.yaml:11: load.series.to: from `from` to `to`"),
        (query.replace("15s", "1ms"), "small.yaml:11: load.series.to: from `from` to `to`"),
        (query.replace("http://p", "p"), "small.yaml:11: load.series.url: \"p:9090\" is no address"),
        (query.replace("2026-01-01T01", "soon"), "small.yaml:11: load.series.to: "),
        (query.replace("-01T01", "-03T01"), "small.yaml:10: load.series: lasts more than a day"),
    ] {
        let error = parse("small.yaml", &recorded(&series), &BTreeMap::new(), &read_csv).unwrap_err();
        // Without a length nothing is known of what comes after it.
        assert!(!error.contains("after the load") || error.contains("a day"), "{error}");
        assert!(error.contains(wants), "{series}: {wants:?} is not in: {error}");
    }
    let error = parse_with(GOOD, &[("load.stages", "[]")]).unwrap_err();
    assert!(error.contains("name at least one stage, or a `series`"), "{error}");
}

#[test]
fn arrivals_and_service_times_have_forms_and_bounds() {
    let with = |key: &str, value: &str| parse_with(GOOD, &[(key, value)]);
    let arrivals = |value: &str| with("load.arrivals", value);
    let loaded = arrivals("{bursty: {cv: 3}}").unwrap();
    assert_eq!(loaded.scenario.load.iter().next().unwrap().arrivals.to_string(), "bursty:3");
    assert!(arrivals("poisson").is_ok() && arrivals("even").is_ok());
    assert!(
        arrivals("{bursty: {cv: 0.5}}").unwrap_err().contains("a cv is from 1 (as Poisson) to 20, not 0.5")
    );
    assert!(arrivals("poison").unwrap_err().contains("did you mean `poisson`?"));
    let line = GOOD.replace("  to: front\n", "  to: front\n  arrivals: {bursty: {cv: 99}}\n");
    let error = parse_with(&line, &[]).unwrap_err();
    assert!(error.starts_with("small.yaml:9: load.arrivals.bursty.cv: a cv is"), "{error}");

    let time = |value: &str| with("services.web.serviceTime", value);
    let flags = |value: &str| time(value).unwrap().scenario.services["web"].service_time.unwrap().flags();
    assert_eq!(flags("20ms"), ["--service-time=20ms"]);
    assert_eq!(
        flags("{mean: 20ms, distribution: lognormal, cv: 1.5}"),
        ["--service-time=20ms", "--service-time-distribution=lognormal", "--service-time-cv=1.5"]
    );
    for (value, want) in [
        ("{mean: 20ms, cv: 1}", "is of a lognormal distribution"),
        ("{mean: 20ms, distribution: lognormal, cv: 0}", "is above 0, up to 10"),
        ("{mean: 20ms, distribution: lognormale}", "did you mean `lognormal`?"),
        ("{distribution: exponential}", "missing field `mean`"),
        ("{mean: 20rps}", "not a duration"),
        ("20", "a duration such as 50ms"),
    ] {
        let error = time(value).unwrap_err();
        assert!(error.contains(want), "{value}: {want:?} is not in: {error}");
    }
}

/// A queue with its worker and exporter, an inference server, and a gRPC service behind the front.
const KINDS: &str = "\
name: kinds
clusters: [east]
services:
  jobs: {replicas: 1, queue: {}}
  worker: {drains: jobs, serviceTime: 200ms, startUp: 3s}
  exporter: {exports: jobs}
  llm: {inference: {slots: 4}, startUp: 20s}
  greeter: {grpc: true}
  front: {calls: greeter}
load:
- {name: a, to: jobs, stages: [{name: rush, for: 10s, rate: 5}]}
- {name: b, to: front, stages: [{name: calls, for: 10s, rate: 5}]}
expect:
- reaches: {workload: east/worker, atLeast: 3, after: rush, within: 5s}
";

#[test]
fn kinds_of_services_name_what_is_there_and_do_not_mix() {
    let loaded = parse("kinds.yaml", KINDS, &BTreeMap::new(), &read).unwrap_or_else(|e| panic!("{e}"));
    let s = &loaded.scenario;
    assert!(s.reaches("jobs", "worker"), "a job is what its worker does");
    assert!(s.reaches("front", "greeter") && !s.reaches("jobs", "exporter") && !s.reaches("front", "worker"));
    assert_eq!(s.services["llm"].inference.unwrap().flags()[..2], ["--names=vllm", "--slots=4"]);
    for (good, bad, want) in [
        ("drains: jobs", "drains: job", "services.worker.drains: no service with a queue \"job\", only jobs"),
        ("exports: jobs", "exports: llm", "services.exporter.exports: no service with a queue \"llm\""),
        ("replicas: 1, queue", "queue", "services.jobs.replicas: is 1: one replica holds all jobs"),
        ("drains: jobs, ", "", "services.jobs.queue: no service `drains` jobs"),
        ("queue: {}", "queue: {}, serviceTime: 1s", "services.jobs.serviceTime: is of a service that works"),
        (
            "exports: jobs",
            "exports: jobs, startUp: 1s",
            "services.exporter.startUp: is of a service that works",
        ),
        ("slots: 4}", "slots: 4}, calls: front", "services.llm.inference: is of another kind of service"),
        ("slots: 4}", "slots: 4}, grpc: true", "services.llm.grpc: is of a service that works on requests"),
        (
            "slots: 4",
            "slots: 0",
            "services.llm.inference: slots, promptTokens and outputTokens are at least 1",
        ),
        ("slots: 4", "kvTokens: 1919", "services.llm.inference.kvTokens: is 1920 or more"),
        ("slots: 4", "names: tgi", "unknown variant"),
        ("calls: greeter", "calls: worker", "services.front.calls: worker takes jobs from a queue"),
        ("to: front", "to: greeter", "load[1].to: greeter answers gRPC: send to a service that `calls` it"),
        ("to: front", "to: exporter", "load[1].to: exporter answers only whoever scrapes it"),
    ] {
        assert!(KINDS.contains(good), "{good}");
        let text = KINDS.replace(good, bad);
        let error = parse("kinds.yaml", &text, &BTreeMap::new(), &read).unwrap_err();
        assert!(error.contains(want), "{bad}: {want:?} is not in: {error}");
    }
    let policy = "policies:\n- inline: {apiVersion: autoscaling.gauntlet.dev/v1alpha1, kind: ScalingPolicy, metadata: \
                  {name: j}, spec: {scaleTargetRef: {kind: Deployment, name: jobs}, maxReplicas: 3, metrics: [{name: m, \
                  query: sum(a), target: {type: Value, value: \"1\"}}]}}\n";
    let error = parse("kinds.yaml", &format!("{KINDS}{policy}"), &BTreeMap::new(), &read).unwrap_err();
    assert!(error.contains("one replica holds all jobs of jobs: scale what `drains` it"), "{error}");
}

#[test]
fn all_problems_are_told_at_once() {
    let text = GOOD.replace("to: front", "to: a").replace("calls: web", "calls: b");
    assert_eq!(parse_with(&text, &[]).unwrap_err().lines().count(), 2);
}

#[test]
fn what_has_not_the_shape_is_told_at_once_too() {
    let text = GOOD
        .replace("serviceTime: 50ms", "serviceTime: 50rps, replicsa: 3")
        .replace("rate: 5..50", "rate: fast")
        .replace("kind: kill", "kind: kil")
        .replace("within: 5s", "within: soon");
    let error = parse_with(&text, &[]).unwrap_err();
    for want in [
        "small.yaml:4: services.web.serviceTime: not a duration",
        "small.yaml:4: services.web.replicsa: unknown field",
        "small.yaml:13: load.stages[1].rate: not a rate",
        "small.yaml:16: faults[1].kind: unknown variant",
        "small.yaml:21: expect[0].reaches.within: not a duration",
    ] {
        assert!(error.contains(want), "{want:?} is not in: {error}");
    }
    assert!(!error.contains("missing field"), "what is missing because it was wrong was told: {error}");
}

#[test]
fn an_index_is_no_name_and_a_name_that_is_a_number_no_index() {
    let text = GOOD
        .replace("name: ramp", "name: \"0\"")
        .replace("stage: ramp", "stage: \"0\"")
        .replace("after: ramp", "after: \"0\"");
    let rates = |key: &str| {
        let s = parse_with(&text, &[(key, "7")]).unwrap().scenario;
        s.load.iter().next().unwrap().stages.iter().map(|p| p.rate.from_rps).collect::<Vec<_>>()
    };
    assert_eq!(rates("load.stages.0.rate"), [5.0, 7.0]);
    assert_eq!(rates("load.stages[0].rate"), [7.0, 5.0]);
    assert_eq!(rates("load.stages.1.rate"), [5.0, 7.0]);
    for (key, want) in [
        ("services.wbe.replicas", "there is no \"wbe\" in services; did you mean `web`?"),
        ("services[0].replicas", "services is no list"),
        ("load.stages.rmap.rate", "the list has no item \"rmap\""),
        ("load.stages[].rate", "write a path"),
        ("load.stages[1", "write a path"),
        ("load.stages]1[", "write a path"),
    ] {
        let error = parse_with(GOOD, &[(key, "7")]).unwrap_err();
        assert!(error.contains(want), "{key}: {want:?} is not in: {error}");
    }
    assert!(parse_with(GOOD, &[("services.more", "{replicas: 1}")]).is_ok());
}

#[test]
fn what_was_run_is_kept_with_what_it_was_read_from() {
    let read = |name: &str| match name {
        "p.yaml" => Ok(POLICY.to_owned()),
        name => read_csv(name),
    };
    let text = recorded("{file: trace.csv, speed: 6}")
        .replace("thresholds:", "policies: [{file: p.yaml}]\nthresholds:");
    let set = BTreeMap::from([("services.web.replicas".to_owned(), "3".to_owned())]);
    let loaded = parse("small.yaml", &text, &set, &read).unwrap();
    assert_eq!(loaded.effective["services"]["web"]["replicas"], 3);
    let inputs: Vec<_> = loaded.inputs.iter().map(|i| (i.kind, i.path.as_str())).collect();
    assert_eq!(inputs, [("series", "trace.csv"), ("policies", "p.yaml")]);
    assert_eq!(loaded.inputs[1].text, POLICY);
    let p = &loaded.policies[0];
    assert_eq!((p.namespace.as_str(), p.name.as_str()), ("default", "scaler"));
    assert_eq!((p.kind.as_str(), p.target.as_str()), ("Deployment", "web"));
}

/// A policy that is not named like its target.
const POLICY: &str = "
apiVersion: autoscaling.gauntlet.dev/v1alpha1
kind: ScalingPolicy
metadata: {name: scaler, namespace: default}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 5
  metrics: [{name: m, query: vector(1), target: {type: Value, value: \"1\"}}]
";

/// What is wrong with [`GOOD`] where its expectations are these, and its policies those.
fn wrong_with(expect: &str, policies: &[&str]) -> String {
    let start = GOOD.find("expect:").unwrap();
    let text = format!("{}policies: [{{file: p.yaml}}]\nexpect:\n{expect}", &GOOD[..start]);
    let documents = policies.join("---\n");
    parse("small.yaml", &text, &BTreeMap::new(), &|_| Ok(documents.clone())).err().unwrap_or_default()
}

#[test]
fn rows_that_cannot_fail_or_cannot_hold_are_refused() {
    // Marks: quiet 0 s, cut 3 s, cut ended 7 s, ramp 10 s, dead 12 s, end 20 s.
    for (row, want) in [
        ("neverLowered: {from: cut, to: cut ended}", ""),
        ("neverLowered: {from: cut, to: cut ended, unless: askedBefore}", ""),
        (
            "neverLowered: {from: end, to: quiet}",
            "neverLowered.to: \"quiet\", at 0ns, is before \"end\", at 20s",
        ),
        ("neverLowered: {from: ramp, to: cut}", "is before"),
        ("neverLowered: {from: ramp, to: ramp}", "is at the same time as"),
        ("neverBelow: {workload: east/web, atLeast: 2, from: step, to: end}", "from: no mark \"step\""),
        ("neverBelow: {workload: east/web, atLeast: 2, from: end, to: cut}", "neverBelow.to: \"cut\""),
        (
            "neverBelow: {workload: east/web, atLeast: 0, from: cut, to: end}",
            "neverBelow.atLeast: is 1 or more",
        ),
        (
            "reaches: {workload: east/web, atLeast: -1, after: ramp, within: 5s}",
            "reaches.atLeast: is 1 or more",
        ),
        (
            "reaches: {workload: east/web, atMost: -1, after: ramp, within: 5s}",
            "reaches.atMost: is 0 or more",
        ),
        (
            "reaches: {workload: east/web, atLeast: 3, atMost: 2, after: ramp, within: 5s}",
            "3 or more are never 2 or fewer",
        ),
        (
            "reaches: {workload: east/web, atLeast: 3, after: end, within: 5s}",
            "nothing happens after \"end\"",
        ),
        (
            "reaches: {workload: east/web, atLeast: 3, after: ramp, within: 0s}",
            "reaches.within: is longer than 0s",
        ),
        ("settles: {workload: east/web, after: end, within: 5s}", "settles.after: nothing happens after"),
        ("settles: {workload: east/web, after: ramp, within: 0s}", "settles.within: is longer"),
        ("overshoot: {workload: east/web, after: end, atMost: 5%}", "overshoot.after: nothing happens after"),
        (
            "doubts: {policy: east/scaler, from: cut, to: end, share: 50}",
            "doubts.share: is above 0 and below 1",
        ),
        (
            "doubts: {policy: east/scaler, from: cut, to: end, share: 0}",
            "doubts.share: is above 0 and below 1",
        ),
        (
            "doubts: {policy: east/scaler, from: cut, to: end, share: 1}",
            "doubts.share: is above 0 and below 1",
        ),
        ("doubts: {policy: east/scaler, from: cut, to: end, share: 0.6}", ""),
        ("doubts: {policy: east/scaler, from: end, to: cut}", "doubts.to"),
        (
            "doubts: {policy: east/web, from: cut, to: end}",
            "doubts.policy: no policy \"web\", only scaler, receive",
        ),
        ("recovers: {policy: east/scalre, after: cut, within: 5s}", "did you mean `scaler`?"),
        ("recovers: {policy: east/scaler, after: end, within: 5s}", "recovers.after: nothing happens"),
        ("recovers: {policy: east/receive, after: cut, within: 5s}", ""),
        ("restarted: {container: east/web/web, after: cut, within: 5s}", ""),
        ("restarted: {container: east/web-1/proxy, after: cut, within: 5s}", ""),
        ("restarted: {container: east/scrape/proxy, after: cut, within: 5s}", ""),
        (
            "restarted: {container: east/nothing/web, after: cut, within: 5s}",
            "no pod that begins with \"nothing\"",
        ),
        (
            "restarted: {container: east/web/wbe, after: cut, within: 5s}",
            "no container \"wbe\", only web, proxy",
        ),
        (
            "restarted: {container: east/query/proxy, after: cut, within: 5s}",
            "no container \"proxy\", only query",
        ),
        ("reversals: {workload: east/web, atMost: 0}", ""),
        ("replicaHours: {workload: east/web, atMost: 0}", "replicaHours.atMost: is above 0"),
        ("replicaHours: {workload: east/web, atMost: .inf}", "non-finite"),
        ("replicaHours: {workload: east/web, atMost: .nan}", "non-finite"),
        ("sloViolations: {service: web, atMost: 100%}", "sloViolations.atMost: at most 100 % always holds"),
        ("elasticity: {workload: east/web, tauU: 100}", "elasticity.tauU: at most 100 % always holds"),
    ] {
        let error = wrong_with(&format!("- {row}\n"), &[POLICY]);
        assert!(
            if want.is_empty() { error.is_empty() } else { error.contains(want) },
            "{row}: {want:?}: {error}"
        );
    }
}

#[test]
fn thresholds_that_say_nothing_are_refused() {
    for (threshold, want) in [
        ("failed<=100%", "thresholds[0].that: failed<=100% always holds"),
        ("count>=0", "thresholds[0].that: count>=0 always holds"),
        ("p(95)<999999", "always holds"),
        ("failed<0", "can never hold"),
        ("{that: failed==0, stage: quiet}", "no request is due for failed==0 in \"quiet\""),
        ("{that: failed==0, stage: ramp}", ""),
    ] {
        let text = GOOD
            .replace("- p(95)<200", &format!("- {threshold}"))
            .replace("for: 10s, rate: 5}", "for: 10s, rate: 0}");
        let error = parse_with(&text, &[]).err().unwrap_or_default();
        assert!(
            if want.is_empty() { error.is_empty() } else { error.contains(want) },
            "{threshold}: {error}"
        );
    }
    let error = parse_with(&GOOD.replace("serviceTime: 50ms", "slo: p(95)<60s"), &[]).unwrap_err();
    assert!(error.contains("small.yaml:4: services.web.slo: p(95)<60s always holds"), "{error}");
}

#[test]
fn names_that_a_world_cannot_have_are_refused() {
    for (name, want) in [
        ("1web", "services.1web: begins with a letter"),
        ("proxy", "services.proxy: is the name of the container of every sidecar"),
        ("receive", "services.receive: is the name of a part"),
        ("Web", "is no name"),
        ("true", ""),
    ] {
        let text = GOOD.replace("services:\n", &format!("services:\n  \"{name}\": {{}}\n"));
        let error = parse_with(&text, &[]).err().unwrap_or_default();
        assert!(if want.is_empty() { error.is_empty() } else { error.contains(want) }, "{name}: {error}");
    }
    let stage = |i| format!("{{name: s{i}, for: 1s, rate: 1}}");
    let stages: Vec<String> = (0..201).map(stage).collect();
    let error = parse_with(GOOD, &[("load.stages", &format!("[{}]", stages.join(", ")))]).unwrap_err();
    assert!(error.contains("has more than 200 stages"), "{error}");
}

#[test]
fn the_ring_has_a_policy_that_writes_its_file() {
    let ring = |spec: &str| {
        POLICY
            .replace("name: scaler, namespace: default", "name: ring, namespace: monitoring")
            .replace("kind: Deployment, name: web", "kind: StatefulSet, name: receive")
            .replace("spec:\n", &format!("spec:\n{spec}"))
    };
    let file = "  ring: {configMap: receive-ring, key: hashrings.json, port: 10901, replicationFactor: 2, settle: 3s}\n";
    for (spec, want) in [
        (file.to_owned(), ""),
        (String::new(), "policies[0].file.spec.ring: is needed"),
        (
            file.replace("receive-ring", "other"),
            "spec.ring: is of configMap receive-ring and key hashrings.json",
        ),
        (format!("  mode: Shadow\n{file}"), "spec.mode: is Active"),
    ] {
        let error = wrong_with("- reversals: {workload: east/web, atMost: 9}\n", &[&ring(&spec)]);
        assert!(if want.is_empty() { error.is_empty() } else { error.contains(want) }, "{spec}: {error}");
    }
}

#[test]
fn what_is_set_wins_over_what_a_counterexample_sets() {
    let text = format!(
        "{GOOD}counterexamples:\n- {{name: few, set: {{services.web.replicas: 1, \"load.stages[1].rate\": 7}}, fails: [reaches]}}\n"
    );
    let counterexample = |set: &[(&str, &str)]| {
        let loaded = parse_with(&text, set).unwrap();
        loaded.counterexample("few", &read).unwrap()
    };
    let s = counterexample(&[]).scenario;
    assert_eq!(s.services["web"].replicas, 1);
    // A path above, and another spelling of the same.
    let s = counterexample(&[("services.web", "{replicas: 4}"), ("load.stages.ramp.rate", "9")]).scenario;
    assert_eq!(s.services["web"].replicas, 4);
    assert_eq!(s.load.iter().next().unwrap().stages[1].rate.to_rps, 9.0);
}

#[test]
fn worlds_that_cannot_be_are_refused() {
    let with = |from: &str, to: &str| POLICY.replace(from, to);
    for (policies, want) in [
        (vec![POLICY.to_owned()], ""),
        (
            vec![with("namespace: default", "namespace: nowhere")],
            "metadata.namespace: web is in namespace default",
        ),
        (
            vec![with("kind: Deployment", "kind: StatefulSet")],
            "scaleTargetRef.kind: web is a Deployment, no StatefulSet",
        ),
        (vec![with("maxReplicas: 5", "maxReplicas: 3").replace("minReplicas: 2", "minReplicas: 1")], ""),
        (vec![POLICY.to_owned(), POLICY.to_owned()], "has a second policy \"scaler\" in namespace default"),
        (vec![POLICY.to_owned(), with("name: scaler", "name: other")], "web is scaled by \"scaler\" already"),
        (
            vec![
                POLICY.to_owned(),
                with("name: scaler", "name: other").replace("spec:\n", "spec:\n  mode: Shadow\n"),
            ],
            "",
        ),
    ] {
        let documents: Vec<&str> = policies.iter().map(String::as_str).collect();
        let error = wrong_with("- reversals: {workload: east/web, atMost: 9}\n", &documents);
        assert!(if want.is_empty() { error.is_empty() } else { error.contains(want) }, "{want:?}: {error}");
    }
    let few = POLICY.replace("maxReplicas: 5", "maxReplicas: 2");
    let read = |_: &str| Ok(few.clone());
    let text = GOOD
        .replace("serviceTime: 50ms", "replicas: 4, startUp: 10m")
        .replace("thresholds:", "policies: [{file: p.yaml}]\nthresholds:");
    let error = parse("small.yaml", &text, &BTreeMap::new(), &read).unwrap_err();
    assert!(error.contains("small.yaml:4: services.web.startUp: is up to 60s"), "{error}");
    assert!(error.contains("spec.maxReplicas: web starts with 4, more than 2"), "{error}");
}

#[test]
fn set_reaches_every_value_and_its_errors_name_it() {
    let set =
        [("load.stages.ramp.rate", "5..70"), ("services.web.concurrency", "7"), ("load.stages[0].rate", "9")];
    let s = parse_with(GOOD, &set).unwrap().scenario;
    let stages = &s.load.iter().next().unwrap().stages;
    assert_eq!((stages[0].rate.to_rps, stages[1].rate.to_rps), (9.0, 70.0));
    assert_eq!(s.services["web"].concurrency, Some(7));
    for (key, value, want) in [
        ("sed", "1", "--set sed=1: unknown field `sed`"),
        ("load.stages.ramp.rate", "fast", "--set load.stages.ramp.rate=fast: not a rate"),
        ("load.stages.none.rate", "1", "no item \"none\""),
        ("name.x", "1", "nothing below"),
        ("load..x", "1", "write a path"),
        ("load.to", "nobody", "--set load.to=nobody: no service"),
        ("seed", "[", "--set seed=[: "),
    ] {
        let error = parse_with(GOOD, &[(key, value)]).unwrap_err();
        assert!(error.contains(want), "{want:?} is not in: {error}");
    }
}

const BAD: &str = "\
counterexamples:
- name: slow
  why: twice the rate
  set: {load.stages.ramp.rate: 5..100, services.web: {serviceTime: 90ms}}
  fails: [reaches, p(95)<200, 'failed==0 in \"ramp\" on east']
- {name: none, set: {thresholds: []}, fails: [neverLowered]}
";

#[test]
fn a_counterexample_is_the_scenario_with_what_it_sets() {
    let text = format!("{GOOD}{BAD}");
    let loaded = parse_with(&text, &[("seed", "7")]).unwrap();
    for (name, rate, thresholds) in [("", 100.0, 2), ("slow", 100.0, 2), ("none", 50.0, 0)] {
        let bad = loaded.counterexample(name, &read).unwrap();
        assert_eq!(bad.scenario.load.iter().next().unwrap().stages[1].rate.to_rps, rate, "{name}");
        assert_eq!((bad.scenario.thresholds.len(), bad.scenario.seed), (thresholds, 7), "{name}");
        assert!(bad.counterexample.is_some() && bad.set.contains_key("seed"), "{name}");
    }
    let mine = parse_with(&text, &[("load.stages.ramp.rate", "9")]).unwrap().counterexample("slow", &read);
    assert_eq!(
        mine.unwrap().scenario.load.iter().next().unwrap().stages[1].rate.to_rps,
        9.0,
        "what was set besides wins"
    );
    assert!(loaded.counterexample("slwo", &read).unwrap_err().contains("did you mean `slow`?"));
    assert!(parse_with(GOOD, &[]).unwrap().counterexample("", &read).unwrap_err().contains("has none"));
}

#[test]
fn a_counterexample_that_cannot_be_run_or_cannot_fail_is_refused() {
    for (good, bad, want) in [
        ("fails: [reaches", "fails: [reach", "small.yaml:27: counterexamples[0].fails[0]: no expectation"),
        ("p(95)<200,", "p(95)<300,", "did you mean `p(95)<200`?"),
        // What it takes away cannot fail.
        (
            "set: {thresholds: []}, fails: [neverLowered]",
            "set: {expect: []}, fails: [neverLowered]",
            "fails[0]",
        ),
        ("ramp.rate: 5..100", "rmap.rate: 5", "small.yaml:26: counterexamples[0].set: the list has no item"),
        ("ramp.rate: 5..100", "ramp.rate: 5rps", "counterexamples[0].set: load.stages[1].rate: not a rate"),
        ("serviceTime: 90ms", "calls: wbe", "counterexamples[0].set: services.web.calls: no service"),
        ("name: none", "name: slow", "counterexamples[1].name: \"slow\" is there twice"),
        ("[neverLowered]", "[]", "counterexamples[1].fails: say what must fail"),
        ("  why:", "  wyh:", "did you mean `why`?"),
    ] {
        let text = format!("{GOOD}{}", BAD.replacen(good, bad, 1));
        assert!(text.contains(bad), "{good}");
        let error = parse_with(&text, &[]).unwrap_err();
        assert!(error.contains(want), "{bad}: {want:?} is not in: {error}");
    }
}

#[test]
fn a_policy_is_judged_as_a_cluster_would() {
    let policy = |target: &str, min: i32| {
        format!(
            "{GOOD}policies:\n- inline:\n    apiVersion: autoscaling.gauntlet.dev/v1alpha1\n    kind: ScalingPolicy\n    \
             metadata: {{name: web, namespace: default}}\n    spec:\n      scaleTargetRef: {{apiVersion: apps/v1, kind: \
             Deployment, name: {target}}}\n      minReplicas: {min}\n      maxReplicas: 5\n      metrics:\n      - {{name: m, \
             query: vector(1), target: {{type: Value, value: \"1\"}}}}\n"
        )
    };
    assert_eq!(parse_with(&policy("web", 1), &[]).unwrap().policies.len(), 2);
    let error = parse_with(&policy("wbe", 1), &[]).unwrap_err();
    assert!(error.contains("policies[0].inline") && error.contains("did you mean `web`?"), "{error}");
    let error = parse_with(&policy("web", 9), &[]).unwrap_err();
    assert!(error.starts_with("small.yaml:31: policies[0].inline.spec.maxReplicas: 5 is below"), "{error}");
}

proptest::proptest! {
    #[test]
    fn garbage_never_panics(text in "\\PC{0,200}", key in "[a-z.\\[\\]0-9]{0,20}") {
        drop(parse_with(&text, &[(&key, &text)]));
        drop(parse_with(GOOD, &[(&key, &text)]));
    }
}
