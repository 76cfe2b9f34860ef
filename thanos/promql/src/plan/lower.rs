//! From promql-parser's tree to ours: the one place that knows both.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use promql_parser::label::MatchOp as AstMatchOp;
use promql_parser::parser::{self as ast, LabelModifier, VectorMatchCardinality, token};
use thanos_model::{METRIC_NAME, MatchOp, Matcher};

use super::cursor::{Cursor, Modifiers};
use super::duration::{self, Context};
use super::expr::{
    Aggregate, AggregateOp, Binary, BinaryOp, Call, Cardinality, Expr, Grouping, Kind, Matching, Range,
    RangeCall, Subquery, ValueType,
};
use super::func::{Func, RangeFn};
use super::lex::Token;
use super::{At, Extend, Selector, lift};
use crate::error::QueryError;

pub(super) struct Lower<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) selectors: Vec<Selector>,
    /// What `step()` and `range()` are in duration expressions.
    pub(super) context: Context,
    /// Whether any duration depends on them.
    pub(super) depends_on_steps: bool,
}

impl Lower<'_> {
    pub(super) fn expr(&mut self, e: &ast::Expr) -> Result<Expr, QueryError> {
        let mut pos = self.cursor.position();
        self.cursor.signs(matches!(e, ast::Expr::Unary(_)));
        if !matches!(e, ast::Expr::NumberLiteral(_) | ast::Expr::Binary(_)) {
            pos = self.cursor.position();
        }
        let kind = match e {
            ast::Expr::Paren(p) => {
                self.cursor.take_symbol("(");
                let inner = self.expr(&p.expr)?;
                self.cursor.take_symbol(")");
                return Ok(inner);
            }
            ast::Expr::NumberLiteral(n) => {
                self.cursor.take();
                Kind::Number(n.val)
            }
            ast::Expr::StringLiteral(s) => {
                self.cursor.take();
                Kind::Text(s.val.clone())
            }
            ast::Expr::VectorSelector(v) => {
                self.cursor.selector();
                let modifiers = self.cursor.modifiers();
                Kind::Instant(self.selector(v, None, &modifiers)?)
            }
            ast::Expr::MatrixSelector(m) => {
                self.cursor.selector();
                let (range, _) = self.cursor.range();
                let range_ms = self.duration(range, false)?.unwrap_or(millis(m.range)?);
                let modifiers = self.cursor.modifiers();
                Kind::Range(Range::Selector(self.selector(&m.vs, Some(range_ms), &modifiers)?))
            }
            ast::Expr::Subquery(s) => Kind::Range(Range::Subquery(Box::new(self.subquery(s)?))),
            ast::Expr::Unary(u) => {
                self.cursor.take_symbol("-");
                Kind::Negate(Box::new(self.expr(&u.expr)?))
            }
            ast::Expr::Binary(b) => self.binary(b)?,
            ast::Expr::Aggregate(a) => Kind::Aggregate(Box::new(self.aggregate(a)?)),
            ast::Expr::Call(c) => self.call(c)?,
            ast::Expr::Extension(x) => return Err(QueryError::unsupported(x.expr.name())),
        };
        Ok(Expr { pos, kind })
    }

    /// A duration that promql-parser did not see, where there is one.
    fn duration(&mut self, tokens: &[Token<'_>], may_be_negative: bool) -> Result<Option<i64>, QueryError> {
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
        v: &ast::VectorSelector,
        range_ms: Option<i64>,
        modifiers: &Modifiers<'_>,
    ) -> Result<usize, QueryError> {
        if !v.matchers.or_matchers.is_empty() {
            return Err(QueryError::parse("unexpected \"or\" in label matching, expected \",\" or \"}\""));
        }
        let mut matchers = Vec::with_capacity(v.matchers.matchers.len() + 1);
        if let Some(name) = &v.name {
            matchers.push(Matcher::equal(METRIC_NAME, name.as_str()));
        }
        for m in &v.matchers.matchers {
            let op = match m.op {
                AstMatchOp::Equal => MatchOp::Equal,
                AstMatchOp::NotEqual => MatchOp::NotEqual,
                AstMatchOp::Re(_) => MatchOp::Regex,
                AstMatchOp::NotRe(_) => MatchOp::NotRegex,
            };
            matchers.push(Matcher::new(m.name.as_str(), op, m.value.as_str()).map_err(QueryError::parse)?);
        }
        if matchers.iter().all(Matcher::matches_empty) {
            return Err(QueryError::parse("vector selector must contain at least one non-empty matcher"));
        }
        let extend = match (modifiers.anchored, modifiers.smoothed) {
            (false, false) => Extend::No,
            (true, false) => Extend::Anchored,
            (false, true) => Extend::Smoothed,
            (true, true) => {
                return Err(QueryError::parse("anchored and smoothed modifiers cannot be used together"));
            }
        };
        let offset_ms = self.duration(modifiers.offset, true)?.unwrap_or(offset(&v.offset)?);
        self.selectors.push(Selector { matchers, range_ms, offset_ms, at: at(&v.at)?, extend });
        Ok(self.selectors.len() - 1)
    }

    fn subquery(&mut self, s: &ast::SubqueryExpr) -> Result<Subquery, QueryError> {
        let expr = self.expr(&s.expr)?;
        if expr.value_type() != ValueType::Vector {
            return Err(QueryError::parse(format!(
                "subquery is only allowed on instant vector, got {} instead",
                expr.value_type().documented()
            )));
        }
        let (range, step) = self.cursor.range();
        let modifiers = self.cursor.modifiers();
        for (used, name) in [(modifiers.anchored, "anchored"), (modifiers.smoothed, "smoothed")] {
            if used {
                return Err(QueryError::parse(format!("{name} modifier is not supported for subqueries")));
            }
        }
        let range_ms = self.duration(range, false)?.unwrap_or(millis(s.range)?);
        let step_ms = match self.duration(step.unwrap_or(&[]), false)? {
            Some(ms) => Some(ms),
            None => s.step.map(millis).transpose()?.filter(|ms| *ms > 0),
        };
        let offset_ms = self.duration(modifiers.offset, true)?.unwrap_or(offset(&s.offset)?);
        Ok(Subquery { expr, range_ms, step_ms, offset_ms, at: at(&s.at)? })
    }

    fn binary(&mut self, b: &ast::BinaryExpr) -> Result<Kind, QueryError> {
        let lhs = self.expr(&b.lhs)?;
        let op = match self.cursor.operator() {
            "</" => BinaryOp::TrimUpper,
            ">/" => BinaryOp::TrimLower,
            _ => binary_op(b.op)?,
        };
        let rhs = self.expr(&b.rhs)?;
        let matching = matching(b.modifier.as_ref());
        let return_bool = b.return_bool();
        if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
            if return_bool {
                return Err(QueryError::parse("bool modifier can only be used on comparison operators"));
            }
            if lhs.value_type() == ValueType::Scalar && rhs.value_type() == ValueType::Scalar {
                let op = op.symbol();
                return Err(QueryError::parse(format!("operator {op:?} not allowed for Scalar operations")));
            }
        }
        Ok(Kind::Binary(Box::new(Binary { op, lhs, rhs, return_bool, matching })))
    }

    fn aggregate(&mut self, a: &ast::AggregateExpr) -> Result<Aggregate, QueryError> {
        self.cursor.take();
        self.cursor.grouping();
        self.cursor.take_symbol("(");
        let op = aggregate_op(a.op)?;
        let param = match &a.param {
            Some(p) => {
                let p = self.expr(p)?;
                self.cursor.take_symbol(",");
                Some(p)
            }
            None => None,
        };
        let expr = self.expr(&a.expr)?;
        self.cursor.take_symbol(")");
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
        Ok(Aggregate { op, expr, param, grouping: Grouping { without, labels } })
    }

    fn call(&mut self, c: &ast::Call) -> Result<Kind, QueryError> {
        self.cursor.take();
        self.cursor.take_symbol("(");
        let name = c.func.name;
        let mut args = Vec::with_capacity(c.args.args.len());
        for (i, a) in c.args.args.iter().enumerate() {
            args.push(self.expr(a)?);
            self.cursor.take_symbol(",");
            let wanted = c.func.arg_types.get(i).or(c.func.arg_types.last());
            if let (Some(wanted), Some(arg)) = (wanted, args.last()) {
                expect_type(&format!("call to function {name:?}"), value_type(*wanted), arg)?;
            }
        }
        self.cursor.take_symbol(")");
        if let Some(func) = RangeFn::named(name) {
            let first_arg_pos = args.first().map_or(0, |a| a.pos);
            let at = args.iter().position(|a| a.value_type() == ValueType::Matrix);
            let at =
                at.ok_or_else(|| QueryError::parse(format!("no range vector in call to function {name:?}")))?;
            let range = args.remove(at);
            return Ok(Kind::RangeCall(Box::new(RangeCall {
                func,
                name,
                range,
                params: args,
                first_arg_pos,
            })));
        }
        match Func::named(name) {
            Some(func) => Ok(Kind::Call(Call { func, name, args })),
            None => Err(QueryError::unsupported(format!("{name}()"))),
        }
    }
}

fn expect_type(context: &str, wanted: ValueType, got: &Expr) -> Result<(), QueryError> {
    if got.value_type() == wanted {
        return Ok(());
    }
    let (wanted, got) = (wanted.documented(), got.value_type().documented());
    Err(QueryError::parse(format!("expected type {wanted} in {context}, got {got}")))
}

fn value_type(t: ast::value::ValueType) -> ValueType {
    match t {
        ast::value::ValueType::Scalar => ValueType::Scalar,
        ast::value::ValueType::String => ValueType::String,
        ast::value::ValueType::Vector => ValueType::Vector,
        ast::value::ValueType::Matrix => ValueType::Matrix,
    }
}

fn shared(labels: &[String]) -> Vec<Arc<str>> {
    let mut labels: Vec<Arc<str>> = labels.iter().map(|l| Arc::from(l.as_str())).collect();
    labels.sort();
    labels.dedup();
    labels
}

fn matching(modifier: Option<&ast::BinModifier>) -> Matching {
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

fn millis(d: Duration) -> Result<i64, QueryError> {
    i64::try_from(d.as_millis()).map_err(|_| QueryError::parse("duration out of range"))
}

fn offset(o: &Option<ast::Offset>) -> Result<i64, QueryError> {
    Ok(match o {
        None => 0,
        Some(ast::Offset::Pos(d)) => millis(*d)?,
        Some(ast::Offset::Neg(d)) => -millis(*d)?,
    })
}

/// Furthest time that `@` may name, so that no later arithmetic overflows.
const MAX_AT_MS: i64 = i64::MAX / 8;

fn at(a: &Option<ast::AtModifier>) -> Result<Option<At>, QueryError> {
    let out_of_range = || QueryError::parse("timestamp out of bounds for @ modifier");
    let ms = |d: Duration| {
        i64::try_from(d.as_millis()).ok().filter(|ms| *ms <= MAX_AT_MS).ok_or_else(out_of_range)
    };
    Ok(match a {
        None => None,
        Some(ast::AtModifier::Start) => Some(At::Start),
        Some(ast::AtModifier::End) => Some(At::End),
        Some(ast::AtModifier::At(t)) => Some(At::Time(match t.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => ms(after)?,
            Err(before) => -ms(before.duration())?,
        })),
    })
}

fn binary_op(op: token::TokenType) -> Result<BinaryOp, QueryError> {
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
        _ => return Err(QueryError::unsupported(format!("operator {op}"))),
    })
}

fn aggregate_op(op: token::TokenType) -> Result<AggregateOp, QueryError> {
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
        _ => return Err(QueryError::unsupported(format!("aggregation {op}"))),
    })
}
