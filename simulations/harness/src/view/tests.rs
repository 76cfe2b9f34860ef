use std::collections::BTreeMap;

use jiff::Timestamp;
use simulations_load::generator::Progress;

use super::*;
use crate::builtin;
use crate::timeline::{PolicyState, Target};

fn web() -> Target {
    ("east".into(), "web".into())
}

/// The demo at a time, after events; the block as plain text.
fn block(at_s: u64, events: &[Event], width: usize) -> Vec<String> {
    let loaded = builtin::load("demo", &BTreeMap::new()).unwrap();
    let mut state = State::default();
    state.plan(StartLine::new(&loaded, Timestamp::UNIX_EPOCH));
    for event in events {
        state.take(event);
    }
    state.lines(Duration::from_secs(at_s)).iter().map(|l| l.cut(width, false)).collect()
}

#[test]
fn the_block_says_where_the_run_is_and_what_is_wrong() {
    let loaded = builtin::load("demo", &BTreeMap::new()).unwrap();
    let fault = &loaded.scenario.faults[0];
    let begins = fault.at.as_secs();
    let quiet = block(1, &[], 200).join("\n");
    assert!(quiet.contains("demo ") && quiet.contains("0:01 of "), "{quiet}");
    assert!(quiet.contains(&format!("no fault; {} in ", fault.name)), "{quiet}");
    let faulty = block(begins + 1, &[Event::Mark(fault.name.clone())], 200).join("\n");
    assert!(faulty.contains(&format!("✗ {}", fault.name)) && faulty.contains(" left"), "{faulty}");
    let ended = [Event::Mark(fault.name.clone()), Event::Mark(format!("{} ended", fault.name))];
    let healed = block(begins + 60, &ended, 200).join("\n");
    assert!(!healed.contains('✗'), "{healed}");
}

#[test]
fn a_workload_shows_its_replicas_its_evidence_and_why() {
    let state = |sufficient| PolicyState {
        sufficient: Some(sufficient),
        evidence: "requests: west is silent".into(),
        cause: "61 asks for 6".into(),
        ..PolicyState::default()
    };
    let replicas = Event::Replicas { target: web(), wanted: 6, ready: 4 };
    let trusted = [replicas.clone(), Event::Policy { target: web(), state: state(true) }];
    let lines = block(1, &trusted, 200).join("\n");
    assert!(lines.contains("4 of 6") && lines.contains("████░░"), "{lines}");
    assert!(lines.contains("evidence suffices") && lines.contains("61 asks for 6"), "{lines}");
    let doubted = [replicas, Event::Policy { target: web(), state: state(false) }];
    let lines = block(1, &doubted, 200).join("\n");
    assert!(lines.contains("never fewer") && lines.contains("west is silent"), "{lines}");
}

#[test]
fn no_line_is_wider_than_the_terminal_or_moves_its_cursor() {
    let second = simulations_load::recorder::Summary { completed: u64::MAX, ..Default::default() };
    let cause = "a cause\nof \x1b[2J two lines ".repeat(20);
    let events = [
        Event::Load {
            cluster: "east".into(),
            load: "users".into(),
            to: "front".into(),
            progress: Progress { at: Duration::ZERO, rate_rps: 1e9, second },
        },
        Event::Replicas { target: web(), wanted: i32::MAX, ready: i32::MIN },
        Event::Policy { target: web(), state: PolicyState { cause, ..PolicyState::default() } },
    ];
    for width in [0, 1, 20, 80] {
        for line in block(1, &events, width) {
            assert!(line.chars().count() <= width.max(1), "{width}: {line}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn what_changed_is_told_with_its_cause() {
    let mut state = State::default();
    let replicas = |wanted| Event::Replicas { target: web(), wanted, ready: 2 };
    assert_eq!(state.take(&replicas(2)), None);
    let policy = PolicyState { cause: "61 asks for 6".into(), ..PolicyState::default() };
    let following = [(Duration::ZERO, Event::Policy { target: web(), state: policy })];
    state.look_ahead(&replicas(6), &following);
    assert_eq!(state.take(&replicas(6)).unwrap(), "east/web: 2 → 6 replicas. 61 asks for 6");
    assert_eq!(state.take(&Event::Mark("step".into())).unwrap(), "── step ──");
}
