//! What becomes of the replicas when their policy is deleted.

use crate::policy::{Mode, Policy};

/// The replicas to leave behind if a policy that restores is deleted; `None`: leave what is there.
///
/// `original` is what the target had before this policy first wrote (KEDA's `status.originalReplicaCount`). A policy
/// that writes nothing by itself writes nothing here either. The bounds do not count: they go with the policy.
#[must_use]
pub fn restore(policy: &Policy, original: Option<i32>, current: i32) -> Option<i32> {
    let wrote = policy.mode == Mode::Active;
    original.filter(|original| wrote && *original >= 0 && *original != current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Defaults;

    #[test]
    fn restores_what_was_there_and_only_where_it_wrote() {
        for (mode, original, current, expected) in [
            (Mode::Active, Some(3), 8, Some(3)),
            (Mode::Active, Some(0), 8, Some(0)),
            (Mode::Active, Some(8), 8, None),
            (Mode::Active, None, 8, None),
            (Mode::Active, Some(-1), 8, None),
            (Mode::Shadow, Some(3), 8, None),
            (Mode::Paused, Some(3), 8, None),
        ] {
            let policy = Policy {
                min_replicas: 5,
                max_replicas: 9,
                metrics: Vec::new(),
                behavior: None,
                mode,
                compatibility: Default::default(),
                defaults: Defaults::default(),
                interval_ms: 0,
                zero: None,
                pause: Default::default(),
                formula: None,
            };
            assert_eq!(restore(&policy, original, current), expected, "{mode:?} {original:?}");
        }
    }
}
