//! Whatever happens to the samples, what the true load does not ask for is not done; and what it asks for is.

use std::collections::BTreeMap;
use std::ops::Range;

use autoscaler_core::{EvidenceSpec, Reading};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::build::NOW_MS;
use crate::world::{Cut, Lag, Part, REPLICAS, World};

fn span_ms() -> impl Strategy<Value = Range<i64>> {
    let length_ms = prop_oneof![Just(0), 0..30_000i64, 0..200_000i64];
    (-60_000..120_000i64, length_ms).prop_map(|(from, length)| from..from + length)
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![Just(Part::Nobody), Just(Part::Shard), Just(Part::West), Just(Part::Both)]
}

fn cut() -> impl Strategy<Value = Cut> {
    let again_ms = proptest::option::weighted(0.2, 0..90_000i64);
    (span_ms(), part(), any::<bool>(), again_ms).prop_map(|(during, of, marked, again_ms)| Cut {
        during,
        of,
        marked,
        again_ms,
    })
}

fn lag() -> impl Strategy<Value = Lag> {
    let constant_ms = prop_oneof![Just(0), 0..5_000i64, 0..60_000i64];
    (constant_ms, span_ms(), 0.0..1.2, part()).prop_map(|(constant_ms, during, a_second, of)| Lag {
        constant_ms,
        growing: (during, a_second),
        of,
    })
}

/// Scrape, window, `maxAge`, interval and the user's window: any that make sense together.
fn quiet() -> impl Strategy<Value = World> {
    let query = (500..5_000i64).prop_flat_map(|scrape| (Just(scrape), 2 * scrape..60_000));
    let policy = (500..40_000i64, 500..10_000i64, proptest::option::of(0..20));
    let jitter = proptest::collection::vec(0..100i64, 1..5);
    (query, policy, jitter, any::<bool>()).prop_map(
        |((scrape_ms, window_ms), (max_age_ms, interval_ms, user_window), jitter, named)| World {
            scrape_ms,
            window_ms,
            max_age_ms,
            interval_ms,
            user_window,
            jitter,
            named,
            ..World::demo()
        },
    )
}

pub(crate) fn world() -> impl Strategy<Value = World> {
    let clock_ms = prop_oneof![2 => Just(0), 1 => -900..900i64, 2 => -25_000..25_000i64];
    let forgetful = prop_oneof![3 => Just(0), 1 => 2..6i64];
    (quiet(), cut(), lag(), (clock_ms, forgetful), (span_ms(), span_ms())).prop_map(
        |(world, mut cut, lag, (clock_ms, forgetful), (outage, stall))| World {
            // Between two cuts there is a whole window, or no query could tell the truth.
            cut: {
                let whole_ms = world.window_ms + 4 * world.interval_ms + 2 * world.scrape_ms;
                cut.again_ms = cut.again_ms.map(|pause| cut.during.end - cut.during.start + whole_ms + pause);
                cut
            },
            lag,
            clock_ms,
            forgetful,
            outage,
            stall,
            ..world
        },
    )
}

/// A store that lost its samples, or a part of it; or another server, which was away for a while. Between that and a cut
/// there is a whole window, as between two cuts; and between the stretch that it lacks and the time that it was away.
fn lossy() -> impl Strategy<Value = World> {
    let away_ms = prop_oneof![Just(1), 1..30_000i64];
    let hole = proptest::option::weighted(0.3, (0..90_000i64, 0..90_000i64));
    (world(), any::<bool>(), 0..200_000i64, (away_ms, part()), hole).prop_map(
        |(mut world, is_before, apart, (away, of), hole)| {
            let (growing, a_second) = &world.lag.growing;
            let late_ms = world.lag.constant_ms + ((growing.end - growing.start) as f64 * a_second) as i64;
            let whole_ms = world.window_ms + 4 * world.interval_ms + 2 * world.scrape_ms + late_ms;
            world.cut.again_ms = None;
            let cut = &world.cut.during;
            let at = if is_before { cut.start - whole_ms - away - apart } else { cut.end + whole_ms + apart };
            // Of a stretch that is no longer than looks are apart, a window must be whole between its ends.
            let ends_ms = world.window_ms.min(world.max_age_ms) + 3 * world.interval_ms;
            let has_room =
                |length: i64| length + 2 * world.scrape_ms + 2 * world.interval_ms <= world.window_ms;
            let hole = hole.filter(|(_, length)| *length > ends_ms || has_room(*length));
            let lacks = hole.map(|(before, length)| {
                let before = if away > 1 { whole_ms + before } else { before };
                at - before - length..at - before
            });
            World { lost: at..at + away, lost_of: of, lacks, ..world }
        },
    )
}

/// The same worlds each time; PROPTEST_RNG_SEED gives others, and WORLDS more of them.
fn worlds(of: u32) -> ProptestConfig {
    let mut config = ProptestConfig { cases: of, max_shrink_iters: 4_000, ..ProptestConfig::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(20_261_130);
    }
    if let Ok(more) = std::env::var("WORLDS") {
        config.cases = of * more.parse::<u32>().expect("WORLDS is how many times as many");
    }
    config
}

proptest! {
    #![proptest_config(worlds(10_000))]

    /// Cuts before they are noticed, while they last, while windows refill; late samples, for ever or later and
    /// later; wrong clocks; a querier that forgot; hidden by each other, begun before the controller did.
    #[test]
    fn nothing_lowers_replicas_under_constant_load(world in world()) {
        let lowest = world.lowest(world.end());
        prop_assert!(lowest.is_none_or(|(replicas, _)| replicas >= REPLICAS), "{lowest:?} replicas, ms");
    }

    /// The same, of stores that lose samples that were vouched for.
    #[test]
    fn nothing_that_a_store_loses_lowers_replicas(world in lossy()) {
        let lowest = world.lowest(world.end());
        prop_assert!(lowest.is_none_or(|(replicas, _)| replicas >= REPLICAS), "{lowest:?} replicas, ms");
    }
}

proptest! {
    #![proptest_config(worlds(2_000))]

    /// Late samples and wrong clocks hide no rise for longer than they are late.
    #[test]
    fn a_rise_is_followed(quiet in quiet(), lag_ms in 0..20_000i64, of in part(), clock_ms in -25_000..25_000i64) {
        let lag_ms = lag_ms.min(quiet.max_age_ms / 2);
        // Beyond maxAge there is nothing to go by but what is left.
        let clock_ms = clock_ms.min(quiet.max_age_ms - lag_ms - 3 * quiet.scrape_ms);
        let rise = 60_000;
        let lag = Lag { constant_ms: lag_ms, of, ..Lag::none() };
        let world = World { lag, clock_ms, load: (rise, 1.6), ..quiet };
        let seen = rise + lag_ms + world.window_ms + 3 * world.scrape_ms + 4 * world.interval_ms;
        let highest = world.decide(seen + 10 * world.interval_ms).map(|(_, d)| d.desired_replicas).max();
        prop_assert!(highest.is_some_and(|highest| highest >= 18), "{highest:?} of 20");
    }

    /// What is late but complete lowers in the end: by how much the wait is short is another test's matter.
    #[test]
    fn a_fall_is_followed(quiet in quiet(), lag_ms in 0..20_000i64, of in part(), forgetful in 0..3i64) {
        let max_age_ms = quiet.max_age_ms.max(4 * quiet.scrape_ms);
        let lag_ms = lag_ms.min(max_age_ms / 2);
        let lag = Lag { constant_ms: lag_ms, of, ..Lag::none() };
        // Lost answers and late ones together may leave no two looks at one window.
        let (forgetful, jitter) = if forgetful == 0 { (0, quiet.jitter) } else { (forgetful + 1, vec![0]) };
        let world = World { lag, forgetful, jitter, max_age_ms, load: (60_000, 0.5), ..quiet };
        let end = 60_000 + 4 * world.window_ms + 2 * lag_ms + 60 * world.interval_ms;
        let lowest = world.lowest(end);
        prop_assert!(lowest.is_some_and(|(replicas, _)| (5..=7).contains(&replicas)), "{lowest:?} of 6");
    }
}

#[test]
fn the_model_lies_as_a_querier_would() {
    let cut = Cut { during: 100_000..145_000, of: Part::West, ..Cut::none() };
    let world = World { cut, ..World::demo() };
    let value = |at| match world.value(at, at, true) {
        Reading::Value(value) => value.get(),
        Reading::Failed { .. } | Reading::Pods(_) | Reading::Series(_) => f64::NAN,
    };
    for (at, expected) in
        [(99_500, 120.0), (114_600, 90.0), (130_900, 60.0), (160_000, 90.0), (176_000, 120.0)]
    {
        assert!((value(at) - expected).abs() < 2.5, "{} at {at}", value(at));
    }
    let late = World { lag: Lag { constant_ms: 15_000, of: Part::West, ..Lag::none() }, ..World::demo() };
    let Reading::Value(now) = late.value(90_000, 90_000, true) else { panic!("no value") };
    let Reading::Value(settled) = late.value(74_000, 90_000, true) else { panic!("no value") };
    assert!((now.get() - 91.0).abs() < 2.5 && (settled.get() - 120.0).abs() < 2.5, "{now} {settled}");
}

/// Doubts and causes of a run, by second.
fn told(world: &World, end: i64) -> BTreeMap<i64, String> {
    let words = |(now, decision): (i64, autoscaler_core::Decision)| {
        let doubt = decision.metrics[0].evidence.doubts().first().map(ToString::to_string);
        (now / 1000, doubt.unwrap_or_default())
    };
    world.decide(end).map(words).collect()
}

#[test]
fn a_cut_is_told_while_it_lasts_and_not_longer() {
    let cut = Cut { during: 200_000..245_000, of: Part::West, ..Cut::none() };
    let told = told(&World { cut, ..World::demo() }, 300_000);
    for (second, words) in [
        (199, ""),
        (219, ""),
        (222, "cluster west's newest sample is 22.4s old, more than 20s"),
        (244, "cluster west's newest sample is 44.4s old, more than 20s"),
        (247, ""),
        (290, ""),
    ] {
        assert_eq!(told[&second], words, "after {second} s");
    }
}

#[test]
fn a_cut_hidden_by_another_fault_lowers_nothing() {
    let cut = Cut { during: 200_000..350_000, of: Part::West, ..Cut::none() };
    let hidden = World { cut, ..World::demo() };
    for (fault, world) in [
        ("outage", World { outage: 219_000..360_000, ..hidden.clone() }),
        ("stall", World { stall: 219_000..360_000, ..hidden }),
    ] {
        assert_eq!(world.lowest(600_000).map(|(replicas, _)| replicas), Some(REPLICAS), "{fault}");
    }
}

/// Between cuts no window is ever full, so no answer is ever true.
#[test]
fn cuts_without_end_lower_nothing() {
    for (max_age_ms, length_ms, pause_ms) in
        [(2_000, 35_000, 20_000), (20_000, 22_000, 3_000), (20_000, 28_000, 15_000)]
    {
        let during = 200_000..200_000 + length_ms;
        let again_ms = Some(length_ms + pause_ms);
        let cut = Cut { during, of: Part::West, marked: false, again_ms };
        let flapping = World { cut, max_age_ms, ..World::demo() };
        let lowest = flapping.lowest(1_200_000);
        assert_eq!(
            lowest.map(|(replicas, _)| replicas),
            Some(REPLICAS),
            "{length_ms} {pause_ms}: {lowest:?}"
        );
    }
}

/// A cluster that lags for ever is read where its samples are, so that it neither lowers falsely nor forbids to.
#[test]
fn a_lag_neither_lowers_nor_forbids_to() {
    let lag = Lag { constant_ms: 15_000, of: Part::West, ..Lag::none() };
    let world = World { lag, load: (200_000, 0.5), ..World::demo() };
    let lowered = world.decide(400_000).find(|(_, decision)| decision.desired_replicas < REPLICAS);
    let (at, _) = lowered.expect("it lowers");
    assert!((215_000..235_000).contains(&at), "lowered after {at} ms");
    let lowest = world.lowest(400_000);
    assert_eq!(lowest.map(|(replicas, _)| replicas), Some(6));
}

/// Half of west's pods are gone, with markers and without.
#[test]
fn half_of_the_pods_missing_is_seen() {
    for (marked, words) in [
        (true, "1 of the 2 pods that are ready in cluster west have fresh samples"),
        (false, "the series of 1 pod in cluster west stopped without a staleness marker"),
    ] {
        let cut = Cut { during: 100_000..160_000, of: Part::Shard, marked, again_ms: None };
        let world = World { cut, ..World::demo() };
        assert_eq!(told(&world, 150_000)[&140], words);
        assert_eq!(world.lowest(300_000).map(|(replicas, _)| replicas), Some(REPLICAS));
    }
}

/// Who answered is expected, named or not, until told otherwise.
#[test]
fn a_cluster_that_answered_is_missed() {
    let cut = Cut { during: 100_000..900_000, of: Part::West, marked: true, again_ms: None };
    let world = World { cut, named: false, ..World::demo() };
    let told = told(&world, 600_000);
    assert_eq!(told[&99], "");
    assert_eq!(told[&590], "cluster west has no sample in the answer, where it was before");
    // Naming those that remain is the cure, from then on.
    let named = lowered(&world, |second, evidence| {
        if second >= 200 {
            evidence.clusters = vec!["east".into()];
        }
    });
    assert!(named.is_some_and(|second| (200..240).contains(&second)), "{named:?}");
    let forgotten = lowered(&world, |_, evidence| evidence.forget_clusters_ms = Some(120_000));
    assert!(forgotten.is_some_and(|second| (220..260).contains(&second)), "{forgotten:?}");
}

/// The second of the first lowering of a run whose policy's evidence is changed as it goes.
pub(crate) fn lowered(world: &World, change: impl Fn(i64, &mut EvidenceSpec)) -> Option<i64> {
    let mut run = world.start();
    (0..600).find(|second| {
        run.now_ms = NOW_MS + second * 1000;
        change(*second, &mut run.policy.metrics[0].evidence);
        let starts = run.history.starts(&run.policy, "requests", run.now_ms);
        let settled_ms = run.history.settled_ms("requests");
        run.observations = vec![world.observe(second * 1000, settled_ms, &starts, 1)];
        let decision = autoscaler_core::decide(&run);
        run.history = decision.history;
        decision.desired_replicas < REPLICAS
    })
}

/// Two windows refill, and in between, when the value was right, nobody could look.
#[test]
fn two_low_times_around_an_outage_do_not_add_up() {
    let world = World {
        scrape_ms: 600,
        window_ms: 25_695,
        max_age_ms: 20_346,
        interval_ms: 5_370,
        cut: Cut { during: 22_232..46_347, of: Part::Both, marked: true, again_ms: Some(104_447) },
        lag: Lag { constant_ms: 22_276, growing: (96_594..103_564, 0.27), of: Part::Both },
        clock_ms: -11_192,
        outage: 83_594..248_379,
        jitter: vec![9],
        named: false,
        ..World::demo()
    };
    let lowest = world.lowest(world.end());
    assert!(lowest.is_none_or(|(replicas, _)| replicas >= REPLICAS), "{lowest:?} replicas, ms");
}

/// What is asked for while a schedule's floor is entered is remembered when it is left.
#[test]
fn what_is_asked_for_below_a_floor_supports_what_comes_after_it() {
    let world = World {
        scrape_ms: 3_369,
        window_ms: 57_159,
        max_age_ms: 33_275,
        interval_ms: 9_741,
        cut: Cut { during: 40_887..52_458, of: Part::Both, marked: true, again_ms: Some(158_441) },
        clock_ms: 7_203,
        jitter: vec![25, 17, 48],
        named: true,
        ..World::demo()
    };
    let lowest = world.lowest_with(world.end(), |run, now| {
        let floor = (now / 1_000 / 29 % 2 == 0).then_some(16);
        run.schedules =
            vec![autoscaler_core::InForce { name: "s".into(), min_replicas: floor, max_replicas: None }];
    });
    assert!(lowest.is_none_or(|(replicas, _)| replicas >= REPLICAS), "{lowest:?} replicas, ms");
}

/// Evaluations that take longer than the interval are rare, and still look at one course of things.
#[test]
fn a_fall_is_followed_where_every_answer_is_slow() {
    fn terms(start: &mut autoscaler_core::Input) {
        start.policy.interval_ms = 200;
    }
    for jitter in [vec![0], vec![0, 70, 10, 90]] {
        let world = World { interval_ms: 1_500, load: (60_000, 0.5), jitter, terms, ..World::demo() };
        let lowest = world.lowest(60_000 + 4 * world.window_ms + 60 * world.interval_ms);
        assert!(lowest.is_some_and(|(replicas, _)| (5..=7).contains(&replicas)), "{lowest:?} of 6");
    }
}

/// What was vouched for was in the store that lost it: a younger one has fresh samples and no window's worth of them.
#[test]
fn a_store_that_comes_back_without_its_samples_lowers_nothing() {
    // Away for a moment only: another server of the same source, which began later.
    for (window_ms, max_age_ms, away_ms) in [
        (60_000, 10_000, 20_000),
        (60_000, 10_000, 1),
        (30_000, 20_000, 5_000),
        (30_000, 20_000, 15_000),
        (300_000, 20_000, 60_000),
    ] {
        let world = World { lost: 400_000..400_000 + away_ms, window_ms, max_age_ms, ..World::demo() };
        let (lowest, at) = world.lowest(world.end()).unwrap();
        assert_eq!(lowest, REPLICAS, "range {window_ms} ms, away {away_ms} ms: at {at} ms");
    }
}

/// What a store lacks within a window is not the end of pods, nor hidden by how far apart looks are.
#[test]
fn a_stretch_that_a_store_lacks_lowers_nothing() {
    let begins = World {
        scrape_ms: 576,
        window_ms: 58_834,
        max_age_ms: 12_889,
        interval_ms: 554,
        user_window: None,
        cut: Cut { during: 59_112..211_283, of: Part::Both, marked: true, again_ms: None },
        lag: Lag { constant_ms: 0, growing: (-11_839..32_456, 0.601_867), of: Part::Both },
        outage: 63_662..100_836,
        lost: 342_189..342_190,
        lacks: Some(287_425..332_819),
        jitter: vec![69, 20, 88, 60],
        ..World::demo()
    };
    let ends = World {
        scrape_ms: 500,
        window_ms: 42_741,
        max_age_ms: 1_017,
        interval_ms: 9_153,
        user_window: None,
        lost: 130_558..130_559,
        lacks: Some(103_000..130_558),
        jitter: vec![13, 92],
        named: false,
        ..World::demo()
    };
    for (name, world) in [("its window begins in it", begins), ("its window ends in it", ends)] {
        let lowest = world.lowest(world.end());
        assert!(lowest.is_none_or(|(replicas, _)| replicas >= REPLICAS), "{name}: {lowest:?} replicas, ms");
    }
}

/// Pods that fell silent come back without what was scraped meanwhile: until then they settle where they were.
#[test]
fn pods_that_come_back_between_two_rare_looks_lower_nothing() {
    for (of, marked) in [(Part::Shard, false), (Part::Shard, true), (Part::West, true)] {
        let world = World {
            scrape_ms: 500,
            window_ms: 1_251,
            max_age_ms: 3_611,
            interval_ms: 6_568,
            user_window: None,
            cut: Cut { during: 107_983..119_801, of, marked, again_ms: None },
            lag: Lag { constant_ms: 2_639, growing: (0..0, 0.0), of: Part::Shard },
            outage: -899..18_851,
            stall: 10_655..19_967,
            jitter: vec![87, 4],
            named: false,
            ..World::demo()
        };
        let lowest = world.lowest(world.end());
        assert!(lowest.is_none_or(|(replicas, _)| replicas >= REPLICAS), "{of:?}: {lowest:?} replicas, ms");
    }
}
