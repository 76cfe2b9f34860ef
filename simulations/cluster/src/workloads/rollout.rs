//! The arithmetic of a rolling update. Pure.
//!
//! Source: kubernetes `pkg/controller/deployment/rolling.go` and `util/deployment_util.go` (rules). Simpler in
//! one place: replicas that change during a rollout go to the new set at once instead of in proportion.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// One ReplicaSet in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SetSize {
    /// `spec.replicas`.
    pub(super) wanted: i32,
    /// `status.availableReplicas`.
    pub(super) available: i32,
}

/// How many pods more than wanted, and how many fewer available ones, an update may bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) surge: i32,
    pub(super) unavailable: i32,
}

impl Limits {
    /// Percentages of `replicas`: surge rounds up, unavailable down; both zero would never end.
    pub(super) fn resolve(
        surge: Option<&IntOrString>,
        unavailable: Option<&IntOrString>,
        replicas: i32,
    ) -> Self {
        let surge = amount(surge, replicas, true);
        let unavailable = amount(unavailable, replicas, false).min(replicas);
        if surge == 0 && unavailable == 0 {
            Self { surge, unavailable: 1 }
        } else {
            Self { surge, unavailable }
        }
    }
}

fn amount(value: Option<&IntOrString>, of: i32, up: bool) -> i32 {
    match value {
        Some(IntOrString::Int(n)) => (*n).max(0),
        Some(IntOrString::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(25);
            let product = percent.max(0).saturating_mul(i64::from(of));
            let result = if up { product.saturating_add(99) / 100 } else { product / 100 };
            i32::try_from(result).unwrap_or(i32::MAX)
        }
        None => amount(Some(&IntOrString::String("25%".into())), of, up),
    }
}

/// Next sizes of the new set and of the old ones (oldest first).
pub(super) fn step(replicas: i32, limits: Limits, new: SetSize, olds: &[SetSize]) -> (i32, Vec<i32>) {
    let old_total: i32 = olds.iter().map(|o| o.wanted).sum();
    let mut old_wanted: Vec<i32> = olds.iter().map(|o| o.wanted).collect();
    let room =
        replicas.saturating_add(limits.surge).saturating_sub(new.wanted.saturating_add(old_total)).max(0);
    let new_wanted = if new.wanted >= replicas || old_total == 0 {
        replicas
    } else {
        new.wanted.saturating_add(room.min(replicas - new.wanted))
    };
    // Old ones go by what the new ones have become, not by what they were just asked to be.
    let least_available = replicas.saturating_sub(limits.unavailable);
    let new_unavailable = (new.wanted - new.available).max(0);
    let mut may_go = (new.wanted + old_total - least_available - new_unavailable).max(0);
    // Those that do not serve go first, and cost nothing.
    for (wanted, old) in old_wanted.iter_mut().zip(olds) {
        let idle = (old.wanted - old.available).max(0).min(may_go);
        *wanted -= idle;
        may_go -= idle;
    }
    let available = new.available + olds.iter().map(|o| o.available).sum::<i32>();
    let mut may_go = (available - least_available).clamp(0, may_go);
    for wanted in &mut old_wanted {
        let gone = (*wanted).min(may_go);
        *wanted -= gone;
        may_go -= gone;
    }
    (new_wanted, old_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(wanted: i32, available: i32) -> SetSize {
        SetSize { wanted, available }
    }

    #[test]
    fn steps_stay_within_the_limits() {
        let limits = Limits { surge: 1, unavailable: 1 };
        for (replicas, new, olds, expected) in [
            // No old ones: scaling is direct, both ways.
            (5, size(2, 2), vec![], (5, vec![])),
            (1, size(5, 5), vec![], (1, vec![])),
            (5, size(2, 2), vec![size(0, 0)], (5, vec![0])),
            // An update begins.
            (4, size(0, 0), vec![size(4, 4)], (1, vec![3])),
            // The new ones are not there yet: nothing more may go.
            (4, size(1, 0), vec![size(3, 3)], (2, vec![3])),
            (4, size(2, 0), vec![size(3, 3)], (2, vec![3])),
            (4, size(2, 2), vec![size(3, 3)], (2, vec![1])),
            // Broken old ones go first.
            (4, size(0, 0), vec![size(2, 0), size(2, 2)], (1, vec![1, 2])),
            // Fewer are wanted in the middle of it.
            (2, size(2, 2), vec![size(2, 2)], (2, vec![0])),
        ] {
            assert_eq!(step(replicas, limits, new, &olds), expected, "{replicas} {new:?} {olds:?}");
        }
    }

    #[test]
    fn every_rollout_ends_and_keeps_its_promise() {
        for replicas in 1..12 {
            for (surge, unavailable) in [("25%", "25%"), ("1", "0"), ("0", "1"), ("100%", "0%"), ("0%", "0%")]
            {
                let value = |t: &str| match t.parse() {
                    Ok(n) => IntOrString::Int(n),
                    Err(_) => IntOrString::String(t.into()),
                };
                let limits = Limits::resolve(Some(&value(surge)), Some(&value(unavailable)), replicas);
                let (mut new, mut old) = (size(0, 0), size(replicas, replicas));
                for round in 0.. {
                    assert!(round < 100, "{replicas} {surge} {unavailable}: did not end");
                    let (n, o) = step(replicas, limits, new, &[old]);
                    let old_wanted = o[0];
                    assert!(n + old_wanted <= replicas + limits.surge);
                    assert!(new.available + old_wanted.min(old.available) >= replicas - limits.unavailable);
                    if (n, old_wanted) == (new.wanted, old.wanted) && new.wanted == new.available {
                        break;
                    }
                    // Pods become available one round later.
                    new = size(n, new.wanted);
                    old = size(old_wanted, old_wanted);
                }
                assert_eq!((new.wanted, old.wanted), (replicas, 0), "{surge} {unavailable}");
            }
        }
    }
}
