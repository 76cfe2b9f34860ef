//! The one query of a metric: its two values and what is known of the samples behind them, told apart by a label.
//!
//! ```text
//!  label_replace(QUERY, "__part__", "now", "", "")
//!  or label_replace(max by (cluster) (timestamp(SEL offset -30s)), "__part__", "new0", "", "")
//!  or label_replace(min by (cluster) (timestamp(SEL offset -30s) > LIMIT), "__part__", "old0", "", "")
//!  or …pods with fresh samples, pods that fell silent, the next selector…
//!  or label_replace(count by (cluster) (count_over_time(SEL[BACK] @ START)), "__part__", "beg0-0", "", "")
//!  or label_replace(count by (cluster) (count_over_time(SEL[BACK] @ START) and …fresh… unless …[BACK] @ T), "__part__", "brk0-0", "", "")
//!  or label_replace(QUERY @ T, "__part__", "at", "", "")
//! ```
//!
//! Value and ages come from one answer, so from one querier at one moment. Selectors look half a minute ahead, so that
//! a clock of ours that is behind shows samples from the future, and does not make old ones look fresh.

use std::fmt::Write as _;

use autoscaler_core::{EvidenceSpec, WindowStart};
use thanos_model::{MatchOp, Matcher};
use thanos_promql_syntax::ast::{Expr, Kind};
use thanos_promql_syntax::{Context, Pinned, Query, SeriesSelector, ValueType};

/// The label that tells the parts apart.
pub(crate) const PART: &str = "__part__";
/// How far ahead of our clock samples are looked for, in milliseconds.
const AHEAD_MS: i64 = 30_000;
/// A time in seconds, to the millisecond.
const TIME_CHARS: usize = 14;
/// `step()` and `range()` of an instant query.
const INSTANT: Context = Some((0.0, 0.0));
/// Most places where a metric's series are counted at once.
const MAX_STARTS: usize = 2;
/// The operators of these places: one each to count, and four to ask which series are broken after them.
const START_OPERATORS: usize = MAX_STARTS * 5;
/// Most operators of one query; our own querier takes two hundred.
const MAX_OPERATORS: usize = 150;

/// What a series of an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The value at the evaluation time.
    Now,
    /// The value at the settled time.
    At,
    /// The newest sample's time, of a selector and a cluster.
    New(usize),
    /// The slowest fresh series' newest sample's time.
    Old(usize),
    /// How many of the target's pods have fresh samples.
    Pods(usize),
    /// How many pods fell silent.
    Silent(usize),
    /// How many series there are where a window begins: which one, and of which selector.
    Start(usize, usize),
    /// How many of these are fresh, and have nothing at the next place.
    Broken(usize, usize),
}

impl Part {
    /// What the label says.
    fn code(self) -> String {
        match self {
            Self::Now => "now".to_owned(),
            Self::At => "at".to_owned(),
            Self::New(i) => format!("new{i}"),
            Self::Old(i) => format!("old{i}"),
            Self::Pods(i) => format!("pod{i}"),
            Self::Silent(i) => format!("sil{i}"),
            Self::Start(at, i) => format!("beg{at}-{i}"),
            Self::Broken(at, i) => format!("brk{at}-{i}"),
        }
    }

    /// Reads it again.
    pub(crate) fn read(code: &str) -> Option<Self> {
        let of = |kind: &str| code.strip_prefix(kind)?.parse::<usize>().ok();
        let pair = |kind: &str| {
            let (at, i) = code.strip_prefix(kind)?.split_once('-')?;
            at.parse::<usize>().ok().zip(i.parse::<usize>().ok())
        };
        match code {
            "now" => Some(Self::Now),
            "at" => Some(Self::At),
            _ => of("new")
                .map(Self::New)
                .or_else(|| pair("beg").map(|(at, i)| Self::Start(at, i)))
                .or_else(|| pair("brk").map(|(at, i)| Self::Broken(at, i)))
                .or_else(|| of("old").map(Self::Old))
                .or_else(|| of("pod").map(Self::Pods))
                .or_else(|| of("sil").map(Self::Silent)),
        }
    }
}

/// What tells clusters and pods apart.
#[derive(Clone, Debug)]
pub(crate) struct Labels<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) pod: &'a str,
    /// Matches the target's pods; `None`: pods are not asked for.
    pub(crate) pods: Option<&'a str>,
}

/// A metric's text, built once; a tick fills in its times.
#[derive(Clone, Debug)]
pub(crate) struct QueryText {
    /// All but the settled value; nearly always one query.
    queries: Vec<Vec<Piece>>,
    /// How old a fresh sample may be, in milliseconds.
    max_age_ms: i64,
    /// The settled value, which goes into the first of them.
    settled: Pinned,
    /// Whose series are counted where windows begin, and in which of the queries.
    counted: Vec<Counted>,
    cluster: String,
    is_scalar: bool,
}

/// A selector whose series are counted where windows begin.
#[derive(Clone, Debug)]
struct Counted {
    /// Its text for a range, which takes its own offset off.
    range: String,
    /// Its newest samples, where somebody looks ahead.
    fresh: String,
    offset_ms: i64,
    /// Its place among the selectors.
    index: usize,
    /// The query that it stands in.
    query: usize,
}

/// A piece of text, or a time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// So long before the evaluation, in milliseconds; written in seconds.
    Before(i64),
}

impl QueryText {
    /// For `query`, judged by the samples of `selectors`, of which `evidence` is asked.
    pub(crate) fn new(
        query: &Query,
        selectors: &[SeriesSelector],
        labels: &Labels<'_>,
        evidence: &EvidenceSpec,
    ) -> Self {
        let max_age_ms = evidence.max_age_ms;
        let is_scalar = query.value_type() == ValueType::Scalar;
        let mut queries = Pack::default();
        // The value stands twice.
        let operators = thanos_promql_syntax::parse(query.text(), INSTANT).map_or(0, |p| operators(&p.root));
        let mut counted = Vec::new();
        let value = [Piece::Text(vector(query.expression(), is_scalar))];
        queries.add(2 * operators + 1, labelled(&value, Part::Now));
        for (i, selector) in selectors.iter().enumerate() {
            for part in parts(selector, i, labels, max_age_ms) {
                queries.add(2, part);
            }
            // What looks at a fixed time has no window that moves.
            if evidence.window_ms > 0 && selector.at_ms().is_none() {
                let query = queries.reserve(START_OPERATORS);
                counted.push(Counted::new(selector, i, query));
            }
        }
        let queries = queries.0.into_iter().map(|(pieces, _)| pieces).collect();
        let cluster = labels.cluster.to_owned();
        Self { queries, max_age_ms, settled: query.pinned().clone(), counted, cluster, is_scalar }
    }

    /// How many queries it takes.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(self.queries.len()).unwrap_or(u32::MAX)
    }

    /// The queries of one evaluation; the settled value is asked for in the first.
    pub(crate) fn at(&self, now_ms: i64, settled_ms: Option<i64>, starts: &[WindowStart]) -> Vec<String> {
        let mut queries: Vec<String> = self.queries.iter().map(|pieces| fill(pieces, now_ms)).collect();
        if let (Some(first), Some(settled_ms)) = (queries.first_mut(), settled_ms) {
            let value = Piece::Text(vector(&self.settled.at(settled_ms), self.is_scalar));
            first.push_str("\nor ");
            first.push_str(&fill(&labelled(&[value], Part::At), now_ms));
        }
        for counted in &self.counted {
            let Some(text) = queries.get_mut(counted.query) else { continue };
            for (nth, start) in starts.iter().take(MAX_STARTS).enumerate() {
                counted.count(text, nth, *start, &self.cluster);
                let end = settled_ms.map(|at_ms| WindowStart { at_ms, ..*start });
                let next = if nth == 0 { end } else { starts.first().copied() };
                if let Some(next) = next {
                    let limit_ms = now_ms.saturating_sub(self.max_age_ms);
                    counted.broken(text, nth, [*start, next], &self.cluster, limit_ms);
                }
            }
        }
        queries
    }
}

/// Written each tick, and so without making anything anew. Writing into memory cannot fail.
impl Counted {
    fn new(selector: &SeriesSelector, index: usize, query: usize) -> Self {
        let offset_ms = selector.offset_ms();
        let range = selector.clone().offset(offset_ms.saturating_neg()).to_string();
        let fresh = selector.clone().offset(-AHEAD_MS).to_string();
        Self { range, fresh, offset_ms, index, query }
    }

    /// Of samples, whatever markers of staleness are among them: a scrape that failed is no loss.
    fn count(&self, text: &mut String, nth: usize, start: WindowStart, cluster: &str) {
        let _ = write!(text, "\nor label_replace(count by ({cluster}) (");
        self.samples(text, start);
        let _ = write!(text, "), \"{PART}\", \"beg{nth}-{}\", \"\", \"\")", self.index);
    }

    /// The series that are at the first place, newer than `limit_ms`, and not at the second.
    fn broken(
        &self,
        text: &mut String,
        nth: usize,
        [first, second]: [WindowStart; 2],
        cluster: &str,
        limit_ms: i64,
    ) {
        let _ = write!(text, "\nor label_replace(count by ({cluster}) (");
        self.samples(text, first);
        let limit = seconds(limit_ms.saturating_sub(self.offset_ms));
        let _ = write!(text, " and (timestamp({}) > {limit}) unless ", self.fresh);
        self.samples(text, second);
        let _ = write!(text, "), \"{PART}\", \"brk{nth}-{}\", \"\", \"\")", self.index);
    }

    /// How many samples each series has there.
    fn samples(&self, text: &mut String, start: WindowStart) {
        let at = seconds(start.at_ms.saturating_sub(self.offset_ms));
        let _ = write!(text, "count_over_time({}[{}ms] @ {at})", self.range, start.back_ms.max(1));
    }
}

/// Parts, put together to as few queries as there may be.
#[derive(Default)]
struct Pack(Vec<(Vec<Piece>, usize)>);

impl Pack {
    fn add(&mut self, operators: usize, part: Vec<Piece>) {
        match self.0.last_mut() {
            Some((pieces, held)) if *held + operators <= MAX_OPERATORS => {
                pieces.push(Piece::Text("\nor ".to_owned()));
                pieces.extend(part);
                *held += operators;
            }
            _ => self.0.push((part, operators)),
        }
    }

    /// Keeps room for so many operators in the last query; gives its place.
    fn reserve(&mut self, operators: usize) -> usize {
        if let Some((_, held)) = self.0.last_mut() {
            *held += operators;
        }
        self.0.len().saturating_sub(1)
    }
}

/// A scalar has no labels to write into.
fn vector(expression: &str, is_scalar: bool) -> String {
    if is_scalar { format!("vector({expression})") } else { expression.to_owned() }
}

fn labelled(expression: &[Piece], part: Part) -> Vec<Piece> {
    let mut pieces = vec![Piece::Text("label_replace(".to_owned())];
    pieces.extend_from_slice(expression);
    pieces.push(Piece::Text(format!(", \"{PART}\", \"{}\", \"\", \"\")", part.code())));
    pieces
}

fn fill(pieces: &[Piece], now_ms: i64) -> String {
    let length = |piece: &Piece| if let Piece::Text(text) = piece { text.len() } else { TIME_CHARS };
    // The settled value comes behind it, and is about half as long.
    let room = pieces.iter().map(length).sum::<usize>() * 2;
    let mut text = String::with_capacity(room);
    for piece in pieces {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Before(ms) => text.push_str(&seconds(now_ms.saturating_sub(*ms))),
        }
    }
    text
}

fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
}

/// The parts that tell of one selector's samples.
fn parts(selector: &SeriesSelector, index: usize, labels: &Labels<'_>, max_age_ms: i64) -> Vec<Vec<Piece>> {
    // What looks at a fixed time sees what there was then.
    let ahead_ms = if selector.at_ms().is_some() { 0 } else { -AHEAD_MS };
    let times = |matcher: Option<Matcher>| {
        let seen = matcher.into_iter().fold(selector.clone(), SeriesSelector::with);
        format!("timestamp({})", seen.offset(ahead_ms))
    };
    let limit = match selector.at_ms() {
        Some(_) => Piece::Text(seconds(selector.reference_ms(0).saturating_sub(max_age_ms))),
        None => Piece::Before(selector.offset_ms().saturating_add(max_age_ms)),
    };
    let compared =
        |before: String, after: &str| vec![Piece::Text(before), limit.clone(), Piece::Text(after.to_owned())];
    let (cluster, pod) = (labels.cluster, labels.pod);
    let all = times(None);
    let mut parts = vec![
        labelled(&[Piece::Text(format!("max by ({cluster}) ({all})"))], Part::New(index)),
        labelled(&compared(format!("min by ({cluster}) ({all} > "), ")"), Part::Old(index)),
    ];
    // Pods of some time before are not those that are ready now.
    let is_of_now = selector.at_ms().is_none() && selector.offset_ms().abs() <= max_age_ms;
    let own = labels.pods.and_then(|pods| Matcher::new(pod, MatchOp::Regex, pods).ok());
    let any = Matcher::new(pod, MatchOp::NotEqual, "").ok();
    if let (Some(own), true) = (own, is_of_now) {
        let before = format!("count by ({cluster}) (count by ({cluster}, {pod}) ({} > ", times(Some(own)));
        parts.push(labelled(&compared(before, "))"), Part::Pods(index)));
        let before = format!("count by ({cluster}) (max by ({cluster}, {pod}) ({}) <= ", times(any));
        parts.push(labelled(&compared(before, ")"), Part::Silent(index)));
    }
    parts
}

/// Binary operators, which a querier may have a limit for.
fn operators(expr: &Expr) -> usize {
    match &expr.kind {
        Kind::Selector(..) | Kind::Number(_) | Kind::Text(_) => 0,
        Kind::Subquery(s) => operators(&s.expr),
        Kind::Aggregate(a) => a.param.iter().map(operators).sum::<usize>() + operators(&a.expr),
        Kind::Call(c) => c.args.iter().map(operators).sum(),
        Kind::Binary(b) => 1 + operators(&b.lhs) + operators(&b.rhs),
        Kind::Negate(e) => 1 + operators(e),
    }
}

/// Whether a gap anywhere in the window makes the value low: it sums or counts samples, or evaluates at many times.
pub(crate) fn sums_over_window(query: &Query) -> bool {
    fn sums(expr: &Expr) -> bool {
        match &expr.kind {
            Kind::Selector(..) | Kind::Number(_) | Kind::Text(_) => false,
            Kind::Subquery(_) => true,
            Kind::Aggregate(a) => a.param.iter().any(sums) || sums(&a.expr),
            Kind::Call(c) => {
                let adds = ["sum_over_time", "count_over_time", "changes", "resets", "present_over_time"];
                adds.contains(&c.name) || c.args.iter().any(sums)
            }
            Kind::Binary(b) => sums(&b.lhs) || sums(&b.rhs),
            Kind::Negate(e) => sums(e),
        }
    }
    thanos_promql_syntax::parse(query.text(), INSTANT).is_ok_and(|parsed| sums(&parsed.root))
}

#[cfg(test)]
mod tests;
