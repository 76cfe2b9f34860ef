//! Cron expressions of five fields: minute, hour, day of the month, month, day of the week.
//!
//! As `crontab(5)` and Kubernetes' CronJobs have them: `*`, lists, ranges, steps, names of months and days, 7 for
//! Sunday, and `@hourly` to `@yearly`. Where both days are restricted, either will do (`*/2` restricts).

use jiff::civil::{Date, DateTime};

/// Longest expression, in bytes.
pub const TEXT_MAX: usize = 256;
/// The longest that nothing fires: from February 29th to the next one over a year that is no leap year.
const YEARS_MAX: i16 = 9;

/// When something begins or ends, to the minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// From Sunday, which is 0.
    weekdays: u64,
    /// A day has to fit both; else, where both are restricted, either.
    both: bool,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Longer than [`TEXT_MAX`].
    #[error("it has {0} bytes, more than {TEXT_MAX}")]
    TooLong(usize),
    /// Not five fields.
    #[error("it has {0} fields and not 5: minute, hour, day of the month, month, day of the week")]
    Fields(usize),
    /// A field that cannot be read.
    #[error("{field} {text:?} is not understood: {why}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is written there.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A word with an `@` that nobody knows.
    #[error("{0:?} is unknown; there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually")]
    Unknown(String),
    /// As in `0 0 31 2 *`.
    #[error("it never comes: no such month has such a day")]
    Never,
}

/// A field's range and names.
struct Field {
    name: &'static str,
    first: u8,
    last: u8,
    /// Names of the values from `first` on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", first: 0, last: 59, names: &[] };
const HOUR: Field = Field { name: "hour", first: 0, last: 23, names: &[] };
const DAY: Field = Field { name: "day of the month", first: 1, last: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Field = Field {
    name: "day of the week",
    first: 0,
    last: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl Cron {
    /// Understands `text`.
    ///
    /// # Errors
    /// Which field is wrong, and why.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        if text.len() > TEXT_MAX {
            return Err(CronError::TooLong(text.len()));
        }
        let text = text.trim();
        let text = match text {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            _ if text.starts_with('@') => return Err(CronError::Unknown(text.to_owned())),
            _ => text,
        };
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(CronError::Fields(fields.len()));
        };
        let weekdays = WEEKDAY.read(weekday)?;
        let found = Self {
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: DAY.read(day)?,
            months: MONTH.read(month)?,
            // Sunday is 0 and 7.
            weekdays: (weekdays & 0x7f) | ((weekdays >> 7) & 1),
            both: is_any(day) || is_any(weekday),
        };
        // Four hundred years are alike, and nine of them hold every day of the year.
        let end = Date::constant(2009, 1, 1).at(0, 0, 0, 0);
        if found.last_until(end).is_none() { Err(CronError::Never) } else { Ok(found) }
    }

    /// When it last came, at `until` or before, on the same wall clock.
    #[must_use]
    pub fn last_until(&self, until: DateTime) -> Option<DateTime> {
        let mut date = until.date();
        let oldest = until.year().saturating_sub(YEARS_MAX);
        // Of the day itself, only what is not later than `until`; of days before, all.
        let mut latest = (until.hour(), until.minute());
        while date.year() >= oldest {
            if !is_set(self.months, date.month()) {
                date = date.first_of_month().yesterday().ok()?;
                latest = (23, 59);
                continue;
            }
            if self.has_day(date)
                && let Some((hour, minute)) = self.last_time(latest)
            {
                return Some(date.at(hour, minute, 0, 0));
            }
            date = date.yesterday().ok()?;
            latest = (23, 59);
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_zero_offset();
        let (day, weekday) = (is_set(self.days, date.day()), is_set(self.weekdays, weekday));
        if self.both { day && weekday } else { day || weekday }
    }

    /// The last time of a day, at `(hour, minute)` or before.
    fn last_time(&self, (hour, minute): (i8, i8)) -> Option<(i8, i8)> {
        if let (Some(this), Some(at)) = (highest(self.hours, hour), highest(self.minutes, minute))
            && this == hour
        {
            return Some((hour, at));
        }
        Some((highest(self.hours, hour.checked_sub(1)?)?, highest(self.minutes, 59)?))
    }
}

/// Whether a field restricts nothing; `*/2` does, as in Kubernetes' CronJobs (robfig/cron v3) and not in vixie's cron.
fn is_any(field: &str) -> bool {
    field.split(',').any(|part| ["*", "?", "*/1", "?/1"].contains(&part))
}

/// Whether `value` is one of `bits`.
fn is_set(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| value < u64::BITS && (bits >> value) & 1 == 1)
}

/// The highest value of `bits` that is at most `most`.
fn highest(bits: u64, most: i8) -> Option<i8> {
    let most = u32::try_from(most).ok()?;
    let below = bits & (u64::MAX >> 63u32.checked_sub(most)?);
    i8::try_from(below.checked_ilog2()?).ok()
}

impl Field {
    fn read(&self, text: &str) -> Result<u64, CronError> {
        let wrong = |why: String| CronError::Field { field: self.name, text: text.to_owned(), why };
        let mut bits = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                None => (part, None),
                Some((range, step)) => match step.parse::<u8>() {
                    Ok(step) if (1..=self.last).contains(&step) => (range, Some(step)),
                    _ => return Err(wrong(format!("{step:?} is no step from 1 to {}", self.last))),
                },
            };
            let (first, last) = match (range, range.split_once('-')) {
                ("*" | "?", _) => (self.first, if self.last == 7 { 6 } else { self.last }),
                (_, Some((first, last))) => {
                    (self.value(first).map_err(wrong)?, self.value(last).map_err(wrong)?)
                }
                (_, None) => {
                    let first = self.value(range).map_err(wrong)?;
                    // `5/10` is from 5 on.
                    (first, if step.is_some() { self.last } else { first })
                }
            };
            if first > last {
                return Err(wrong(format!("{range} goes backwards")));
            }
            for value in (first..=last).step_by(usize::from(step.unwrap_or(1))) {
                bits |= 1u64 << value;
            }
        }
        Ok(bits)
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let named = self.names.iter().position(|name| text.eq_ignore_ascii_case(name));
        if let Some(value) = named.and_then(|place| u8::try_from(place).ok()) {
            return Ok(self.first.saturating_add(value));
        }
        let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u8>() {
            Ok(value) if is_digits && (self.first..=self.last).contains(&value) => Ok(value),
            _ => Err(format!("{text:?} is not from {} to {}", self.first, self.last)),
        }
    }
}
