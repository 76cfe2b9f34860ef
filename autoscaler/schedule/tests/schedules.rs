//! When schedules are in force: tables of moments, the two days a year when clocks change among them.

use autoscaler_schedule::{Cron, Schedule};
use jiff::Timestamp;
use jiff::civil::DateTime;
use proptest::prelude::*;

fn ms(at: &str) -> i64 {
    at.parse::<Timestamp>().unwrap_or_else(|e| panic!("{at}: {e}")).as_millisecond()
}

fn schedule(start: &str, end: &str, zone: &str) -> Schedule {
    Schedule::parse(start, end, zone).unwrap_or_else(|e| panic!("{start} {end} {zone}: {e}"))
}

fn holds(schedule: &Schedule, moments: &[(&str, bool)]) {
    for (at, expected) in moments {
        assert_eq!(schedule.is_in_force(ms(at)), *expected, "{at}: {schedule:?}");
    }
}

#[test]
fn from_a_start_to_an_end() {
    let office = schedule("0 8 * * 1-5", "0 18 * * 1-5", "UTC");
    holds(
        &office,
        &[
            // A Monday.
            ("2026-11-30T07:59:59.999Z", false),
            ("2026-11-30T08:00:00Z", true),
            ("2026-11-30T17:59:59.999Z", true),
            ("2026-11-30T18:00:00Z", false),
            ("2026-12-05T12:00:00Z", false),
            ("2026-12-06T12:00:00Z", false),
        ],
    );
    let night = schedule("0 22 * * *", "0 6 * * *", "UTC");
    holds(
        &night,
        &[
            ("2026-11-30T21:59:00Z", false),
            ("2026-11-30T23:00:00Z", true),
            ("2026-12-01T05:59:00Z", true),
            ("2026-12-01T06:00:00Z", false),
        ],
    );
    // From Friday evening over the weekend.
    let weekend = schedule("0 18 * * fri", "0 6 * * Mon", "UTC");
    holds(
        &weekend,
        &[
            ("2026-12-04T17:59:00Z", false),
            ("2026-12-05T00:00:00Z", true),
            ("2026-12-07T05:59:00Z", true),
            ("2026-12-07T06:00:00Z", false),
        ],
    );
    // Christmas, over the end of the year.
    let season = schedule("0 0 20 12 *", "0 0 2 1 *", "UTC");
    holds(
        &season,
        &[("2026-12-19T23:59:00Z", false), ("2027-01-01T12:00:00Z", true), ("2027-01-02T00:00:00Z", false)],
    );
}

#[test]
fn a_start_beside_an_end_is_a_start() {
    let hourly_end = schedule("0 8 * * *", "0 * * * *", "UTC");
    holds(
        &hourly_end,
        &[("2026-11-30T07:59:00Z", false), ("2026-11-30T08:30:00Z", true), ("2026-11-30T09:00:00Z", false)],
    );
    let hourly_start = schedule("0 * * * *", "0 8 * * *", "UTC");
    holds(&hourly_start, &[("2026-11-30T07:30:00Z", true), ("2026-11-30T08:00:00Z", true)]);
}

#[test]
fn wall_clocks_of_time_zones() {
    let berlin = schedule("0 8 * * *", "0 18 * * *", "Europe/Berlin");
    holds(
        &berlin,
        &[
            // Winter is an hour ahead of UTC, summer two.
            ("2026-01-15T06:59:00Z", false),
            ("2026-01-15T07:00:00Z", true),
            ("2026-07-15T05:59:00Z", false),
            ("2026-07-15T06:00:00Z", true),
            ("2026-07-15T16:00:00Z", false),
        ],
    );
    let kathmandu = schedule("0 0 * * *", "0 1 * * *", "Asia/Kathmandu");
    holds(
        &kathmandu,
        &[("2026-11-29T18:14:00Z", false), ("2026-11-29T18:15:00Z", true), ("2026-11-29T19:15:00Z", false)],
    );
}

/// In Berlin, 2026-03-29 has no 2:00 to 3:00: at 1:00 UTC the clock goes from 2:00 to 3:00.
#[test]
fn a_time_that_is_skipped_counts_when_the_clock_jumps() {
    let start = schedule("30 2 * * *", "0 12 * * *", "Europe/Berlin");
    holds(
        &start,
        &[
            ("2026-03-29T00:59:59Z", false),
            ("2026-03-29T01:00:00Z", true),
            ("2026-03-29T09:59:00Z", true),
            ("2026-03-29T10:00:00Z", false),
        ],
    );
    let end = schedule("0 20 * * *", "30 2 * * *", "Europe/Berlin");
    holds(&end, &[("2026-03-29T00:59:59Z", true), ("2026-03-29T01:00:00Z", false)]);
    // Skipped as a whole, it is not in force at all.
    let within = schedule("10 2 * * *", "50 2 * * *", "Europe/Berlin");
    holds(
        &within,
        &[("2026-03-29T00:59:59Z", false), ("2026-03-29T01:00:00Z", false), ("2026-03-30T00:20:00Z", true)],
    );
}

/// In Berlin, 2026-10-25 has 2:00 to 3:00 twice: at 1:00 UTC the clock goes from 3:00 to 2:00.
#[test]
fn a_time_that_comes_twice_counts_the_first_time() {
    let start = schedule("30 2 * * *", "0 12 * * *", "Europe/Berlin");
    holds(
        &start,
        &[
            ("2026-10-25T00:29:59Z", false),
            ("2026-10-25T00:30:00Z", true),
            // The second pass, before half past two: it does not end again.
            ("2026-10-25T01:00:00Z", true),
            ("2026-10-25T01:10:00Z", true),
            ("2026-10-25T01:59:59Z", true),
            ("2026-10-25T10:59:59Z", true),
            ("2026-10-25T11:00:00Z", false),
        ],
    );
    let end = schedule("0 20 * * *", "30 2 * * *", "Europe/Berlin");
    holds(
        &end,
        &[
            ("2026-10-25T00:29:59Z", true),
            ("2026-10-25T00:30:00Z", false),
            ("2026-10-25T01:10:00Z", false),
            ("2026-10-25T01:45:00Z", false),
        ],
    );
    let within = schedule("10 2 * * *", "50 2 * * *", "Europe/Berlin");
    holds(
        &within,
        &[("2026-10-25T00:20:00Z", true), ("2026-10-25T00:50:00Z", false), ("2026-10-25T01:20:00Z", false)],
    );
    // Half an hour is set back on Lord Howe Island: 2026-04-05, 2:00 to 1:30 at 15:00 UTC the day before.
    let howe = schedule("45 1 * * *", "0 9 * * *", "Australia/Lord_Howe");
    holds(
        &howe,
        &[
            ("2026-04-04T14:44:00Z", false),
            ("2026-04-04T14:45:00Z", true),
            ("2026-04-04T15:05:00Z", true),
            ("2026-04-04T15:30:00Z", true),
        ],
    );
}

#[test]
fn leap_days_and_years_at_the_edge() {
    let leap = schedule("0 0 29 2 *", "0 0 1 3 *", "UTC");
    holds(
        &leap,
        &[
            ("2028-02-28T23:59:00Z", false),
            ("2028-02-29T12:00:00Z", true),
            ("2028-03-01T00:00:00Z", false),
            ("2027-02-28T12:00:00Z", false),
        ],
    );
    // 2100 is no leap year.
    holds(&leap, &[("2103-12-31T00:00:00Z", false), ("2104-02-29T00:00:00Z", true)]);
    let daily = schedule("0 1 * * *", "0 2 * * *", "UTC");
    for now_ms in [i64::MIN, i64::MAX, 0, ms("-000100-01-01T00:00:00Z"), ms("9999-12-30T00:00:00Z")] {
        let _ = daily.is_in_force(now_ms);
    }
}

fn last(cron: &str, until: &str) -> String {
    let cron = Cron::parse(cron).unwrap_or_else(|e| panic!("{cron}: {e}"));
    let last = cron.last_until(until.parse().expect("a date and time")).expect("it comes");
    last.strftime("%F %H:%M").to_string()
}

#[test]
fn cron_expressions_come_as_crontab_has_them() {
    for (cron, until, expected) in [
        ("*/15 * * * *", "2026-11-30T10:50", "2026-11-30 10:45"),
        ("5/20 * * * *", "2026-11-30T10:50", "2026-11-30 10:45"),
        ("0 9-17/4 * * *", "2026-11-30T16:59", "2026-11-30 13:00"),
        ("30 9,21 * * *", "2026-11-30T09:29", "2026-11-29 21:30"),
        ("0 0 1 * *", "2026-11-30T10:50", "2026-11-01 00:00"),
        ("0 0 31 * *", "2026-11-30T10:50", "2026-10-31 00:00"),
        ("0 0 * * 0", "2026-11-30T10:50", "2026-11-29 00:00"),
        ("0 0 * * 7", "2026-11-30T10:50", "2026-11-29 00:00"),
        ("0 0 * * 5-7", "2026-11-30T10:50", "2026-11-29 00:00"),
        ("0 0 * * TUE", "2026-11-30T10:50", "2026-11-24 00:00"),
        ("0 0 * feb *", "2026-11-30T10:50", "2026-02-28 00:00"),
        // Where both days are restricted, either will do; else both.
        ("0 0 13 * 5", "2026-11-30T10:50", "2026-11-27 00:00"),
        ("0 0 13 * *", "2026-11-30T10:50", "2026-11-13 00:00"),
        ("0 0 */2 * 1", "2026-11-28T10:50", "2026-11-27 00:00"),
        ("0 0 */1 * 1", "2026-11-29T10:50", "2026-11-23 00:00"),
        ("0 0 ? * 1", "2026-11-29T10:50", "2026-11-23 00:00"),
        ("0 0 29 2 *", "2026-11-30T10:50", "2024-02-29 00:00"),
        ("@hourly", "2026-11-30T10:50", "2026-11-30 10:00"),
        ("@weekly", "2026-11-30T10:50", "2026-11-29 00:00"),
        ("@yearly", "2026-11-30T10:50", "2026-01-01 00:00"),
        (" 0\t8 * * * ", "2026-11-30T08:00", "2026-11-30 08:00"),
    ] {
        assert_eq!(last(cron, until), expected, "{cron}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_by_field() {
    for (start, end, zone, words) in [
        ("0 8 * *", "0 18 * * *", "UTC", "start: it has 4 fields and not 5"),
        ("0 0 8 * * *", "0 18 * * *", "UTC", "start: it has 6 fields and not 5"),
        (
            "60 8 * * *",
            "0 18 * * *",
            "UTC",
            "start: minute \"60\" is not understood: \"60\" is not from 0 to 59",
        ),
        ("0 8 * * *", "0 24 * * *", "UTC", "end: hour \"24\" is not understood"),
        ("0 8 0 * *", "0 18 * * *", "UTC", "day of the month \"0\""),
        ("0 8 * 13 *", "0 18 * * *", "UTC", "month \"13\""),
        ("0 8 * * 8", "0 18 * * *", "UTC", "day of the week \"8\""),
        ("0 8 * * 5-1", "0 18 * * *", "UTC", "5-1 goes backwards"),
        ("*/0 8 * * *", "0 18 * * *", "UTC", "\"0\" is no step from 1 to 59"),
        ("+5 8 * * *", "0 18 * * *", "UTC", "\"+5\" is not from 0 to 59"),
        ("0 8 L * *", "0 18 * * *", "UTC", "\"L\" is not from 1 to 31"),
        ("1,,2 8 * * *", "0 18 * * *", "UTC", "\"\" is not from 0 to 59"),
        ("0 0 31 2 *", "0 18 * * *", "UTC", "start: it never comes"),
        ("@reboot", "0 18 * * *", "UTC", "start: \"@reboot\" is unknown; there are @hourly"),
        ("0 8 * * *", "0 8 * * *", "UTC", "end: it comes whenever start does"),
        ("0 8 * * 0-6", "0 8 * * *", "UTC", "end: it comes whenever start does"),
        ("0 8 * * *", "0 18 * * *", "Middle/Earth", "timeZone: \"Middle/Earth\" is unknown"),
        ("0 8 * * *", "0 18 * * *", "", "timeZone: \"\" is unknown"),
        ("0 8 * * *", "0 18 * * *", "../../etc/passwd", "timeZone: \"../../etc/passwd\" is unknown"),
    ] {
        let error = Schedule::parse(start, end, zone).expect_err(start).to_string();
        assert!(error.contains(words), "{error}");
    }
    let long = "0,".repeat(200);
    assert!(Schedule::parse(&long, "0 8 * * *", "UTC").unwrap_err().to_string().contains("more than 256"));
}

/// Looked for minute by minute, by what the fields say.
fn slowly(fields: &[Vec<i8>; 5], until: DateTime) -> Option<DateTime> {
    let mut at = until.date().at(until.hour(), until.minute(), 0, 0);
    for _ in 0..60 * 24 * 62 {
        let weekday = at.weekday().to_sunday_zero_offset();
        let has = |field: &Vec<i8>, value: i8| field.is_empty() || field.contains(&value);
        let (day, week) = (has(&fields[2], at.day()), has(&fields[4], weekday));
        let either = !fields[2].is_empty() && !fields[4].is_empty();
        let day = if either { day || week } else { day && week };
        if has(&fields[0], at.minute()) && has(&fields[1], at.hour()) && day && has(&fields[3], at.month()) {
            return Some(at);
        }
        at = at.checked_sub(jiff::ToSpan::minutes(1)).ok()?;
    }
    None
}

fn field(first: i8, last: i8) -> impl Strategy<Value = Vec<i8>> {
    prop_oneof![1 => Just(Vec::new()), 2 => proptest::collection::vec(first..=last, 1..4)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_last_time_is_what_a_slow_look_finds(
        minutes in field(0, 59), hours in field(0, 23), days in field(1, 31), weekdays in field(0, 6),
        minute in 0..60 * 24 * 365 * 3i64,
    ) {
        let fields = [minutes, hours, days, Vec::new(), weekdays];
        let text: Vec<String> = fields.iter().map(|field| match field.is_empty() {
            true => "*".to_owned(),
            false => field.iter().map(i8::to_string).collect::<Vec<_>>().join(","),
        }).collect();
        let cron = Cron::parse(&text.join(" ")).unwrap();
        let until: DateTime = "2026-01-31T00:00".parse().unwrap();
        let until = until.checked_add(jiff::ToSpan::minutes(minute)).unwrap();
        if let Some(slow) = slowly(&fields, until) {
            prop_assert_eq!(cron.last_until(until), Some(slow), "{:?}", text);
        }
    }

    #[test]
    fn no_text_and_no_time_panics(
        start in "[-*/,0-9a-z@ ]{0,20}", odd in "\\PC{0,20}", zone in "[A-Za-z/_+-]{0,20}", now_ms in any::<i64>(),
    ) {
        for (start, end) in [(&start, &odd), (&odd, &start)] {
            let _ = Schedule::parse(start, end, &zone);
        }
        let schedule = schedule("*/7 * * * *", "*/9 * * * *", "America/New_York");
        let _ = schedule.is_in_force(now_ms);
    }

    /// A minute holds or does not; nothing changes within it.
    #[test]
    fn what_is_in_force_changes_at_full_minutes(
        now_ms in 0..4_000_000_000_000i64, start in 0..60i32, end in 0..60i32,
    ) {
        prop_assume!(start != end);
        let schedule = schedule(&format!("{start} * * * *"), &format!("{end} * * * *"), "Europe/Berlin");
        let minute = now_ms - now_ms % 60_000;
        prop_assert_eq!(schedule.is_in_force(now_ms), schedule.is_in_force(minute));
    }
}

#[test]
fn is_its_texts_to_serde() {
    let office = schedule("0 8 * * 1-5", "@daily", "Europe/Berlin");
    let text = serde_json::to_string(&office).unwrap();
    assert_eq!(text, r#"{"start":"0 8 * * 1-5","end":"@daily","timeZone":"Europe/Berlin"}"#);
    assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), office);
    assert!(serde_json::from_str::<Schedule>(&text.replace("Berlin", "Atlantis")).is_err());
}
