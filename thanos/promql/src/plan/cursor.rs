//! Walks the tokens in step with promql-parser's tree, which has no positions of its own. A mismatch costs
//! an annotation its exact position and nothing else.

use super::lex::{Token, TokenKind};
use super::{duration, lift};

/// What follows a selector or subquery.
#[derive(Default)]
pub(super) struct Modifiers<'a> {
    /// The tokens of the duration.
    pub(super) offset: &'a [Token<'a>],
    pub(super) anchored: bool,
    pub(super) smoothed: bool,
}

pub(super) struct Cursor<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: &'a [Token<'a>]) -> Self {
        Self { tokens, next: 0 }
    }

    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.next)
    }

    fn sees(&self, symbol: &str) -> bool {
        self.peek().is_some_and(|t| t.is(symbol))
    }

    fn sees_word(&self, words: &[&str]) -> bool {
        self.peek().is_some_and(|t| words.iter().any(|w| t.is_word(w)))
    }

    /// Where the next token starts.
    pub(super) fn position(&self) -> usize {
        self.peek().or(self.tokens.last()).map_or(0, |t| t.at)
    }

    pub(super) fn take(&mut self) -> Option<Token<'a>> {
        let t = self.peek().copied();
        self.next += usize::from(t.is_some());
        t
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let hit = self.sees(symbol);
        self.next += usize::from(hit);
        hit
    }

    pub(super) fn take_word(&mut self, words: &[&str]) -> bool {
        let hit = self.sees_word(words);
        self.next += usize::from(hit);
        hit
    }

    /// Signs that the parser folded into a number, or a plus that it dropped.
    pub(super) fn signs(&mut self, stop_at_minus: bool) {
        while self.sees("+") || !stop_at_minus && self.sees("-") {
            self.next += 1;
        }
    }

    /// From an opening bracket past its partner.
    pub(super) fn brackets(&mut self, open: &str, close: &str) {
        if !self.take_symbol(open) {
            return;
        }
        let mut depth = 1;
        while depth > 0 {
            let Some(t) = self.take() else { return };
            depth += i32::from(t.is(open));
            depth -= i32::from(t.is(close));
        }
    }

    /// A vector selector without its modifiers.
    pub(super) fn selector(&mut self) {
        if self.peek().is_some_and(|t| t.kind == TokenKind::Word) {
            self.next += 1;
        }
        self.brackets("{", "}");
    }

    /// `[range]` or `[range:step]`: the tokens of both.
    pub(super) fn range(&mut self) -> (&'a [Token<'a>], Option<&'a [Token<'a>]>) {
        if !self.take_symbol("[") {
            return (&[], None);
        }
        let rest = self.tokens.get(self.next..).unwrap_or(&[]);
        let inside = &rest[..lift::bracket_len(rest)];
        self.next += inside.len();
        self.take_symbol("]");
        lift::split_colon(inside)
    }

    /// `offset …`, `@ …`, `anchored` and `smoothed`, in any order.
    pub(super) fn modifiers(&mut self) -> Modifiers<'a> {
        let mut found = Modifiers::default();
        loop {
            if self.take_word(&["offset"]) {
                let rest = self.tokens.get(self.next..).unwrap_or(&[]);
                found.offset = &rest[..duration::offset_len(rest)];
                self.next += found.offset.len();
            } else if lift::is_extension(self.tokens, self.next) {
                if self.take_word(&["anchored"]) {
                    found.anchored = true;
                } else {
                    self.next += 1;
                    found.smoothed = true;
                }
            } else if self.take_symbol("@") {
                self.signs(false);
                if self.take_word(&["start", "end"]) {
                    self.brackets("(", ")");
                } else {
                    self.take();
                }
            } else {
                return found;
            }
        }
    }

    /// `by (…)` or `without (…)`, where there is one.
    pub(super) fn grouping(&mut self) {
        if self.take_word(&["by", "without"]) {
            self.brackets("(", ")");
        }
    }

    /// A binary operator and its modifiers; gives the operator's text.
    pub(super) fn operator(&mut self) -> &'a str {
        let op = self.take().map_or("", |t| t.text);
        self.take_word(&["bool"]);
        while self.sees_word(&[
            "on",
            "ignoring",
            "group_left",
            "group_right",
            "fill",
            "fill_left",
            "fill_right",
        ]) && (self.sees_word(&["group_left", "group_right"])
            || self.tokens.get(self.next + 1).is_some_and(|t| t.is("(")))
        {
            self.next += 1;
            self.brackets("(", ")");
        }
        op
    }
}
