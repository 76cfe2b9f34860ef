//! From promql-parser's tree to ours: the one place that knows both.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use promql_parser::label::MatchOp as ParserMatchOp;
use promql_parser::parser::{self, LabelModifier, VectorMatchCardinality, token};
use promql_parser::util::unquote_string;
use thanos_model::{METRIC_NAME, MatchOp, Matcher};

use crate::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Cardinality, Expr, Extend, Grouping, Kind, Matching,
    Modified, Selector, Subquery, ValueType,
};
use crate::cursor::{Cursor, Modifiers, Pattern, is_number};
use crate::duration::{self, Context};
use crate::error::{Span, SyntaxError};
use crate::lift;
use crate::token::{Token, TokenKind};

/// Functions of the grammar that the engine does not have.
const UNSUPPORTED: [&str; 3] = ["info", "integral", "start_timestamp"];

pub(crate) struct Reader<'a> {
    pub(crate) cursor: Cursor<'a>,
    /// What `step()` and `range()` are in duration expressions.
    pub(crate) context: Context,
    /// Whether any duration depends on them.
    pub(crate) depends_on_steps: bool,
}

impl Reader<'_> {
    /// Nested as deep as the text is; so each kind of expression has a function, and a small frame, of its own.
    pub(crate) fn expr(&mut self, e: &parser::Expr) -> Result<Expr, SyntaxError> {
        let start = self.cursor.position();
        let mut pos = start;
        match e {
            // Its first operand has them.
            parser::Expr::Binary(_) => {}
            parser::Expr::NumberLiteral(_) => self.cursor.signs(),
            _ => {
                self.cursor.pluses();
                pos = self.cursor.position();
            }
        }
        if let parser::Expr::Paren(p) = e {
            return self.paren(p, start);
        }
        let kind = self.kind(e)?;
        let end = self.cursor.behind();
        Ok(Expr { pos, end, span: Span { start, end }, kind })
    }

    fn paren(&mut self, p: &parser::ParenExpr, start: usize) -> Result<Expr, SyntaxError> {
        self.cursor.must("(");
        let mut inner = self.expr(&p.expr)?;
        self.cursor.must(")");
        inner.span = Span { start, end: self.cursor.behind() };
        Ok(inner)
    }

    fn kind(&mut self, e: &parser::Expr) -> Result<Kind, SyntaxError> {
        match e {
            parser::Expr::NumberLiteral(n) => {
                self.cursor.must_be(is_number);
                Ok(Kind::Number(n.val))
            }
            parser::Expr::StringLiteral(s) => {
                self.cursor.must_be(|t| t.kind == TokenKind::Text);
                Ok(Kind::Text(s.val.clone()))
            }
            parser::Expr::VectorSelector(v) => self.instant(v),
            parser::Expr::MatrixSelector(m) => self.range(m),
            parser::Expr::Subquery(s) => self.subquery(s),
            parser::Expr::Unary(u) => {
                self.cursor.must("-");
                self.expr(&u.expr).map(|e| Kind::Negate(Box::new(e)))
            }
            parser::Expr::Binary(b) => self.binary(b),
            parser::Expr::Aggregate(a) => self.aggregate(a),
            parser::Expr::Call(c) => self.call(c),
            parser::Expr::Paren(p) => self.expr(&p.expr).map(|e| e.kind),
            parser::Expr::Extension(x) => {
                let at = self.cursor.position();
                Err(SyntaxError::unsupported(x.expr.name()).at(at, at))
            }
        }
    }

    fn instant(&mut self, v: &parser::VectorSelector) -> Result<Kind, SyntaxError> {
        let start = self.cursor.position();
        let (name, patterns) = self.cursor.selector();
        let from = self.cursor.behind();
        let modifiers = self.cursor.modifiers();
        let selector = self.selector(v, name, &patterns, None, &modifiers).map_err(|e| e.at(start, from))?;
        Ok(Kind::Selector(Box::new(selector), Modified { from, at_edge: modifiers.at_edge }))
    }

    fn range(&mut self, m: &parser::MatrixSelector) -> Result<Kind, SyntaxError> {
        let start = self.cursor.position();
        let (name, patterns) = self.cursor.selector();
        let (range, _) = self.cursor.range();
        let from = self.cursor.behind();
        let modifiers = self.cursor.modifiers();
        let range_ms = self.duration(range, false)?.map_or_else(|| millis(m.range), Ok);
        let selector = range_ms
            .and_then(|ms| self.selector(&m.vs, name, &patterns, Some(ms), &modifiers))
            .map_err(|e| e.at(start, from))?;
        Ok(Kind::Selector(Box::new(selector), Modified { from, at_edge: modifiers.at_edge }))
    }

    /// A duration that promql-parser did not see, where there is one.
    fn duration(&mut self, tokens: &[Token<'_>], may_be_negative: bool) -> Result<Option<i64>, SyntaxError> {
        let sign = usize::from(tokens.first().is_some_and(|t| t.is("+") || t.is("-")));
        if lift::is_plain(tokens.get(sign..).unwrap_or(&[])) && (sign == 0 || may_be_negative) {
            return Ok(None);
        }
        let d = duration::evaluate(tokens, self.context, may_be_negative)?;
        self.depends_on_steps |= d.depends;
        Ok(Some(d.ms))
    }

    fn selector(
        &mut self,
        v: &parser::VectorSelector,
        name: Option<&str>,
        patterns: &[Pattern<'_>],
        range_ms: Option<i64>,
        modifiers: &Modifiers<'_>,
    ) -> Result<Selector, SyntaxError> {
        if !v.matchers.or_matchers.is_empty() {
            let message = "unexpected \"or\" in label matching, expected \",\" or \"}\"; use =~\"a|b\"";
            return Err(SyntaxError::grammar(message));
        }
        let mut matchers = Vec::with_capacity(v.matchers.matchers.len() + 1);
        if v.name.is_some() {
            matchers.push(Matcher::equal(METRIC_NAME, name.unwrap_or_default()));
        }
        let mut patterns = patterns.iter();
        for m in &v.matchers.matchers {
            let mut pattern = |op| {
                let quoted = patterns.next().ok_or_else(|| SyntaxError::grammar("unexpected matcher"))?;
                let pattern =
                    unquote_string(quoted).map_err(|e| SyntaxError::grammar(format!("{e}: {quoted}")))?;
                Matcher::new(m.name.as_str(), op, pattern).map_err(SyntaxError::grammar)
            };
            matchers.push(match m.op {
                ParserMatchOp::Equal => Matcher::equal(m.name.as_str(), m.value.as_str()),
                ParserMatchOp::NotEqual => Matcher::new(m.name.as_str(), MatchOp::NotEqual, m.value.as_str())
                    .map_err(SyntaxError::grammar)?,
                ParserMatchOp::Re(_) => pattern(MatchOp::Regex)?,
                ParserMatchOp::NotRe(_) => pattern(MatchOp::NotRegex)?,
            });
        }
        if matchers.iter().all(Matcher::matches_empty) {
            return Err(SyntaxError::grammar("vector selector must contain at least one non-empty matcher"));
        }
        let extend = match (modifiers.anchored, modifiers.smoothed) {
            (false, false) => Extend::No,
            (true, false) => Extend::Anchored,
            (false, true) => Extend::Smoothed,
            (true, true) => {
                return Err(SyntaxError::grammar("anchored and smoothed modifiers cannot be used together"));
            }
        };
        let offset_ms = self.duration(modifiers.offset, true)?.map_or_else(|| offset(&v.offset), Ok)?;
        Ok(Selector { matchers, range_ms, offset_ms, at: at(&v.at)?, extend })
    }

    fn subquery(&mut self, s: &parser::SubqueryExpr) -> Result<Kind, SyntaxError> {
        let expr = self.expr(&s.expr)?;
        let (range, step) = self.cursor.range();
        let from = self.cursor.behind();
        if expr.value_type() != ValueType::Vector {
            let got = expr.value_type().documented();
            let message = format!("subquery is only allowed on instant vector, got {got} instead");
            return Err(SyntaxError::grammar(message).at(expr.span.start, from));
        }
        let modifiers = self.cursor.modifiers();
        for (used, name) in [(modifiers.anchored, "anchored"), (modifiers.smoothed, "smoothed")] {
            if used {
                let message = format!("{name} modifier is not supported for subqueries");
                return Err(SyntaxError::grammar(message).at(from, self.cursor.behind()));
            }
        }
        let range_ms = self.duration(range, false)?.map_or_else(|| millis(s.range), Ok)?;
        let step_ms = match self.duration(step.unwrap_or(&[]), false)? {
            Some(ms) => Some(ms),
            None => s.step.map(millis).transpose()?.filter(|ms| *ms > 0),
        };
        let offset_ms = self.duration(modifiers.offset, true)?.map_or_else(|| offset(&s.offset), Ok)?;
        let modified = Modified { from, at_edge: modifiers.at_edge };
        let at = at(&s.at)?;
        Ok(Kind::Subquery(Box::new(Subquery { expr, range_ms, step_ms, offset_ms, at, modified })))
    }

    fn binary(&mut self, b: &parser::BinaryExpr) -> Result<Kind, SyntaxError> {
        let lhs = self.expr(&b.lhs)?;
        let from = self.cursor.position();
        let op = match self.cursor.operator() {
            "</" => BinaryOp::TrimUpper,
            ">/" => BinaryOp::TrimLower,
            _ => binary_op(b.op)?,
        };
        let rhs = self.expr(&b.rhs)?;
        let matching = matching(b.modifier.as_ref());
        let return_bool = b.return_bool();
        if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
            let wrong = |message: String| Err(SyntaxError::grammar(message).at(from, from + 2));
            if return_bool {
                return wrong("bool modifier can only be used on comparison operators".into());
            }
            if lhs.value_type() == ValueType::Scalar && rhs.value_type() == ValueType::Scalar {
                return wrong(format!("operator {:?} not allowed for Scalar operations", op.symbol()));
            }
        }
        Ok(Kind::Binary(Box::new(Binary { op, lhs, rhs, return_bool, matching })))
    }

    fn aggregate(&mut self, a: &parser::AggregateExpr) -> Result<Kind, SyntaxError> {
        let op = aggregate_op(a.op)?;
        self.cursor.must_be(|t| t.is_word(op.name()));
        self.cursor.grouping();
        self.cursor.must("(");
        let param = match &a.param {
            Some(p) => {
                let p = self.expr(p)?;
                self.cursor.must(",");
                Some(p)
            }
            None => None,
        };
        let expr = self.expr(&a.expr)?;
        self.cursor.must(")");
        self.cursor.grouping();
        expect_type("aggregation expression", ValueType::Vector, &expr)?;
        let wanted = if op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
        if let Some(p) = &param {
            expect_type("aggregation parameter", wanted, p)?;
        }
        let (without, labels) = match &a.modifier {
            Some(LabelModifier::Include(l)) => (false, shared(&l.labels)),
            Some(LabelModifier::Exclude(l)) => (true, shared(&l.labels)),
            None => (false, Vec::new()),
        };
        let grouping = Grouping { without, labels };
        Ok(Kind::Aggregate(Box::new(Aggregate { op, expr, param, grouping })))
    }

    fn call(&mut self, c: &parser::Call) -> Result<Kind, SyntaxError> {
        let name = c.func.name;
        let start = self.cursor.position();
        self.cursor.must_be(|t| t.kind == TokenKind::Word && t.text == name);
        if UNSUPPORTED.contains(&name) {
            return Err(SyntaxError::unsupported(format!("{name}()")).at(start, self.cursor.behind()));
        }
        self.cursor.must("(");
        let mut args = Vec::with_capacity(c.args.args.len());
        for (i, a) in c.args.args.iter().enumerate() {
            if i > 0 {
                self.cursor.must(",");
            }
            let arg = self.expr(a)?;
            if let Some(wanted) = c.func.arg_types.get(i).or(c.func.arg_types.last()) {
                expect_type(&format!("call to function {name:?}"), value_type(*wanted), &arg)?;
            }
            args.push(arg);
        }
        self.cursor.must(")");
        Ok(Kind::Call(Call { name, args, returns: value_type(c.func.return_type) }))
    }
}

fn expect_type(context: &str, wanted: ValueType, got: &Expr) -> Result<(), SyntaxError> {
    if got.value_type() == wanted {
        return Ok(());
    }
    let (wanted, is) = (wanted.documented(), got.value_type().documented());
    let message = format!("expected type {wanted} in {context}, got {is}");
    Err(SyntaxError::grammar(message).at(got.span.start, got.span.end))
}

fn value_type(t: parser::value::ValueType) -> ValueType {
    match t {
        parser::value::ValueType::Scalar => ValueType::Scalar,
        parser::value::ValueType::String => ValueType::String,
        parser::value::ValueType::Vector => ValueType::Vector,
        parser::value::ValueType::Matrix => ValueType::Matrix,
    }
}

fn shared(labels: &[String]) -> Vec<Arc<str>> {
    let mut labels: Vec<Arc<str>> = labels.iter().map(|l| Arc::from(lift::original(l))).collect();
    labels.sort();
    labels.dedup();
    labels
}

fn matching(modifier: Option<&parser::BinModifier>) -> Matching {
    let mut m = Matching {
        card: Cardinality::OneToOne,
        on: false,
        labels: Vec::new(),
        include: Vec::new(),
        fill_left: None,
        fill_right: None,
    };
    let Some(modifier) = modifier else { return m };
    match &modifier.card {
        VectorMatchCardinality::ManyToOne(l) => {
            (m.card, m.include) = (Cardinality::ManyToOne, shared(&l.labels))
        }
        VectorMatchCardinality::OneToMany(l) => {
            (m.card, m.include) = (Cardinality::OneToMany, shared(&l.labels))
        }
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {}
    }
    match &modifier.matching {
        Some(LabelModifier::Include(l)) => (m.on, m.labels) = (true, shared(&l.labels)),
        Some(LabelModifier::Exclude(l)) => m.labels = shared(&l.labels),
        None => {}
    }
    (m.fill_left, m.fill_right) = (modifier.fill_values.lhs, modifier.fill_values.rhs);
    m
}

fn millis(d: Duration) -> Result<i64, SyntaxError> {
    i64::try_from(d.as_millis()).map_err(|_| SyntaxError::grammar("duration out of range"))
}

fn offset(o: &Option<parser::Offset>) -> Result<i64, SyntaxError> {
    Ok(match o {
        None => 0,
        Some(parser::Offset::Pos(d)) => millis(*d)?,
        Some(parser::Offset::Neg(d)) => -millis(*d)?,
    })
}

/// Furthest time that `@` may name, so that no later arithmetic overflows.
const MAX_AT_MS: i64 = i64::MAX / 8;

fn at(a: &Option<parser::AtModifier>) -> Result<Option<At>, SyntaxError> {
    let out_of_range = || SyntaxError::grammar("timestamp out of bounds for @ modifier");
    let ms = |d: Duration| {
        i64::try_from(d.as_millis()).ok().filter(|ms| *ms <= MAX_AT_MS).ok_or_else(out_of_range)
    };
    Ok(match a {
        None => None,
        Some(parser::AtModifier::Start) => Some(At::Start),
        Some(parser::AtModifier::End) => Some(At::End),
        Some(parser::AtModifier::At(t)) => Some(At::Time(match t.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => ms(after)?,
            Err(before) => -ms(before.duration())?,
        })),
    })
}

fn binary_op(op: token::TokenType) -> Result<BinaryOp, SyntaxError> {
    Ok(match op.id() {
        token::T_ADD => BinaryOp::Add,
        token::T_SUB => BinaryOp::Sub,
        token::T_MUL => BinaryOp::Mul,
        token::T_DIV => BinaryOp::Div,
        token::T_MOD => BinaryOp::Mod,
        token::T_POW => BinaryOp::Pow,
        token::T_ATAN2 => BinaryOp::Atan2,
        token::T_EQLC => BinaryOp::Eq,
        token::T_NEQ => BinaryOp::Ne,
        token::T_GTR => BinaryOp::Gt,
        token::T_LSS => BinaryOp::Lt,
        token::T_GTE => BinaryOp::Ge,
        token::T_LTE => BinaryOp::Le,
        token::T_LAND => BinaryOp::And,
        token::T_LOR => BinaryOp::Or,
        token::T_LUNLESS => BinaryOp::Unless,
        _ => return Err(SyntaxError::unsupported(format!("operator {op}"))),
    })
}

fn aggregate_op(op: token::TokenType) -> Result<AggregateOp, SyntaxError> {
    Ok(match op.id() {
        token::T_SUM => AggregateOp::Sum,
        token::T_AVG => AggregateOp::Avg,
        token::T_MIN => AggregateOp::Min,
        token::T_MAX => AggregateOp::Max,
        token::T_COUNT => AggregateOp::Count,
        token::T_GROUP => AggregateOp::Group,
        token::T_STDDEV => AggregateOp::Stddev,
        token::T_STDVAR => AggregateOp::Stdvar,
        token::T_QUANTILE => AggregateOp::Quantile,
        token::T_TOPK => AggregateOp::TopK,
        token::T_BOTTOMK => AggregateOp::BottomK,
        token::T_LIMITK => AggregateOp::LimitK,
        token::T_LIMIT_RATIO => AggregateOp::LimitRatio,
        token::T_COUNT_VALUES => AggregateOp::CountValues,
        _ => return Err(SyntaxError::unsupported(format!("aggregation {op}"))),
    })
}
