//! Parts of a date.

use crate::civil::Civil;
use crate::plan::func::DateFn;

pub(super) fn part(f: DateFn, seconds: i64) -> f64 {
    let c = Civil::from_seconds(seconds);
    let v = match f {
        DateFn::Minute => c.minute,
        DateFn::Hour => c.hour,
        DateFn::DayOfWeek => c.weekday,
        DateFn::DayOfMonth => c.day,
        DateFn::DayOfYear => c.day_of_year,
        DateFn::DaysInMonth => c.days_in_month(),
        DateFn::Month => c.month,
        DateFn::Year => c.year,
    };
    v as f64
}
