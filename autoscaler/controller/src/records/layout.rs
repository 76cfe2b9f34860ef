//! Where a record is: `CLUSTER/NAMESPACE/NAME/TIME-DIGEST.json` below the records' folder.
//!
//! A folder a policy, and the time in the name: what one policy decided is found by listing one folder, however many
//! policies there are, and nothing has to be opened or kept in step with the files, as an index would. A name alone is
//! enough to remove the oldest, so that a controller starts without reading what was kept before.

use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::fmt::strtime;
use k8s_openapi::jiff::tz::TimeZone;

/// How the times of names are written: sorted as text they are sorted by time, and no file system minds them.
const TIME: &str = "%Y%m%dT%H%M%S%.3fZ";

/// A SHA-256.
pub(crate) type Digest = [u8; 32];

/// Whose records are in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    /// The cluster's name, as the controller has it.
    pub cluster: String,
    pub namespace: String,
    pub name: String,
}

impl Owner {
    /// Its folder, below the records' folder.
    pub(crate) fn folder(&self) -> PathBuf {
        [&self.cluster, &self.namespace, &self.name].into_iter().map(|part| encode(part)).collect()
    }

    /// Whose folder this is, by its last three names.
    pub(crate) fn of(folder: &Path) -> Option<Self> {
        let mut parts = folder.iter().rev().map(|part| part.to_str().and_then(decode));
        let (name, namespace, cluster) = (parts.next()??, parts.next()??, parts.next()??);
        Some(Self { cluster, namespace, name })
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cluster, namespace, name } = self;
        write!(f, "{namespace}/{name} in cluster {cluster}")
    }
}

/// One record, by its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// When it was decided, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What the file's bytes have.
    pub digest: Digest,
}

impl Entry {
    /// `digest` is 64 hexadecimal digits, else there is no such record.
    pub(crate) fn new(at_ms: i64, digest: &str) -> Option<Self> {
        Some(Self { at_ms: time_of(at_ms).as_millisecond(), digest: bytes(digest)? })
    }

    /// The file's name.
    pub(crate) fn file(&self) -> String {
        let time = strtime::format(TIME, &time_of(self.at_ms).to_zoned(TimeZone::UTC)).unwrap_or_default();
        format!("{time}-{}.json", hex(&self.digest))
    }

    /// What a file is, by its name; anybody else's is none.
    pub(crate) fn parse(file: &str) -> Option<Self> {
        let (time, digest) = file.strip_suffix(".json")?.split_once('-')?;
        let at = strtime::parse("%Y%m%dT%H%M%S%.fZ", time).ok()?.to_datetime().ok()?;
        let at_ms = at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
        Self::new(at_ms, digest).filter(|entry| entry.file() == file)
    }
}

/// A time that names can have: from 1970 to 9999.
fn time_of(at_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at_ms.max(0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// In hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(digest: &str) -> Option<Digest> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs: Vec<u8> = digest
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?))
        .collect::<Option<_>>()?;
    if digest.len() == 64 { pairs.try_into().ok() } else { None }
}

/// As a folder's name: contexts of a kubeconfig may have slashes and more.
fn encode(part: &str) -> String {
    let plain =
        |at: usize, b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || (b == b'.' && at > 0);
    let each = part
        .bytes()
        .enumerate()
        .map(|(at, b)| if plain(at, b) { char::from(b).to_string() } else { format!("%{b:02X}") });
    let text: String = each.collect();
    if text.is_empty() { "%".to_owned() } else { text }
}

/// `None`: no name of ours.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = if text == "%" { &[][..] } else { text.as_bytes() };
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match first {
            b'%' => {
                let pair = std::str::from_utf8(after.get(..2)?).ok()?;
                (u8::from_str_radix(pair, 16).ok()?, after.get(2..)?)
            }
            plain => (*plain, after),
        };
        out.push(byte);
        rest = after;
    }
    String::from_utf8(out).ok().filter(|part| encode(part) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_says_whose_it_is_whatever_a_context_is_called() {
        for cluster in ["east", "arn:aws:eks:us-east-1:1:cluster/prod", "..", "", "%", "kind@é", "a%2Fb"] {
            let owner =
                Owner { cluster: cluster.into(), namespace: "default".into(), name: "web.front".into() };
            let folder = owner.folder();
            assert_eq!(folder.components().count(), 3, "{folder:?}");
            assert!(folder.components().all(|c| matches!(c, std::path::Component::Normal(_))), "{folder:?}");
            assert_eq!(Owner::of(&Path::new("/records").join(&folder)), Some(owner));
        }
        for foreign in ["a/b", "a b/c/d", "%zz/c/d", "%/c/%4"] {
            assert_eq!(Owner::of(Path::new(foreign)), None, "{foreign}");
        }
    }

    #[test]
    fn a_file_says_when_it_was_and_what_it_holds() {
        let digest = "0f".repeat(32);
        let entry = Entry::new(1_764_520_000_123, &digest).unwrap();
        assert_eq!(entry.file(), format!("20251130T162640.123Z-{digest}.json"));
        assert_eq!(Entry::parse(&entry.file()), Some(entry));
        for at_ms in [i64::MIN, -1, 0, i64::MAX] {
            let entry = Entry::new(at_ms, &digest).unwrap();
            assert_eq!(Entry::parse(&entry.file()), Some(entry), "{at_ms}");
        }
        let other = [
            format!("{digest}.json"),
            format!("20251130T162640.123Z-{digest}.partial"),
            format!("20251330T162640.123Z-{digest}.json"),
            format!("20251130T162640.123456Z-{digest}.json"),
            "20251130T162640.123Z-0f.json".to_owned(),
            format!("20251130T162640.123Z-{}.json", "é".repeat(32)),
        ];
        for name in other {
            assert_eq!(Entry::parse(&name), None, "{name}");
        }
    }

    #[test]
    fn names_are_in_the_order_of_their_times() {
        let file = |at_ms| Entry::new(at_ms, &"0".repeat(64)).unwrap().file();
        let times =
            [0, 999, 1_000, 59_999, 60_000, 1_764_520_000_000, 1_764_520_000_001, 250_000_000_000_000];
        assert!(times.map(file).is_sorted());
    }
}
