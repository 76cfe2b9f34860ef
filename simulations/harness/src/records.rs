//! Decision records of a run: replayed, and copied to where its report is. The controllers' own copies end with their
//! pods.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use autoscaler_core::{Evidence, Replay, replay};
use simulations_judge::record::sha256;
use simulations_judge::timeline::Kept;

use crate::world::World;

/// Where copies are, below a report's folder.
pub const FOLDER: &str = "records";

/// What the records of all controllers say, by digest; looked for while the run goes on, as a pod that is removed takes
/// its records with it.
#[derive(Debug)]
pub struct Collector<'a> {
    world: &'a World,
    /// Where copies go.
    report: Option<&'a Path>,
    kept: BTreeMap<String, Kept>,
}

impl<'a> Collector<'a> {
    /// Nothing was looked at yet.
    pub fn new(world: &'a World, report: Option<&'a Path>) -> Self {
        Self { world, report, kept: BTreeMap::new() }
    }

    /// Keeps what is new.
    pub fn look(&mut self) {
        for (volume, file) in
            self.world.clusters().iter().flat_map(|cluster| files(&cluster.kubeconfig_path()))
        {
            let Some(digest) = digest(&file).filter(|d| !self.kept.contains_key(*d)).map(str::to_owned)
            else {
                continue;
            };
            let Ok(bytes) = std::fs::read(&file) else { continue };
            // As the controller has it, so that a copy is asked as its folder is.
            let Some(below) = file.strip_prefix(&volume).ok().and_then(Path::to_str) else { continue };
            let path = format!("{FOLDER}/{below}");
            if let Some(report) = self.report {
                let to = report.join(&path);
                let folder = to.parent().unwrap_or(report);
                let copied = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&to, &bytes));
                if let Err(error) = copied {
                    tracing::warn!(%error, path, "a decision record could not be kept");
                }
            }
            let kept = judged(path, &digest, &bytes);
            self.kept.insert(digest, kept);
        }
    }

    /// All of them, with a last look.
    pub fn end(mut self) -> BTreeMap<String, Kept> {
        self.look();
        self.kept
    }
}

/// Records in the volumes of a cluster's pods, which are beside its kubeconfig; each with the volume that it is in.
fn files(kubeconfig: &Path) -> Vec<(PathBuf, PathBuf)> {
    let entries = |dir: &Path| -> Vec<PathBuf> {
        let found = std::fs::read_dir(dir).into_iter().flatten().flatten();
        found.map(|entry| entry.path()).collect()
    };
    let pods = kubeconfig.parent().map(|dir| entries(&dir.join("pods"))).unwrap_or_default();
    let volumes = pods.into_iter().map(|pod| pod.join("volumes").join("records"));
    let mut files = Vec::new();
    for volume in volumes {
        // A folder a cluster, in it one a namespace, in it one a policy.
        let mut level = vec![volume.clone()];
        for _ in 0..4 {
            level = level.iter().flat_map(|dir| entries(dir)).collect();
        }
        let records = level.into_iter().filter(|file| file.extension().is_some_and(|e| e == "json"));
        files.extend(records.map(|file| (volume.clone(), file)));
    }
    files
}

/// The digest in a record's name, which is `TIME-DIGEST.json`.
fn digest(file: &Path) -> Option<&str> {
    file.file_stem()?.to_str()?.split_once('-').map(|(_, digest)| digest)
}

/// What a file says that is named by a digest, which is to be its own.
fn judged(path: String, digest: &str, bytes: &[u8]) -> Kept {
    match replay(bytes) {
        Ok(replay) => Kept {
            path,
            replays: replay.identical && sha256(bytes) == digest,
            sufficient: replay.decision.verdicts().all(|m| m.evidence == Evidence::Sufficient),
            asked: asked(&replay),
        },
        // What is no record replays nothing.
        Err(error) => {
            tracing::warn!(%error, path, "a decision record does not replay");
            Kept { path, ..Kept::default() }
        }
    }
}

/// What was asked for before the decision, as it remembers it, and at it.
fn asked(replay: &Replay) -> Vec<(i64, i32)> {
    let input = &replay.input;
    let before = input.history.recommendations.iter().flatten().map(|r| (r.at_ms, r.replicas));
    let now = replay.decision.verdicts().filter_map(|m| m.proposal).max().map(|n| (input.now_ms, n));
    before.chain(now).collect()
}
