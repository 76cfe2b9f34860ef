//! Text with a little emphasis, cut to a width without cutting an escape sequence.

/// Spans of one line.
#[derive(Debug, Default)]
pub(super) struct Text(Vec<(&'static str, String)>);

impl Text {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn span(&mut self, code: &'static str, text: &str) -> &mut Self {
        // A cause is a sentence of somebody's; only this file emits control characters.
        self.0.push((code, text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()));
        self
    }

    pub(super) fn plain(&mut self, text: &str) -> &mut Self {
        self.span("", text)
    }

    pub(super) fn bold(&mut self, text: &str) -> &mut Self {
        self.span("1", text)
    }

    pub(super) fn dim(&mut self, text: &str) -> &mut Self {
        self.span("2", text)
    }

    pub(super) fn good(&mut self, text: &str) -> &mut Self {
        self.span("32", text)
    }

    pub(super) fn warn(&mut self, text: &str) -> &mut Self {
        self.span("33", text)
    }

    pub(super) fn bad(&mut self, text: &str) -> &mut Self {
        self.span("1;31", text)
    }

    pub(super) fn accent(&mut self, text: &str) -> &mut Self {
        self.span("36", text)
    }

    /// At most `width` characters, an ellipsis where something is left out. Every character that this view
    /// writes is one cell wide.
    pub(super) fn cut(&self, width: usize, colour: bool) -> String {
        let long = self.0.iter().map(|(_, t)| t.chars().count()).sum::<usize>() > width;
        let mut left = if long { width.saturating_sub(1) } else { width };
        let mut out = String::new();
        for (code, text) in &self.0 {
            let part: String = text.chars().take(left).collect();
            left -= part.chars().count();
            if code.is_empty() || part.is_empty() || !colour {
                out.push_str(&part);
            } else {
                out.push_str(&format!("\x1b[{code}m{part}\x1b[0m"));
            }
        }
        if long {
            out.push('…');
        }
        out
    }
}
