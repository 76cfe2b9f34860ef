//! Classes of characters, and escapes, which stand inside and outside of them.

use std::fmt::Write as _;

use super::Re2Error;

/// `\d` and its like: ASCII's.
pub(super) struct Perl {
    body: &'static str,
    negated: bool,
}

impl Perl {
    pub(super) fn bracketed(&self) -> String {
        format!("[{}{}]", if self.negated { "^" } else { "" }, self.body)
    }
}

/// The class that `\c` names.
pub(super) fn perl(c: char) -> Option<Perl> {
    let body = match c.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => r"\t\n\f\r ",
        _ => return None,
    };
    Some(Perl { body, negated: c.is_ascii_uppercase() })
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// General categories; any other name is a script's.
const CATEGORIES: [&str; 39] = [
    "C", "Cc", "Cf", "Cn", "Co", "Cs", "L", "LC", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N",
    "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl",
    "Zp", "Zs", "Assigned",
];

/// The class that `at` begins with, and what comes after it.
pub(super) fn class(at: &str) -> Result<(String, &str), Re2Error> {
    let mut out = String::from("[");
    let mut rest = at.get(1..).unwrap_or_default();
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut is_first = true;
    loop {
        if rest.is_empty() {
            return Err(Re2Error::MissingBracket(at.to_owned()));
        }
        if !is_first && let Some(after) = rest.strip_prefix(']') {
            out.push(']');
            return Ok((out, after));
        }
        is_first = false;
        // The name's end may stand anywhere behind it, as there.
        if let Some(named) = rest.strip_prefix("[:")
            && let Some((name, after)) = named.split_once(":]")
        {
            let (sign, plain) = name.strip_prefix('^').map_or(("", name), |plain| ("^", plain));
            if !POSIX.contains(&plain) {
                return Err(Re2Error::ClassRange(format!("[:{name}:]")));
            }
            out.extend(["[:", sign, plain, ":]"]);
            rest = after;
            continue;
        }
        if rest.starts_with(r"\p") || rest.starts_with(r"\P") {
            let (class, after) = unicode(rest)?;
            out.push_str(&class);
            rest = after;
            continue;
        }
        let named = rest.strip_prefix('\\').and_then(|after| Some((after.chars().next()?, after)));
        if let Some((class, after)) = named.and_then(|(c, after)| Some((perl(c)?, after.get(1..)?))) {
            if class.negated {
                out.push_str(&class.bracketed());
            } else {
                out.push_str(class.body);
            }
            rest = after;
            continue;
        }
        let from = rest;
        let (low, after) = one(rest, at)?;
        rest = after;
        let mut high = low;
        if let Some(range) = rest.strip_prefix('-')
            && !range.is_empty()
            && !range.starts_with(']')
        {
            (high, rest) = one(range, at)?;
            if high < low {
                let text = from.get(..from.len() - rest.len()).unwrap_or(from);
                return Err(Re2Error::ClassRange(text.to_owned()));
            }
        }
        // By number, so that no character has a meaning of its own.
        let _ = write!(out, r"\x{{{:X}}}", u32::from(low));
        if high != low {
            let _ = write!(out, r"-\x{{{:X}}}", u32::from(high));
        }
    }
}

/// One character of a class.
fn one<'p>(rest: &'p str, class: &str) -> Result<(char, &'p str), Re2Error> {
    if rest.starts_with('\\') {
        return escape(rest);
    }
    let mut chars = rest.chars();
    let c = chars.next().ok_or_else(|| Re2Error::MissingBracket(class.to_owned()))?;
    Ok((c, chars.as_str()))
}

/// `\pN`, `\p{Greek}`, `\P{^Greek}` at the beginning of `at`.
pub(super) fn unicode(at: &str) -> Result<(String, &str), Re2Error> {
    let mut negated = at.starts_with(r"\P");
    let after = at.get(2..).unwrap_or_default();
    let invalid = |text: &str| Re2Error::ClassRange(text.to_owned());
    let (name, rest) = match after.strip_prefix('{') {
        Some(inside) => inside.split_once('}').ok_or_else(|| invalid(at))?,
        None => after.split_at(after.chars().next().map_or(0, char::len_utf8)),
    };
    let text = at.get(..at.len() - rest.len()).unwrap_or(at);
    let name = match name.strip_prefix('^') {
        Some(name) => {
            negated = !negated;
            name
        }
        None => name,
    };
    // What the regex crate knows besides: properties, `IsGreek`, `sc=Greek`.
    let is_name = !name.is_empty()
        && name.chars().all(|c| c == '_' || c.is_ascii_alphabetic())
        && !name.get(..2).is_some_and(|is| is.eq_ignore_ascii_case("is"));
    let p = if negated { 'P' } else { 'p' };
    let class = if name.eq_ignore_ascii_case("any") {
        // Negated, it matches nothing.
        if negated { r"[^\x{0}-\x{10FFFF}]".to_owned() } else { r"[\x{0}-\x{10FFFF}]".to_owned() }
    } else if name == "Cs" {
        // Surrogates are in no text.
        if negated { r"[\x{0}-\x{10FFFF}]".to_owned() } else { r"[^\x{0}-\x{10FFFF}]".to_owned() }
    } else if CATEGORIES.contains(&name) {
        format!(r"\{p}{{gc={name}}}")
    } else if is_name {
        format!(r"\{p}{{sc={name}}}")
    } else {
        return Err(invalid(text));
    };
    Ok((class, rest))
}

/// The character that the escape at the beginning of `at` means (`parseEscape`).
pub(super) fn escape(at: &str) -> Result<(char, &str), Re2Error> {
    let mut chars = at.chars();
    chars.next();
    let Some(c) = chars.next() else { return Err(Re2Error::TrailingBackslash) };
    let rest = chars.as_str();
    let invalid = |rest: &str| {
        let text = at.get(..at.len() - rest.len()).unwrap_or(at);
        Err(Re2Error::Escape(text.to_owned()))
    };
    let is_octal = |text: &str| text.starts_with(|c: char| matches!(c, '0'..='7'));
    let c = match c {
        // One digit alone would look back.
        '1'..='7' if !is_octal(rest) => return invalid(rest),
        '0'..='7' => {
            let more = rest.bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
            let digits = at.get(1..2 + more).unwrap_or_default();
            let number = u32::from_str_radix(digits, 8).unwrap_or(0);
            return match char::from_u32(number) {
                Some(c) => Ok((c, rest.get(more..).unwrap_or_default())),
                None => invalid(rest),
            };
        }
        'x' => return hexadecimal(rest).map_or_else(|| invalid(rest), Ok),
        'a' => '\u{7}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return invalid(rest),
    };
    Ok((c, rest))
}

/// `41` or `{1F600}`.
fn hexadecimal(rest: &str) -> Option<(char, &str)> {
    let (digits, rest) = match rest.strip_prefix('{') {
        Some(inside) => inside.split_once('}')?,
        None => rest.split_at_checked(2)?,
    };
    let is_hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let number = is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
    Some((char::from_u32(number)?, rest))
}
