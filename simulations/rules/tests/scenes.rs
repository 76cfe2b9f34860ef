//! The rules in scenes: they follow a load that they see, and what each is known for happens.

use simulations_kernel::{Fault, Schedule, Trace};
use simulations_rules::Rule;
use simulations_world::scene::HOUR_MS;
use simulations_world::{Life, Load, MetricFault, Part, Scene, Told, Trouble, WorldFault};

/// A scene of two clusters, half an hour, 500 requests a second each and nothing wrong but this.
fn steady(window_s: i32, faults: Vec<MetricFault>) -> Scene {
    let mut seed = 0;
    let mut scene = loop {
        let scene = Scene::drawn(seed, HOUR_MS / 2, Trouble::None);
        if scene.task.clusters.len() == 2 && scene.setup.clusters[0].scrape.interval_ms == 1000 {
            break scene;
        }
        seed += 1;
    };
    for member in &mut scene.setup.clusters {
        member.load = Load::constant(500.0);
    }
    // Replicas that the seed's own load asked for, and those that this one does, which come first.
    scene.task.down_window_s = window_s;
    scene.task.down_rate = None;
    let fault = |(i, kind): (usize, MetricFault)| Fault {
        name: format!("f{i}"),
        kind: WorldFault::Metric(kind),
        from_ms: 600_000,
        to_ms: 1_200_000,
    };
    scene.setup.faults = Schedule { faults: faults.into_iter().enumerate().map(fault).collect() };
    scene
}

fn live(scene: &Scene, rule: Rule) -> Life {
    scene.live(&Trace::new(), |world, _| rule.begin(scene, world))
}

#[test]
fn without_faults_all_rules_find_what_the_load_asks_for() {
    let scene = steady(60, Vec::new());
    for rule in Rule::ALL {
        let life = live(&scene, rule);
        assert!((19..=22).contains(&life.ordered), "{rule:?}: {life:?}");
        assert_eq!(life.tally.unsafe_lowerings, [], "{rule:?}");
    }
}

/// What anchors of each are known for: who lowers on which lie.
#[test]
fn each_rule_believes_what_it_is_known_to_believe() {
    let lost = |told| MetricFault::Hidden { part: Part::all(1), permille: 1000, told };
    for (fault, believers) in [
        (lost(Told::Nothing), [true, true, true, true]),
        (lost(Told::Warning), [true, true, true, true]),
        (MetricFault::Refused { status: 503 }, [false, false, false, false]),
        (MetricFault::Unreachable, [false, false, false, false]),
        (MetricFault::Lag { part: Part::all(1), ms: 25_000 }, [true, true, true, true]),
    ] {
        let scene = steady(30, vec![fault.clone()]);
        let lowers = Rule::ALL.map(|rule| !live(&scene, rule).tally.unsafe_lowerings.is_empty());
        assert_eq!(lowers, believers, "{fault:?}");
    }
}

/// Not a number is zero for KEDA as it comes, a failure for KEDA as it is tuned, and for the HPA behind
/// prometheus-adapter, which makes of it the smallest of all integers, an overflow.
#[test]
fn what_is_no_number_is_zero_for_some() {
    let both = (0..2).map(|cluster| MetricFault::NotANumber { part: Part::all(cluster) }).collect();
    let scene = steady(30, both);
    let lowest = |rule| {
        let life = live(&scene, rule);
        life.scaled.iter().filter(|s| s.at_ms > 600_000).map(|s| s.to).min()
    };
    assert_eq!(lowest(Rule::Keda).unwrap(), scene.truth.bounds.0);
    assert!(lowest(Rule::KedaTuned).is_none_or(|to| to >= 19));
    assert!(lowest(Rule::Hpa).is_none_or(|to| to >= 19));
}

#[test]
fn the_same_seed_is_the_same_life() {
    let scene = Scene::drawn(5, HOUR_MS / 6, Trouble::Drawn);
    for rule in Rule::ALL {
        assert_eq!(live(&scene, rule), live(&scene, rule), "{rule:?}");
    }
}
