//! What happened, one event at a time. An event of an unknown type, or one that lacks what it is about, is told apart
//! from those that can be drawn, and is no reason to refuse the rest.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Figures;
use super::loose::{count, count_or_none, or_default, real, real_or_none, whole_or_none};

/// An event, and when it was.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at_s: f64,
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Mark(Mark),
    Replicas(Replicas),
    Policy(Box<Policy>),
    Load(Box<LoadSecond>),
    Decision(Box<Decision>),
    Slo(SloSecond),
    Restart(Restart),
    /// Of a known type, without a field that it cannot be drawn without.
    Lacks(&'static str, &'static str),
    /// Of a type that this reader does not know.
    Unknown(String),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Mark {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    /// When it was due.
    #[serde(deserialize_with = "real_or_none")]
    pub(crate) planned_s: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Replicas {
    #[serde(deserialize_with = "or_default")]
    pub(crate) cluster: String,
    /// Where the record tells kinds of one name apart.
    #[serde(deserialize_with = "or_default")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) workload: String,
    #[serde(deserialize_with = "whole_or_none")]
    pub(crate) wanted: Option<i32>,
    #[serde(deserialize_with = "whole_or_none")]
    pub(crate) ready: Option<i32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Policy {
    #[serde(deserialize_with = "or_default")]
    pub(crate) cluster: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) namespace: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) policy: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) target_kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) target_name: String,
    pub(crate) sufficient: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) evidence: String,
    #[serde(deserialize_with = "real_or_none")]
    pub(crate) value: Option<f64>,
    #[serde(deserialize_with = "whole_or_none")]
    pub(crate) desired: Option<i32>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) cause: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LoadSecond {
    #[serde(deserialize_with = "or_default")]
    pub(crate) cluster: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) load: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) to: String,
    #[serde(deserialize_with = "real")]
    pub(crate) rate_rps: f64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) figures: Figures,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Decision {
    #[serde(deserialize_with = "or_default")]
    pub(crate) cluster: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) namespace: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) policy: String,
    /// The policy's scaleTargetRef; empty in old records.
    #[serde(deserialize_with = "or_default")]
    pub(crate) target_kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) target_name: String,
    /// When the controller took it, RFC 3339.
    #[serde(deserialize_with = "or_default")]
    pub(crate) time: String,
    #[serde(deserialize_with = "whole_or_none")]
    pub(crate) from: Option<i32>,
    #[serde(deserialize_with = "whole_or_none")]
    pub(crate) to: Option<i32>,
    pub(crate) written: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) reason: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) limits: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) digest: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) metrics: Vec<Metric>,
    /// Path of the decision's own record, beside the run's.
    #[serde(deserialize_with = "or_default")]
    pub(crate) record: String,
}

/// A metric of a decision.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metric {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "real_or_none")]
    pub(crate) value: Option<f64>,
    #[serde(deserialize_with = "real_or_none")]
    pub(crate) target: Option<f64>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) target_type: String,
    #[serde(deserialize_with = "real_or_none")]
    pub(crate) age_s: Option<f64>,
    pub(crate) sufficient: Option<bool>,
    #[serde(deserialize_with = "whole_or_none")]
    pub(crate) proposal: Option<i32>,
}

/// A second of one cluster, judged on the requests that were due in it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SloSecond {
    #[serde(deserialize_with = "or_default")]
    pub(crate) cluster: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) service: String,
    #[serde(deserialize_with = "count_or_none")]
    pub(crate) second: Option<u64>,
    #[serde(deserialize_with = "count")]
    pub(crate) due: u64,
    #[serde(deserialize_with = "count")]
    pub(crate) over: u64,
    pub(crate) held: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Restart {
    #[serde(deserialize_with = "or_default")]
    pub(crate) container: String,
    #[serde(deserialize_with = "whole_or_none")]
    pub(crate) count: Option<i32>,
}

/// What every event has.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Common {
    #[serde(deserialize_with = "real_or_none")]
    at_s: Option<f64>,
    #[serde(rename = "type")]
    kind: Value,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(d)?;
        // Only fields that the type is known to have are looked at: another type may use their names for other things.
        let common: Common = typed(&value).map_err(D::Error::custom)?;
        let what = what(common.kind.as_str().unwrap_or_default(), &value).map_err(D::Error::custom)?;
        let what = match (common.at_s, what.kind()) {
            (None, Some(kind)) => What::Lacks(kind, "atS"),
            _ => what,
        };
        Ok(Self { at_s: common.at_s.unwrap_or_default(), what })
    }
}

impl What {
    /// Its type, where that is one that is drawn.
    fn kind(&self) -> Option<&'static str> {
        Some(match self {
            Self::Mark(_) => "mark",
            Self::Replicas(_) => "replicas",
            Self::Policy(_) => "policy",
            Self::Load(_) => "load",
            Self::Decision(_) => "decision",
            Self::Slo(_) => "slo",
            Self::Restart(_) => "restart",
            Self::Lacks(..) | Self::Unknown(_) => return None,
        })
    }
}

fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|e| format!("{}: {}", e.path(), e.inner()))
}

fn what(kind: &str, value: &Value) -> Result<What, String> {
    Ok(match kind {
        "mark" => {
            let e: Mark = typed(value)?;
            lack("mark", &[("name", !e.name.is_empty())]).unwrap_or(What::Mark(e))
        }
        "replicas" => {
            let e: Replicas = typed(value)?;
            let needs = [
                ("cluster", !e.cluster.is_empty()),
                ("workload", !e.workload.is_empty()),
                ("wanted", e.wanted.is_some()),
                ("ready", e.ready.is_some()),
            ];
            lack("replicas", &needs).unwrap_or(What::Replicas(e))
        }
        "policy" => {
            let e: Policy = typed(value)?;
            let needs = [("cluster", !e.cluster.is_empty()), ("policy", !e.policy.is_empty())];
            lack("policy", &needs).unwrap_or_else(|| What::Policy(Box::new(e)))
        }
        "load" => {
            let e: LoadSecond = typed(value)?;
            lack("load", &[("cluster", !e.cluster.is_empty())]).unwrap_or_else(|| What::Load(Box::new(e)))
        }
        "decision" => {
            let e: Decision = typed(value)?;
            let needs = [
                ("cluster", !e.cluster.is_empty()),
                ("policy", !e.policy.is_empty()),
                ("from", e.from.is_some()),
                ("to", e.to.is_some()),
            ];
            lack("decision", &needs).unwrap_or_else(|| What::Decision(Box::new(e)))
        }
        "slo" => {
            let e: SloSecond = typed(value)?;
            let needs = [
                ("cluster", !e.cluster.is_empty()),
                ("service", !e.service.is_empty()),
                ("second", e.second.is_some()),
                ("held", e.held.is_some()),
            ];
            lack("slo", &needs).unwrap_or(What::Slo(e))
        }
        "restart" => {
            let e: Restart = typed(value)?;
            lack("restart", &[("container", !e.container.is_empty())]).unwrap_or(What::Restart(e))
        }
        other => What::Unknown(other.to_owned()),
    })
}

/// The first field that is not there.
fn lack(kind: &'static str, needs: &[(&'static str, bool)]) -> Option<What> {
    needs.iter().find(|(_, there)| !there).map(|(field, _)| What::Lacks(kind, field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_drawn_is_told_apart_from_what_is_wrong() {
        let read = |value: Value| serde_json::from_value::<Event>(value).map_err(|e| e.to_string());
        let lacks = |value| match read(value).unwrap().what {
            What::Lacks(kind, field) => format!("{kind} {field}"),
            What::Unknown(kind) => format!("unknown {kind}"),
            _ => "fine".to_owned(),
        };
        for (event, found) in [
            (json!({"type": "restart", "container": "c", "atS": 1}), "fine"),
            (json!({"type": "restart", "container": "c", "atS": null}), "restart atS"),
            (
                json!({"type": "replicas", "cluster": "a", "workload": "w", "wanted": null, "ready": 1}),
                "replicas wanted",
            ),
            (json!({"type": "decision", "cluster": "a", "policy": "p", "to": 3}), "decision from"),
            (json!({"type": "slo", "cluster": "a", "service": "s", "held": true}), "slo second"),
            (json!({"type": "election", "from": "leader-a", "metrics": 5}), "unknown election"),
            (json!({"atS": null, "cluster": 7}), "unknown "),
            (json!({"type": 3}), "unknown "),
        ] {
            assert_eq!(lacks(event.clone()), found, "{event}");
        }
        let wrong = json!({"type": "decision", "cluster": "a", "metrics": [{"value": 1}, {"value": "much"}]});
        assert!(read(wrong).unwrap_err().starts_with("metrics[1].value: invalid type: string \"much\""));
        assert!(read(json!({"type": "mark", "atS": "noon"})).unwrap_err().starts_with("atS: "));
    }
}
