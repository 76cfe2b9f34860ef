//! The tree that evaluation walks: every name resolved, every type checked, selectors by index.

use thanos_promql_syntax::ast::At;
pub(crate) use thanos_promql_syntax::ast::{
    AggregateOp, BinaryOp, Cardinality, Grouping, Matching, ValueType,
};

use super::func::{Func, RangeFn};

/// An expression and where it starts in the query, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) pos: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Number(f64),
    Text(String),
    /// Index of an instant selector.
    Instant(usize),
    /// A range vector, as a result or as the argument of a [`RangeCall`].
    Range(Range),
    Negate(Box<Expr>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    RangeCall(Box<RangeCall>),
    Call(Call),
}

#[derive(Clone, Debug)]
pub(crate) enum Range {
    /// Index of a range selector.
    Selector(usize),
    Subquery(Box<Subquery>),
}

#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    pub(crate) expr: Expr,
    pub(crate) range_ms: i64,
    /// `None` takes the engine's default.
    pub(crate) step_ms: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) at: Option<At>,
}

#[derive(Clone, Debug)]
pub(crate) struct RangeCall {
    pub(crate) func: RangeFn,
    pub(crate) name: &'static str,
    pub(crate) range: Expr,
    /// The scalar arguments, in order.
    pub(crate) params: Vec<Expr>,
    /// Where the first argument starts, which annotations point at.
    pub(crate) first_arg_pos: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) func: Func,
    pub(crate) name: &'static str,
    pub(crate) args: Vec<Expr>,
}

#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) expr: Expr,
    pub(crate) param: Option<Expr>,
    pub(crate) grouping: Grouping,
}

#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Expr,
    pub(crate) rhs: Expr,
    pub(crate) return_bool: bool,
    pub(crate) matching: Matching,
}

impl Expr {
    pub(crate) fn value_type(&self) -> ValueType {
        match &self.kind {
            Kind::Number(_) => ValueType::Scalar,
            Kind::Text(_) => ValueType::String,
            Kind::Range(_) => ValueType::Matrix,
            Kind::Instant(_) | Kind::Aggregate(_) | Kind::RangeCall(_) => ValueType::Vector,
            Kind::Negate(e) => e.value_type(),
            Kind::Binary(b) => match (b.lhs.value_type(), b.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            Kind::Call(c) => match c.func {
                Func::Scalar
                | Func::Time
                | Func::Pi
                | Func::MinOf
                | Func::MaxOf
                | Func::QueryStart
                | Func::QueryEnd
                | Func::QueryRange
                | Func::QueryStep => ValueType::Scalar,
                _ => ValueType::Vector,
            },
        }
    }
}
