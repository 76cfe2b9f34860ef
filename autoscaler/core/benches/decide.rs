//! One decision, with what a policy's tick adds around it. Ids are chosen once: renaming loses their history.
#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

#[path = "../tests/decisions/build.rs"]
mod build;

use std::hint::black_box;

use autoscaler_core::{Behavior, Recommendation, Record, Rules, canonical_json, decide, replay};
use criterion::{Criterion, criterion_group, criterion_main};

fn benches(c: &mut Criterion) {
    let mut input = build::input(
        8,
        vec![build::asks_for("requests", 9), build::asks_for("queue", 5), build::asks_for("latency", 3)],
    );
    let rules = Rules { stabilization_window_seconds: Some(300), ..Rules::default() };
    input.policy.behavior = Some(Behavior { scale_up: None, scale_down: Some(rules) });
    let remembered =
        |age: i32| Recommendation { at_ms: input.now_ms - i64::from(age) * 1000, replicas: 4 + age };
    input.history.recommendations = Some((1..10).rev().map(remembered).collect());
    c.bench_function("decide/3_metrics", |b| b.iter(|| decide(black_box(&input))));

    let mut partial = input.clone();
    partial.observations[0].newest_sample_age_ms.remove("west");
    c.bench_function("decide/3_metrics_insufficient", |b| b.iter(|| decide(black_box(&partial))));

    let record = Record::new(input.clone(), decide(&input));
    c.bench_function("record/3_metrics", |b| b.iter(|| canonical_json(black_box(&record))));
    let bytes = canonical_json(&record).unwrap_or_default();
    c.bench_function("replay/3_metrics", |b| b.iter(|| replay(black_box(&bytes))));
}

criterion_group!(decide_benches, benches);
criterion_main!(decide_benches);
