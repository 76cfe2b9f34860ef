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
            // Without the text: it may be a password's.
            .ok_or_else(|| format!("opens a variable with '$' and does not close it with {close:?}"))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, want) in
            [("0", 0), ("17", 17), ("1KB", 1 << 10), ("10 MiB", 10 << 20), ("2gb", 2 << 30), ("5B", 5)]
        {
            assert_eq!(bytes(text), Ok(want), "{text}");
        }
        for text in ["", "MB", "-1", "1.5MB", "99999999999GB", "1TB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"([${}()A-Z0-9.é]|\\PC){0,20}") {
            let _ = (bytes(&text), expand(&text, &|_| Some("x".into())));
        }
    }
}
