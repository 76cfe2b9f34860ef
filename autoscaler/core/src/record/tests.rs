use super::*;

#[test]
fn says_what_is_wrong_with_a_record() {
    let long = vec![b' '; RECORD_BYTES_MAX + 1];
    for (bytes, words) in [
        (long.as_slice(), "more than 4194304"),
        (b"{", "not a decision record"),
        (b"{\"version\":3}", "version 3, this replays versions 1 to 2"),
        (b"{\"version\":2}", "missing field `input`"),
        (b"{\"version\":1}", "missing field `input`"),
    ] {
        let error = replay(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// The form on disk: an old record must stay readable, and must give the decision that it gave then.
#[test]
fn replays_a_record_that_was_kept() {
    let kept = include_bytes!("../../testdata/record-v2.json").trim_ascii();
    let replayed = replay(kept).unwrap();
    assert!(replayed.identical, "decided now: {:#?}", replayed.decision);
    let Recorded::Current(recorded) = replayed.recorded else { panic!("it is of today") };
    assert_eq!(canonical_json(&Record::new(replayed.input, *recorded)).unwrap(), kept);
}

/// Older forms are read and decided by today's rules; the first of them know no range windows and no support.
#[test]
fn reads_records_of_version_1() {
    let kept = [
        (include_str!("../../testdata/record-v1.json"), "queue asks for 5, but evidence is insufficient"),
        (include_str!("../../testdata/record-v1-first.json"), "queue"),
    ];
    for (kept, words) in kept {
        let replayed = replay(kept.trim().as_bytes()).unwrap();
        assert!(!replayed.identical);
        assert_eq!((replayed.decision.desired_replicas, replayed.decision.write), (8, None));
        let Recorded::Older(older) = &replayed.recorded else { panic!("it is old") };
        assert_eq!((older.version, older.desired_replicas, older.write), (1, 8, None));
        assert!(older.cause.contains(words), "{}", older.cause);
    }
}

#[test]
fn notices_a_decision_that_the_input_does_not_give() {
    let kept = include_str!("../../testdata/record-v2.json");
    let forged = kept.replace("\"desiredReplicas\":8", "\"desiredReplicas\":4");
    assert_ne!(forged, kept);
    assert!(!replay(forged.trim().as_bytes()).unwrap().identical);
}
