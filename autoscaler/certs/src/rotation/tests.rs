use proptest::prelude::*;

use super::*;

const L: Lifetimes = Lifetimes { authority_ms: 3_000_000, serving_ms: 800_000 };
const OVERLAP_MS: i64 = 100_000;

fn made(at_ms: i64, lifetime_ms: i64) -> Validity {
    Validity { not_before_ms: at_ms - BACKDATED_MS, not_after_ms: at_ms + lifetime_ms }
}

/// What [`crate::Bundle::after`] does, in times alone.
fn apply(state: Option<State>, step: Step, now_ms: i64, l: &Lifetimes) -> Option<State> {
    let begin = State {
        authorities: vec![made(now_ms, l.authority_ms)],
        serving: made(now_ms, l.serving_ms),
        signed_by: Some(0),
        covers: true,
    };
    let Some(mut state) = state else { return Some(begin) };
    match step {
        Step::Keep { .. } => {}
        Step::Begin => return Some(begin),
        Step::Authority => {
            state.authorities.insert(0, made(now_ms, l.authority_ms));
            state.signed_by = state.signed_by.map(|i| i + 1);
        }
        Step::Serving => {
            state.serving = made(now_ms, l.serving_ms);
            (state.signed_by, state.covers) = (Some(0), true);
        }
        Step::Drop { keep } => state.authorities.truncate(keep),
    }
    Some(state)
}

#[test]
fn each_state_has_its_step() {
    let fresh = State {
        authorities: vec![made(0, L.authority_ms)],
        serving: made(0, L.serving_ms),
        signed_by: Some(0),
        covers: true,
    };
    let serving_due = L.serving_ms / 3 * 2;
    let authority_due = L.authority_ms / 3 * 2;
    let with = |change: &dyn Fn(&mut State)| {
        let mut state = fresh.clone();
        change(&mut state);
        state
    };
    let two = with(&|s| {
        s.authorities.insert(0, made(2_000_000, L.authority_ms));
        s.serving = made(1_700_000, L.serving_ms);
        s.signed_by = Some(1);
    });
    let two_new = with(&|s| {
        s.authorities.insert(0, made(2_000_000, L.authority_ms));
        s.serving = made(2_100_000, L.serving_ms);
    });
    for (what, state, now_ms, expected) in [
        ("nothing", None, 0, Step::Begin),
        ("no authority", Some(with(&|s| s.authorities.clear())), 0, Step::Begin),
        ("fresh", Some(fresh.clone()), 0, Step::Keep { until_ms: serving_due }),
        ("served long enough", Some(fresh.clone()), serving_due, Step::Serving),
        ("another name", Some(with(&|s| s.covers = false)), 0, Step::Serving),
        ("of nobody", Some(with(&|s| s.signed_by = None)), 0, Step::Serving),
        ("served expired", Some(fresh.clone()), L.serving_ms, Step::Serving),
        ("clock behind", Some(fresh.clone()), -3_600_000, Step::Keep { until_ms: 533_332 }),
        (
            "authority due",
            Some(with(&|s| s.serving = made(1_900_000, L.serving_ms))),
            authority_due,
            Step::Authority,
        ),
        ("authority expired", Some(fresh.clone()), L.authority_ms, Step::Begin),
        ("new one not yet learned of", Some(two.clone()), 2_050_000, Step::Keep { until_ms: 2_100_000 }),
        ("new one learned of", Some(two), 2_000_000 + OVERLAP_MS, Step::Serving),
        ("old one's last may live", Some(two_new.clone()), 2_600_000, Step::Keep { until_ms: 2_633_332 }),
        (
            "old one's last expired",
            Some(with(&|s| {
                s.authorities.insert(0, made(2_000_000, L.authority_ms));
                s.serving = made(2_750_000, L.serving_ms);
            })),
            2_800_000,
            Step::Drop { keep: 1 },
        ),
        ("renewed first", Some(two_new), 2_900_000, Step::Serving),
    ] {
        assert_eq!(due(state.as_ref(), now_ms, &L), expected, "{what}");
    }
}

#[test]
fn lifetimes_that_cannot_be_are_refused_with_the_cure() {
    let s = Duration::from_secs;
    assert!(Lifetimes::new(s(30), s(10)).is_ok());
    for (authority, serving, expected) in [
        (s(1_000), s(9), "9s is too short"),
        (s(29), s(10), "give it at least 30s"),
        (s(21 * 365 * 86_400), s(10), "20y or less"),
        (Duration::MAX, Duration::MAX, "20y or less"),
    ] {
        let why = Lifetimes::new(authority, serving).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
}

proptest! {
    /// Whatever the pauses between looks, as long as nobody sleeps through a third of a life: what is served is vouched
    /// for by what was published an overlap ago, is never expired, and no authority stays for ever.
    #[test]
    fn what_is_served_was_vouched_for_before(
        pauses_ms in prop::collection::vec(1_i64..60_000, 1..400),
        serving_s in 400_i64..100_000,
        times in 3_i64..12,
    ) {
        let l = Lifetimes { serving_ms: serving_s * 1000, authority_ms: serving_s * 1000 * times };
        let (mut now_ms, mut state) = (0_i64, None);
        // When each authority was published, by when it begins.
        let mut published: Vec<(i64, i64)> = Vec::new();
        for pause_ms in pauses_ms.iter().cycle().take(4_000) {
            for _ in 0..6 {
                let step = due(state.as_ref(), now_ms, &l);
                if matches!(step, Step::Keep { .. }) {
                    break;
                }
                state = apply(state, step, now_ms, &l);
            }
            let now = state.as_ref().expect("there is always one");
            prop_assert!(matches!(due(Some(now), now_ms, &l), Step::Keep { .. }), "it settles: {now:?} at {now_ms}");
            for a in &now.authorities {
                if !published.iter().any(|(begins, _)| *begins == a.not_before_ms) {
                    published.push((a.not_before_ms, now_ms));
                }
            }
            prop_assert!(now.authorities.len() <= 2, "{now:?} at {now_ms}");
            prop_assert!(now_ms < now.serving.not_after_ms);
            let signer = now.authorities[now.signed_by.expect("signed")];
            prop_assert!(now.serving.not_after_ms <= signer.not_after_ms, "{now:?}");
            let (_, since_ms) = published.iter().find(|(begins, _)| *begins == signer.not_before_ms).expect("published");
            prop_assert!(*since_ms == 0 || now_ms - since_ms >= l.overlap_ms(), "{now:?} at {now_ms}");
            // A server that did not look for a third of a life still shows the one before: it is vouched for too.
            now_ms += pause_ms;
        }
    }
}
