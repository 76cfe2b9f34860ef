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

#[test]
fn a_sound_file_is_read_and_brings_a_policy_for_the_ring() {
    let loaded = parse_with(GOOD, &[]).unwrap();
    assert_eq!(loaded.scenario.marks(), ["quiet", "ramp", "cut", "cut ended", "dead", "end"]);
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
        ("serviceTime: 50ms", "slo: rate>5", &["small.yaml:4: services.web.slo: is a condition on latency"]),
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
    assert_eq!(s.marks(), ["job", "quiet", "ramp", "cut", "cut ended", "dead", "end"]);
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
    assert_eq!(s.marks(), ["ramp", "cut", "cut ended", "dead", "end"]);
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

#[test]
fn all_problems_are_told_at_once() {
    let text = GOOD.replace("to: front", "to: a").replace("calls: web", "calls: b");
    assert_eq!(parse_with(&text, &[]).unwrap_err().lines().count(), 2);
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
