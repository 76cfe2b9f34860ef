//! Decision records on disk: one file per decision that was news, named by its digest, the oldest removed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use autoscaler_engine::effect::Record;
use parking_lot::Mutex;

/// Whoever keeps decisions.
pub trait Keep: Send + Sync {
    /// Keeps one, under its digest, before it is acted on.
    fn keep(&self, record: &Record);

    /// What was kept came to nothing, as one before it did.
    fn discard(&self, digest: &str);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepNothing;

impl Keep for KeepNothing {
    fn keep(&self, _: &Record) {}

    fn discard(&self, _: &str) {}
}

/// Where records go.
#[derive(Debug)]
pub(crate) struct Records {
    /// `None` keeps nothing.
    dir: Option<PathBuf>,
    /// Most files.
    max_files: usize,
    /// Files there are, oldest first.
    files: Mutex<Vec<PathBuf>>,
}

impl Records {
    /// Uses `dir`, creating it, and counts what is already there.
    ///
    /// # Errors
    /// The directory cannot be created or read.
    pub(crate) fn open(dir: Option<&Path>, max_files: usize) -> std::io::Result<Self> {
        let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
        if let Some(dir) = dir {
            std::fs::create_dir_all(dir)?;
            for entry in std::fs::read_dir(dir)? {
                let entry = entry?;
                let path = entry.path();
                match ours(&path) {
                    Some("json") => found.push((entry.metadata()?.modified()?, path)),
                    // A process ended while it wrote.
                    Some("partial") => drop(std::fs::remove_file(&path)),
                    _ => {}
                }
            }
        }
        found.sort();
        let files = Mutex::new(found.into_iter().map(|(_, path)| path).collect());
        Ok(Self { dir: dir.map(Path::to_owned), max_files: max_files.max(1), files })
    }

    /// Small files on a local disk, seldom: not worth a thread of their own.
    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let partial = path.with_extension("partial");
        std::fs::write(&partial, bytes)?;
        std::fs::rename(&partial, path)?;
        let mut files = self.files.lock();
        files.retain(|f| f != path);
        files.push(path.to_owned());
        while files.len() > self.max_files {
            // Gone already is as good as removed.
            let _ = std::fs::remove_file(files.remove(0));
        }
        Ok(())
    }
}

impl Keep for Records {
    fn keep(&self, record: &Record) {
        let Record { digest, json, .. } = record;
        if let Some(dir) = &self.dir
            && let Err(error) = self.write(&dir.join(format!("{digest}.json")), json.as_bytes())
        {
            tracing::warn!(%error, dir = %dir.display(), "a decision record could not be written");
        }
    }

    fn discard(&self, digest: &str) {
        let Some(dir) = &self.dir else { return };
        let path = dir.join(format!("{digest}.json"));
        self.files.lock().retain(|f| *f != path);
        let _ = std::fs::remove_file(path);
    }
}

/// The extension of a file that this module wrote; anybody else's is not ours to remove.
fn ours(path: &Path) -> Option<&str> {
    let stem = path.file_stem()?.to_str()?;
    let digest = stem.len() == 64 && stem.bytes().all(|b| b.is_ascii_hexdigit());
    path.extension()?.to_str().filter(|_| digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores something under a digest made of `n`.
    fn keep(records: &Records, n: u32) -> String {
        let digest = format!("{n:064x}");
        let record = Record { policy: Default::default(), digest: digest.clone(), json: "{}".into() };
        records.keep(&record);
        digest
    }

    #[test]
    fn records_are_named_by_their_digest_and_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(Some(dir.path()), 3).unwrap();
        let digests: Vec<String> = (0..5).map(|n| keep(&records, n)).collect();
        assert_eq!(std::fs::read(dir.path().join(format!("{}.json", digests[4]))).unwrap(), b"{}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
        // A new process goes on counting.
        let records = Records::open(Some(dir.path()), 2).unwrap();
        keep(&records, 9);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn files_of_others_in_the_directory_are_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (other, partial) = (dir.path().join("a.json"), dir.path().join(format!("{:064}.partial", 7)));
        std::fs::write(&other, "{}").unwrap();
        std::fs::write(&partial, "{").unwrap();
        let records = Records::open(Some(dir.path()), 1).unwrap();
        for t in 0..3 {
            keep(&records, t);
        }
        assert!(other.exists());
        assert!(!partial.exists(), "left by a process that was killed");
        records.discard(&keep(&records, 9));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
