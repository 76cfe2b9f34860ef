//! Conditions: what is said of a policy, in Kubernetes' form.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::text::{MESSAGE_MAX, clip};
use crate::time::timestamp;

/// One condition to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its type.
    pub kind: &'static str,
    /// True or False.
    pub status: bool,
    /// One word.
    pub reason: Cow<'static, str>,
    /// Cause and cure.
    pub message: String,
}

impl Said {
    pub(crate) fn new(
        kind: &'static str,
        status: bool,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, status, reason: reason.into(), message: message.into() }
    }
}

/// Sets conditions in place; the others stay. Gives those whose status or reason changed.
pub(crate) fn say(
    conditions: &mut Vec<Condition>,
    said: Vec<Said>,
    generation: Option<i64>,
    now_ms: i64,
) -> Vec<Said> {
    let mut changed = Vec::new();
    for s in said {
        let status = if s.status { "True" } else { "False" };
        match conditions.iter_mut().find(|c| c.type_ == s.kind) {
            Some(old) => {
                old.observed_generation = generation;
                if old.message != s.message {
                    old.message = clip(&s.message, MESSAGE_MAX);
                }
                let same_status = old.status == status;
                if !same_status {
                    old.status = status.to_owned();
                    old.last_transition_time = Time(timestamp(now_ms));
                }
                if old.reason != s.reason {
                    old.reason = s.reason.clone().into_owned();
                } else if same_status {
                    continue;
                }
            }
            None => conditions.push(Condition {
                last_transition_time: Time(timestamp(now_ms)),
                message: clip(&s.message, MESSAGE_MAX),
                observed_generation: generation,
                reason: s.reason.clone().into_owned(),
                status: status.to_owned(),
                type_: s.kind.to_owned(),
            }),
        }
        changed.push(s);
    }
    changed
}

/// Says these and unsays all others: nothing of what was known before holds any more.
pub(crate) fn say_only(
    conditions: &mut Vec<Condition>,
    said: Vec<Said>,
    generation: Option<i64>,
    now_ms: i64,
) -> Vec<Said> {
    conditions.retain(|c| said.iter().any(|s| s.kind == c.type_));
    say(conditions, said, generation, now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn able(status: bool, reason: &'static str, message: &str) -> Vec<Said> {
        vec![Said::new("AbleToScale", status, reason, message)]
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        assert_eq!(say(&mut conditions, able(true, "A", "one"), Some(1), 1_000).len(), 1);
        assert!(say(&mut conditions, able(true, "A", "two"), Some(2), 2_000).is_empty(), "no change");
        assert_eq!((conditions[0].message.as_str(), conditions[0].observed_generation), ("two", Some(2)));
        assert_eq!(say(&mut conditions, able(true, "B", "three"), Some(2), 3_000).len(), 1);
        assert_eq!(conditions[0].last_transition_time, Time(timestamp(1_000)));
        assert_eq!(say(&mut conditions, able(false, "B", "four"), Some(2), 4_000).len(), 1);
        assert_eq!(conditions[0].last_transition_time, Time(timestamp(4_000)));
    }

    #[test]
    fn what_is_said_alone_leaves_nothing_of_before() {
        let mut conditions = Vec::new();
        say(&mut conditions, able(true, "A", ""), None, 0);
        say(&mut conditions, vec![Said::new("EvidenceSufficient", true, "A", "")], None, 0);
        say_only(&mut conditions, able(false, "B", ""), None, 0);
        let kinds: Vec<&str> = conditions.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(kinds, ["AbleToScale"]);
    }
}
