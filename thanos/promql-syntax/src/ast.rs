//! The tree of a query: every duration in milliseconds, every type checked, and where things stand in the text.

use std::sync::Arc;

use thanos_model::{Matcher, TimestampMs};

use crate::error::Span;

/// PromQL's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// A text.
    String,
    /// One value per series.
    Vector,
    /// Samples per series.
    Matrix,
}

impl ValueType {
    /// The name that Prometheus' documentation uses.
    pub fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

/// The evaluation time that a selector or subquery is pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
    /// `@ <timestamp>`
    Time(TimestampMs),
}

impl At {
    /// The pinned time, of a query from `start` to `end`.
    pub fn resolve(self, start: TimestampMs, end: TimestampMs) -> TimestampMs {
        match self {
            Self::Start => start,
            Self::End => end,
            Self::Time(t) => t,
        }
    }
}

/// How values at the edges of a range, or at the evaluation time, are found from samples beyond them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extend {
    /// Not at all: only what is inside counts.
    #[default]
    No,
    /// `anchored`: the newest sample before the range stands for its start.
    Anchored,
    /// `smoothed`: interpolated between the samples on both sides.
    Smoothed,
}

/// One vector or range selector of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// All must pass; the metric name is one of them.
    pub matchers: Vec<Matcher>,
    /// Width of the range in milliseconds; `None` for an instant selector.
    pub range_ms: Option<i64>,
    /// How far back of the evaluation time, in milliseconds; negative looks forward.
    pub offset_ms: i64,
    /// Pinned evaluation time.
    pub at: Option<At>,
    /// How the edges of the range are found.
    pub extend: Extend,
}

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where it starts, in bytes, as annotations count: behind its own brackets and signs.
    pub pos: usize,
    /// Where it ends, before the brackets around it.
    pub end: usize,
    /// All of it, with the brackets around it.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// What an expression is. Brackets only group and are not kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Series by name and labels, and where their modifiers are.
    Selector(Box<Selector>, Modified),
    /// An expression evaluated over a range.
    Subquery(Box<Subquery>),
    /// `-x`
    Negate(Box<Expr>),
    /// `a + b`
    Binary(Box<Binary>),
    /// `sum by (…) (…)`
    Aggregate(Box<Aggregate>),
    /// A function.
    Call(Call),
}

/// Where the modifiers of a selector or subquery stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modified {
    /// The byte behind the selector, where `@` may be written.
    pub from: usize,
    /// `start()` or `end()` behind an `@`.
    pub at_edge: Option<Span>,
}

/// `x[5m:1m]`
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// How far back, in milliseconds.
    pub range_ms: i64,
    /// In milliseconds; `None` takes the engine's default.
    pub step_ms: Option<i64>,
    /// How far back of the evaluation time, in milliseconds; negative looks forward.
    pub offset_ms: i64,
    /// Pinned evaluation time.
    pub at: Option<At>,
    /// Where its modifiers are.
    pub modified: Modified,
}

/// A function with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// In order.
    pub args: Vec<Expr>,
    /// What it gives.
    pub returns: ValueType,
}

/// Aggregations over series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in PromQL")]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Quantile,
    TopK,
    BottomK,
    LimitK,
    LimitRatio,
    CountValues,
}

impl AggregateOp {
    /// As PromQL writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Quantile => "quantile",
            Self::TopK => "topk",
            Self::BottomK => "bottomk",
            Self::LimitK => "limitk",
            Self::LimitRatio => "limit_ratio",
            Self::CountValues => "count_values",
        }
    }
}

/// `sum by (a) (x)`
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// How.
    pub op: AggregateOp,
    /// Of what.
    pub expr: Expr,
    /// The first argument of those that take two.
    pub param: Option<Expr>,
    /// What a group is.
    pub grouping: Grouping,
}

/// Which labels a group keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// `without` rather than `by`.
    pub without: bool,
    /// Sorted, each once.
    pub labels: Vec<Arc<str>>,
}

/// Operators between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in PromQL's documentation")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    /// `</`
    TrimUpper,
    /// `>/`
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// Whether it compares.
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Gt | Self::Lt | Self::Ge | Self::Le)
    }

    /// Whether it takes series from its sides instead of computing.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// Whether the result is another kind of metric, so that its name no longer fits.
    pub fn is_arithmetic(self) -> bool {
        matches!(self, Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Mod | Self::Pow | Self::Atan2)
    }

    /// As PromQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Gt => ">",
            Self::Lt => "<",
            Self::Ge => ">=",
            Self::Le => "<=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }
}

/// `a + on (x) b`
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// Between the two.
    pub op: BinaryOp,
    /// Left.
    pub lhs: Expr,
    /// Right.
    pub rhs: Expr,
    /// `bool`: a comparison gives 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How series of two vectors find each other.
    pub matching: Matching,
}

/// Which side may have many series per match group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// Neither.
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

/// How series of two vectors find each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Matching {
    /// Which side may have many.
    pub card: Cardinality,
    /// `on` rather than `ignoring`.
    pub on: bool,
    /// Sorted, each once.
    pub labels: Vec<Arc<str>>,
    /// Labels taken from the one-side.
    pub include: Vec<Arc<str>>,
    /// Stands in for a missing left side.
    pub fill_left: Option<f64>,
    /// Stands in for a missing right side.
    pub fill_right: Option<f64>,
}

impl Expr {
    /// What it gives.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            Kind::Number(_) => ValueType::Scalar,
            Kind::Text(_) => ValueType::String,
            Kind::Selector(selector, _) if selector.range_ms.is_none() => ValueType::Vector,
            Kind::Selector(..) | Kind::Subquery(_) => ValueType::Matrix,
            Kind::Aggregate(_) => ValueType::Vector,
            Kind::Negate(e) => e.value_type(),
            Kind::Binary(b) => match (b.lhs.value_type(), b.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            Kind::Call(call) => call.returns,
        }
    }
}
