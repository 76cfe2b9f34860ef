//! Whether a schedule is in force: cron expressions in time zones, without a clock.
//!
//! ```text
//!  "0 8 * * 1-5" ─► Cron ─┐
//!  "0 18 * * 1-5"─► Cron ─┼─► Schedule ── now_ms ─► wall clock ─► last start ≥ last end? ─► in force
//!  "Europe/Berlin"─► zone ┘
//! ```
//!
//! # Invariants
//!
//! - A schedule is in force from a start to the next end: when its last start is not before its last end. A start and
//!   an end at one minute are a start. Nothing else counts, so that a restart changes nothing.
//! - Time is an argument; time zones are those that this program was built with, and not the machine's.
//! - **Where clocks jump ahead**, a time that is skipped counts at the moment of the jump. **Where they are set back**,
//!   the first pass counts, and in the second one the wall clock stands still: no start or end comes twice, and
//!   nothing flaps.
//! - Total and bounded: texts of [`TEXT_MAX`] bytes, nine years of days at most for one look.
//!
//! # Modules in reading order
//!
//! [`cron`], `wall`, [`schedule`].

pub mod cron;
pub mod schedule;
mod wall;

pub use cron::{Cron, CronError, TEXT_MAX};
pub use schedule::{Schedule, ScheduleError};
