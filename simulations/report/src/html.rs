//! Markup that cannot be injected into: tags come from the program's own text, everything else is escaped.

use std::fmt::{self, Display, Write as _};

/// Longer texts are cut: a record's message may be as long as its writer liked.
const TEXT_CHARS_MAX: usize = 2_000;

/// A piece of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the program's own markup. `'static` is the point: no text of a record has that lifetime.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds markup in which each `{}` is one escaped value, in a text or in a quoted attribute.
    pub(crate) fn fill(&mut self, template: &'static str, values: &[&dyn Display]) -> &mut Self {
        debug_assert_eq!(template.matches("{}").count(), values.len(), "{template}");
        let mut values = values.iter();
        for (i, part) in template.split("{}").enumerate() {
            if i > 0
                && let Some(value) = values.next()
            {
                self.text(value);
            }
            self.0.push_str(part);
        }
        self
    }

    /// Adds escaped text, cut at a bound.
    pub(crate) fn text(&mut self, value: &dyn Display) -> &mut Self {
        self.escaped(value, TEXT_CHARS_MAX)
    }

    /// Adds escaped text of up to `max` characters.
    pub(crate) fn escaped(&mut self, value: &dyn Display, max: usize) -> &mut Self {
        // Writing into a string fails only where the cut asks for it.
        let _ = write!(Escape { into: &mut self.0, left: max }, "{value}");
        self
    }

    /// Adds another piece.
    pub(crate) fn push(&mut self, piece: &Html) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// The page's text.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

struct Escape<'a> {
    into: &'a mut String,
    left: usize,
}

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.left == 0 {
                self.into.push('…');
                return Err(fmt::Error);
            }
            self.left -= 1;
            match c {
                '&' => self.into.push_str("&amp;"),
                '<' => self.into.push_str("&lt;"),
                '>' => self.into.push_str("&gt;"),
                '"' => self.into.push_str("&quot;"),
                '\'' => self.into.push_str("&#39;"),
                '\n' | '\t' => self.into.push(c),
                // What is not shown, or would turn the text around it, is shown as such.
                c if c.is_control() || is_bidi(c) => self.into.push('\u{fffd}'),
                c => self.into.push(c),
            }
        }
        Ok(())
    }
}

/// Marks that reorder text (Unicode UAX 9): a message could make its neighbours read backwards.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_place() {
        let mut h = Html::new();
        h.fill(r#"<a title="{}">{}</a>"#, &[&r#"" onload="x'"#, &"<script>&\u{202e}\0"]);
        assert_eq!(
            h.into_string(),
            "<a title=\"&quot; onload=&quot;x&#39;\">&lt;script&gt;&amp;\u{fffd}\u{fffd}</a>"
        );
    }

    #[test]
    fn long_texts_are_cut_and_say_so() {
        let mut h = Html::new();
        h.escaped(&"abcdef", 3).text(&"x");
        assert_eq!(h.into_string(), "abc…x");
    }
}
