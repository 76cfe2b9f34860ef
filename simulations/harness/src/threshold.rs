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

use crate::scenario::DurationText;
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
    #[serde(default, deserialize_with = "crate::scenario::optional_duration")]
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

    /// Whether it says something about users, and not about how much was sent: on latency or failures.
    pub fn is_of_quality(&self) -> bool {
        !matches!(self.figure, Figure::Count | Figure::Rate)
    }

    /// The latency, milliseconds, above which a request is not what users accept; none for failures.
    pub fn latency_bound_ms(&self) -> Option<f64> {
        let latency = matches!(
            self.figure,
            Figure::Average | Figure::Minimum | Figure::Maximum | Figure::Percentile(_)
        );
        latency.then_some(self.value)
    }

    /// Whether a figure that does not hold yet can be told from one that cannot hold any more.
    ///
    /// # Errors
    /// Why not.
    pub fn may_abort(&self) -> Result<(), &'static str> {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        match (self.figure, self.operator) {
            (Figure::Rate, Greater | GreaterOrEqual | Equal) => {
                Err("a rate that is too low so far may still rise: requests are under way")
            }
            (Figure::Count | Figure::Failed | Figure::Maximum, Greater | GreaterOrEqual) => {
                Err("a figure that only grows reaches a lower bound at the end or never")
            }
            (Figure::Count | Figure::Failed | Figure::Maximum, Equal) if self.value > 0.0 => {
                Err("a figure that only grows reaches a value at the end or never")
            }
            (Figure::Minimum, Less | LessOrEqual | Equal) => {
                Err("a minimum that is too high so far may still fall")
            }
            (_, NotEqual) => Err("a figure may pass through a value on its way"),
            _ => Ok(()),
        }
    }

    /// Judges what `recorder` holds, which took `lasted`, with what was found.
    ///
    /// # Errors
    /// What was found instead; also where no request was due, because silence proves nothing.
    pub fn judge(&self, recorder: &Recorder, lasted: Duration) -> Result<String, String> {
        let s = recorder.summary();
        if s.planned == 0 {
            return Err("no request was due".into());
        }
        let bad = s.failed + s.dropped;
        let (value, found) = match self.figure {
            Figure::Average => ms(recorder.latency_mean_ms()),
            Figure::Minimum => ms(recorder.latency_ms(0.0)),
            Figure::Maximum => ms(s.latency_max_ms),
            Figure::Percentile(share) => ms(recorder.latency_ms(share)),
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
        if self.operator.holds(value, self.value) { Ok(found) } else { Err(found) }
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

    /// Judges, with what was found.
    ///
    /// # Errors
    /// As [`Condition::judge`].
    pub fn judge(&self, timeline: &Timeline) -> Result<String, String> {
        let mut all = Recorder::default();
        let mut lasted = Duration::ZERO;
        for (_, event) in timeline.events() {
            if let Event::LoadTotal { cluster, to, stage, lasted: l, recorder, .. } = event
                && self.covers(cluster, to, stage.as_deref())
            {
                all.merge(recorder);
                lasted = lasted.max(*l);
            }
        }
        self.that.judge(&all, lasted)
    }
}

fn ms(value: f64) -> (f64, String) {
    (value, format!("{value:.1} ms"))
}

#[cfg(test)]
mod tests;
