//! Walks the tokens in step with promql-parser's tree, which has no positions of its own. The tree in source
//! order names every token once; where a token is not the one that it names, the text said something that did not
//! reach the parser, and the cursor says where.

use crate::error::{Span, SyntaxError};
use crate::token::{Token, TokenKind};
use crate::{duration, lift};

/// What follows a selector or subquery.
#[derive(Default)]
pub(crate) struct Modifiers<'a> {
    /// The tokens of the duration.
    pub(crate) offset: &'a [Token<'a>],
    /// `start()` or `end()` behind an `@`.
    pub(crate) at_edge: Option<Span>,
    pub(crate) anchored: bool,
    pub(crate) smoothed: bool,
}

/// A matcher that promql-parser saw only a placeholder of: its value, quotes included.
pub(crate) type Pattern<'a> = &'a str;

pub(crate) struct Cursor<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    /// The first token that is not the one that the tree named.
    lost: Option<usize>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(tokens: &'a [Token<'a>]) -> Self {
        Self { tokens, next: 0, lost: None }
    }

    /// Every token was the one that the tree named, and none is left.
    pub(crate) fn arrived(&self) -> Result<(), SyntaxError> {
        match self.tokens.get(self.lost.unwrap_or(self.next)).or(self.tokens.last()) {
            Some(t) if self.lost.is_some() || self.next < self.tokens.len() => {
                Err(SyntaxError::grammar(format!("unexpected {:?}", t.text)).at(t.at, t.end()))
            }
            _ => Ok(()),
        }
    }

    fn check(&mut self, hit: bool) {
        if !hit {
            self.lost.get_or_insert(self.next);
        }
    }

    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.next)
    }

    fn rest(&self) -> &'a [Token<'a>] {
        self.tokens.get(self.next..).unwrap_or(&[])
    }

    fn sees(&self, symbol: &str) -> bool {
        self.peek().is_some_and(|t| t.is(symbol))
    }

    fn sees_word(&self, words: &[&str]) -> bool {
        self.peek().is_some_and(|t| words.iter().any(|w| t.is_word(w)))
    }

    /// Where the next token starts.
    pub(crate) fn position(&self) -> usize {
        self.peek().or(self.tokens.last()).map_or(0, |t| t.at)
    }

    /// The byte behind the last token taken.
    pub(crate) fn behind(&self) -> usize {
        self.next.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(0, Token::end)
    }

    fn take(&mut self) -> Option<Token<'a>> {
        let t = self.peek().copied();
        self.next += usize::from(t.is_some());
        t
    }

    fn step_if(&mut self, hit: bool) -> bool {
        self.next += usize::from(hit);
        hit
    }

    /// Takes the symbol, where it is there.
    pub(crate) fn may(&mut self, symbol: &str) -> bool {
        self.step_if(self.sees(symbol))
    }

    /// Takes the symbol, which has to be there.
    pub(crate) fn must(&mut self, symbol: &str) {
        let hit = self.may(symbol);
        self.check(hit);
    }

    /// Takes a token of this kind, which has to be there.
    pub(crate) fn must_be(&mut self, fits: impl Fn(&Token<'_>) -> bool) -> &'a str {
        let t = self.peek().copied().filter(|t| fits(t));
        self.check(t.is_some());
        self.next += usize::from(t.is_some());
        t.map_or("", |t| t.text)
    }

    fn may_word(&mut self, words: &[&str]) -> bool {
        self.step_if(self.sees_word(words))
    }

    /// Signs that the parser folded into a number.
    pub(crate) fn signs(&mut self) {
        while self.may("+") || self.may("-") {}
    }

    /// Signs that the parser dropped.
    pub(crate) fn pluses(&mut self) {
        while self.may("+") {}
    }

    /// From an opening bracket past its partner: the tokens between, where it is there.
    fn brackets(&mut self, open: &str, close: &str) -> &'a [Token<'a>] {
        if !self.may(open) {
            return &[];
        }
        let from = self.next;
        let mut depth = 1;
        while depth > 0 {
            let Some(t) = self.take() else {
                self.check(false);
                break;
            };
            depth += i32::from(t.is(open));
            depth -= i32::from(t.is(close));
        }
        self.tokens.get(from..self.next.saturating_sub(1)).unwrap_or(&[])
    }

    /// A vector selector without its modifiers: its name and its patterns.
    pub(crate) fn selector(&mut self) -> (Option<&'a str>, Vec<Pattern<'a>>) {
        let name = self.peek().copied().filter(|t| t.kind == TokenKind::Word);
        self.step_if(name.is_some());
        self.check(name.is_some() || self.sees("{"));
        let inside = self.brackets("{", "}");
        let patterns = inside.windows(2).filter_map(|pair| match pair {
            [op, value] if (op.is("=~") || op.is("!~")) && value.kind == TokenKind::Text => Some(value.text),
            _ => None,
        });
        (name.map(|t| t.text), patterns.collect())
    }

    /// `[range]` or `[range:step]`: the tokens of both.
    pub(crate) fn range(&mut self) -> (&'a [Token<'a>], Option<&'a [Token<'a>]>) {
        self.must("[");
        let rest = self.rest();
        let inside = rest.get(..lift::bracket_len(rest)).unwrap_or(&[]);
        self.next += inside.len();
        self.must("]");
        lift::split_colon(inside)
    }

    /// `offset …`, `@ …`, `anchored` and `smoothed`, in any order.
    pub(crate) fn modifiers(&mut self) -> Modifiers<'a> {
        let mut found = Modifiers::default();
        loop {
            if self.may_word(&["offset"]) {
                let rest = self.rest();
                found.offset = rest.get(..duration::offset_len(rest)).unwrap_or(&[]);
                self.next += found.offset.len();
            } else if lift::is_extension(self.tokens, self.next) {
                if self.may_word(&["anchored"]) {
                    found.anchored = true;
                } else {
                    self.next += 1;
                    found.smoothed = true;
                }
            } else if self.may("@") {
                self.signs();
                let start = self.position();
                if self.may_word(&["start", "end"]) {
                    self.brackets("(", ")");
                    found.at_edge = Some(Span { start, end: self.behind() });
                } else {
                    self.must_be(is_number);
                }
            } else {
                return found;
            }
        }
    }

    /// `by (…)` or `without (…)`, where there is one.
    pub(crate) fn grouping(&mut self) {
        if self.may_word(&["by", "without"]) {
            self.brackets("(", ")");
        }
    }

    /// A binary operator and its modifiers; gives the operator's text.
    pub(crate) fn operator(&mut self) -> &'a str {
        let op = self.must_be(|t| matches!(t.kind, TokenKind::Symbol | TokenKind::Word));
        self.may_word(&["bool"]);
        loop {
            let call = self.tokens.get(self.next + 1).is_some_and(|t| t.is("("));
            let group = self.sees_word(&["group_left", "group_right"]);
            let matching = self.sees_word(&["on", "ignoring", "fill", "fill_left", "fill_right"]) && call;
            if !group && !matching {
                return op;
            }
            self.next += 1;
            self.brackets("(", ")");
        }
    }
}

/// A number or duration, or the words for infinity and none.
pub(crate) fn is_number(t: &Token<'_>) -> bool {
    t.kind == TokenKind::Number || t.is_word("inf") || t.is_word("nan")
}
