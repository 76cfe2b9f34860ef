//! What a Deployment and a ReplicaSet say of themselves in conditions. Pure.
//!
//! Source: kubernetes `pkg/controller/deployment/progress.go`, `util/deployment_util.go` (reasons, and what counts as
//! progress), `pkg/controller/replicaset/replica_set_utils.go`.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

/// What a condition is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) kind: &'static str,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
}

/// A condition of a ReplicaSet that could not make or remove a pod.
pub(super) const REPLICA_FAILURE: &str = "ReplicaFailure";

/// A Deployment in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) total: i32,
    pub(super) updated: i32,
    pub(super) ready: i32,
    pub(super) available: i32,
}

impl Counts {
    pub(super) fn of(deployment: &Deployment) -> Self {
        let Some(status) = &deployment.status else { return Self::default() };
        Self {
            total: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
        }
    }

    /// More of the new, fewer of the old, or more that serve.
    fn went_on_from(self, former: Self) -> bool {
        self.updated > former.updated
            || self.total - self.updated < former.total - former.updated
            || self.ready > former.ready
            || self.available > former.available
    }
}

/// Where a rollout is.
#[derive(Debug)]
pub(super) struct Rollout<'a> {
    pub(super) former: Option<&'a DeploymentCondition>,
    pub(super) before: Counts,
    pub(super) after: Counts,
    pub(super) complete: bool,
    /// Name of the new set; "" before there is one.
    pub(super) set: &'a str,
    /// Why the new set could not be made.
    pub(super) refused: Option<String>,
    /// So long without progress is too long.
    pub(super) deadline: SignedDuration,
}

/// What a rollout says, whether it went on, and when it will have taken too long.
pub(super) fn progressing(rollout: &Rollout<'_>, now: Timestamp) -> (Said, bool, Option<Timestamp>) {
    let said = |status: &str, reason: &str, message: String| Said {
        kind: "Progressing",
        status: status.into(),
        reason: reason.into(),
        message,
    };
    let set = rollout.set;
    if let Some(why) = &rollout.refused {
        return (said("False", "ReplicaSetCreateError", why.clone()), false, None);
    }
    if rollout.complete {
        let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
        return (said("True", "NewReplicaSetAvailable", message), false, None);
    }
    let former = rollout.former.filter(|c| c.reason.as_deref() != Some("ReplicaSetCreateError"));
    let reason = former.and_then(|c| c.reason.as_deref()).unwrap_or_default();
    // Once complete it stays so until a new template comes: pods may come and go.
    let names_it =
        former.and_then(|c| c.message.as_deref()).is_some_and(|m| m.contains(&format!("\"{set}\"")));
    if reason == "NewReplicaSetAvailable" && names_it {
        return (
            said("True", reason, format!("ReplicaSet \"{set}\" has successfully progressed.")),
            false,
            None,
        );
    }
    let went_on = former.is_none() || !names_it || rollout.after.went_on_from(rollout.before);
    let since = former.and_then(|c| c.last_update_time.as_ref()).map_or(now, |t| t.0);
    let late_at = if went_on { now } else { since }.checked_add(rollout.deadline).ok();
    if !went_on && (reason == "ProgressDeadlineExceeded" || late_at.is_some_and(|at| now >= at)) {
        let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
        return (said("False", "ProgressDeadlineExceeded", message), false, None);
    }
    (said("True", "ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing.")), went_on, late_at)
}

/// The failure of one of a Deployment's sets, the new one's first.
pub(super) fn failure_of<'a>(sets: impl IntoIterator<Item = &'a ReplicaSet>) -> Option<Said> {
    sets.into_iter().find_map(|set| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        let failure = conditions.iter().find(|c| c.type_ == REPLICA_FAILURE && c.status == "True")?;
        Some(Said {
            kind: REPLICA_FAILURE,
            status: failure.status.clone(),
            reason: failure.reason.clone().unwrap_or_default(),
            message: failure.message.clone().unwrap_or_default(),
        })
    })
}

/// The condition with its times: the former's where it says the same; `renewed` says it again.
pub(super) fn dated(said: &Said, former: &[DeploymentCondition], renewed: bool, now: Timestamp) -> Value {
    let former = former.iter().find(|c| c.type_ == said.kind);
    let time = |t: Option<&Time>| {
        let now = || json!(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        t.and_then(|t| serde_json::to_value(t).ok()).unwrap_or_else(now)
    };
    let same_status = former.filter(|c| c.status == said.status);
    let same = same_status.filter(|c| c.reason.as_deref() == Some(&*said.reason) && !renewed);
    json!({
        "type": said.kind, "status": said.status, "reason": said.reason, "message": said.message,
        "lastTransitionTime": time(same_status.and_then(|c| c.last_transition_time.as_ref())),
        "lastUpdateTime": time(same.and_then(|c| c.last_update_time.as_ref())),
    })
}

/// A ReplicaSet's conditions: that it failed, since it first did so, or nothing.
pub(super) fn of_set(set: &ReplicaSet, failure: Option<(&str, &str)>, now: Timestamp) -> Value {
    let Some((reason, message)) = failure else { return Value::Null };
    let former =
        set.status.iter().flat_map(|s| s.conditions.iter().flatten()).find(|c| c.type_ == REPLICA_FAILURE);
    let since = former
        .and_then(|c| c.last_transition_time.as_ref())
        .and_then(|t| serde_json::to_value(t).ok())
        .unwrap_or_else(|| json!(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()));
    json!([{"type": REPLICA_FAILURE, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since}])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    fn former(status: &str, reason: &str, set: &str, since: i64) -> Option<DeploymentCondition> {
        Some(DeploymentCondition {
            type_: "Progressing".into(),
            status: status.into(),
            reason: Some(reason.into()),
            message: Some(format!("ReplicaSet \"{set}\" …")),
            last_update_time: Some(Time(at(since))),
            last_transition_time: Some(Time(at(since))),
        })
    }

    #[test]
    fn a_rollout_that_stands_still_is_late_in_the_end() {
        let none = Counts::default();
        let some = Counts { total: 2, updated: 1, ready: 1, available: 1 };
        let (updated, done, late) =
            ("ReplicaSetUpdated", "NewReplicaSetAvailable", "ProgressDeadlineExceeded");
        for (former, before, after, complete, refused, expected) in [
            (None, none, none, false, None, ("True", updated, true)),
            (former("True", updated, "s", 90), none, none, false, None, ("True", updated, false)),
            (former("True", updated, "s", 40), none, none, false, None, ("False", late, false)),
            (former("True", updated, "s", 40), none, some, false, None, ("True", updated, true)),
            (former("False", late, "s", 99), none, none, false, None, ("False", late, false)),
            (former("False", late, "s", 40), none, some, false, None, ("True", updated, true)),
            (former("False", late, "s", 40), some, some, true, None, ("True", done, false)),
            // A pod that goes later on is no rollout.
            (former("True", done, "s", 10), some, none, false, None, ("True", done, false)),
            // Another template is.
            (former("True", done, "old", 10), some, some, false, None, ("True", updated, true)),
            (former("False", late, "old", 10), some, some, false, None, ("True", updated, true)),
            (None, none, none, false, Some("no".to_owned()), ("False", "ReplicaSetCreateError", false)),
        ] {
            let rollout = Rollout {
                former: former.as_ref(),
                before,
                after,
                complete,
                set: "s",
                refused,
                deadline: SignedDuration::from_secs(60),
            };
            let (said, went_on, late_at) = progressing(&rollout, at(100));
            assert_eq!((&*said.status, &*said.reason, went_on), expected, "{rollout:?}");
            assert_eq!(late_at.is_some(), said.reason == updated, "{rollout:?}");
        }
    }

    #[test]
    fn times_move_with_what_they_are_of() {
        let said = |status: &str, reason: &str| Said {
            kind: "Progressing",
            status: status.into(),
            reason: reason.into(),
            message: String::new(),
        };
        let former = [former("True", "a", "s", 1).unwrap()];
        let times = |said: &Said, renewed| {
            let value = dated(said, &former, renewed, at(5));
            (value["lastTransitionTime"].clone(), value["lastUpdateTime"].clone())
        };
        let (old, new) = (json!("1970-01-01T00:00:01Z"), json!("1970-01-01T00:00:05Z"));
        assert_eq!(times(&said("True", "a"), false), (old.clone(), old.clone()));
        assert_eq!(times(&said("True", "a"), true), (old.clone(), new.clone()));
        assert_eq!(times(&said("True", "b"), false), (old, new.clone()));
        assert_eq!(times(&said("False", "a"), false), (new.clone(), new));
    }
}
