use super::*;

#[test]
fn says_what_is_wrong_with_a_record() {
    let long = vec![b' '; RECORD_BYTES_MAX + 1];
    for (bytes, words) in [
        (long.as_slice(), "more than 4194304"),
        (b"{", "not a decision record"),
        (b"{\"version\":2}", "version 2, this replays version 1"),
        (b"{\"version\":1}", "missing field `input`"),
    ] {
        let error = replay(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// The form on disk: an old record must stay readable, and must give the decision that it gave then.
#[test]
fn replays_a_record_that_was_kept() {
    let kept = include_bytes!("../../testdata/record-v1.json").trim_ascii();
    let replayed = replay(kept).unwrap();
    assert!(replayed.identical, "decided now: {:#?}", replayed.decision);
    assert_eq!(canonical_json(&replayed.record).unwrap(), kept);
}

/// The first records know no range windows and no support: the decision is the same, only more is remembered.
#[test]
fn replays_a_record_of_the_first_form() {
    let first = include_bytes!("../../testdata/record-v1-first.json").trim_ascii();
    let mut replayed = replay(first).unwrap();
    assert!(!replayed.identical, "what is remembered has grown");
    replayed.decision.history = replayed.record.decision.history.clone();
    assert_eq!(replayed.decision, replayed.record.decision);
}

#[test]
fn notices_a_decision_that_the_input_does_not_give() {
    let kept = include_str!("../../testdata/record-v1.json");
    let forged = kept.replace("\"desiredReplicas\":8", "\"desiredReplicas\":4");
    assert_ne!(forged, kept);
    assert!(!replay(forged.trim().as_bytes()).unwrap().identical);
}
