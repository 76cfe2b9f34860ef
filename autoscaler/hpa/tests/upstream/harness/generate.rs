//! Random scenarios for the real controller, from a seed.
//!
//! They go where comparisons break: values at the edges of tolerances, integers and floats; pods that change at the
//! edges of periods; windows and periods that end with a sync; failures of every call, and all of it at once.

use serde_json::{Value, json};

/// SplitMix64: the same seed gives the same scenarios everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, k: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ k);
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Both ends included.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low).expect("low is at most high") + 1;
        low + i64::try_from(self.next() % span).expect("small")
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        let at = usize::try_from(self.next() % of.len() as u64).expect("small");
        of[at].clone()
    }

    fn many<T>(&mut self, low: i64, high: i64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let n = self.between(low, high);
        (0..n).map(|_| make(self)).collect()
    }
}

/// A metric under way: what it is called, and what one replica's worth is in thousandths.
struct Metric {
    spec: Value,
    name: String,
    worth: i64,
    by_pod: bool,
    averaged: bool,
}

/// The `k`th scenario of a seed, one line of JSON.
pub(crate) fn scenario(seed: u64, k: u64) -> String {
    let r = &mut Random::new(seed, k);
    let (extreme, rates) = (r.percent(8), r.percent(15));
    let id = format!("g{seed}-{k:06}{}", if extreme { "-extreme" } else { "" });
    let period = r.one(&[15, 15, 15, 15, 5, 10, 20, 30]);
    let duration = period * r.between(30, 100);
    let zero = !rates && r.percent(12);
    let min = if zero { 0 } else { r.one(&[1, 1, 2, 3, 6]) };
    let most = if rates { &[120, 200, 300][..] } else { &[0, 1, 3, 8, 15, 30, 55] };
    let max = (min + r.one(most)).max(1);
    let replicas = if r.percent(80) { r.between(min, max.min(140)) } else { r.between(0, max + 4) };
    let containers = r.many(1, 3, container);
    let containers: Vec<Value> =
        containers.into_iter().enumerate().map(|(i, c)| named(c, ["app", "proxy", "log"][i])).collect();
    let mut metrics: Vec<Metric> = Vec::new();
    for n in 0..if rates { 0 } else { r.one(&[1, 1, 1, 2, 2, 3, 5]) } {
        let metric = metric(r, n, &containers);
        // One series a resource; more metrics may read it.
        if metrics.iter().all(|m| m.name != metric.name) || r.percent(50) {
            metrics.push(metric);
        }
    }
    if rates || zero && metrics.iter().all(|m| m.by_pod) {
        metrics.push(outside(r, 9));
    }
    let mut spec = json!({
        "maxReplicas": max,
        "metrics": metrics.iter().map(|m| m.spec.clone()).collect::<Vec<_>>(),
    });
    if min != 1 || r.percent(70) {
        spec["minReplicas"] = min.into();
    }
    if rates {
        spec["behavior"] = json!({"scaleUp": quick(r), "scaleDown": quick(r)});
    } else if r.percent(65) {
        spec["behavior"] = behavior(r);
    }
    let tolerance = r.one(&[0, 10, 50, 100, 100, 100, 200, 500]);
    let mut series = serde_json::Map::new();
    for metric in &metrics {
        if !series.contains_key(&metric.name) {
            let made = self::series(r, metric, duration, (replicas, max), tolerance, extreme);
            series.insert(metric.name.clone(), made);
        }
    }
    let mut scenario = json!({
        "id": id,
        "durationSeconds": duration,
        "spec": spec,
        "controller": flags(r, period, tolerance),
        "target": target(r, replicas, containers),
        "metrics": series,
        "events": events(r, duration, (replicas, max), &metrics),
    });
    if r.percent(20) {
        scenario["syncDelaysMillis"] = r.many(1, 5, |r| r.between(0, 900)).into();
    }
    if r.percent(10) {
        scenario["features"] = json!({"HPAConfigurableTolerance": false});
    }
    if metrics.iter().any(|m| m.name == "cpu") && r.percent(30) {
        newborn(r, &mut scenario, replicas);
    }
    if rates && r.percent(60) {
        uneven(r, &mut scenario);
    }
    scenario.to_string()
}

/// Replicas of which a percentage is a whole number, but not in floats; and a first change that asks for it.
fn uneven(r: &mut Random, scenario: &mut Value) {
    let up = r.percent(50);
    let (n, percent) = loop {
        let (n, percent) = (r.between(5, 140), r.between(1, 99));
        let share = percent as f64 / 100.0;
        let whole = n * percent % 100 == 0;
        let exact = if up { n + n * percent / 100 } else { n - n * percent / 100 };
        let floats = if up { (n as f64 * (1.0 + share)).ceil() } else { (n as f64 * (1.0 - share)).trunc() };
        if whole && floats as i64 != exact {
            break (n, percent);
        }
    };
    scenario["target"]["replicas"] = n.into();
    let direction = if up { "scaleUp" } else { "scaleDown" };
    scenario["spec"]["behavior"][direction] = json!({
        "stabilizationWindowSeconds": 0,
        "policies": [{"type": "Percent", "value": percent, "periodSeconds": r.one(&[15, 30, 60])}],
    });
    scenario["spec"]["minReplicas"] = 1.into();
    let points = scenario["metrics"]["m9"]["points"].as_array_mut().expect("a list");
    for point in points.iter_mut().take(3).filter(|point| !point["v"].is_null()) {
        point["v"] = json!([if up { 1_000_000_000i64 } else { 1 }]);
    }
}

/// Pods that are as old as the controller, and change their readiness when its guess about them changes.
fn newborn(r: &mut Random, scenario: &mut Value, replicas: i64) {
    let delay = r.one(&[10, 15, 30, 45]);
    scenario["controller"]["initialReadinessDelaySeconds"] = delay.into();
    scenario["controller"]["cpuInitializationPeriodSeconds"] = r.one(&[0, 15, 30, 60]).into();
    for (field, value) in [
        ("initialPodAgeSeconds", 0),
        ("podStartDelaySeconds", 0),
        ("metricsDelaySeconds", 0),
        ("podReadyDelaySeconds", r.one(&[0, 2, 5])),
    ] {
        scenario["target"][field] = value.into();
    }
    let events = scenario["events"].as_array_mut().expect("a list");
    for off in [-1, 0, 0, 1] {
        let pods = json!({"first": r.between(1, replicas.max(1)), "ready": r.percent(30)});
        events.push(json!({"t": delay + off, "pods": pods}));
    }
    events.sort_by_key(|event| event["t"].as_i64());
}

fn flags(r: &mut Random, period: i64, tolerance: i64) -> Value {
    let mut flags = json!({"syncPeriodSeconds": period, "tolerance": tolerance as f64 / 1000.0});
    if r.percent(40) {
        flags["downscaleStabilizationSeconds"] =
            r.one(&[0.0, 15.0, 15.2, 30.7, 60.0, 120.2, 300.7, 600.0]).into();
    }
    if r.percent(40) {
        flags["cpuInitializationPeriodSeconds"] = r.one(&[0, 15, 30, 60, 120, 600]).into();
    }
    if r.percent(40) {
        flags["initialReadinessDelaySeconds"] = r.one(&[0, 5, 10, 45, 60]).into();
    }
    flags
}

fn container(r: &mut Random) -> Value {
    let mut container = json!({
        "cpuMilli": r.one(&[1, 50, 100, 250, 1000, 2000]),
        "memoryMilli": r.one(&[1i64 << 20, 128 << 20, 1 << 30, 1 << 40]) * 1000,
        "usageCpuMilli": r.between(0, 80),
        "usageMemoryMilli": r.between(0, 1 << 27) * 1000,
    });
    if r.percent(4) {
        let lost = r.one(&["cpuMilli", "memoryMilli"]);
        container.as_object_mut().expect("an object").remove(lost);
    }
    container
}

fn named(mut container: Value, name: &str) -> Value {
    container["name"] = name.into();
    if name == "app" {
        // The first container's use is the series.
        let fields = container.as_object_mut().expect("an object");
        fields.remove("usageCpuMilli");
        fields.remove("usageMemoryMilli");
    }
    container
}

fn target(r: &mut Random, replicas: i64, containers: Vec<Value>) -> Value {
    let mut target = json!({
        "replicas": replicas,
        "containers": containers,
        "podReadyDelaySeconds": r.one(&[0, 5, 15, 30, 45, 90]),
        "statusFollows": r.one(&["ready", "created"]),
    });
    for (field, chance, values) in [
        ("podStartDelaySeconds", 40, &[0, 1, 15][..]),
        ("podCreateDelaySeconds", 30, &[1, 5, 16]),
        ("podTerminateSeconds", 30, &[5, 30, 60]),
        ("metricsDelaySeconds", 40, &[10, 15, 30, 60]),
        ("initialPodAgeSeconds", 40, &[0, 15, 60, 120, 300]),
        ("notReadyUsageMilli", 30, &[1, 100, 1500]),
    ] {
        if r.percent(chance) {
            target[field] = r.one(values).into();
        }
    }
    target
}

fn quantity(milli: i64) -> String {
    if milli % 1000 == 0 { (milli / 1000).to_string() } else { format!("{milli}m") }
}

fn metric(r: &mut Random, n: i64, containers: &[Value]) -> Metric {
    if r.percent(45) {
        return outside(r, n);
    }
    if r.percent(25) {
        let worth = r.one(&[1, 7, 100, 1500, 10_000, 1_000_000]);
        let name = format!("p{n}");
        let target = json!({"type": "AverageValue", "averageValue": quantity(worth)});
        let spec = json!({"type": "Pods", "pods": {"metric": {"name": name}, "target": target}});
        return Metric { spec, name, worth, by_pod: true, averaged: true };
    }
    let (name, field) = if r.percent(75) { ("cpu", "cpuMilli") } else { ("memory", "memoryMilli") };
    let request = |c: &Value| c[field].as_i64().unwrap_or(100);
    let of = r.one(containers);
    let alone = r.percent(40);
    let requested = if alone { request(&of) } else { containers.iter().map(request).sum() };
    let averaged = r.percent(35);
    let (target, worth) = if averaged {
        let worth = (requested * r.one(&[10, 50, 70, 100]) / 100).max(1);
        (json!({"type": "AverageValue", "averageValue": quantity(worth)}), worth)
    } else {
        let percent = r.one(&[1, 33, 50, 60, 80, 100, 130, 200]);
        let worth = (requested * percent / 100).max(1);
        (json!({"type": "Utilization", "averageUtilization": percent}), worth)
    };
    let spec = if alone {
        let container = if r.percent(3) { json!("nobody") } else { of["name"].clone() };
        let body = json!({"name": name, "container": container, "target": target});
        json!({"type": "ContainerResource", "containerResource": body})
    } else {
        json!({"type": "Resource", "resource": {"name": name, "target": target}})
    };
    Metric { spec, name: name.to_owned(), worth, by_pod: true, averaged }
}

fn outside(r: &mut Random, n: i64) -> Metric {
    let worth = r.one(&[1, 2, 7, 100, 333, 1500, 10_000, 1_000_000]);
    let averaged = r.percent(55);
    let target = if averaged {
        json!({"type": "AverageValue", "averageValue": quantity(worth)})
    } else {
        json!({"type": "Value", "value": quantity(worth)})
    };
    // Several metrics may have one name, and be told apart by their selectors at most.
    let name = if n < 9 && r.percent(25) { "m0".to_owned() } else { format!("m{n}") };
    let spec = if r.percent(50) {
        let mut metric = json!({"name": name});
        if r.percent(20) {
            metric["selector"] = json!({"matchLabels": {"queue": "a"}});
        }
        json!({"type": "External", "external": {"metric": metric, "target": target}})
    } else {
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "front"});
        let body = json!({"metric": {"name": name}, "describedObject": object, "target": target});
        json!({"type": "Object", "object": body})
    };
    Metric { spec, name, worth, by_pod: false, averaged }
}

fn behavior(r: &mut Random) -> Value {
    let mut behavior = json!({});
    for direction in ["scaleUp", "scaleDown"] {
        if r.percent(80) {
            behavior[direction] = rules(r);
        }
    }
    behavior
}

fn rules(r: &mut Random) -> Value {
    let mut rules = json!({});
    if r.percent(75) {
        rules["stabilizationWindowSeconds"] =
            r.one(&[0, 0, 0, 1, 15, 29, 30, 31, 45, 60, 90, 120, 300, 301, 3600]).into();
    }
    if r.percent(60) {
        rules["selectPolicy"] = r.one(&["Max", "Max", "Min", "Min", "Disabled"]).into();
    }
    if r.percent(75) {
        let policies = r.many(1, 3, |r| {
            let (kind, value) = if r.percent(50) {
                ("Pods", r.one(&[1, 1, 2, 3, 4, 7, 10, 50]))
            } else {
                ("Percent", r.one(&[1, 3, 7, 10, 14, 25, 33, 50, 90, 99, 100, 110, 900]))
            };
            let seconds = r.one(&[1, 15, 15, 30, 30, 45, 60, 61, 90, 120, 300, 1800]);
            json!({"type": kind, "value": value, "periodSeconds": seconds})
        });
        rules["policies"] = policies.into();
    }
    if r.percent(30) {
        rules["tolerance"] = r.one(&["0", "1m", "33m", "50m", "100m", "150m", "500m", "1", "1300m"]).into();
    }
    rules
}

/// Rules that let a rate be reached at almost every sync.
fn quick(r: &mut Random) -> Value {
    let policies = r.many(1, 2, |r| {
        let percent = r.percent(70);
        let (kind, value) = if percent { ("Percent", r.between(1, 99)) } else { ("Pods", r.between(1, 25)) };
        json!({"type": kind, "value": value, "periodSeconds": r.one(&[15, 15, 30, 60, 120])})
    });
    json!({
        "stabilizationWindowSeconds": r.one(&[0, 0, 15]),
        "selectPolicy": r.one(&["Max", "Max", "Min"]),
        "policies": policies,
    })
}

fn series(
    r: &mut Random,
    metric: &Metric,
    duration: i64,
    (replicas, max): (i64, i64),
    tolerance: i64,
    extreme: bool,
) -> Value {
    let mode = match (metric.by_pod, metric.averaged) {
        (true, _) => r.one(&["total", "total", "perPod"]),
        (false, true) => "raw",
        (false, false) => r.one(&["perReady", "perReady", "raw"]),
    };
    let (mut points, mut t) = (Vec::new(), 0);
    // Demand in thousandths of a replica's worth.
    let mut level = replicas * 1000;
    while t < duration {
        let mut point = json!({"t": t});
        let x = r.between(0, 99);
        if x < 40 {
            level = (level * r.between(800, 1250) / 1000 + r.between(-200, 200)).clamp(0, max * 3000);
        } else if x < 55 {
            level = r.between(0, max * 1300);
        }
        let whole = mode == "total" || mode == "perReady" || metric.averaged && !metric.by_pod;
        let demand = if whole {
            metric.worth.saturating_mul(level) / 1000
        } else if metric.by_pod {
            metric.worth.saturating_mul(level) / 1000 / replicas.max(1)
        } else {
            metric.worth * r.between(500, 1600) / 1000
        };
        let value = match x {
            // At an edge of the tolerance, or beside it by a thousandth.
            55..70 => {
                let n = if whole { r.between(1, max) } else { 1 };
                let edge = r.one(&[1000 - tolerance, 1000, 1000 + tolerance]);
                let value = (metric.worth.saturating_mul(edge) / 1000).saturating_mul(n);
                value.saturating_add(r.between(-1, 1))
            }
            70..74 => 0,
            74..76 => r.between(1, 3),
            76..79 => metric.worth.saturating_mul(r.one(&[20, 300])),
            _ => demand,
        };
        let mut values = vec![value.max(0)];
        if extreme && r.percent(35) {
            let most = i64::MAX;
            values = r.many(1, 3, |r| {
                r.one(&[most, most - 1, most / 2, 1 << 53, (1 << 53) + 1, 1 << 31, (1 << 31) - 1, -1, -5000])
            });
        } else if mode == "perPod" {
            values = r.many(1, 5, |r| value.max(0).saturating_mul(r.between(600, 1400)) / 1000);
        } else if !metric.by_pod && r.percent(30) {
            let parts = r.between(2, 4);
            values = vec![value.max(0) / parts; usize::try_from(parts).expect("small")];
        }
        point["v"] = values.into();
        match x {
            84..88 => point = json!({"t": t, "error": r.one(&["timeout", "unavailable"])}),
            88..91 => point = json!({"t": t, "empty": true}),
            91..97 if metric.by_pod => {
                let lost: std::collections::BTreeSet<i64> =
                    r.many(1, 4, |r| r.between(0, replicas + 2)).into_iter().collect();
                point["missing"] = lost.into_iter().collect();
            }
            _ => {}
        }
        points.push(point);
        t += r.one(&[10, 15, 15, 30, 30, 45, 60, 90, 150, 300]);
    }
    let mut series = json!({"mode": mode, "points": points});
    if metric.by_pod {
        series["lagSeconds"] = r.one(&[0, 5, 10, 15, 30, 45]).into();
        if r.percent(60) {
            series["windowSeconds"] = r.one(&[0, 10, 15, 30, 60, 90]).into();
        }
    }
    series
}

fn events(r: &mut Random, duration: i64, (replicas, max): (i64, i64), metrics: &[Metric]) -> Value {
    let mut events: Vec<(i64, Value)> = Vec::new();
    for _ in 0..r.one(&[0, 1, 2, 3, 5, 8]) {
        let t = r.between(0, duration - 1);
        let t = if r.percent(40) { t - t % 15 } else { t };
        let end = (t + r.one(&[15, 16, 31, 60, 120, 300])).min(duration);
        let mut during = |begin: Value, over: Value| {
            events.push((t, begin));
            events.push((end, over));
        };
        match r.between(0, 11) {
            0 => during(json!({"getScaleError": "gone"}), json!({"getScaleError": ""})),
            1 => during(json!({"updateScaleError": "denied"}), json!({"updateScaleError": ""})),
            2 => during(json!({"statusUpdateError": "late"}), json!({"statusUpdateError": ""})),
            3 => during(json!({"surge": r.between(1, max.max(2) / 2)}), json!({"surge": 0})),
            4 => {
                let selector = r.one(&["", "no selector", "app=other"]);
                during(json!({"selector": selector}), json!({"selector": "app=target"}));
            }
            5 | 10 | 11 => {
                let first = r.between(1, replicas.max(1));
                let (begin, over) = r.one(&[
                    (json!({"ready": false}), json!({"ready": true})),
                    (json!({"ready": false}), json!({"ready": true})),
                    (json!({"phase": "Failed"}), json!({"phase": ""})),
                    (json!({"phase": "Pending"}), json!({"phase": ""})),
                    (json!({"phase": "Succeeded"}), json!({"phase": ""})),
                    (json!({"phase": "Unknown"}), json!({"phase": ""})),
                    (json!({"deleting": true}), json!({"deleting": false})),
                ]);
                let of = |mut what: Value| {
                    what["first"] = first.into();
                    json!({"pods": what})
                };
                during(of(begin), of(over));
            }
            6 => events.push((t, json!({"scaleTo": r.one(&[0, 1, replicas, max, max + 3])}))),
            // Between two syncs: at one, which process sees it is not said.
            7 => events.push((if t % 5 == 0 { t + 1 } else { t }, json!({"restart": true}))),
            8 => {
                let min = r.between(1, 9);
                let bounds = json!({"minReplicas": min, "maxReplicas": min + r.between(0, 20)});
                events.push((t, json!({"spec": bounds})));
            }
            _ => {
                let kept = r.between(1, metrics.len() as i64);
                let kept = metrics.iter().take(usize::try_from(kept).expect("small"));
                let edit = match r.between(0, 2) {
                    0 => json!({"behavior": null}),
                    1 => json!({"behavior": behavior(r)}),
                    _ => json!({"metrics": kept.map(|m| m.spec.clone()).collect::<Vec<_>>()}),
                };
                events.push((t, json!({"spec": edit})));
            }
        }
    }
    events.sort_by_key(|(t, _)| *t);
    let at = |(t, mut event): (i64, Value)| {
        event["t"] = t.into();
        event
    };
    events.into_iter().map(at).collect()
}
