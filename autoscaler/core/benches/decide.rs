//! One decision, with what a policy's tick adds around it. Ids are chosen once: renaming loses their history.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

#[path = "../tests/decisions/build.rs"]
mod build;

use std::hint::black_box;

use autoscaler_core::{
    Behavior, Input, Reading, Recommendation, Record, Rules, Settled, canonical_json, decide, explain, replay,
};
use criterion::{Criterion, criterion_group, criterion_main};

fn benches(c: &mut Criterion) {
    let mut input = build::input(
        8,
        vec![build::asks_for("requests", 9), build::asks_for("queue", 5), build::asks_for("latency", 3)],
    );
    let rules = Rules { stabilization_window_seconds: Some(300), ..Rules::default() };
    input.policy.behavior = Some(Behavior { scale_up: None, scale_down: Some(rules) });
    let remembered = |age: i32| Recommendation {
        at_ms: input.now_ms - i64::from(age) * 1000,
        replicas: 4 + age,
        held_ms: 0,
    };
    input.history.recommendations = Some((1..10).rev().map(remembered).collect());
    // A minute of decisions, so that everything is remembered that ever is.
    input.policy.interval_ms = 1_000;
    input.policy.metrics.iter_mut().for_each(|metric| metric.evidence.window_ms = 30_000);
    for _ in 0..60 {
        next(&mut input);
    }
    c.bench_function("decide/3_metrics", |b| b.iter(|| decide(black_box(&input))));

    let mut partial = input.clone();
    build::age(&mut partial.observations[0], input.now_ms, None);
    c.bench_function("decide/3_metrics_insufficient", |b| b.iter(|| decide(black_box(&partial))));

    let decision = decide(&input);
    c.bench_function("decide/explain_3_metrics", |b| b.iter(|| explain(black_box(&input), &decision)));

    let record = Record::new(input.clone(), decide(&input));
    c.bench_function("record/3_metrics", |b| b.iter(|| canonical_json(black_box(&record))));
    let bytes = canonical_json(&record).unwrap_or_default();
    c.bench_function("replay/3_metrics", |b| b.iter(|| replay(black_box(&bytes))));
}

/// A second later, on what was decided.
fn next(input: &mut Input) {
    input.history = decide(input).history;
    input.now_ms += 1_000;
    for observation in &mut input.observations {
        let Reading::Value(value) = observation.newest else { continue };
        let settled_ms = input.history.settled_ms(&observation.name);
        *observation = build::observed_at(input.now_ms, &observation.name, value.get());
        observation.settled = settled_ms.map(|at_ms| Settled { at_ms, reading: Reading::Value(value) });
    }
}

criterion_group!(decide_benches, benches);
criterion_main!(decide_benches);
