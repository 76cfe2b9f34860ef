//! Duration expressions: `[5m+step()]`, `offset -(1h/2)`. promql-parser knows only literals, so these are read
//! from the tokens.

use crate::error::SyntaxError;
use crate::guard;
use crate::token::{Token, TokenKind};

/// What `step()` and `range()` mean, in seconds; none while the query's times are unknown.
pub type Context = Option<(f64, f64)>;

/// The longest duration, in seconds.
const MAX_S: f64 = guard::MAX_DURATION_S;

/// A duration that was written out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Duration {
    pub(crate) ms: i64,
    /// Whether `step()` or `range()` occurs, so that `ms` holds only for one context.
    pub(crate) depends: bool,
}

/// Reads all tokens as one duration.
pub(crate) fn evaluate(
    tokens: &[Token<'_>],
    context: Context,
    may_be_negative: bool,
) -> Result<Duration, SyntaxError> {
    let mut reader = Reader { tokens, next: 0, context, depends: false };
    let seconds = reader.sum()?;
    if reader.next < tokens.len() {
        return Err(reader.unexpected());
    }
    let depends = reader.depends;
    if depends && context.is_none() {
        return Ok(Duration { ms: 1, depends });
    }
    let (start, end) = (tokens.first().map_or(0, |t| t.at), tokens.last().map_or(0, Token::end));
    let wrong = |what: &str| SyntaxError::duration(format!("duration {what}")).at(start, end);
    if !seconds.is_finite() {
        return Err(wrong("is NaN or infinite"));
    }
    if seconds <= 0.0 && !may_be_negative {
        return Err(wrong("must be greater than 0"));
    }
    if seconds.abs() > MAX_S {
        return Err(wrong("is out of range"));
    }
    Ok(Duration { ms: (seconds * 1000.0) as i64, depends })
}

/// How many tokens after `offset` are its duration: a literal, a call or a group, with a sign.
pub(crate) fn offset_len(tokens: &[Token<'_>]) -> usize {
    let sign = usize::from(tokens.first().is_some_and(|t| t.is("+") || t.is("-")));
    let call = usize::from(tokens.get(sign).is_some_and(|t| is_function(t)));
    let mut depth = 0;
    for (i, t) in tokens.iter().enumerate().skip(sign + call) {
        depth += i32::from(t.is("("));
        depth -= i32::from(t.is(")"));
        if depth <= 0 {
            return i + 1;
        }
    }
    tokens.len()
}

fn is_function(t: &Token<'_>) -> bool {
    ["step", "range", "min_of", "max_of"].iter().any(|f| t.is_word(f))
}

struct Reader<'r> {
    tokens: &'r [Token<'r>],
    next: usize,
    context: Context,
    depends: bool,
}

impl<'r> Reader<'r> {
    fn peek(&self) -> Option<&Token<'r>> {
        self.tokens.get(self.next)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let hit = self.peek().is_some_and(|t| t.is(symbol));
        self.next += usize::from(hit);
        hit
    }

    fn require(&mut self, symbol: &str) -> Result<(), SyntaxError> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> SyntaxError {
        let what = self.peek().map_or("end of duration", |t| t.text);
        let error = SyntaxError::grammar(format!("unexpected {what:?} in duration expression"));
        match self.peek().or(self.tokens.last()) {
            Some(t) => error.at(t.at, t.end()),
            None => error,
        }
    }

    fn sum(&mut self) -> Result<f64, SyntaxError> {
        let mut left = self.product()?;
        loop {
            if self.take("+") {
                left += self.product()?;
            } else if self.take("-") {
                left -= self.product()?;
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> Result<f64, SyntaxError> {
        let mut left = self.signed()?;
        loop {
            if self.take("*") {
                left *= self.signed()?;
            } else if self.take("/") {
                left /= self.divisor("division")?;
            } else if self.take("%") {
                left %= self.divisor("modulo")?;
            } else {
                return Ok(left);
            }
        }
    }

    fn divisor(&mut self, what: &str) -> Result<f64, SyntaxError> {
        match self.signed()? {
            0.0 if !self.depends => {
                Err(SyntaxError::duration(format!("{what} by zero in duration expression")))
            }
            v => Ok(v),
        }
    }

    fn signed(&mut self) -> Result<f64, SyntaxError> {
        if self.take("-") {
            return Ok(-self.signed()?);
        }
        if self.take("+") {
            return self.signed();
        }
        let base = self.primary()?;
        if self.take("^") { Ok(base.powf(self.signed()?)) } else { Ok(base) }
    }

    fn primary(&mut self) -> Result<f64, SyntaxError> {
        if self.take("(") {
            let v = self.sum()?;
            self.require(")")?;
            return Ok(v);
        }
        let Some(t) = self.peek().copied() else { return Err(self.unexpected()) };
        if is_function(&t) {
            self.next += 1;
            self.require("(")?;
            let v = if t.is_word("step") || t.is_word("range") {
                self.depends = true;
                let (step, range) = self.context.unwrap_or((1.0, 1.0));
                if t.is_word("step") { step } else { range }
            } else {
                let a = self.sum()?;
                self.require(",")?;
                let b = self.sum()?;
                if t.is_word("min_of") { a.min(b) } else { a.max(b) }
            };
            self.require(")")?;
            return Ok(v);
        }
        if t.kind != TokenKind::Number {
            return Err(self.unexpected());
        }
        self.next += 1;
        Ok(guard::duration_ms(t.text).map_err(|e| e.at(t.at, t.end()))? as f64 / 1000.0)
    }
}
