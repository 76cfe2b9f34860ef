//! The records below a path, folder by folder and in time order, so that none is in memory before its turn.

use std::path::{Path, PathBuf};

use crate::records::layout::{Digest, Entry, Owner};

/// Folders below folders that are looked into.
const DEPTH_MAX: usize = 8;

/// A folder with records, or a file by itself.
#[derive(Debug)]
pub(super) enum Place {
    /// Anything in it that is named as a record.
    Folder(PathBuf),
    /// Named by whoever asks, so it has to be one.
    File(PathBuf),
}

/// A record's file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub path: PathBuf,
    /// What its name says that its bytes have.
    pub digest: Option<Digest>,
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::File(path) => path,
        }
    }

    /// Whether all in it is of one policy.
    pub(super) fn is_policy(&self) -> bool {
        matches!(self, Self::Folder(path) if Owner::of(path).is_some())
    }

    /// Its records by time, as far as names tell it.
    pub(super) fn files(&self) -> std::io::Result<Vec<File>> {
        let folder = match self {
            Self::File(path) => {
                let name = path.file_name().and_then(|name| name.to_str());
                let digest = name.and_then(Entry::parse).map(|entry| entry.digest);
                return Ok(vec![File { path: path.clone(), digest }]);
            }
            Self::Folder(path) => path,
        };
        let mut names: Vec<String> = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        let file = |name: String| {
            let digest = Entry::parse(&name)?.digest;
            Some(File { path: folder.join(name), digest: Some(digest) })
        };
        Ok(names.into_iter().filter_map(file).collect())
    }
}

/// The folders with records below a path, in the order of their names; links are not followed.
pub(super) fn places(path: &Path) -> std::io::Result<Vec<Place>> {
    // Whole, so that a folder in the midst of its records knows whose they are.
    let path = &std::fs::canonicalize(path)?;
    if !path.is_dir() {
        return Ok(vec![Place::File(path.clone())]);
    }
    let (mut level, mut found) = (vec![path.clone()], Vec::new());
    for _ in 0..DEPTH_MAX {
        let mut next = Vec::new();
        for folder in level {
            let mut has_records = false;
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    next.push(entry.path());
                } else {
                    has_records |= entry.file_name().to_str().and_then(Entry::parse).is_some();
                }
            }
            found.extend(has_records.then_some(folder));
        }
        level = next;
    }
    found.sort();
    Ok(found.into_iter().map(Place::Folder).collect())
}
