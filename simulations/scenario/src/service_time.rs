//! How long a service works on a request: a duration, or a distribution with one as its mean.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use simulations_load::app::Distribution;

use crate::values;

/// A mean and what is spread around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServiceTime {
    /// On average.
    pub mean: Duration,
    /// How it is spread.
    pub distribution: Distribution,
    /// Standard deviation over mean, of a lognormal; 1 unless told.
    pub cv: Option<f64>,
}

impl ServiceTime {
    /// Always the same.
    pub fn fixed(mean: Duration) -> Self {
        Self { mean, distribution: Distribution::Fixed, cv: None }
    }

    /// Flags of `gauntlet app web`.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--service-time={}", thanos_model::format_duration(self.mean))];
        let name = match self.distribution {
            Distribution::Fixed => return flags,
            Distribution::Exponential => "exponential",
            Distribution::Lognormal => "lognormal",
        };
        flags.push(format!("--service-time-distribution={name}"));
        flags.extend(self.cv.map(|cv| format!("--service-time-cv={cv}")));
        flags
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fields {
    /// On average.
    #[serde(with = "thanos_model::duration::serde_text")]
    #[schemars(with = "values::DurationText")]
    mean: Duration,
    /// How it is spread around the mean; none is longer than a hundred means.
    #[serde(default)]
    #[schemars(with = "values::DistributionText")]
    distribution: Distribution,
    /// Standard deviation over mean, of a lognormal; 1 unless told.
    cv: Option<f64>,
}

impl JsonSchema for ServiceTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ServiceTime".into()
    }

    fn json_schema(g: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "How long a request is worked on: always so long, or on average.",
            "anyOf": [g.subschema_for::<values::DurationText>(), g.subschema_for::<Fields>()],
        })
    }
}

impl<'de> Deserialize<'de> for ServiceTime {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ServiceTime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 50ms, or a mapping with `mean`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ServiceTime, E> {
                thanos_model::parse_duration(text).map(ServiceTime::fixed).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ServiceTime, A::Error> {
                let Fields { mean, distribution, cv } = Fields::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ServiceTime { mean, distribution, cv })
            }
        }
        d.deserialize_any(Either)
    }
}
