//! Where the real systems are once `tests/peers/build` has built them.

use std::io::Write;
use std::path::PathBuf;

/// The folder that `tests/peers/build` fills.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/bin"))
}

/// The binary `name`, if it is built.
#[must_use]
pub fn binary(name: &str) -> Option<PathBuf> {
    let path = folder().join(name);
    path.is_file().then_some(path)
}

/// Whether a missing binary is a failure.
#[must_use]
pub fn required() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "false" && v != "0");
    set("CI") || std::env::var("GAUNTLET_PEERS").is_ok_and(|v| v == "required")
}

/// The binaries `names`, or nothing where one is not built and the test that asks is to be skipped, which is said on
/// standard error.
/// # Panics
/// Where one is missing and [`required`].
#[must_use]
pub fn built<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| binary(name).is_none()).collect();
    if missing.is_empty() {
        return Some(names.map(|name| folder().join(name)));
    }
    let missing = missing.join(", ");
    assert!(!required(), "{missing}: not built; run tests/peers/build");
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    // Not eprintln!: the test harness would keep what a test that passes prints to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {missing} is not built; run tests/peers/build");
    None
}
