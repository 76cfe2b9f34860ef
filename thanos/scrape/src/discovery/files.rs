//! `file_sd_configs`: files that hold target groups, read again and again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thanos_telemetry::cli::load_yaml;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{Groups, static_group};
use crate::config::{FileSdConfig, StaticConfig};
use crate::target::TargetGroup;

pub(super) async fn run(config: FileSdConfig, sender: watch::Sender<Groups>) {
    let mut known: BTreeMap<PathBuf, Vec<TargetGroup>> = BTreeMap::new();
    let mut ticks = tokio::time::interval(config.refresh_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let files = config.files.clone();
        let before = known;
        let read = tokio::task::spawn_blocking(move || read_all(&files, before)).await;
        let Ok(read) = read else { return };
        known = read;
        let groups: Vec<TargetGroup> = known.values().flatten().cloned().collect();
        sender.send_if_modified(|now| {
            let changed = now.as_deref() != Some(&groups);
            if changed {
                *now = Some(Arc::new(groups));
            }
            changed
        });
    }
}

/// A file that is gone takes its targets along; one that cannot be read keeps those it had.
fn read_all(
    patterns: &[PathBuf],
    before: BTreeMap<PathBuf, Vec<TargetGroup>>,
) -> BTreeMap<PathBuf, Vec<TargetGroup>> {
    let mut now = BTreeMap::new();
    for path in patterns.iter().flat_map(|p| matching(p)) {
        let groups = match load_yaml::<Vec<StaticConfig>>(&path) {
            Ok(groups) => {
                let file = path.display().to_string();
                let mut groups: Vec<TargetGroup> = groups.iter().map(static_group).collect();
                for group in &mut groups {
                    group.labels.insert("__meta_filepath".into(), file.clone());
                }
                groups
            }
            Err(error) => {
                tracing::error!(%error, "file_sd: file is wrong, its earlier targets stay");
                before.get(&path).cloned().unwrap_or_default()
            }
        };
        now.insert(path, groups);
    }
    now
}

/// The files that a pattern means now: `*` in the last segment stands for any text.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    if !name.contains('*') {
        return if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() };
    }
    let folder = pattern.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|e| e.file_name().to_str().is_some_and(|n| fits(n, name)))
        .map(|e| e.path())
        .collect()
}

fn fits(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (name, pattern, want) in [
            ("a.json", "a.json", true),
            ("a.json", "*.json", true),
            ("ab-cd.json", "a*c*.json", true),
            ("a.yml", "*.json", false),
            ("ajson", "a*.json", false),
        ] {
            assert_eq!(fits(name, pattern), want, "{name} {pattern}");
        }
    }

    #[test]
    fn a_broken_file_keeps_its_targets_and_a_removed_one_takes_them_along() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.json"), folder.path().join("b.yml"));
        std::fs::write(&a, r#"[{"targets": ["x:1", "y:1"], "labels": {"k": "v"}}]"#).unwrap();
        std::fs::write(&b, "- targets: [z:1]\n").unwrap();
        let patterns = [folder.path().join("*.json"), b.clone()];
        let known = read_all(&patterns, BTreeMap::new());
        assert_eq!(known[&a][0].targets.len(), 2);
        assert_eq!(known[&a][0].labels["__meta_filepath"], a.display().to_string());
        std::fs::write(&a, "{").unwrap();
        std::fs::remove_file(&b).unwrap();
        let after = read_all(&patterns, known.clone());
        assert_eq!((after.get(&a), after.get(&b)), (known.get(&a), None));
    }
}
