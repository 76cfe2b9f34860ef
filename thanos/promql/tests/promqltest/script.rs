//! The test language: `load`, `clear`, `eval`, as Prometheus' `promql/promqltest/README.md` describes it.

use regex::Regex;
use thanos_model::{Labels, parse_duration};

use crate::series::{Point, parse_number, parse_series};

pub(crate) struct Script {
    pub(crate) commands: Vec<Command>,
}

pub(crate) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

pub(crate) struct Load {
    pub(crate) step_ms: i64,
    pub(crate) with_nhcb: bool,
    pub(crate) series: Vec<(Labels, Vec<Point>)>,
}

/// What a message has to be.
pub(crate) enum Message {
    Any,
    Exactly(String),
    Like(Regex),
}

#[derive(Default)]
pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) eval_ms: i64,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// Of a range query.
    pub(crate) range_step_ms: Option<i64>,
    /// Between expected points.
    pub(crate) points_step_ms: i64,
    pub(crate) ordered: bool,
    pub(crate) instant_only: bool,
    pub(crate) fail: Option<Message>,
    pub(crate) warn: Vec<Message>,
    pub(crate) info: Vec<Message>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
    pub(crate) string: Option<String>,
    pub(crate) scalar: Option<f64>,
    pub(crate) series: Vec<(Labels, Vec<Point>)>,
}

impl Message {
    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(m) => m == text,
            Self::Like(r) => r.is_match(text),
        }
    }
}

impl Script {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> =
            text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
        let mut commands = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            let (head, line) = (lines[at], at + 1);
            at += 1;
            if head.is_empty() {
                continue;
            }
            let block_len = lines[at..].iter().take_while(|l| !l.is_empty()).count();
            let failed = |e: String| format!("line {line}: {e}");
            if head == "clear" {
                commands.push(Command::Clear);
                continue;
            }
            let block = &lines[at..at + block_len];
            if head.starts_with("load") {
                commands.push(Command::Load(load(head, block).map_err(failed)?));
                at += block_len;
            } else if head.starts_with("eval") {
                let (eval, used) = eval(head, line, block).map_err(failed)?;
                commands.push(Command::Eval(Box::new(eval)));
                at += used;
            } else {
                return Err(failed(format!("unknown command {head:?}")));
            }
        }
        Ok(Self { commands })
    }
}

fn millis(text: &str) -> Result<i64, String> {
    Ok(parse_duration(text)?.as_millis() as i64)
}

fn load(head: &str, block: &[&str]) -> Result<Load, String> {
    let (command, step) = head.split_once(char::is_whitespace).ok_or("load without a step")?;
    // Lines with start timestamps describe what the data model has no place for.
    let is_start_timestamps = |l: &&&str| l.split_whitespace().next().is_some_and(|w| w.ends_with("@st"));
    let samples = block.iter().filter(|l| !is_start_timestamps(l));
    Ok(Load {
        step_ms: millis(step.trim())?,
        with_nhcb: command == "load_with_nhcb",
        series: samples.map(|l| parse_series(l)).collect::<Result<_, _>>()?,
    })
}

fn eval(head: &str, line: usize, block: &[&str]) -> Result<(Eval, usize), String> {
    let instant =
        Regex::new(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$").unwrap();
    let range =
        Regex::new(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$")
            .unwrap();
    let mut e = Eval { line, ..Eval::default() };
    let modifier = if let Some(c) = instant.captures(head) {
        e.eval_ms = millis(c.get(2).map_or("0", |m| m.as_str()))?;
        (e.start_ms, e.end_ms) = (e.eval_ms, e.eval_ms);
        e.query = c[3].into();
        c.get(1).map(|m| m.as_str().to_owned())
    } else if let Some(c) = range.captures(head) {
        (e.start_ms, e.end_ms) = (millis(&c[2])?, millis(&c[3])?);
        (e.points_step_ms, e.range_step_ms) = (millis(&c[4])?, Some(millis(&c[4])?));
        e.query = c[5].into();
        c.get(1).map(|m| m.as_str().to_owned())
    } else {
        return Err(format!("not an eval: {head:?}"));
    };
    match modifier.as_deref() {
        Some("fail") => e.fail = Some(Message::Any),
        Some("warn") => e.warn.push(Message::Any),
        Some("info") => e.info.push(Message::Any),
        Some(_) => e.ordered = true,
        None => {}
    }
    for (i, l) in block.iter().enumerate() {
        if let Some(rest) = l.strip_prefix("expect range vector from ") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [from, "to", to, "step", step] = words[..] else {
                return Err(format!("not a range vector: {l:?}"));
            };
            (e.start_ms, e.end_ms, e.points_step_ms) = (millis(from)?, millis(to)?, millis(step)?);
            e.instant_only = true;
        } else if let Some(text) = l.strip_prefix("expect string ") {
            e.string = Some(unquote(text)?);
            e.instant_only = true;
        } else if l.split(' ').next() == Some("expect") {
            expect(&mut e, l)?;
        } else if let Some(message) = l.strip_prefix("expected_fail_message") {
            e.fail = Some(Message::Exactly(message.trim().into()));
            return Ok((e, i + 1));
        } else if let Some(pattern) = l.strip_prefix("expected_fail_regexp") {
            e.fail = Some(Message::Like(Regex::new(pattern.trim()).map_err(|e| e.to_string())?));
            return Ok((e, i + 1));
        } else if let Ok(v) = parse_number(l) {
            e.scalar = Some(v);
            return Ok((e, i + 1));
        } else {
            e.series.push(parse_series(l)?);
        }
    }
    Ok((e, block.len()))
}

fn expect(e: &mut Eval, line: &str) -> Result<(), String> {
    let form =
        Regex::new(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$").unwrap();
    let c = form.captures(line).ok_or_else(|| format!("not an expectation: {line:?}"))?;
    let text = c.get(3).map_or("", |m| m.as_str().trim());
    let message = match c.get(2).map(|m| m.as_str()) {
        Some("msg") => Message::Exactly(text.into()),
        Some(_) => Message::Like(Regex::new(text).map_err(|e| e.to_string())?),
        None => Message::Any,
    };
    match &c[1] {
        "ordered" => e.ordered = true,
        "fail" => e.fail = Some(message),
        "warn" => e.warn.push(message),
        "info" => e.info.push(message),
        "no_warn" => e.no_warn = true,
        _ => e.no_info = true,
    }
    Ok(())
}

fn unquote(text: &str) -> Result<String, String> {
    if let Some(raw) = text.strip_prefix('`') {
        return Ok(raw.trim_end_matches('`').into());
    }
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).ok_or("string without quotes")?;
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    Ok(out)
}
