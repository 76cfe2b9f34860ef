//! Finds where a text stops being PromQL, after promql-parser, which keeps no positions, refused it. It knows where
//! operands and operators may stand and not which: it places errors and never finds one.

use crate::duration;
use crate::token::{Token, TokenKind};

/// What cannot stand where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Misplaced<'a> {
    Token(Token<'a>),
    /// The text ends too early, at this byte.
    End(usize),
}

/// The token that a message quotes, if it stands in the text once.
pub(crate) fn quoted<'a>(message: &str, tokens: &[Token<'a>]) -> Option<Token<'a>> {
    let quote = message.find(['\'', '"', '`'])?;
    let rest = message.get(quote..)?;
    let mark = rest.chars().next()?;
    let word = rest.get(1..)?.split(mark).next().filter(|w| !w.is_empty())?;
    let mut found = tokens.iter().filter(|t| t.text == word);
    let first = found.next()?;
    found.next().is_none().then_some(*first)
}

/// The first token, if any, that cannot stand where it stands.
pub(crate) fn misplaced<'a>(tokens: &[Token<'a>]) -> Option<Misplaced<'a>> {
    let mut walk = Walk { tokens, next: 0, operand: true };
    while let Some(t) = walk.tokens.get(walk.next).copied() {
        walk.next += 1;
        let fits = if walk.operand { walk.operand(t) } else { walk.operator(t) };
        if !fits {
            return Some(Misplaced::Token(t));
        }
    }
    walk.operand.then(|| Misplaced::End(tokens.last().map_or(0, Token::end)))
}

struct Walk<'t, 'a> {
    tokens: &'t [Token<'a>],
    next: usize,
    /// An operand has to follow, not an operator.
    operand: bool,
}

impl<'a> Walk<'_, 'a> {
    fn sees(&self, fits: impl Fn(&Token<'a>) -> bool) -> bool {
        self.tokens.get(self.next).is_some_and(fits)
    }

    /// From an opening bracket, which comes next, past its partner.
    fn skip(&mut self) {
        let mut depth = 0;
        while let Some(t) = self.tokens.get(self.next) {
            self.next += 1;
            depth += i32::from(t.is("(") || t.is("[") || t.is("{"));
            depth -= i32::from(t.is(")") || t.is("]") || t.is("}"));
            if depth <= 0 {
                return;
            }
        }
    }

    fn operand(&mut self, t: Token<'a>) -> bool {
        match t.kind {
            TokenKind::Number | TokenKind::Text => self.operand = false,
            TokenKind::Word => {
                self.operand = false;
                if self.sees(|t| t.is_word("by") || t.is_word("without")) {
                    self.next += 1;
                    self.skip();
                }
                if self.sees(|t| t.is("(")) {
                    self.next += 1;
                    self.operand = !self.sees(|t| t.is(")"));
                } else if self.sees(|t| t.is("{")) {
                    self.skip();
                }
            }
            TokenKind::Symbol => match t.text {
                "(" | "+" | "-" => {}
                "{" => {
                    self.operand = false;
                    self.next -= 1;
                    self.skip();
                }
                _ => return false,
            },
        }
        true
    }

    fn operator(&mut self, t: Token<'a>) -> bool {
        const WORDS: [&str; 4] = ["and", "or", "unless", "atan2"];
        const SYMBOLS: [&str; 14] =
            ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">=", "</", ">/"];
        let rest = self.tokens.get(self.next..).unwrap_or(&[]);
        if WORDS.iter().any(|w| t.is_word(w)) || SYMBOLS.iter().any(|s| t.is(s)) {
            self.operand = true;
            self.matching();
        } else if t.is(",") {
            self.operand = true;
        } else if t.is("[") {
            self.next -= 1;
            self.skip();
        } else if t.is_word("offset") {
            self.next += duration::offset_len(rest).min(rest.len());
        } else if t.is("@") {
            while self.sees(|t| t.is("+") || t.is("-")) {
                self.next += 1;
            }
            self.next += 1;
            if self.sees(|t| t.is("(")) {
                self.skip();
            }
        } else if t.is_word("by") || t.is_word("without") {
            self.skip();
        } else if !(t.is(")") || t.is_word("anchored") || t.is_word("smoothed")) {
            return false;
        }
        true
    }

    /// What may stand behind an operator.
    fn matching(&mut self) {
        const MATCHING: [&str; 8] =
            ["bool", "on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right"];
        while self.sees(|t| MATCHING.iter().any(|w| t.is_word(w))) {
            self.next += 1;
            if self.sees(|t| t.is("(")) {
                self.skip();
            }
        }
    }
}
