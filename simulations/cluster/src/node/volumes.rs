//! Volumes as folders: projected ConfigMaps and Secrets, empty folders, claims that outlive their pod.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{KeyToPath, PodSpec, Volume};

use super::settings::{Entries, Kind, Settings};

/// A volume whose files follow an object.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    pub(super) dir: PathBuf,
    kind: Kind,
    object: String,
    items: Vec<KeyToPath>,
    optional: bool,
    /// What was last written.
    written: Option<Entries>,
    generation: u64,
}

/// All volumes of a pod.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// Folder of each volume, by its name.
    pub(super) dirs: BTreeMap<String, PathBuf>,
    pub(super) projections: Vec<Projection>,
}

impl Volumes {
    /// Makes the folders.
    ///
    /// # Errors
    /// A sentence naming the volume: its kind is not provided, or its folder cannot be made.
    pub(super) fn prepare(
        spec: &PodSpec,
        pod_dir: &Path,
        claims_dir: &Path,
        namespace: &str,
    ) -> Result<Self, String> {
        let mut this = Self::default();
        for volume in spec.volumes.iter().flatten() {
            let dir = match &volume.persistent_volume_claim {
                // An API server that is not ours may have let it pass.
                Some(claim) if !is_one_name(&claim.claim_name) => {
                    return Err(format!(
                        "volume {:?}: claim name {:?} is no name",
                        volume.name, claim.claim_name
                    ));
                }
                Some(claim) => claims_dir.join(format!("{namespace}_{}", claim.claim_name)),
                None => pod_dir.join("volumes").join(&volume.name),
            };
            std::fs::create_dir_all(&dir).map_err(|e| format!("volume {:?}: {e}", volume.name))?;
            if let Some(projection) = projection(volume, &dir) {
                this.projections.push(projection);
            } else if volume.empty_dir.is_none()
                && volume.persistent_volume_claim.is_none()
                && !is_identity(volume)
            {
                return Err(format!(
                    "volume {:?}: this node provides configMap, secret, emptyDir and persistentVolumeClaim volumes only",
                    volume.name
                ));
            }
            this.dirs.insert(volume.name.clone(), dir);
        }
        Ok(this)
    }

    /// Brings projected files up to date.
    ///
    /// # Errors
    /// A sentence naming what is missing; the files stay as they were.
    pub(super) fn project(&mut self, settings: &Settings, namespace: &str) -> Result<(), String> {
        for projection in &mut self.projections {
            projection.update(settings, namespace)?;
        }
        Ok(())
    }
}

/// The volume that Kubernetes adds for a service account's token. The folder stays empty: who a pod is, its
/// kubeconfig says.
fn is_identity(volume: &Volume) -> bool {
    let sources = volume.projected.as_ref().and_then(|p| p.sources.as_ref());
    sources.is_some_and(|s| s.iter().any(|source| source.service_account_token.is_some()))
}

fn projection(volume: &Volume, dir: &Path) -> Option<Projection> {
    let make = |kind, object: String, items: &Option<Vec<KeyToPath>>, optional: Option<bool>| Projection {
        dir: dir.to_owned(),
        kind,
        object,
        items: items.clone().unwrap_or_default(),
        optional: optional.unwrap_or(false),
        written: None,
        generation: 0,
    };
    if let Some(source) = &volume.config_map {
        return Some(make(Kind::ConfigMap, source.name.clone(), &source.items, source.optional));
    }
    let source = volume.secret.as_ref()?;
    Some(make(Kind::Secret, source.secret_name.clone().unwrap_or_default(), &source.items, source.optional))
}

impl Projection {
    fn update(&mut self, settings: &Settings, namespace: &str) -> Result<(), String> {
        let entries = match settings.get(self.kind, namespace, &self.object) {
            Some(entries) => self.select(entries)?,
            // Removed or optional: what was projected stays, as on a real node.
            None if self.written.is_some() => return Ok(()),
            None if self.optional => Entries::new(),
            None => return Err(format!("{} {:?} not found", self.kind.word(), self.object)),
        };
        if self.written.as_ref() == Some(&entries) {
            return Ok(());
        }
        self.generation += 1;
        write_atomically(&self.dir, &entries, self.generation).map_err(|e| {
            format!("{} {:?} into {}: {e}", self.kind.word(), self.object, self.dir.display())
        })?;
        self.written = Some(entries);
        Ok(())
    }

    fn select(&self, mut entries: Entries) -> Result<Entries, String> {
        if self.items.is_empty() {
            return Ok(entries);
        }
        let mut out = Entries::new();
        for item in &self.items {
            if !is_inside(&item.path) {
                return Err(format!("path {:?} must stay within the volume", item.path));
            }
            match entries.remove(&item.key) {
                Some(content) => {
                    out.insert(item.path.clone(), content);
                }
                None if self.optional => {}
                None => {
                    return Err(format!("{} {:?} has no key {:?}", self.kind.word(), self.object, item.key));
                }
            }
        }
        Ok(out)
    }
}

/// The name of a file in a folder.
fn is_one_name(name: &str) -> bool {
    !name.contains('/') && is_inside(name)
}

/// A relative path that does not climb.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
}

/// All files change at once: they are links through `..data`, and that link is replaced by a rename. The same
/// shape as a real node's, so that programs which watch for it work.
fn write_atomically(dir: &Path, entries: &Entries, generation: u64) -> io::Result<()> {
    let (fresh, data) = (dir.join(format!("..{generation}")), dir.join("..data"));
    let _ = std::fs::remove_dir_all(&fresh);
    std::fs::create_dir_all(&fresh)?;
    for (path, content) in entries.iter().filter(|(path, _)| is_inside(path)) {
        let file = fresh.join(path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, content)?;
    }
    let stale = std::fs::read_link(&data).ok();
    let link = dir.join("..data_tmp");
    let _ = std::fs::remove_file(&link);
    symlink(format!("..{generation}"), &link)?;
    std::fs::rename(&link, &data)?;
    let first = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let wanted: Vec<String> = entries.keys().map(|path| first(path)).collect();
    for name in &wanted {
        if std::fs::symlink_metadata(dir.join(name)).is_err() {
            symlink(format!("..data/{name}"), dir.join(name))?;
        }
    }
    for entry in std::fs::read_dir(dir)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !wanted.contains(&name) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    if let Some(stale) = stale.filter(|s| *s != Path::new(&format!("..{generation}"))) {
        let _ = std::fs::remove_dir_all(dir.join(stale));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_claim_is_outside_of_the_folder_of_claims() {
        let dir = tempfile::tempdir().unwrap();
        for (claim, well) in [
            ("data-web-0", true),
            ("a.b", true),
            ("../x", false),
            ("/x", false),
            ("a/../../../x", false),
            ("a/b", false),
            ("", false),
            ("..", false),
        ] {
            let spec = serde_json::json!({"containers": [],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]});
            let spec: PodSpec = serde_json::from_value(spec).unwrap();
            let made = Volumes::prepare(&spec, &dir.path().join("pod"), &dir.path().join("claims"), "ns");
            assert_eq!(made.is_ok(), well, "{claim:?}: {made:?}");
        }
        assert!(!dir.path().join("x").exists());
    }

    #[test]
    fn projected_files_change_together() {
        let dir = tempfile::tempdir().unwrap();
        let entries = |list: &[(&str, &str)]| -> Entries {
            list.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect()
        };
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
        write_atomically(dir.path(), &entries(&[("a", "1"), ("sub/b", "1"), ("../evil", "x")]), 1).unwrap();
        assert_eq!((read("a"), read("sub/b")), (Some("1".into()), Some("1".into())));
        assert!(!dir.path().parent().unwrap().join("evil").exists());
        write_atomically(dir.path(), &entries(&[("a", "2"), ("c", "2")]), 2).unwrap();
        assert_eq!((read("a"), read("c"), read("sub/b")), (Some("2".into()), Some("2".into()), None));
        assert!(!dir.path().join("..1").exists(), "the former generation is removed");
        assert_eq!(
            ["a", "a/b", "/a", "../a", "a/../b", ""].map(is_inside),
            [true, true, false, false, false, false]
        );
    }
}
