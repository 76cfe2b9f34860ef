//! From a query's tree to what evaluation walks: functions resolved, selectors by index.

use thanos_promql_syntax::ast;

use super::Selector;
use super::expr::{Aggregate, Binary, Call, Expr, Kind, Range, RangeCall, Subquery, ValueType};
use super::func::{Func, RangeFn};
use crate::error::QueryError;

#[derive(Default)]
pub(super) struct Lower {
    pub(super) selectors: Vec<Selector>,
}

impl Lower {
    /// Nested as deep as the query is; so each kind of expression has a function, and a small frame, of its own.
    pub(super) fn expr(&mut self, e: &ast::Expr) -> Result<Expr, QueryError> {
        Ok(Expr { pos: e.pos, kind: self.kind(&e.kind)? })
    }

    fn kind(&mut self, kind: &ast::Kind) -> Result<Kind, QueryError> {
        match kind {
            ast::Kind::Number(v) => Ok(Kind::Number(*v)),
            ast::Kind::Text(text) => Ok(Kind::Text(text.clone())),
            ast::Kind::Selector(selector, _) => Ok(self.selector(selector)),
            ast::Kind::Subquery(s) => self.subquery(s),
            ast::Kind::Negate(inner) => self.expr(inner).map(|e| Kind::Negate(Box::new(e))),
            ast::Kind::Binary(b) => self.binary(b),
            ast::Kind::Aggregate(a) => self.aggregate(a),
            ast::Kind::Call(c) => self.call(c),
        }
    }

    fn selector(&mut self, selector: &Selector) -> Kind {
        let id = self.selectors.len();
        self.selectors.push(selector.clone());
        if selector.range_ms.is_some() { Kind::Range(Range::Selector(id)) } else { Kind::Instant(id) }
    }

    fn subquery(&mut self, s: &ast::Subquery) -> Result<Kind, QueryError> {
        let ast::Subquery { range_ms, step_ms, offset_ms, at, .. } = *s;
        let expr = self.expr(&s.expr)?;
        Ok(Kind::Range(Range::Subquery(Box::new(Subquery { expr, range_ms, step_ms, offset_ms, at }))))
    }

    fn binary(&mut self, b: &ast::Binary) -> Result<Kind, QueryError> {
        let (lhs, rhs) = (self.expr(&b.lhs)?, self.expr(&b.rhs)?);
        let matching = b.matching.clone();
        Ok(Kind::Binary(Box::new(Binary { op: b.op, lhs, rhs, return_bool: b.return_bool, matching })))
    }

    fn aggregate(&mut self, a: &ast::Aggregate) -> Result<Kind, QueryError> {
        let param = a.param.as_ref().map(|p| self.expr(p)).transpose()?;
        let expr = self.expr(&a.expr)?;
        Ok(Kind::Aggregate(Box::new(Aggregate { op: a.op, expr, param, grouping: a.grouping.clone() })))
    }

    fn call(&mut self, c: &ast::Call) -> Result<Kind, QueryError> {
        let name = c.name;
        let mut args = c.args.iter().map(|a| self.expr(a)).collect::<Result<Vec<_>, _>>()?;
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
