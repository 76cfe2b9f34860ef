//! A threshold: a condition on the load's figures, and which part of the load it is about.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

use crate::condition::Condition;
use crate::values::{self, DurationText};

/// A condition, and which part of the load it is about.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// What must be.
    pub that: Condition,
    /// The load of this stage alone, by when requests were due.
    pub stage: Option<String>,
    /// The load of this cluster alone; all of them together unless told.
    pub cluster: Option<String>,
    /// The loads to this service alone; all of them together unless told.
    pub service: Option<String>,
    /// Whether the run ends as soon as it does not hold.
    pub abort_on_fail: bool,
    /// How much of the load (of its stage, where it has one) has to have passed before that.
    pub delay_abort_eval: Option<Duration>,
}

/// [`Threshold::delay_abort_eval`] unless told: a handful of requests says nothing yet.
pub const DELAY_ABORT_EVAL: Duration = Duration::from_secs(10);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fields {
    /// For example `p(95)<200`.
    #[schemars(with = "String")]
    that: Condition,
    /// This stage alone, by when requests were due.
    stage: Option<String>,
    /// This cluster alone; all of them together unless told.
    cluster: Option<String>,
    /// The loads to this service alone; all of them together unless told.
    service: Option<String>,
    /// End the run as soon as it does not hold.
    #[serde(default)]
    abort_on_fail: bool,
    /// How much of the load, or of its stage, passes before that; 10s unless told.
    #[serde(default, deserialize_with = "values::optional_duration")]
    #[schemars(with = "Option<DurationText>")]
    delay_abort_eval: Option<Duration>,
}

impl JsonSchema for Threshold {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(g: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A condition on the load's figures, for example `p(95)<200`, `failed==0`, `rate>=190`; \
                            as a mapping, for one stage or cluster alone.",
            "anyOf": [{"type": "string"}, g.subschema_for::<Fields>()],
        })
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Threshold;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a condition such as p(95)<200, or a mapping with `that`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Threshold, E> {
                text.parse::<Condition>().map(Threshold::from).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Threshold, A::Error> {
                let f = Fields::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Threshold {
                    that: f.that,
                    stage: f.stage,
                    cluster: f.cluster,
                    service: f.service,
                    abort_on_fail: f.abort_on_fail,
                    delay_abort_eval: f.delay_abort_eval,
                })
            }
        }
        d.deserialize_any(Either)
    }
}

/// On the whole load.
impl From<Condition> for Threshold {
    fn from(that: Condition) -> Self {
        Self { that, stage: None, cluster: None, service: None, abort_on_fail: false, delay_abort_eval: None }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.that.text())?;
        if let Some(stage) = &self.stage {
            write!(f, " in {stage:?}")?;
        }
        if let Some(cluster) = &self.cluster {
            write!(f, " on {cluster}")?;
        }
        if let Some(service) = &self.service {
            write!(f, " to {service}")?;
        }
        Ok(())
    }
}

impl Threshold {
    /// Whether it is about this load of a stage, or of the whole run.
    pub fn covers(&self, cluster: &str, to: &str, stage: Option<&str>) -> bool {
        stage == self.stage.as_deref()
            && self.cluster.as_ref().is_none_or(|c| c == cluster)
            && self.service.as_ref().is_none_or(|s| s == to)
    }
}
