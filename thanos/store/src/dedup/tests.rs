use proptest::prelude::*;
use thanos_model::{Sample, stale_nan};

use super::{Mode, merge};
use crate::decode::Run;

fn run(samples: &[(i64, f64)]) -> Run {
    samples.iter().map(|(t, v)| Sample::float(*t, *v)).collect()
}

fn flat(run: Run) -> Vec<(i64, f64)> {
    run.iter().map(|s| (s.t_ms, s.value.as_float().unwrap())).collect()
}

#[test]
fn copies_are_united_without_loss() {
    let all: Vec<(i64, f64)> = (0..100).map(|i| (i * 1000, i as f64)).collect();
    let a: Vec<_> = all.iter().copied().filter(|(t, _)| t % 7000 != 0).collect();
    let b: Vec<_> = all.iter().copied().filter(|(t, _)| t % 3000 != 0 || t % 7000 == 0).collect();
    for mode in [Mode::Parts, Mode::Replicas, Mode::Counters] {
        assert_eq!(flat(merge(vec![run(&a), run(&b)], mode)), all, "{mode:?}");
    }
}

#[test]
fn a_series_handed_from_store_to_store_is_whole() {
    let merged =
        merge(vec![run(&[(1, 1.0), (2, 2.0)]), run(&[(5, 5.0)]), run(&[(3, 3.0), (4, 4.0)])], Mode::Replicas);
    assert_eq!(flat(merged).len(), 5);
}

/// Vectors of Thanos' own penalty, worked by hand from its rules: (a, b, want).
#[test]
fn twins_follow_one_and_switch_at_gaps() {
    type Case<'a> = (&'a [(i64, f64)], &'a [(i64, f64)], &'a [(i64, f64)]);
    let cases: [Case<'_>; 4] = [
        // One is followed as long as it goes on.
        (
            &[(10_000, 1.0), (20_000, 1.0), (30_000, 1.0)],
            &[(10_001, 2.0), (20_001, 2.0), (30_001, 2.0)],
            &[(10_000, 1.0), (20_000, 1.0), (30_000, 1.0)],
        ),
        // A gap of three intervals: the other takes over once its penalty is served.
        (
            &[(10_000, 1.0), (20_000, 1.0), (60_000, 1.0), (70_000, 1.0)],
            &[(15_000, 2.0), (25_000, 2.0), (35_000, 2.0), (45_000, 2.0), (55_000, 2.0), (65_000, 2.0)],
            &[(10_000, 1.0), (20_000, 1.0), (45_000, 2.0), (55_000, 2.0), (65_000, 2.0)],
        ),
        // The other ends first.
        (&[(10_000, 1.0), (20_000, 1.0)], &[(11_000, 2.0)], &[(10_000, 1.0), (20_000, 1.0)]),
        // The second begins earlier.
        (
            &[(30_000, 1.0)],
            &[(1_000, 2.0), (11_000, 2.0), (31_000, 2.0)],
            &[(1_000, 2.0), (11_000, 2.0), (31_000, 2.0)],
        ),
    ];
    for (a, b, want) in cases {
        assert_eq!(flat(merge(vec![run(a), run(b)], Mode::Replicas)), want, "{a:?} {b:?}");
    }
}

#[test]
fn a_counter_steps_back_only_where_a_replica_reset() {
    // B's clock is late: at its 45 s it shows what A showed earlier. Uncorrected this is a reset of 40.
    let a = run(&[(10_000, 10.0), (20_000, 30.0), (30_000, 50.0)]);
    let b =
        run(&[(15_000, 5.0), (25_000, 20.0), (35_000, 30.0), (45_000, 40.0), (55_000, 48.0), (65_000, 60.0)]);
    let plain = flat(merge(vec![a.clone(), b.clone()], Mode::Replicas));
    assert!(plain.windows(2).any(|w| w[1].1 < w[0].1), "the corpus must show the problem: {plain:?}");
    let fixed = flat(merge(vec![a, b], Mode::Counters));
    assert_eq!(fixed, [(10_000, 10.0), (20_000, 30.0), (30_000, 50.0), (65_000, 60.0)]);
    // A real reset, seen by B itself, stays.
    let a = run(&[(10_000, 10.0), (20_000, 30.0)]);
    let b = run(&[(15_000, 20.0), (25_000, 35.0), (45_000, 2.0), (55_000, 4.0)]);
    assert_eq!(
        flat(merge(vec![a, b], Mode::Counters)),
        [(10_000, 10.0), (20_000, 30.0), (45_000, 2.0), (55_000, 4.0)]
    );
}

#[test]
fn stale_markers_stay() {
    let a = run(&[(10_000, 1.0), (20_000, stale_nan())]);
    let merged = merge(vec![a.clone(), a], Mode::Replicas);
    assert!(merged.len() == 2 && merged[1].value.is_stale());
}

fn any_run() -> impl Strategy<Value = Run> {
    prop::collection::btree_map(any::<i64>(), any::<f64>(), 0..40)
        .prop_map(|m| m.into_iter().map(|(t, v)| Sample::float(t, v)).collect())
}

proptest! {
    #[test]
    fn output_ascends_and_invents_nothing(
        runs in prop::collection::vec(any_run(), 0..4),
        mode in prop::sample::select(vec![Mode::Parts, Mode::Replicas, Mode::Counters]),
    ) {
        let input: Vec<Sample> = runs.concat();
        let merged = merge(runs, mode);
        prop_assert!(merged.windows(2).all(|w| w[0].t_ms < w[1].t_ms));
        prop_assert!(merged.iter().all(|s| input.contains(s)));
        prop_assert_eq!(merged.is_empty(), input.is_empty());
    }
}
