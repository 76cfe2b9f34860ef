//! How a part starts and ends: its context, its errors, its exit codes, its configuration files.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::pin::Pin;

use serde::de::DeserializeOwned;

use crate::Shutdown;

mod lines;

/// Usage or configuration is wrong (`EX_USAGE` of sysexits.h).
pub const EXIT_CONFIG: u8 = 64;

/// A configuration file larger than this is refused unread.
const CONFIG_SIZE_LIMIT_BYTES: u64 = 16 << 20;

/// What `main` hands to a part.
#[derive(Clone, Debug)]
pub struct Context {
    /// Ends when the process is asked to end.
    pub shutdown: Shutdown,
}

/// A part that runs. Boxed, and given out by a function that is not `async`: a future is compiled in the crate that
/// polls it, so that of any other form the whole part would be compiled anew in every binary and test.
pub type Running = Pin<Box<dyn Future<Output = Result<(), RunError>> + Send>>;

/// Why a part ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A flag or file is wrong: one line that names it and the fix. Exit 64, before any port opens.
    #[error("{0}")]
    Config(String),
    /// The part judged something and the verdict is "no"; the text was already shown. Exit code as given.
    #[error("{message}")]
    Verdict {
        /// Exit code.
        code: u8,
        /// One closing line.
        message: String,
    },
    /// Anything else. Exit 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl RunError {
    /// A configuration error from anything printable.
    pub fn config(e: impl std::fmt::Display) -> Self {
        Self::Config(e.to_string())
    }

    /// The process' exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => EXIT_CONFIG,
            Self::Verdict { code, .. } => *code,
            Self::Failed(_) => 1,
        }
    }
}

/// Reads a configuration file's text.
///
/// # Errors
/// [`RunError::Config`] naming the file: missing, unreadable, over 16 MiB, or not UTF-8.
pub fn read_config(path: &Path) -> Result<String, RunError> {
    let fail = |e: &dyn std::fmt::Display| RunError::Config(format!("{}: {e}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|e| fail(&e))?;
    if metadata.is_dir() {
        return Err(fail(&"is a folder"));
    }
    // What has no size, such as a pipe, is not trusted to end.
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| fail(&e))?;
    file.take(CONFIG_SIZE_LIMIT_BYTES + 1).read_to_string(&mut text).map_err(|e| fail(&e))?;
    if text.len() as u64 > CONFIG_SIZE_LIMIT_BYTES {
        return Err(fail(&format!("is over the limit of {CONFIG_SIZE_LIMIT_BYTES} bytes")));
    }
    Ok(text)
}

/// Reads a YAML (or JSON) file into `T`.
///
/// # Errors
/// [`RunError::Config`] naming the file and, for a bad field, its line.
pub fn load_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    parse_yaml(&read_config(path)?).map_err(|e| RunError::Config(format!("{}: {e}", path.display())))
}

/// Parses YAML (or JSON): the one place that knows which crate does it.
///
/// # Errors
/// A message with the line.
pub fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|e| e.to_string())
}

/// The line on which each value of a YAML document begins, by its path: `load.stages[0].rate`. Empty for text
/// that is no YAML.
pub fn yaml_lines(text: &str) -> BTreeMap<String, u64> {
    let mut lines = BTreeMap::new();
    if let Ok(root) = serde_saphyr::from_str::<serde_saphyr::Spanned<lines::Node>>(text) {
        lines::collect(&root, "", &mut lines);
    }
    lines
}

/// Parses a stream of YAML documents; empty ones are left out.
///
/// # Errors
/// A message with the line.
pub fn parse_yaml_documents<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    serde_saphyr::from_multiple(text).map_err(|e| e.to_string())
}

/// Prints `T` as YAML.
///
/// # Errors
/// The value cannot be written as YAML.
pub fn to_yaml<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|e| e.to_string())
}
