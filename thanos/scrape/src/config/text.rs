//! Environment variables and sizes inside configuration values.

/// Looks up an environment variable.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces `${VAR}` and `$(VAR)`; `$$` is a dollar, any other dollar stands for itself.
pub(super) fn expand(text: &str, env: Env<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let close = match after.chars().next() {
            Some('{') => '}',
            Some('(') => ')',
            Some('$') => {
                out.push('$');
                rest = &after[1..];
                continue;
            }
            _ => {
                out.push('$');
                rest = after;
                continue;
            }
        };
        let (name, tail) = after[1..]
            .split_once(close)
            .ok_or_else(|| format!("{text:?} opens a variable and does not close it with {close:?}"))?;
        let value = env(name).ok_or_else(|| format!("environment variable {name:?} is not set"))?;
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

const SIZES: [(&str, u64); 7] = [
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("KB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("B", 1),
];

/// Reads `10MB`, `64MiB` or plain bytes; all units are powers of two, as in Prometheus.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let upper = text.trim().to_ascii_uppercase();
    let (number, unit) = SIZES
        .iter()
        .find_map(|(suffix, size)| upper.strip_suffix(suffix).map(|n| (n, *size)))
        .unwrap_or((&upper, 1));
    let number: Option<u64> = number.trim().parse().ok();
    number
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(|| format!("{text:?} is not a size; write for example 10MB"))
}
