use std::collections::BTreeMap;

use jiff::Timestamp;
use simulations_judge::timeline::{Decided, PolicyId, PolicyState, Target};
use simulations_load::generator::Progress;

use super::*;
use crate::builtin;

fn web() -> Target {
    ("east".into(), "web".into())
}

/// A policy that is not named like what it scales.
fn scaler() -> PolicyId {
    PolicyId {
        cluster: "east".into(),
        namespace: "default".into(),
        name: "scaler".into(),
        kind: "Deployment".into(),
        target: "web".into(),
    }
}

fn mark(name: &str) -> Event {
    Event::Mark { name: name.into(), planned: Duration::ZERO }
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
    let faulty = block(begins + 1, &[mark(&fault.name)], 200).join("\n");
    assert!(faulty.contains(&format!("✗ {}", fault.name)) && faulty.contains(" left"), "{faulty}");
    let ended = [mark(&fault.name), mark(&format!("{} ended", fault.name))];
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
    let trusted = [replicas.clone(), Event::Policy { policy: scaler(), state: state(true) }];
    let lines = block(1, &trusted, 200).join("\n");
    assert!(lines.contains("4 of 6") && lines.contains("████░░"), "{lines}");
    assert!(lines.contains("evidence suffices") && lines.contains("61 asks for 6"), "{lines}");
    let doubted = [replicas, Event::Policy { policy: scaler(), state: state(false) }];
    let lines = block(1, &doubted, 200).join("\n");
    assert!(lines.contains("does not suffice") && lines.contains("west is silent"), "{lines}");
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
        Event::Policy { policy: scaler(), state: PolicyState { cause, ..PolicyState::default() } },
    ];
    for width in [0, 1, 20, 80] {
        for line in block(1, &events, width) {
            assert!(line.chars().count() <= width.max(1), "{width}: {line}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn a_change_is_told_by_the_decision_that_made_it() {
    let replicas = |wanted| Event::Replicas { target: web(), wanted, ready: 2 };
    let decision = |from, to, written: bool, cause: &str| {
        let decision = Decided { from, to, written, cause: cause.into(), ..Decided::default() };
        Event::Decision { policy: scaler(), decision }
    };
    let policy = |cause: &str| Event::Policy {
        policy: scaler(),
        state: PolicyState { cause: cause.into(), ..PolicyState::default() },
    };
    let told = |events: &[Event]| {
        let mut state = State::default();
        let mut lines: Vec<String> = events.iter().filter_map(|e| state.take(e)).collect();
        (0..9).for_each(|_| lines.extend(state.overdue()));
        lines
    };
    let (to_5, to_9) =
        ("east/web: 2 → 5 replicas. 61 asks for 5", "east/web: 5 → 9 replicas. 140 asks for 12");
    // The policy still shows the cause of the decision before when the replicas change.
    let first = [replicas(2), replicas(5), decision(2, 5, true, "61 asks for 5"), policy("61 asks for 5")];
    let second = [replicas(9), policy("61 asks for 5"), decision(5, 9, true, "140 asks for 12")];
    assert_eq!(told(&[&first[..], &second].concat()), [to_5, to_9]);
    // In the other order.
    assert_eq!(told(&[replicas(2), decision(2, 5, true, "61 asks for 5"), replicas(5)]), [to_5]);
    // What was not written changed nothing, and what nobody decided is said to be so.
    assert_eq!(told(&[replicas(5), decision(5, 7, false, "shadow")]), [""; 0]);
    assert_eq!(told(&[replicas(2), replicas(4)]), ["east/web: 2 → 4 replicas, by no decision of a policy"]);
    assert_eq!(State::default().take(&mark("step")).unwrap(), "── step ──");
}
