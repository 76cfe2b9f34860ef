//! `gauntlet autoscaler explain`: a decision record in sentences, decided again from its input.

use std::path::PathBuf;

use autoscaler_core::{explain, replay};
use thanos_telemetry::{RunError, cli};

/// Flags of `gauntlet autoscaler explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A decision record: a file of --records-dir, named by the digest that the policy's status shows
    pub record: PathBuf,
}

/// Prints the recorded decision in sentences, and whether deciding again gives the same bytes.
///
/// # Errors
/// [`RunError::Config`] if the file cannot be read or is no record of this version.
pub(crate) fn run(args: &Args) -> Result<(), RunError> {
    let text = cli::read_config(&args.record)?;
    let told = tell(&text).map_err(|e| RunError::Config(format!("{}: {e}", args.record.display())))?;
    crate::print(&told)
}

fn tell(text: &str) -> Result<String, autoscaler_core::RecordError> {
    let replayed = replay(text.trim().as_bytes())?;
    let (input, recorded) = (&replayed.record.input, &replayed.record.decision);
    let mut lines = explain(input, recorded);
    if replayed.identical {
        lines.push("Replay: bit-identical; this input gives this decision.".to_owned());
    } else {
        let now = &replayed.decision;
        lines.push(if (now.desired_replicas, now.write) == (recorded.desired_replicas, recorded.write) {
            "Replay: not bit-identical; the same replicas, told or remembered otherwise.".to_owned()
        } else {
            format!(
                "Replay: not bit-identical; this release decides {} where {} is recorded.",
                now.desired_replicas, recorded.desired_replicas
            )
        });
        lines.extend(explain(input, now).into_iter().map(|line| format!("  now: {line}")));
    }
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = include_str!("../../core/testdata/record-v1.json");

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
    fn a_bad_file_is_a_configuration_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.json");
        for (bytes, words) in [
            (b"{\"version\":9}".as_slice(), "version 9"),
            (b"[]", "not a decision record"),
            (b"", "not a decision record"),
            (b"\xff\xfe", "UTF-8"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = run(&Args { record: path.clone() }).unwrap_err();
            assert_eq!(error.exit_code(), 64);
            assert!(error.to_string().contains("bad.json") && error.to_string().contains(words), "{error}");
        }
        let missing = run(&Args { record: dir.path().join("none.json") }).unwrap_err();
        assert_eq!(missing.exit_code(), 64);
    }
}
