//! From a start to an end, again and again.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cron::{Cron, CronError};
use crate::wall::wall;

/// Times from a start to an end, by one zone's wall clock. Copies share what was understood; serde sees the texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Arc<Understood>);

#[derive(Debug, PartialEq)]
struct Understood {
    text: Text,
    start: Cron,
    end: Cron,
    zone: TimeZone,
}

/// As written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Text {
    start: String,
    end: String,
    time_zone: String,
}

/// What is wrong with a schedule. The field's name is Kubernetes'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Of `start`.
    #[error("start: {0}")]
    Start(CronError),
    /// Of `end`.
    #[error("end: {0}")]
    End(CronError),
    /// Starts and ends are the same, so that it would never end.
    #[error("end: it comes whenever start does")]
    Same,
    /// Of `timeZone`.
    #[error("timeZone: {0:?} is unknown")]
    TimeZone(String),
}

impl ScheduleError {
    /// The field that is wrong, what is wrong with it, and the cure.
    #[must_use]
    pub fn parts(&self) -> (&'static str, String, &'static str) {
        let cure = "write five fields, for example 0 8 * * 1-5 for 8:00 from Monday to Friday";
        match self {
            Self::Start(why) => ("start", why.to_string(), cure),
            Self::End(why) => ("end", why.to_string(), cure),
            Self::Same => ("end", "it comes whenever start does".to_owned(), "let it come later"),
            Self::TimeZone(name) => {
                let cure = "write a name of the IANA time zone database, for example Europe/Berlin or UTC";
                ("timeZone", format!("{name:?} is unknown"), cure)
            }
        }
    }
}

impl Schedule {
    /// Understands both cron expressions and the IANA name of the time zone.
    ///
    /// # Errors
    /// Which of the three is wrong, and why.
    pub fn parse(start: &str, end: &str, time_zone: &str) -> Result<Self, ScheduleError> {
        let text = Text { start: start.to_owned(), end: end.to_owned(), time_zone: time_zone.to_owned() };
        let start = Cron::parse(start).map_err(ScheduleError::Start)?;
        let end = Cron::parse(end).map_err(ScheduleError::End)?;
        if start == end {
            return Err(ScheduleError::Same);
        }
        let zone = TimeZoneDatabase::bundled().get(time_zone).ok().filter(|zone| !zone.is_unknown());
        let zone = zone.ok_or_else(|| ScheduleError::TimeZone(time_zone.to_owned()))?;
        Ok(Self(Arc::new(Understood { text, start, end, zone })))
    }

    /// Whether it is in force at `now_ms`, in milliseconds since the epoch; never beyond the years 9 to 9999.
    #[must_use]
    pub fn is_in_force(&self, now_ms: i64) -> bool {
        let Ok(now) = Timestamp::from_millisecond(now_ms) else { return false };
        let now = wall(&self.0.zone, now);
        match (self.0.start.last_until(now), self.0.end.last_until(now)) {
            (Some(start), Some(end)) => start >= end,
            (start, _) => start.is_some(),
        }
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text { start, end, time_zone } = Text::deserialize(deserializer)?;
        Self::parse(&start, &end, &time_zone).map_err(serde::de::Error::custom)
    }
}
