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
    pub(super) fn expr(&mut self, e: ast::Expr) -> Result<Expr, QueryError> {
        let kind = match e.kind {
            ast::Kind::Number(v) => Kind::Number(v),
            ast::Kind::Text(text) => Kind::Text(text),
            ast::Kind::Selector(selector, _) => {
                let id = self.selectors.len();
                let range = selector.range_ms.is_some();
                self.selectors.push(selector);
                if range { Kind::Range(Range::Selector(id)) } else { Kind::Instant(id) }
            }
            ast::Kind::Subquery(s) => Kind::Range(Range::Subquery(Box::new(Subquery {
                expr: self.expr(s.expr)?,
                range_ms: s.range_ms,
                step_ms: s.step_ms,
                offset_ms: s.offset_ms,
                at: s.at,
            }))),
            ast::Kind::Negate(inner) => Kind::Negate(Box::new(self.expr(*inner)?)),
            ast::Kind::Binary(b) => {
                let ast::Binary { op, lhs, rhs, return_bool, matching } = *b;
                let (lhs, rhs) = (self.expr(lhs)?, self.expr(rhs)?);
                Kind::Binary(Box::new(Binary { op, lhs, rhs, return_bool, matching }))
            }
            ast::Kind::Aggregate(a) => {
                let ast::Aggregate { op, expr, param, grouping } = *a;
                let param = param.map(|p| self.expr(p)).transpose()?;
                Kind::Aggregate(Box::new(Aggregate { op, expr: self.expr(expr)?, param, grouping }))
            }
            ast::Kind::Call(c) => self.call(c)?,
        };
        Ok(Expr { pos: e.pos, kind })
    }

    fn call(&mut self, c: ast::Call) -> Result<Kind, QueryError> {
        let name = c.name;
        let mut args = c.args.into_iter().map(|a| self.expr(a)).collect::<Result<Vec<_>, _>>()?;
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
