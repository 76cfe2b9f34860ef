//! Texts of others in what is told: cut to a length, at a character.

/// Most bytes of a condition's message.
pub(crate) const MESSAGE_MAX: usize = 1_000;
/// Most bytes of a decision's cause.
pub(crate) const CAUSE_MAX: usize = 400;
/// Most bytes of an event's note; the API refuses 1024 and more.
pub(crate) const NOTE_MAX: usize = 1_000;
/// Most bytes of one warning of a querier.
pub(crate) const WARNING_MAX: usize = 240;
/// Most names of a list.
pub(crate) const NAMES_MAX: usize = 16;

/// At most `max` bytes of `text`; what was cut off is marked.
pub(crate) fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// The first names of a list, and how many more there are.
pub(crate) fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut left = 0_usize;
    for name in names {
        if kept.len() < NAMES_MAX {
            kept.push(clip(name, 253));
        } else {
            left = left.saturating_add(1);
        }
    }
    if left > 0 {
        kept.push(format!("and {left} more"));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_end_at_a_character_within_the_limit() {
        assert_eq!(clip("short", 10), "short");
        for max in 0..12 {
            let cut = clip("→→→→→", max);
            assert!(cut.len() <= max.max('…'.len_utf8()), "{max}: {cut}");
        }
        assert_eq!(clip("abcdefghij", 6), "abc…");
    }

    #[test]
    fn long_lists_say_how_much_is_left_out() {
        let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
        let some = some_of(names.iter().map(String::as_str));
        assert_eq!((some.len(), some.last().map(String::as_str)), (NAMES_MAX + 1, Some("and 4 more")));
    }
}
