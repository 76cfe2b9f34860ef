//! From text to tree.

use crate::ast::Expr;
use crate::cursor::Cursor;
use crate::duration::Context;
use crate::error::{Span, SyntaxError};
use crate::read::Reader;
use crate::token::{Token, scan};
use crate::{guard, lift, locate};

/// A query that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The whole expression.
    pub root: Expr,
    /// Whether a duration depends on the query's times, so that the tree holds only for one [`Context`].
    pub depends_on_steps: bool,
    /// Comments, each with the space around it.
    pub comments: Vec<Span>,
}

/// Parses and checks a query.
///
/// # Errors
/// The text is not PromQL, too long or too deeply nested, or asks for what the engine cannot do.
pub fn parse(text: &str, context: Context) -> Result<Parsed, SyntaxError> {
    read(text, context).map_err(|e| e.placed(text))
}

fn read(text: &str, context: Context) -> Result<Parsed, SyntaxError> {
    guard::length(text)?;
    let tokens = scan(text);
    guard::shape(&tokens)?;
    guard::durations(&tokens)?;
    let tree = promql_parser::parser::parse(&lift::lift(text, &tokens)).map_err(|e| refused(&e, &tokens))?;
    let mut reader = Reader { cursor: Cursor::new(&tokens), context, depends_on_steps: false };
    let root = reader.expr(&tree)?;
    reader.cursor.arrived()?;
    Ok(Parsed { root, depends_on_steps: reader.depends_on_steps, comments: comments(text, &tokens) })
}

/// Between tokens there is nothing but space and comments.
fn comments(text: &str, tokens: &[Token<'_>]) -> Vec<Span> {
    let starts = tokens.iter().map(|t| t.at).chain([text.len()]);
    let ends = [0].into_iter().chain(tokens.iter().map(Token::end));
    let gaps = ends.zip(starts).map(|(start, end)| Span { start, end });
    gaps.filter(|gap| text.get(gap.start..gap.end).is_some_and(|gap| gap.contains('#'))).collect()
}

/// promql-parser's message where its grammar has none.
const SAYS_NOTHING: &str = "invalid promql query";

/// promql-parser's message, with a place where one can be found.
fn refused(message: &str, tokens: &[Token<'_>]) -> SyntaxError {
    let message = message.trim();
    if tokens.is_empty() {
        return SyntaxError::grammar("no expression found in input");
    }
    let misplaced = locate::misplaced(tokens);
    if let Some(t) = locate::quoted(message, tokens) {
        return SyntaxError::grammar(message).at(t.at, t.end());
    }
    match misplaced {
        Some(locate::Misplaced::Token(t)) if message == SAYS_NOTHING => {
            SyntaxError::grammar(format!("unexpected {:?}", t.text)).at(t.at, t.end())
        }
        Some(locate::Misplaced::End(at)) if message == SAYS_NOTHING => {
            SyntaxError::grammar("unexpected end of input").at(at, at)
        }
        Some(locate::Misplaced::Token(t)) => SyntaxError::grammar(message).at(t.at, t.end()),
        _ => SyntaxError::grammar(message),
    }
}

#[cfg(test)]
mod tests;
