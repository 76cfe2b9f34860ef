//! What is sent: one load, or several with names; in stages, or recorded.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{
    Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer,
};
use simulations_load::schedule::{Arrivals, Stage};
use simulations_load::series::POINTS_MAX;

use crate::values::{self, Rate};

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

    /// In order, to be filled in.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Load> {
        match self {
            Self::One(load) => std::slice::from_mut(&mut **load).iter_mut(),
            Self::Several(loads) => loads.iter_mut(),
        }
    }

    /// Each with its path in the file.
    pub fn with_paths(&self) -> impl Iterator<Item = (String, &Load)> {
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
    /// In order; or `series`.
    #[serde(default)]
    pub stages: Vec<Phase>,
    /// A recorded load instead of stages: one mark, with the load's name.
    pub series: Option<Series>,
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

    /// What the generator is told. Nothing yet where a query was not asked yet.
    pub fn course(&self) -> Vec<Stage> {
        match &self.series {
            None => self.stages.iter().map(Phase::stage).collect(),
            Some(series) => series.stages.clone(),
        }
    }

    /// The stretches that it is judged by, in order: name and length.
    pub fn stretches(&self) -> Vec<(&str, Duration)> {
        match &self.series {
            None => self.stages.iter().map(|p| (p.name.as_str(), p.lasts)).collect(),
            Some(series) => vec![(self.name(), series.duration())],
        }
    }

    /// When each of them starts, as `(mark, offset)`.
    pub fn phase_marks(&self) -> Vec<(&str, Duration)> {
        let mut at = Duration::ZERO;
        let mark = |(name, lasts)| {
            let mark = (name, at);
            at = at.saturating_add(lasts);
            mark
        };
        self.stretches().into_iter().map(mark).collect()
    }

    /// Length.
    pub fn duration(&self) -> Duration {
        self.stretches().iter().fold(Duration::ZERO, |sum, (_, lasts)| sum.saturating_add(*lasts))
    }
}

/// A recorded series of rates: a CSV file, or a range query against a server with Prometheus' HTTP API. It is played
/// with straight lines between its points.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Series {
    /// CSV beside the scenario: rows of `time,value` (RFC 3339, Unix seconds, or seconds from the start), or of one
    /// value each with `step`.
    pub file: Option<String>,
    /// Server, for example `http://prometheus:9090`.
    pub url: Option<String>,
    /// PromQL for requests per second; must return one series.
    pub query: Option<String>,
    /// Start of the range.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub from: Option<Timestamp>,
    /// End of the range.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub to: Option<Timestamp>,
    /// Distance of the points.
    #[serde(default, deserialize_with = "values::optional_duration")]
    #[schemars(with = "Option<values::DurationText>")]
    pub step: Option<Duration>,
    /// So many times as fast: 10 plays an hour in six minutes, at the same rates.
    #[serde(default = "one")]
    pub speed: f64,
    /// What values are multiplied by.
    #[serde(default = "one")]
    pub scale: f64,
    /// As it is played, once it was read.
    #[serde(skip)]
    pub stages: Vec<Stage>,
}

fn one() -> f64 {
    1.0
}

impl Series {
    /// Length as played; known of a query before it is asked.
    pub fn duration(&self) -> Duration {
        match self.range() {
            Some(range) if self.stages.is_empty() => range.played(self.speed),
            _ => self.stages.iter().fold(Duration::ZERO, |sum, s| sum.saturating_add(s.duration)),
        }
    }

    /// What is asked for, where it is a query with a sound range.
    pub fn range(&self) -> Option<Range> {
        let (from, to, step) = (self.from?, self.to?, self.step?);
        let (from_ms, length_ms) = (from.as_millisecond(), to.as_millisecond() - from.as_millisecond());
        let step_ms = i64::try_from(step.as_millis()).ok().filter(|s| *s > 0)?;
        let points = usize::try_from(length_ms.checked_div(step_ms)?).ok()?.checked_add(1)?;
        (2..=POINTS_MAX).contains(&points).then_some(Range { from_ms, step_ms, points })
    }
}

/// The points of a range query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first, milliseconds since 1970.
    pub from_ms: i64,
    /// Distance, milliseconds.
    pub step_ms: i64,
    /// How many, 2 to [`POINTS_MAX`].
    pub points: usize,
}

impl Range {
    fn played(self, speed: f64) -> Duration {
        let played_s = self.step_ms as f64 / 1000.0 * (self.points - 1) as f64 / speed;
        // What is no length is refused by the check.
        Duration::try_from_secs_f64(played_s).unwrap_or_default()
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
