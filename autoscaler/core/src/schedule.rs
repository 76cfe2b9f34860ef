//! Bounds at a time: the policy's, and what schedules in force make of them.
//!
//! A schedule's bounds lie within the policy's, so that a lowered `maxReplicas` always wins. Of several, the highest
//! floor and the lowest ceiling count; a floor above a ceiling wins, for it takes nothing away.

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::policy::Policy;

/// A schedule that is in force at the time of a decision. Which ones are is an input and not decided here: time
/// zones change, and a record has to give the same decision after they did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InForce {
    /// The schedule's name.
    pub name: Name,
    /// Replicas do not go below this meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    /// Replicas do not go above this meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<i32>,
}

/// Bounds, and who set them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Fewest replicas.
    pub min: i32,
    /// The schedule that raised them; `None`: `minReplicas`.
    pub min_by: Option<Name>,
    /// Most replicas.
    pub max: i32,
    /// The schedule that lowered them; `None`: `maxReplicas`.
    pub max_by: Option<Name>,
}

impl Bounds {
    /// The bounds of a policy while schedules are in force.
    #[must_use]
    pub fn of(policy: &Policy, schedules: &[InForce]) -> Self {
        let (min, max) = (policy.min_replicas, policy.max_replicas);
        let mut bounds = Self { min, min_by: None, max, max_by: None };
        for schedule in schedules {
            let floor = schedule.min_replicas.map(|floor| floor.min(max));
            if let Some(floor) = floor.filter(|floor| *floor > bounds.min) {
                (bounds.min, bounds.min_by) = (floor, Some(schedule.name.clone()));
            }
            let ceiling = schedule.max_replicas.map(|ceiling| ceiling.max(min));
            if let Some(ceiling) = ceiling.filter(|ceiling| *ceiling < bounds.max) {
                (bounds.max, bounds.max_by) = (ceiling, Some(schedule.name.clone()));
            }
        }
        if bounds.max < bounds.min {
            (bounds.max, bounds.max_by) = (bounds.min, bounds.min_by.clone());
        }
        bounds
    }
}
