//! From words and signs to a tree, by CEL's grammar and precedence (cel-spec, `doc/langdef.md`).

use crate::error::FormulaError;
use crate::token::{Token, tokens};
use crate::tree::{Comparison, Join, Mention, Number, Operator, Pick, Term, Truth};

/// Longest formula, in bytes.
pub const TEXT_MAX: usize = 1024;
/// Deepest nesting of parentheses, signs and conditions.
pub const DEPTH_MAX: usize = 32;

/// CEL's own words, which name nothing.
const RESERVED: [&str; 19] = [
    "in",
    "null",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// A tree, and the metrics that it reads.
pub(crate) fn parse(text: &str) -> Result<(Number, Vec<Mention>), FormulaError> {
    if text.len() > TEXT_MAX {
        let message = format!("it has {} bytes, more than {TEXT_MAX}", text.len());
        return Err(FormulaError::new(1, message));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, metrics: Vec::new() };
    let term = parser.choice()?;
    if *parser.next() != Token::End {
        return Err(parser.unexpected("an operator, or the end"));
    }
    match term {
        Term::Number(number) if !parser.metrics.is_empty() => Ok((number, parser.metrics)),
        Term::Number(_) => Err(FormulaError::new(1, "it reads no metric")),
        Term::Truth(_) => Err(FormulaError::new(1, "it is true or false, and has to be a number")),
    }
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    depth: usize,
    metrics: Vec<Mention>,
}

type Parsed = Result<Term, FormulaError>;

impl Parser<'_> {
    fn next(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(_, token)| token)
    }

    fn column(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(column, _)| *column)
    }

    /// Takes the next one if it is `sign`.
    fn takes(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.next(), Token::Sign(next) if *next == sign);
        self.at += usize::from(is_next);
        is_next
    }

    fn takes_one(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        signs.iter().copied().find(|sign| self.takes(sign))
    }

    fn needs(&mut self, sign: &str) -> Result<(), FormulaError> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(&format!("{sign:?}"))) }
    }

    fn unexpected(&self, wanted: &str) -> FormulaError {
        let found = match self.next() {
            Token::Number(number) => number.to_string(),
            Token::Word(word) => word.clone(),
            Token::Quoted(text) => format!("{text:?}"),
            Token::Sign(sign) => format!("{sign:?}"),
            Token::End => "the end".to_owned(),
        };
        FormulaError::new(self.column(), format!("here stands {found}, and not {wanted}"))
    }

    /// One level deeper, if there is one.
    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth >= DEPTH_MAX {
            let message = format!("it is nested more than {DEPTH_MAX} deep");
            return Err(FormulaError::new(self.column(), message));
        }
        self.depth += 1;
        let term = inner(self);
        self.depth -= 1;
        term
    }

    /// `a ? b : c`, or less.
    fn choice(&mut self) -> Parsed {
        self.deeper(|parser| {
            let column = parser.column();
            let term = parser.join(Join::Or)?;
            if *parser.next() == Token::Sign("??") {
                // KEDA's formulas have it.
                let message = "there is no ??; write has(metrics.queue) ? queue : 0";
                return Err(FormulaError::new(parser.column(), message));
            }
            if !parser.takes("?") {
                return Ok(term);
            }
            let condition = Box::new(truth(term, column)?);
            let then = parser.join(Join::Or)?;
            parser.needs(":")?;
            let column = parser.column();
            match (then, parser.choice()?) {
                (Term::Number(a), Term::Number(b)) => {
                    Ok(Term::Number(Number::Chosen(condition, Box::new(a), Box::new(b))))
                }
                (Term::Truth(a), Term::Truth(b)) => {
                    Ok(Term::Truth(Truth::Chosen(condition, Box::new(a), Box::new(b))))
                }
                _ => Err(FormulaError::new(column, "one side of : is a number and the other is none")),
            }
        })
    }

    fn join(&mut self, join: Join) -> Parsed {
        let column = self.column();
        let (sign, mut term) = match join {
            Join::Or => ("||", self.join(Join::And)?),
            Join::And => ("&&", self.comparison()?),
        };
        while self.takes(sign) {
            let left = truth(term, column)?;
            let right_column = self.column();
            let right = match join {
                Join::Or => self.join(Join::And)?,
                Join::And => self.comparison()?,
            };
            term = Term::Truth(Truth::Joined(join, Box::new(left), Box::new(truth(right, right_column)?)));
        }
        Ok(term)
    }

    fn comparison(&mut self) -> Parsed {
        let mut column = self.column();
        let mut term = self.sum()?;
        while let Some(sign) = self.takes_one(&["==", "!=", "<=", ">=", "<", ">"]) {
            let right_column = self.column();
            let right = self.sum()?;
            let comparison = match sign {
                "==" => Comparison::Equal,
                "!=" => Comparison::Different,
                "<" => Comparison::Less,
                "<=" => Comparison::AtMost,
                ">" => Comparison::Greater,
                _ => Comparison::AtLeast,
            };
            term = match (term, right, comparison) {
                (Term::Truth(a), Term::Truth(b), Comparison::Equal | Comparison::Different) => {
                    Term::Truth(Truth::Same(sign == "==", Box::new(a), Box::new(b)))
                }
                (a, b, _) => Term::Truth(Truth::Compared(
                    comparison,
                    Box::new(number(a, column)?),
                    Box::new(number(b, right_column)?),
                )),
            };
            column = right_column;
        }
        Ok(term)
    }

    fn sum(&mut self) -> Parsed {
        self.reckoned(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Parsed {
        self.reckoned(&["*", "/"], Self::signed)
    }

    fn reckoned(&mut self, signs: &[&'static str], operand: fn(&mut Self) -> Parsed) -> Parsed {
        let column = self.column();
        let mut term = operand(self)?;
        while let Some(sign) = self.takes_one(signs) {
            let right_column = self.column();
            let (left, right) = (number(term, column)?, number(operand(self)?, right_column)?);
            let operator = match sign {
                "+" => Operator::Add,
                "-" => Operator::Subtract,
                "*" => Operator::Multiply,
                _ => Operator::Divide,
            };
            term = Term::Number(Number::Reckoned(operator, Box::new(left), Box::new(right)));
        }
        Ok(term)
    }

    fn signed(&mut self) -> Parsed {
        if self.takes("-") {
            let column = self.column();
            let inner = self.deeper(Self::signed)?;
            return Ok(Term::Number(Number::Negated(Box::new(number(inner, column)?))));
        }
        if self.takes("!") {
            let column = self.column();
            let inner = self.deeper(Self::signed)?;
            return Ok(Term::Truth(Truth::Not(Box::new(truth(inner, column)?))));
        }
        self.operand()
    }

    fn operand(&mut self) -> Parsed {
        let column = self.column();
        if self.takes("(") {
            let inner = self.choice()?;
            self.needs(")")?;
            return Ok(inner);
        }
        let token = self.next().clone();
        match token {
            Token::Number(value) => {
                self.at += 1;
                Ok(Term::Number(Number::Literal(value)))
            }
            Token::Word(word) => {
                self.at += 1;
                self.word(&word, column)
            }
            _ => Err(self.unexpected("a number, a metric or \"(\"")),
        }
    }

    fn word(&mut self, word: &str, column: usize) -> Parsed {
        match word {
            "true" => return Ok(Term::Truth(Truth::Literal(true))),
            "false" => return Ok(Term::Truth(Truth::Literal(false))),
            "metrics" => {
                let name = self.member()?;
                return Ok(Term::Number(Number::Metric(self.mention(name, column))));
            }
            _ if RESERVED.contains(&word) => {
                let message =
                    format!("{word} is a word of CEL's own; a metric of that name is metrics[\"{word}\"]");
                return Err(FormulaError::new(column, message));
            }
            _ => {}
        }
        if !self.takes("(") {
            return Ok(Term::Number(Number::Metric(self.mention(word.to_owned(), column))));
        }
        let term = match word {
            "max" => Term::Number(Number::Picked(Pick::Highest, self.arguments()?)),
            "min" => Term::Number(Number::Picked(Pick::Lowest, self.arguments()?)),
            "has" => {
                let column = self.column();
                if *self.next() != Token::Word("metrics".to_owned()) {
                    return Err(self.unexpected("metrics, as in has(metrics.queue)"));
                }
                self.at += 1;
                let name = self.member()?;
                Term::Truth(Truth::Has(self.mention(name, column)))
            }
            _ => {
                let message = format!("there is no function {word}; there are max, min and has");
                return Err(FormulaError::new(column, message));
            }
        };
        self.needs(")")?;
        Ok(term)
    }

    fn arguments(&mut self) -> Result<Vec<Number>, FormulaError> {
        let mut all = Vec::new();
        loop {
            let column = self.column();
            all.push(number(self.choice()?, column)?);
            if !self.takes(",") {
                return Ok(all);
            }
        }
    }

    /// `.name`, `` .`name` `` or `["name"]`.
    fn member(&mut self) -> Result<String, FormulaError> {
        let is_index = self.takes("[");
        if !is_index && !self.takes(".") {
            return Err(self.unexpected("a metric's name, as in metrics[\"queue-length\"]"));
        }
        let name = match self.next() {
            Token::Quoted(name) => name.clone(),
            Token::Word(name) if !is_index => name.clone(),
            _ => return Err(self.unexpected("a metric's name")),
        };
        self.at += 1;
        if is_index {
            self.needs("]")?;
        }
        Ok(name)
    }

    fn mention(&mut self, name: String, column: usize) -> usize {
        if let Some(known) = self.metrics.iter().position(|metric| metric.name == name) {
            return known;
        }
        self.metrics.push(Mention { name, column });
        self.metrics.len() - 1
    }
}

fn number(term: Term, column: usize) -> Result<Number, FormulaError> {
    match term {
        Term::Number(number) => Ok(number),
        Term::Truth(_) => Err(FormulaError::new(column, "this is true or false, and has to be a number")),
    }
}

fn truth(term: Term, column: usize) -> Result<Truth, FormulaError> {
    match term {
        Term::Truth(truth) => Ok(truth),
        Term::Number(_) => Err(FormulaError::new(column, "this is a number, and has to be true or false")),
    }
}
