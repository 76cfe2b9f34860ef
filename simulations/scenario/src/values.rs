//! Values that are written as text: durations and rates.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use simulations_load::schedule::RATE_MAX_RPS;

/// What a duration looks like, for the schema.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct DurationText(
    /// For example `30s`, `5m` or `250ms`.
    #[schemars(regex(
        pattern = r"^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
    ))]
    String,
);

/// The generator's own enum, for the schema.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum ArrivalsText {
    /// Equal distances.
    Even,
    /// Independent users: exponential distances.
    Poisson,
    /// Users who come together: a gamma renewal process.
    Bursty {
        /// Standard deviation of the distances over their mean.
        #[schemars(range(min = 1, max = 20))]
        cv: f64,
    },
}

/// The service's own enum, for the schema.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum DistributionText {
    /// Always the mean.
    Fixed,
    /// Mostly short; standard deviation as large as the mean.
    Exponential,
    /// A long tail; standard deviation by `cv`.
    Lognormal,
}

/// The inference server's own enum, for the schema.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum NamesText {
    /// vLLM's.
    Vllm,
    /// llama.cpp's.
    LlamaCpp,
}

/// `Option<Duration>` as text.
pub fn optional_duration<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
    Option::<String>::deserialize(d)?
        .map(|text| thanos_model::parse_duration(&text).map_err(de::Error::custom))
        .transpose()
}

/// Requests per second, at the start and at the end of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// At the start.
    pub from_rps: f64,
    /// At the end.
    pub to_rps: f64,
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Requests per second: a number, or `FROM..TO` for a ramp.",
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": RATE_MAX_RPS},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\.\.[0-9]+(\.[0-9]+)?$"},
            ],
        })
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(RateVisitor)
    }
}

struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("requests per second: a number, or FROM..TO")
    }

    fn visit_f64<E: de::Error>(self, rps: f64) -> Result<Rate, E> {
        if !(0.0..=RATE_MAX_RPS).contains(&rps) {
            return Err(E::custom(format!(
                "a rate is from 0 to {RATE_MAX_RPS} requests per second, not {rps}"
            )));
        }
        Ok(Rate { from_rps: rps, to_rps: rps })
    }

    fn visit_u64<E: de::Error>(self, rps: u64) -> Result<Rate, E> {
        self.visit_f64(rps as f64)
    }

    fn visit_i64<E: de::Error>(self, rps: i64) -> Result<Rate, E> {
        self.visit_f64(rps as f64)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        let bad = || {
            E::custom(format!(
                "not a rate: {text:?} (write 200 for requests per second, or 20..200 for a ramp)"
            ))
        };
        let number = |t: &str| {
            let rps = t.trim().parse::<f64>().ok().filter(|r| (0.0..=RATE_MAX_RPS).contains(r));
            rps.ok_or_else(bad)
        };
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        Ok(Rate { from_rps: number(from)?, to_rps: number(to)? })
    }
}

/// A share of a hundred, written `20%` or `20`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Percent: `20%` or 20.",
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?%?$"},
            ],
        })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(PercentVisitor)
    }
}

struct PercentVisitor;

impl Visitor<'_> for PercentVisitor {
    type Value = Percent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("percent: 20% or 20")
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Percent, E> {
        if !v.is_finite() || v < 0.0 {
            return Err(E::custom(format!("percent are 0 or more, not {v}")));
        }
        Ok(Percent(v))
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Percent, E> {
        self.visit_f64(v as f64)
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Percent, E> {
        self.visit_f64(v as f64)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Percent, E> {
        let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
        self.visit_f64(number.map_err(|_| E::custom(format!("not percent: {text:?} (write 20% or 20)")))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_are_written_with_or_without_their_sign() {
        for (text, want) in
            [("20%", Some(20.0)), ("20", Some(20.0)), ("2.5 %", Some(2.5)), ("'0'", Some(0.0)), ("-1", None)]
        {
            let read = thanos_telemetry::cli::parse_yaml::<Percent>(text).ok();
            assert_eq!(read.map(|p| p.0), want, "{text}");
        }
        for bad in ["much", "-1%", "NaN%", "inf", "%"] {
            assert!(thanos_telemetry::cli::parse_yaml::<Percent>(bad).is_err(), "{bad}");
        }
    }
}
