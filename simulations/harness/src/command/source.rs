//! Where a scenario comes from: what ships, or a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use simulations_scenario::{Loaded, parse};
use thanos_telemetry::cli;

use crate::builtin;

/// Where a scenario comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// One that ships, by name.
    Ships(String),
    /// A file, and what lies beside it.
    File(PathBuf),
}

impl Source {
    /// A name without `/` and `.` means what ships, whatever lies in the working directory; anything else, or a name that
    /// nothing has which ships, a file.
    pub(super) fn find(wanted: &Path) -> Self {
        let name = wanted.to_string_lossy();
        let plain = !name.contains(['/', '\\', '.']);
        let ships = builtin::SCENARIOS.iter().any(|(n, _)| *n == name);
        if plain && (ships || !wanted.is_file()) {
            Self::Ships(name.into_owned())
        } else {
            Self::File(wanted.to_owned())
        }
    }

    /// Reads and judges it.
    pub(super) fn load(&self, set: &BTreeMap<String, String>) -> Result<Loaded, String> {
        match self {
            Self::Ships(name) => builtin::load(name, set),
            Self::File(file) => {
                let text = cli::read_config(file).map_err(|e| e.to_string())?;
                parse(&file.display().to_string(), &text, set, &|other| self.beside(other))
            }
        }
    }

    /// Reads a file that it names.
    pub(super) fn beside(&self, name: &str) -> Result<String, String> {
        match self {
            Self::Ships(_) => builtin::file(name),
            Self::File(file) => {
                let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
                cli::read_config(&folder.join(name)).map_err(|e| e.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_not_hidden_by_what_lies_around() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("demo"), dir.path().join("mine"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "name: mine").unwrap();
        for (wanted, ships) in [
            (Path::new("demo"), Some("demo")),
            (Path::new("dmeo"), Some("dmeo")),
            (Path::new("demo.yaml"), None),
            (Path::new("./demo"), None),
            (&folder, None),
            (&file, None),
        ] {
            let want = match ships {
                Some(name) => Source::Ships(name.into()),
                None => Source::File(wanted.to_owned()),
            };
            assert_eq!(Source::find(wanted), want, "{}", wanted.display());
        }
        // Every folder of this crate has a scenario's name in reach of nobody; what it is not, it says.
        let error = Source::File(folder).load(&BTreeMap::new()).unwrap_err();
        assert!(error.contains("demo"), "{error}");
    }
}
