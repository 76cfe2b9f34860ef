//! A record in sentences, decided again from its input.

use autoscaler_core::{RecordError, Recorded, explain, replay};

/// Tells the recorded decision, and whether deciding again gives the same bytes.
///
/// # Errors
/// `text` is no record that this release reads.
pub(super) fn tell(text: &str) -> Result<String, RecordError> {
    let replayed = replay(text.trim().as_bytes())?;
    let (input, now) = (&replayed.input, &replayed.decision);
    let again = || explain(input, now).into_iter().map(|line| format!("  now: {line}"));
    let lines: Vec<String> = match &replayed.recorded {
        Recorded::Current(recorded) if replayed.identical => {
            let last = "Replay: bit-identical; this input gives this decision.".to_owned();
            explain(input, recorded).into_iter().chain([last]).collect()
        }
        Recorded::Current(recorded) => {
            let last = if replayed.recorded.replicas() == (now.desired_replicas, now.write) {
                "Replay: not bit-identical; the same replicas, told or remembered otherwise.".to_owned()
            } else {
                format!(
                    "Replay: not bit-identical; this release decides {} where {} is recorded.",
                    now.desired_replicas, recorded.desired_replicas
                )
            };
            explain(input, recorded).into_iter().chain([last]).chain(again()).collect()
        }
        Recorded::Older(older) => {
            let current = input.scale.spec_replicas;
            let first = match older.write {
                Some(to) => format!("Scale from {current} to {to}: {}.", older.cause),
                None => format!("Stay at {current}: {}.", older.cause),
            };
            let last = format!(
                "Replay: the record is of version {}, decided by older rules; by today's it is:",
                older.version
            );
            [first, last].into_iter().chain(again()).collect()
        }
    };
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = include_str!("../../../core/testdata/record-v2.json");

    #[test]
    fn a_record_is_told_and_replayed() {
        let told = tell(KEPT).unwrap();
        assert!(told.starts_with("Stay at ") || told.starts_with("Scale from "), "{told}");
        assert!(told.contains("\nMetric requests"), "{told}");
        assert!(told.ends_with("Replay: bit-identical; this input gives this decision.\n"), "{told}");
    }

    #[test]
    fn a_record_that_its_input_does_not_give_is_told_beside_what_it_gives() {
        let forged = KEPT.replace("\"desiredReplicas\":8", "\"desiredReplicas\":4");
        assert_ne!(forged, KEPT);
        let told = tell(&forged).unwrap();
        assert!(
            told.contains("Replay: not bit-identical; this release decides 8 where 4 is recorded."),
            "{told}"
        );
        assert!(told.contains("\n  now: "), "{told}");
    }

    #[test]
    fn a_record_of_older_rules_is_told_and_decided_by_todays() {
        let told = tell(include_str!("../../../core/testdata/record-v1.json")).unwrap();
        assert!(told.starts_with("Stay at 8: queue asks for 5, but evidence is insufficient"), "{told}");
        assert!(told.contains("\nReplay: the record is of version 1, decided by older rules; by"), "{told}");
        assert!(told.contains("\n  now: Stay at 8: "), "{told}");
    }
}
