//! Who is expected to answer, for how long, and by which selector.

use autoscaler_core::{ClusterScope, Input, Samples, SelectorSamples, decide};

use crate::build::{NOW_MS, asks_for, clusters, input, seen};
use crate::world::{Cut, Part, REPLICAS, World};
use crate::worlds::lowered;

/// West is away from 100 s on, and no policy names it.
fn without_west() -> World {
    let cut = Cut { during: 100_000..900_000, of: Part::West, marked: true, again_ms: None };
    World { cut, named: false, ..World::demo() }
}

#[test]
fn a_query_that_is_edited_while_a_cluster_is_away_misses_it_still() {
    let edited = without_west().lowest_with(600_000, |run, now| {
        run.policy.metrics[0].revision = u64::from(now >= 150_000);
    });
    assert_eq!(edited.map(|(replicas, _)| replicas), Some(REPLICAS));
    // Under the new query it is forgotten as under any.
    let forgotten = without_west().lowest_with(600_000, |run, now| {
        run.policy.metrics[0].revision = u64::from(now >= 150_000);
        run.policy.metrics[0].evidence.forget_clusters_ms = Some(120_000);
    });
    assert!(forgotten.is_some_and(|(replicas, at)| replicas < REPLICAS && at > 270_000), "{forgotten:?}");
}

#[test]
fn time_in_which_nobody_was_asked_forgets_no_cluster() {
    for outage in [0..0, 100_000..144_000, 110_000..154_000] {
        let away_ms = outage.end - outage.start;
        let world = World { outage, ..without_west() };
        let second = lowered(&world, |_, evidence| evidence.forget_clusters_ms = Some(40_000));
        let earliest = 140 + away_ms / 1000;
        assert!(second.is_some_and(|second| (earliest..earliest + 40).contains(&second)), "{second:?}");
    }
}

fn doubts(input: &Input) -> Vec<String> {
    decide(input).metrics[0].evidence.doubts().iter().map(ToString::to_string).collect()
}

/// An answer of clusters whose names the policy does not say.
fn unnamed(names: &[String]) -> Input {
    let mut input = input(9, vec![asks_for("requests", 4)]);
    input.policy.metrics[0].evidence.clusters.clear();
    *clusters(&mut input.observations[0]) = names.iter().map(|name| seen(name, NOW_MS - 1_000)).collect();
    input
}

#[test]
fn more_clusters_than_are_remembered_are_a_doubt() {
    let names = |most: usize| (0..most).map(|n| format!("c{n}")).collect::<Vec<_>>();
    assert_eq!(doubts(&unnamed(&names(256))), [""; 0]);
    let mut many = unnamed(&names(257));
    assert_eq!(doubts(&many), ["more than 256 clusters answer, and no more are remembered"]);
    assert_eq!(decide(&many).desired_replicas, 9);
    many.policy.metrics[0].evidence.clusters = names(257).iter().map(|name| name.as_str().into()).collect();
    assert_eq!(doubts(&many), [""; 0], "named ones are as many as are named");
}

#[test]
fn who_answered_and_could_not_be_told_forbids_lowering_until_clusters_are_named() {
    let mut input = unnamed(&["east".to_owned()]);
    input.history = decide(&input).history;
    input.history.metrics[0].clusters_lost = true;
    assert_eq!(
        doubts(&input),
        ["which clusters answered before was too much for the policy's status to hold"]
    );
    assert_eq!(decide(&input).desired_replicas, 9);
    input.policy.metrics[0].revision = 7;
    assert_eq!(doubts(&input).len(), 1, "another query does not tell");
    input.policy.metrics[0].evidence.clusters = vec!["east".into()];
    assert_eq!(doubts(&input), [""; 0]);
    assert!(!decide(&input).history.metrics[0].clusters_lost);
}

/// `rate(x{cluster="east"}) + rate(x{cluster="west"})`: each sees one, and together they see both.
#[test]
fn a_selector_that_names_a_cluster_is_not_missed_in_another() {
    let halves = |sees: &[&str]| {
        let half = |name: &'static str| SelectorSamples {
            selector: name.into(),
            pinned: false,
            scope: ClusterScope::Only(vec![name.into()]),
            clusters: sees.iter().filter(|s| **s == name).map(|s| seen(s, NOW_MS - 1_000)).collect(),
        };
        Samples::Seen(vec![half("east"), half("west")])
    };
    let mut input = unnamed(&[]);
    input.observations[0].samples = halves(&["east", "west"]);
    assert_eq!(doubts(&input), [""; 0]);
    input.history = decide(&input).history;
    let mut lost = input.clone();
    lost.observations[0].samples = halves(&["east"]);
    assert_eq!(
        doubts(&lost),
        ["no sample of west was found", "cluster west has no sample in the answer, where it was before"]
    );
    // What is named and looked at by nobody is missing; what is only remembered belonged to another query.
    let mut north = input.clone();
    north.policy.metrics[0].evidence.clusters = ["east", "north", "west"].map(Into::into).into();
    assert_eq!(doubts(&north), ["cluster north has no sample in the answer"]);
    let Samples::Seen(selectors) = &mut input.observations[0].samples else { panic!("no samples") };
    selectors.pop();
    input.policy.metrics[0].revision = 7;
    assert_eq!(doubts(&input), [""; 0]);
}

#[test]
fn a_selector_excepts_clusters() {
    let except = ClusterScope::Except(vec!["west".into()]);
    let admitted = ["east", "west"].map(|cluster| except.admits(&cluster.into()));
    assert_eq!((admitted, ClusterScope::All.admits(&"west".into())), ([true, false], true));
}
