//! Records on disk: what is kept, and what is removed for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use autoscaler_engine::effect::Record;
use autoscaler_engine::objects::Name;
use parking_lot::Mutex;

use super::Keep;
use super::layout::{Entry, Owner};

/// How many records are kept, and how many bytes of them: first of each policy, so that one that changes its mind all
/// the time, or has a thousand clusters, pushes out nobody else's, then of all; the oldest go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub per_policy: usize,
    pub in_all: usize,
    /// Of all; one policy may have a sixteenth.
    pub bytes: u64,
}

impl Bounds {
    fn bytes_per_policy(self) -> u64 {
        self.bytes / 16
    }
}

/// Where records go.
#[derive(Debug)]
pub(crate) struct Records {
    /// `None` keeps nothing.
    dir: Option<PathBuf>,
    bounds: Bounds,
    /// The managed clusters' names, by their numbers.
    clusters: Vec<String>,
    there: Mutex<There>,
}

/// The files that there are: about a hundred bytes of memory each.
#[derive(Debug, Default)]
struct There {
    folders: BTreeMap<Arc<Path>, Folder>,
    /// Each folder by the time of its oldest file.
    oldest: BTreeSet<(i64, Arc<Path>)>,
    files: usize,
    bytes: u64,
}

/// The files of one policy, and what they have in bytes.
#[derive(Debug, Default)]
struct Folder {
    files: BTreeMap<Entry, u64>,
    bytes: u64,
}

impl Folder {
    fn insert(&mut self, entry: Entry, bytes: u64) {
        let before = self.files.insert(entry, bytes).unwrap_or(0);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(bytes);
    }

    fn remove(&mut self, entry: &Entry) {
        self.bytes = self.bytes.saturating_sub(self.files.remove(entry).unwrap_or(0));
    }
}

impl There {
    fn insert(&mut self, folder: &Path, entry: Entry, bytes: u64) -> Arc<Path> {
        let folder: Arc<Path> = match self.folders.get_key_value(folder) {
            Some((known, _)) => known.clone(),
            None => folder.into(),
        };
        self.change(&folder, |files| files.insert(entry, bytes));
        folder
    }

    fn change(&mut self, folder: &Arc<Path>, change: impl FnOnce(&mut Folder)) {
        let there = self.folders.entry(folder.clone()).or_default();
        let state = |f: &Folder| (f.files.keys().next().map(|entry| entry.at_ms), f.files.len(), f.bytes);
        let (first, count, bytes) = state(there);
        change(there);
        let (now_first, now_count, now_bytes) = state(there);
        self.bytes = self.bytes.saturating_add(now_bytes).saturating_sub(bytes);
        self.files = self.files.saturating_add(now_count).saturating_sub(count);
        if first != now_first {
            first.map(|at_ms| self.oldest.remove(&(at_ms, folder.clone())));
            now_first.map(|at_ms| self.oldest.insert((at_ms, folder.clone())));
        }
        if now_count == 0 {
            self.folders.remove(folder);
        }
    }

    /// Forgets what is beyond the bounds, the oldest first; gives it.
    fn cut(&mut self, bounds: Bounds, written: &Arc<Path>) -> Vec<(Arc<Path>, Entry)> {
        let mut cut = Vec::new();
        // The latest stays, whatever it has.
        let many = |folder: &Folder| {
            folder.files.len() > bounds.per_policy.max(1)
                || folder.files.len() > 1 && folder.bytes > bounds.bytes_per_policy()
        };
        while self.folders.get(written).is_some_and(many) {
            cut.extend(self.pop(&written.clone()));
        }
        while self.files > bounds.in_all.max(1) || self.files > 1 && self.bytes > bounds.bytes {
            let Some((_, folder)) = self.oldest.first().cloned() else { break };
            cut.extend(self.pop(&folder));
        }
        cut
    }

    fn pop(&mut self, folder: &Arc<Path>) -> Option<(Arc<Path>, Entry)> {
        let mut popped = None;
        self.change(folder, |there| {
            popped = there.files.keys().next().copied();
            popped.iter().for_each(|entry| there.remove(entry));
        });
        popped.map(|entry| (folder.clone(), entry))
    }
}

impl Records {
    /// Uses `dir`, creating it, and counts what is already there by the files' names.
    ///
    /// # Errors
    /// The directory cannot be created or read.
    pub(crate) fn open(dir: Option<&Path>, bounds: Bounds, clusters: Vec<String>) -> std::io::Result<Self> {
        let mut there = There::default();
        if let Some(dir) = dir {
            std::fs::create_dir_all(dir)?;
            for folder in folders(dir)? {
                let Ok(below) = folder.strip_prefix(dir).map(Path::to_owned) else { continue };
                let mut last = None;
                for file in std::fs::read_dir(&folder)? {
                    let file = file?;
                    let name = file.file_name();
                    let Some(name) = name.to_str() else { continue };
                    if let Some(entry) = Entry::parse(name) {
                        // One that went in between has none.
                        let bytes = file.metadata().map_or(0, |m| m.len());
                        last = Some(there.insert(&below, entry, bytes));
                    } else if partial(name) {
                        // A process ended while it wrote.
                        let _ = std::fs::remove_file(file.path());
                    }
                }
                for (below, entry) in
                    last.iter().flat_map(|below| there.cut(bounds, below)).collect::<Vec<_>>()
                {
                    remove(dir, &below, entry);
                }
            }
        }
        Ok(Self { dir: dir.map(Path::to_owned), bounds, clusters, there: Mutex::new(there) })
    }

    fn folder(&self, policy: &Name) -> PathBuf {
        let cluster = self.clusters.get(usize::from(policy.cluster)).cloned().unwrap_or_default();
        let (namespace, name) = (policy.namespace.clone(), policy.name.clone());
        Owner { cluster, namespace, name }.folder()
    }

    /// Small files on a local disk, seldom: not worth a thread of their own.
    fn write(&self, dir: &Path, record: &Record) -> std::io::Result<()> {
        let below = self.folder(&record.policy);
        let Some(entry) = Entry::new(record.at_ms, &record.digest) else {
            return Err(std::io::Error::other("its digest is none"));
        };
        let folder = dir.join(&below);
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(entry.file());
        let partial = path.with_extension("partial");
        std::fs::write(&partial, record.json.as_bytes())?;
        std::fs::rename(&partial, path)?;
        let cut = {
            let mut there = self.there.lock();
            let bytes = u64::try_from(record.json.len()).unwrap_or(u64::MAX);
            let below = there.insert(&below, entry, bytes);
            there.cut(self.bounds, &below)
        };
        for (below, entry) in cut {
            remove(dir, &below, entry);
        }
        Ok(())
    }
}

impl Keep for Records {
    fn keep(&self, record: &Record) {
        if let Some(dir) = &self.dir
            && let Err(error) = self.write(dir, record)
        {
            tracing::warn!(%error, dir = %dir.display(), "a decision record could not be written");
        }
    }

    fn discard(&self, policy: &Name, digest: &str) {
        let Some(dir) = &self.dir else { return };
        let below: Arc<Path> = self.folder(policy).into();
        let found = {
            let mut there = self.there.lock();
            let known = there.folders.get(&below);
            // Nearly always the latest.
            let wanted = Entry::new(0, digest).map(|entry| entry.digest);
            let found = known.and_then(|f| f.files.keys().rfind(|e| Some(e.digest) == wanted).copied());
            if let Some(entry) = found {
                there.change(&below, |folder| folder.remove(&entry));
            }
            found
        };
        if let Some(entry) = found {
            remove(dir, &below, entry);
        }
    }
}

/// What is gone already is as good as removed; a folder goes with its last file.
fn remove(dir: &Path, below: &Path, entry: Entry) {
    let folder = dir.join(below);
    let _ = std::fs::remove_file(folder.join(entry.file()));
    let _ = std::fs::remove_dir(folder);
}

/// The folders of policies below `dir`; what is not ours is left out.
fn folders(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut level = vec![dir.to_owned()];
    for _ in 0..3 {
        let mut next = Vec::new();
        for folder in level {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                // Not through links, which could go round in circles.
                if entry.file_type()?.is_dir() {
                    next.push(entry.path());
                }
            }
        }
        level = next;
    }
    let ours = |folder: &PathBuf| Owner::of(folder).is_some();
    Ok(level.into_iter().filter(ours).collect())
}

/// Whether this module began to write a file.
fn partial(name: &str) -> bool {
    name.strip_suffix(".partial").is_some_and(|stem| Entry::parse(&format!("{stem}.json")).is_some())
}

#[cfg(test)]
mod tests;
