//! Finds the record that was in force at a time: one folder is listed, nothing else is read.

use std::path::{Path, PathBuf};

use super::layout::{Entry, Owner};

/// Most names that an error lists.
const NAMES_MAX: usize = 10;

/// A record that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub owner: Owner,
    pub path: PathBuf,
    /// When it was decided, in milliseconds since the epoch.
    pub at_ms: i64,
    /// When the next one was, if there is one.
    pub next_ms: Option<i64>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    /// The folder cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Nothing is kept of this policy.
    #[error("no record of policy {namespace}/{name} in {dir}; {others}")]
    NoPolicy {
        /// As asked for.
        namespace: String,
        name: String,
        dir: String,
        /// What there is instead.
        others: String,
    },
    /// Several clusters have a policy of this name.
    #[error("policy {namespace}/{name} is in the clusters {clusters}; add --cluster with one of them")]
    SeveralClusters {
        /// As asked for.
        namespace: String,
        name: String,
        /// Their names.
        clusters: String,
    },
    /// Everything that is kept is newer.
    #[error("no record of policy {owner} at or before {at}; the earliest is of {earliest}")]
    TooEarly {
        /// Whose.
        owner: Owner,
        /// As asked for.
        at: String,
        /// What there is.
        earliest: String,
    },
}

/// Which policy's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// `None`: whichever cluster has it.
    pub cluster: Option<&'a str>,
    pub namespace: &'a str,
    pub name: &'a str,
    /// In milliseconds since the epoch; `None`: the newest.
    pub at_ms: Option<i64>,
}

/// The last record of a policy that is not after the time asked for.
///
/// # Errors
/// [`FindError`] says what there is instead.
pub(crate) fn find(dir: &Path, asked: Asked<'_>) -> Result<Found, FindError> {
    let Asked { namespace, name, .. } = asked;
    let mut owners = Vec::new();
    for cluster in clusters(dir)? {
        let owner = Owner { cluster, namespace: namespace.to_owned(), name: name.to_owned() };
        let wanted = asked.cluster.is_none_or(|wanted| wanted == owner.cluster);
        if wanted && dir.join(owner.folder()).is_dir() {
            owners.push(owner);
        }
    }
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    if owners.len() > 1 {
        let clusters = some(owners.into_iter().map(|owner| owner.cluster).collect());
        return Err(FindError::SeveralClusters { namespace, name, clusters });
    }
    let no_policy = || {
        let others = others(dir, asked);
        FindError::NoPolicy { namespace, name, dir: dir.display().to_string(), others }
    };
    let Some(owner) = owners.pop() else { return Err(no_policy()) };
    let folder = dir.join(owner.folder());
    let (mut best, mut next, mut earliest) = (None::<Entry>, None::<i64>, None::<i64>);
    for file in names(&folder)? {
        let Some(entry) = Entry::parse(&file) else { continue };
        earliest = Some(earliest.map_or(entry.at_ms, |at_ms| at_ms.min(entry.at_ms)));
        if asked.at_ms.is_none_or(|at_ms| entry.at_ms <= at_ms) {
            best = best.max(Some(entry));
        } else {
            next = Some(next.map_or(entry.at_ms, |at_ms| at_ms.min(entry.at_ms)));
        }
    }
    match (best, earliest, asked.at_ms) {
        (Some(entry), ..) => {
            Ok(Found { path: folder.join(entry.file()), at_ms: entry.at_ms, next_ms: next, owner })
        }
        (None, Some(earliest), Some(at_ms)) => {
            let text = |at_ms| crate::clock::timestamp(at_ms).to_string();
            Err(FindError::TooEarly { owner, at: text(at_ms), earliest: text(earliest) })
        }
        (None, ..) => Err(no_policy()),
    }
}

/// The clusters that have a folder.
fn clusters(dir: &Path) -> Result<Vec<String>, FindError> {
    let decoded = |part: String| Some(Owner::of(&Path::new(&part).join("-").join("-"))?.cluster);
    let mut clusters: Vec<String> = names(dir)?.into_iter().filter_map(decoded).collect();
    clusters.sort();
    Ok(clusters)
}

/// The names in a folder that are text.
fn names(folder: &Path) -> Result<Vec<String>, FindError> {
    let failed = |error| FindError::Unreadable { path: folder.display().to_string(), error };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

/// What there is instead of a policy: the same name elsewhere, else others of its namespace, else namespaces.
fn others(dir: &Path, asked: Asked<'_>) -> String {
    let below = |path: &Path| names(path).unwrap_or_default();
    let (mut same, mut beside, mut namespaces) = (Vec::new(), Vec::new(), Vec::new());
    for cluster in below(dir) {
        for namespace in below(&dir.join(&cluster)) {
            let folder = dir.join(&cluster).join(&namespace);
            let Some(any) = Owner::of(&folder.join("-")) else { continue };
            let here = Owner { name: asked.name.to_owned(), ..any };
            if dir.join(here.folder()).is_dir() {
                same.push(here.to_string());
            }
            if here.namespace == asked.namespace {
                let owners = below(&folder).into_iter().filter_map(|name| Owner::of(&folder.join(name)));
                beside.extend(owners.map(|owner| owner.name));
            }
            namespaces.push(here.namespace);
        }
    }
    if !same.is_empty() {
        format!("there are records of {}", some(same))
    } else if !beside.is_empty() {
        format!("in that namespace there are records of {}", some(beside))
    } else if !namespaces.is_empty() {
        format!("there are records of the namespaces {}", some(namespaces))
    } else {
        "nothing is kept there; was the controller started with --records-dir?".to_owned()
    }
}

/// The first of a list in order, and how many more there are.
fn some(mut names: Vec<String>) -> String {
    names.sort();
    names.dedup();
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let listed = names.join(", ");
    if more > 0 { format!("{listed} and {more} more") } else { listed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(dir: &Path, place: &str, at_ms: i64) {
        let folder = dir.join(place);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(Entry::new(at_ms, &"ab".repeat(32)).unwrap().file()), "{}").unwrap();
    }

    fn world() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for at_ms in [1_000, 3_000, 9_000] {
            keep(dir.path(), "east/default/web", at_ms);
        }
        keep(dir.path(), "east/shop/web", 1_000);
        keep(dir.path(), "east/default/both", 1_000);
        keep(dir.path(), "west/default/both", 2_000);
        dir
    }

    fn asked(name: &str, at_ms: Option<i64>) -> Asked<'_> {
        Asked { cluster: None, namespace: "default", name, at_ms }
    }

    #[test]
    fn the_last_record_before_a_time_was_in_force() {
        let dir = world();
        for (at_ms, found, next) in [
            (None, 9_000, None),
            (Some(i64::MAX), 9_000, None),
            (Some(9_000), 9_000, None),
            (Some(8_999), 3_000, Some(9_000)),
            (Some(1_000), 1_000, Some(3_000)),
        ] {
            let is = find(dir.path(), asked("web", at_ms)).unwrap();
            assert_eq!((is.at_ms, is.next_ms, is.owner.cluster.as_str()), (found, next, "east"), "{at_ms:?}");
            assert!(is.path.is_file());
        }
        let west = find(dir.path(), Asked { cluster: Some("west"), ..asked("both", None) }).unwrap();
        assert_eq!(west.at_ms, 2_000);
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let dir = world();
        let empty = tempfile::tempdir().unwrap();
        let error = |dir: &Path, asked: Asked<'_>| find(dir, asked).unwrap_err().to_string();
        for (is, words) in [
            (
                error(dir.path(), asked("web", Some(999))),
                "no record of policy default/web in cluster east at or before 1970-01-01T00:00:00.999Z; the earliest \
                 is of 1970-01-01T00:00:01Z",
            ),
            (
                error(dir.path(), asked("both", None)),
                "policy default/both is in the clusters east, west; add --cluster",
            ),
            (error(dir.path(), asked("wob", None)), "in that namespace there are records of both, web"),
            (
                error(dir.path(), Asked { namespace: "other", ..asked("web", None) }),
                "there are records of default/web in cluster east, shop/web in cluster east",
            ),
            (
                error(dir.path(), Asked { namespace: "other", ..asked("wob", None) }),
                "there are records of the namespaces default, shop",
            ),
            (error(empty.path(), asked("web", None)), "was the controller started with --records-dir?"),
            (error(&empty.path().join("none"), asked("web", None)), "none: No such file"),
            (error(dir.path(), asked("../../etc", None)), "no record of policy default/../../etc"),
        ] {
            assert!(is.contains(words), "{is}");
        }
    }
}
