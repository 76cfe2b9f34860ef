//! Whether a server has what was vouched for, by the series that it has where windows begin.

use autoscaler_core::{
    Behavior, History, Input, Rules, Samples, SeriesCount, Settled, StartSamples, WindowStart, decide,
};

use crate::build::{NOW_MS, asks_for, both_within, clusters, input, observed_at};
use crate::world::{Part, REPLICAS, World};

/// What was vouched for was in the store that lost it, or in another one, which is gone: a part of it, or a stretch.
#[test]
fn a_part_of_a_store_or_another_server_that_was_away_lowers_nothing() {
    let hole = |length: i64, before: i64| Some(400_000 - before - length..400_000 - before);
    for (lost_of, lacks) in [
        (Part::Both, None),
        (Part::West, None),
        (Part::Shard, None),
        (Part::Both, hole(50_000, 5_000)),
        (Part::West, hole(25_000, 15_000)),
        (Part::Shard, hole(25_000, 5_000)),
        (Part::Shard, hole(10_000, 15_000)),
    ] {
        let world = World { lost: 400_000..400_001, lost_of, lacks, ..World::demo() };
        let lowest = world.lowest(world.end());
        assert_eq!(lowest.map(|(replicas, _)| replicas), Some(REPLICAS), "{lost_of:?} {lowest:?}");
    }
}

#[test]
fn a_fall_is_followed_a_window_after_a_store_lost_its_samples() {
    let world = World { lost: 200_000..200_001, load: (300_000, 0.5), ..World::demo() };
    let lowered = world.decide(400_000).find(|(_, decision)| decision.desired_replicas < REPLICAS);
    assert!(lowered.is_some_and(|(at, _)| (300_000..315_000).contains(&at)));
    let lowest = world.lowest(400_000);
    assert_eq!(lowest.map(|(replicas, _)| replicas), Some(6));
}

/// How a part comes to be hidden.
type Begin<'a> = (&'a str, &'a dyn Fn(&mut Run));

/// West's series by second: what an answer has of each place.
struct Run {
    run: Input,
    second: i64,
    /// How many of those that are counted a second time are fresh, and not where the window begins.
    broken: u32,
    /// How many of the target's pods have fresh samples.
    own_pods: u32,
    /// How many series each cluster has of a second selector, if there is one.
    other: u32,
    lag_ms: i64,
    /// How many of west's pods stopped without a marker.
    silent: u32,
    value: f64,
    /// The lowest that was desired.
    lowest: i32,
}

impl Run {
    /// A minute of four series in west.
    fn new() -> Self {
        let mut run = input(12, vec![asks_for("requests", 12)]);
        run.history = History::default();
        run.policy.interval_ms = 1_000;
        run.policy.metrics[0].evidence = both_within(20_000);
        run.policy.metrics[0].evidence.window_ms = 30_000;
        let mut run = Self {
            run,
            second: 0,
            broken: 0,
            own_pods: 0,
            other: 0,
            lag_ms: 0,
            silent: 0,
            value: 120.0,
            lowest: 12,
        };
        for _ in 0..60 {
            assert_eq!(run.tick(|_| 4), [""; 0], "after {} s", run.second);
        }
        run
    }

    /// What speaks against an answer that has so many of west's series at each second; and what is asked next.
    fn tick(&mut self, west: impl Fn(i64) -> u32) -> Vec<String> {
        let now_ms = NOW_MS + self.second * 1_000;
        self.run.now_ms = now_ms;
        let mut observation = observed_at(now_ms, "requests", self.value);
        for cluster in clusters(&mut observation) {
            cluster.newest_ms -= self.lag_ms;
            cluster.slowest_ms = cluster.slowest_ms.map(|at_ms| at_ms - self.lag_ms);
            cluster.pods = if cluster.cluster == self.run.cluster { self.own_pods } else { 0 };
            cluster.silent_pods = if &*cluster.cluster == "west" { self.silent } else { 0 };
        }
        let settled_ms = self.run.history.settled_ms("requests");
        observation.settled = settled_ms.map(|at_ms| Settled { at_ms, reading: observation.newest.clone() });
        let count = |cluster: &str, series| SeriesCount { cluster: cluster.into(), series };
        let (broken, other) = (self.broken, self.other);
        if let Samples::Seen(selectors) = &mut observation.samples
            && other > 0
        {
            selectors.push(selectors[0].clone());
        }
        let answer = |(nth, start): (usize, WindowStart)| {
            let west = west((start.at_ms - NOW_MS) / 1_000);
            let counts = vec![count("east", 4), count("west", west)];
            let mut selectors = vec![counts.into_iter().filter(|c| c.series > 0).collect::<Vec<_>>()];
            if other > 0 {
                selectors.push(vec![count("east", other), count("west", other)]);
            }
            let broken = (nth > 0 && broken > 0).then(|| vec![count("west", broken)]);
            StartSamples { start, selectors, broken: broken.into_iter().collect() }
        };
        observation.starts = self.asked().into_iter().enumerate().map(answer).collect();
        self.run.observations = vec![observation];
        let decision = decide(&self.run);
        self.run.history = decision.history.clone();
        self.lowest = self.lowest.min(decision.desired_replicas);
        self.second += 1;
        decision.metrics[0].evidence.doubts().iter().map(ToString::to_string).collect()
    }

    fn asked(&self) -> Vec<WindowStart> {
        let now_ms = NOW_MS + self.second * 1_000;
        self.run.history.starts(&self.run.policy, "requests", now_ms)
    }

    /// Whether everything before is unknown.
    fn is_first_sight(&self) -> bool {
        let spans = self.run.history.metrics[0].coverage.spans();
        spans.first().is_some_and(|span| span.from_ms.is_none())
    }
}

const FEWER: &str = "2 of cluster west's 4 series are there where its window begins";

#[test]
fn pods_that_ended_are_told_from_samples_that_are_lost() {
    // One place a tick; after a fall, the place before it once more.
    let mut ended = Run::new();
    let from = ended.second - 31;
    let pods = |at| if at < from { 4 } else { 2 };
    assert_eq!(ended.asked().len(), 1);
    let told: Vec<Vec<String>> = (0..6).map(|_| ended.tick(pods)).collect();
    assert_eq!(told.iter().flatten().collect::<Vec<_>>(), [FEWER], "said once: {told:?}");
    assert!(!ended.is_first_sight());
    assert_eq!(ended.asked().len(), 1);

    let mut lost = Run::new();
    assert_eq!(lost.tick(|_| 2), [FEWER]);
    assert!(!lost.is_first_sight());
    assert_eq!(lost.asked().len(), 2);
    assert_eq!(lost.tick(|_| 2), [FEWER]);
    assert!(lost.is_first_sight());
    assert_eq!(lost.asked().len(), 1);

    let mut gone = Run::new();
    assert_eq!(
        gone.tick(|_| 0),
        ["cluster west's samples of 33s before the evaluation are gone, where its window begins"]
    );
    assert!(gone.is_first_sight());
}

/// Series that are at both places and not between them did not end; a few that began anew do no harm.
#[test]
fn a_stretch_that_is_missing_is_no_end_of_pods() {
    let broken = "2 of cluster west's 4 series lack a stretch of its window";
    let mut run = Run::new();
    let from = (run.asked()[0].at_ms - NOW_MS) / 1_000;
    let hole = |at| if (from..from + 20).contains(&at) { 2 } else { 4 };
    assert_eq!(run.tick(hole), [FEWER]);
    run.broken = 2;
    for _ in 1..20 {
        assert_eq!(run.tick(hole), [broken], "after {} s", run.second);
        assert_eq!(run.asked().len(), 2);
    }
    assert_eq!(run.tick(hole), [""; 0]);
    assert!(!run.is_first_sight());
    assert_eq!(run.asked().len(), 1);

    let mut ended = Run::new();
    for _ in 0..31 {
        ended.tick(|_| 20);
    }
    let from = ended.second - 31;
    ended.broken = 2;
    let told: Vec<_> = (0..4).flat_map(|_| ended.tick(|at| if at < from { 20 } else { 15 })).collect();
    assert_eq!(told, ["15 of cluster west's 20 series are there where its window begins"]);
}

#[test]
fn a_part_that_is_lost_is_expected_until_it_is_back_or_an_hour_has_passed() {
    let lost = || {
        let mut run = Run::new();
        run.tick(|_| 2);
        assert_eq!(run.tick(|_| 2), [FEWER]);
        for _ in 0..300 {
            assert_eq!(run.tick(|_| 2), [FEWER], "after {} s", run.second);
        }
        run
    };
    let mut back = lost();
    assert_eq!(back.tick(|_| 4), [""; 0]);
    assert_eq!(back.tick(|_| 4), [""; 0]);
    // A store that was emptied has everything again, and more.
    let mut more = lost();
    assert_eq!(more.tick(|_| 7), [""; 0]);
    let mut ended = lost();
    // What stands still so long has other doubts first.
    ended.second += 3_600;
    ended.tick(|_| 2);
    assert_eq!(ended.tick(|_| 2), [""; 0]);
}

/// Of the target's own pods it is known how many are left, whatever a store lost meanwhile.
#[test]
fn pods_that_we_ended_are_not_expected_of_a_store_that_lost_a_part() {
    for (cluster, is_waited_for) in [("west", false), ("east", true)] {
        let mut run = Run::new();
        (run.run.cluster, run.own_pods) = (cluster.into(), 4);
        run.run.scale.ready_replicas = 4;
        for _ in 0..40 {
            run.tick(|_| 4);
        }
        // One of four is taken away, then one of three is lost from the store.
        (run.run.scale.ready_replicas, run.own_pods) = (3, 3);
        run.tick(|_| 4);
        run.tick(|_| 2);
        assert_eq!(run.tick(|_| 2), [FEWER]);
        for _ in 0..40 {
            assert_eq!(run.tick(|_| 2), [FEWER], "{cluster}");
        }
        let expected: &[&str] = &["3 of cluster west's 4 series are there where its window begins"];
        assert_eq!(run.tick(|_| 3), if is_waited_for { expected } else { &[] }, "{cluster}");
    }
}

/// Half of west is hidden, however that begins: three quarters of the value are no reason to lower.
#[test]
fn a_part_that_is_hidden_lowers_nothing_whatever_else_is_lost_or_late() {
    let by_and_by = |run: &mut Run, series: u32| {
        for lag in 1..20 {
            run.lag_ms = lag * 500;
            run.tick(|_| series);
        }
        run.lag_ms = 0;
    };
    let halved = |run: &mut Run| (0..40).for_each(|_| _ = run.tick(|_| 2));
    let begins: [Begin<'_>; 6] = [
        ("nothing else", &|_| ()),
        ("all of it is away for one answer", &|run| _ = run.tick(|_| 0)),
        ("it was hidden, and all of it is away for one answer", &|run| {
            halved(run);
            run.tick(|_| 0);
        }),
        ("samples were late and caught up", &|run| by_and_by(run, 4)),
        ("it was hidden while samples were late and caught up", &|run| {
            halved(run);
            by_and_by(run, 2);
        }),
        ("it comes one by one", &|run| (0..30).for_each(|nth| _ = run.tick(|_| 60 - nth))),
    ];
    for (name, begin) in begins {
        let mut run = Run::new();
        let rules = Rules { stabilization_window_seconds: Some(0), ..Rules::default() };
        run.run.policy.behavior = Some(Behavior { scale_up: None, scale_down: Some(rules) });
        let (all, left) = if name == "it comes one by one" { (60, 30) } else { (4, 2) };
        for _ in 0..40 {
            run.tick(|_| all);
        }
        begin(&mut run);
        run.value = 90.0;
        for _ in 0..200 {
            run.tick(|_| left);
        }
        assert_eq!(run.lowest, 12, "{name}");
    }
}

/// A querier looks back five minutes, and then has no word of pods that fell silent. Nobody saw them end.
#[test]
fn pods_that_fell_silent_are_expected_when_the_querier_forgets_them() {
    for window_ms in [30_000, 600_000] {
        let mut run = Run::new();
        run.run.policy.metrics[0].evidence.window_ms = window_ms;
        for _ in 0..700 {
            run.tick(|_| 4);
        }
        let from = run.second - 20;
        let pods = |at| if at < from { 4 } else { 2 };
        run.silent = 2;
        for _ in 0..250 {
            assert!(!run.tick(pods).is_empty(), "said while they are silent");
        }
        (run.silent, run.value) = (0, 60.0);
        // A window that still begins before has them, and is no less whole for it: only what comes after is a lie.
        for _ in 0..window_ms / 1_000 + 30 {
            run.value = if run.asked()[0].at_ms - NOW_MS < from * 1_000 { 120.0 } else { 60.0 };
            run.tick(pods);
        }
        for _ in 0..900 {
            assert_eq!(run.tick(pods), [FEWER], "{window_ms}");
        }
        assert_eq!(run.lowest, 12, "{window_ms}");
        // They are back, or others are in their place.
        let back = run.second;
        let pods = |at| if at < from || at > back { 4 } else { 2 };
        for _ in 0..window_ms / 1_000 + 60 {
            run.tick(pods);
        }
        assert_eq!(run.tick(pods), [""; 0], "{window_ms}");
        assert_eq!(run.lowest, 6, "{window_ms}");
    }
}

/// A selector that sees many series hides nothing of one that sees few.
/// Which of the target's own pods are missing is known, so those beyond them ended, whatever a marker was lost of.
#[test]
fn own_pods_that_ended_without_a_marker_are_not_expected() {
    for (cluster, is_expected) in [("west", false), ("east", true)] {
        let mut run = Run::new();
        (run.run.cluster, run.own_pods) = (cluster.into(), 4);
        run.run.scale.ready_replicas = 4;
        for _ in 0..40 {
            run.tick(|_| 4);
        }
        let from = run.second - 5;
        let pods = |at| if at < from { 4 } else { 2 };
        (run.run.scale.ready_replicas, run.own_pods, run.silent) = (2, 2, 2);
        for _ in 0..250 {
            assert!(!run.tick(pods).is_empty(), "said while they are silent");
        }
        run.silent = 0;
        for _ in 0..120 {
            run.tick(pods);
        }
        assert_eq!(!run.tick(pods).is_empty(), is_expected, "{cluster}");
    }
}

#[test]
fn each_selector_is_counted_by_itself() {
    let mut run = Run::new();
    let rules = Rules { stabilization_window_seconds: Some(0), ..Rules::default() };
    run.run.policy.behavior = Some(Behavior { scale_up: None, scale_down: Some(rules) });
    run.other = 100;
    for _ in 0..70 {
        run.tick(|_| 4);
    }
    run.value = 90.0;
    for _ in 0..60 {
        run.tick(|_| 1);
    }
    assert_eq!(run.lowest, 12);
}

/// Servers that scrape for themselves differ by a pod that just began.
#[test]
fn a_series_of_many_that_one_server_saw_later_is_no_loss() {
    let mut run = Run::new();
    for _ in 0..30 {
        assert_eq!(run.tick(|_| 20), [""; 0]);
    }
    for second in 0..30 {
        assert_eq!(run.tick(|_| 18 + second % 3), [""; 0]);
    }
}

#[test]
fn what_reads_only_the_newest_samples_begins_nowhere() {
    let mut run = Run::new();
    run.run.policy.metrics[0].evidence.window_ms = 0;
    assert_eq!(run.asked(), []);
}
