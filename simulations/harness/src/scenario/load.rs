//! What is sent: one load, or several with names.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{
    Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer,
};
use simulations_load::schedule::{Arrivals, Stage};

use super::values::{self, Rate};

/// One load, or several.
#[derive(Clone, Debug)]
pub enum Loads {
    /// A mapping.
    One(Box<Load>),
    /// A list.
    Several(Vec<Load>),
}

impl Loads {
    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Load> + Clone {
        match self {
            Self::One(load) => std::slice::from_ref(&**load).iter(),
            Self::Several(loads) => loads.iter(),
        }
    }

    /// Each with its path in the file.
    pub(crate) fn with_paths(&self) -> impl Iterator<Item = (String, &Load)> {
        let several = matches!(self, Self::Several(_));
        let path = move |i| if several { format!("load[{i}]") } else { "load".to_owned() };
        self.iter().enumerate().map(move |(i, load)| (path(i), load))
    }
}

impl JsonSchema for Loads {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Loads".into()
    }

    fn json_schema(g: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let load = g.subschema_for::<Load>();
        schemars::json_schema!({
            "description": "One load, or a list of them, each with a name.",
            "anyOf": [load, {"type": "array", "minItems": 1, "items": load}],
        })
    }
}

impl<'de> Deserialize<'de> for Loads {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Loads;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a load, or a list of loads")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Loads, A::Error> {
                Load::deserialize(MapAccessDeserializer::new(map)).map(|l| Loads::One(Box::new(l)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Loads, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Loads::Several)
            }
        }
        d.deserialize_any(Either)
    }
}

/// Load: open loop, to one service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Load {
    /// Name; one of several has to have one. The service's unless told.
    pub name: Option<String>,
    /// The service that it is sent to.
    pub to: String,
    /// The clusters that it is sent to, each the whole of it; all unless told.
    pub clusters: Option<Vec<String>>,
    /// How arrivals are spread.
    #[serde(default)]
    #[schemars(with = "values::ArrivalsText")]
    pub arrivals: Arrivals,
    /// In order.
    pub stages: Vec<Phase>,
}

impl Load {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.to)
    }

    /// Whether it is sent to a cluster.
    pub fn runs_on(&self, cluster: &str) -> bool {
        self.clusters.as_ref().is_none_or(|only| only.iter().any(|c| c == cluster))
    }

    /// What the generator is told.
    pub fn course(&self) -> Vec<Stage> {
        self.stages.iter().map(Phase::stage).collect()
    }

    /// When each of its stages starts, as `(mark, offset)`.
    pub fn phase_marks(&self) -> Vec<(&str, Duration)> {
        let mut at = Duration::ZERO;
        let mark = |p| {
            let Phase { name, lasts, .. }: &Phase = p;
            let mark = (name.as_str(), at);
            at = at.saturating_add(*lasts);
            mark
        };
        self.stages.iter().map(mark).collect()
    }

    /// Length.
    pub fn duration(&self) -> Duration {
        self.stages.iter().fold(Duration::ZERO, |sum, p| sum.saturating_add(p.lasts))
    }
}

/// A named stretch of load.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Phase {
    /// Name: its start is a mark.
    pub name: String,
    /// Length.
    #[serde(rename = "for", with = "thanos_model::duration::serde_text")]
    #[schemars(with = "values::DurationText")]
    pub lasts: Duration,
    /// Requests per second and cluster: `200`, or `20..200` for a ramp.
    pub rate: Rate,
}

impl Phase {
    /// What the generator is told.
    pub fn stage(&self) -> Stage {
        Stage { duration: self.lasts, from_rps: self.rate.from_rps, to_rps: self.rate.to_rps }
    }
}
