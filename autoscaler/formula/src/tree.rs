//! What a formula is, once understood: numbers and truths, which cannot be mistaken for each other.

/// A number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Number {
    Literal(f64),
    /// By its place among the formula's metrics.
    Metric(usize),
    Negated(Box<Number>),
    Reckoned(Operator, Box<Number>, Box<Number>),
    Picked(Pick, Vec<Number>),
    Chosen(Box<Truth>, Box<Number>, Box<Number>),
}

/// A truth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Truth {
    Literal(bool),
    /// Whether a metric has a value.
    Has(usize),
    Compared(Comparison, Box<Number>, Box<Number>),
    /// Whether both are the same, or, if `false`, are not.
    Same(bool, Box<Truth>, Box<Truth>),
    Not(Box<Truth>),
    /// Both, or either.
    Joined(Join, Box<Truth>, Box<Truth>),
    Chosen(Box<Truth>, Box<Truth>, Box<Truth>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    Highest,
    Lowest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Different,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    And,
    Or,
}

/// Either.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    Number(Number),
    Truth(Truth),
}

/// A metric that a formula reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Its name.
    pub name: String,
    /// Where it is read first, counted in characters from one.
    pub column: usize,
}
