//! Thresholds on the load's figures, in k6's grammar: `p(95)<200`, `failed==0`, `rate>=190`. A pure function of
//! the timeline.
//!
//! ```text
//!  FIGURE  OPERATOR  VALUE[UNIT]     figure: avg min med max p(N)   latency, milliseconds (or ms, s)
//!                                            failed                 failed and unsent requests (a count, or %)
//!                                            count                  requests that were due
//!                                            rate                   answered well, per second
//!                                    operator: < <= > >= == !=
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use simulations_load::recorder::Recorder;

use crate::timeline::{Event, Timeline};

/// A condition, and which part of the load it is about.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// What must be.
    pub that: Condition,
    /// The load of this stage alone, by when requests were due.
    pub stage: Option<String>,
    /// The load of this cluster alone; all of them together unless told.
    pub cluster: Option<String>,
}

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
                let that = text.parse().map_err(E::custom)?;
                Ok(Threshold { that, stage: None, cluster: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Threshold, A::Error> {
                let Fields { that, stage, cluster } = Fields::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Threshold { that, stage, cluster })
            }
        }
        d.deserialize_any(Either)
    }
}

/// `FIGURE OPERATOR VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    figure: Figure,
    operator: Operator,
    value: f64,
    /// As written.
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Average,
    Minimum,
    Maximum,
    /// Share, 0 to 1.
    Percentile(f64),
    Failed,
    /// 0 to 1 of those that were due.
    FailedShare,
    Count,
    Rate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Operator {
    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::Equal => a == b,
            Self::NotEqual => a != b,
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| {
            format!(
                "threshold {text:?}: {why} (write for example p(95)<200, failed==0, failed<1% or rate>=190)"
            )
        };
        // Two-character operators first, as they begin with the others.
        let (at, sign, operator) = [
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ]
        .into_iter()
        .find_map(|(sign, operator)| text.find(sign).map(|at| (at, sign, operator)))
        .ok_or_else(|| bad("no operator"))?;
        let (name, value) = (text[..at].trim(), text[at + sign.len()..].trim());
        let digits = value.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(value.len());
        let (number, unit) = (&value[..digits], value[digits..].trim());
        let number: f64 = number.parse().map_err(|_| bad("no number after the operator"))?;
        let (figure, value) = match (figure(name).map_err(|e| bad(&e))?, unit) {
            (Figure::Failed, "%") => (Figure::FailedShare, number / 100.0),
            (f @ (Figure::Failed | Figure::Count | Figure::Rate), "") => (f, number),
            (Figure::Failed | Figure::Count | Figure::Rate, unit) => {
                return Err(bad(&format!("{name} has no unit {unit:?}")));
            }
            (f, "" | "ms") => (f, number),
            (f, "s") => (f, number * 1000.0),
            (_, unit) => return Err(bad(&format!("{unit:?} is not a unit of time, ms or s"))),
        };
        Ok(Self { figure, operator, value, text: text.to_owned() })
    }
}

fn figure(name: &str) -> Result<Figure, String> {
    const NAMES: [&str; 7] = ["avg", "min", "med", "max", "failed", "count", "rate"];
    Ok(match name {
        "avg" => Figure::Average,
        "min" => Figure::Minimum,
        "med" => Figure::Percentile(0.5),
        "max" => Figure::Maximum,
        "failed" => Figure::Failed,
        "count" => Figure::Count,
        "rate" => Figure::Rate,
        _ => {
            let percent = name.strip_prefix("p(").and_then(|n| n.strip_suffix(')'));
            let percent = percent.and_then(|n| n.trim().parse::<f64>().ok());
            match percent.filter(|p| (0.0..=100.0).contains(p)) {
                Some(p) => Figure::Percentile(p / 100.0),
                None => {
                    let known = NAMES.into_iter().chain(["p(95)"]);
                    let hint = crate::scenario::file::nearest(name, known).unwrap_or_default();
                    return Err(format!("no figure {name:?}{hint}"));
                }
            }
        }
    })
}

impl Condition {
    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.that.text)?;
        if let Some(stage) = &self.stage {
            write!(f, " in {stage:?}")?;
        }
        if let Some(cluster) = &self.cluster {
            write!(f, " on {cluster}")?;
        }
        Ok(())
    }
}

impl Threshold {
    /// Judges, with what was found.
    ///
    /// # Errors
    /// What was found instead; also where no request was due, because silence proves nothing.
    pub fn judge(&self, timeline: &Timeline) -> Result<String, String> {
        let mut all = Recorder::default();
        let mut lasted = Duration::ZERO;
        for (_, event) in timeline.events() {
            if let Event::LoadTotal { cluster, stage, lasted: l, recorder, .. } = event
                && *stage == self.stage
                && self.cluster.as_ref().is_none_or(|c| c == cluster)
            {
                all.merge(recorder);
                lasted = lasted.max(*l);
            }
        }
        let s = all.summary();
        if s.planned == 0 {
            return Err("no request was due".into());
        }
        let bad = s.failed + s.dropped;
        let (value, found) = match self.that.figure {
            Figure::Average => ms(all.latency_mean_ms()),
            Figure::Minimum => ms(all.latency_ms(0.0)),
            Figure::Maximum => ms(s.latency_max_ms),
            Figure::Percentile(share) => ms(all.latency_ms(share)),
            Figure::Failed => (bad as f64, format!("{bad} of {}", s.planned)),
            Figure::FailedShare => {
                let share = bad as f64 / s.planned as f64;
                (share, format!("{:.3} % ({bad} of {})", share * 100.0, s.planned))
            }
            Figure::Count => (s.planned as f64, s.planned.to_string()),
            Figure::Rate => {
                let rate = s.completed as f64 / lasted.as_secs_f64().max(f64::EPSILON);
                (rate, format!("{rate:.1} per second"))
            }
        };
        let causes: Vec<String> = s.causes.iter().map(|(cause, n)| format!("{n} × {cause}")).collect();
        let found = if causes.is_empty() { found } else { format!("{found}; {}", causes.join(", ")) };
        if self.that.operator.holds(value, self.that.value) { Ok(found) } else { Err(found) }
    }
}

fn ms(value: f64) -> (f64, String) {
    (value, format!("{value:.1} ms"))
}

#[cfg(test)]
mod tests;
