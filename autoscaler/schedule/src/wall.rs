//! What a wall clock shows that is never set back.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// The date and time in `zone` at `at`, in which the second pass of an hour that comes twice is its first pass's end.
pub(crate) fn wall(zone: &TimeZone, at: Timestamp) -> DateTime {
    let shown = zone.to_datetime(at);
    let offset = zone.to_offset(at);
    match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Fold { before, after } if offset == after => {
            // Clocks are set back where the fold begins; until then they showed the most. Up to this second, since a
            // moment's own transition does not precede it.
            let until = at.checked_add(1.second()).unwrap_or(at);
            let transition = zone.preceding(until).next();
            let set_back = transition.map_or(shown, |transition| before.to_datetime(transition.timestamp()));
            set_back.checked_sub(1.minute()).unwrap_or(shown).max(shown)
        }
        _ => shown,
    }
}
