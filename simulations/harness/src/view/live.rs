//! A block at the end of the terminal that is redrawn; what is said stays above it.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::view::text::Text;

/// Where the terminal does not say how wide it is.
const WIDTH: usize = 100;

/// The block.
#[derive(Debug)]
pub(super) struct Live {
    screen: MultiProgress,
    lines: Vec<ProgressBar>,
    colour: bool,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            screen: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
            lines: Vec::new(),
            // no-color.org
            colour: std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }

    /// A line above the block.
    pub(super) fn say(&self, line: &str) {
        // Fails only where the terminal is gone.
        drop(self.screen.println(line));
    }

    /// Draws the lines, each cut to the terminal's width.
    pub(super) fn draw(&mut self, lines: &[Text]) {
        let size = rustix::termios::tcgetwinsize(std::io::stdout());
        let width = size.map_or(0, |w| usize::from(w.ws_col));
        let width = if width == 0 { WIDTH } else { width };
        while self.lines.len() < lines.len() {
            // The template is a constant; the default would only show a bar instead of the text.
            let style =
                ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            self.lines.push(self.screen.add(ProgressBar::new_spinner().with_style(style)));
        }
        for (i, bar) in self.lines.iter().enumerate() {
            bar.set_message(lines.get(i).map(|l| l.cut(width, self.colour)).unwrap_or_default());
            bar.tick();
        }
    }

    /// Takes the block away.
    pub(super) fn finish(&mut self) {
        for line in &self.lines {
            line.finish_and_clear();
        }
    }
}
