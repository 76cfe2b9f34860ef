//! The real controller as a process: lines in, lines out, with a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::cases::is_ci;

/// Folder of the real controller's driver, a Go module.
fn folder() -> PathBuf {
    std::env::var_os("GAUNTLET_HPA_ORACLE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/oracle/hpa")),
        PathBuf::from,
    )
}

/// The real controller's program, built into `into`. Where it cannot be had that is said, and in CI it fails.
pub(crate) fn program(into: &Path) -> Option<PathBuf> {
    let folder = folder();
    let built = if folder.join("main.go").exists() {
        build(&folder, into, Duration::from_secs(900))
    } else {
        Err(format!("{} is not there; set GAUNTLET_HPA_ORACLE", folder.display()))
    };
    match built {
        Ok(program) => Some(program),
        Err(why) => {
            assert!(!is_ci(), "the real controller is needed in CI: {why}");
            println!("skipped: {why}");
            None
        }
    }
}

/// Builds the driver into `into`.
///
/// # Errors
///
/// There is no Go, the build fails, or it takes longer than `limit`.
fn build(from: &Path, into: &Path, limit: Duration) -> Result<PathBuf, String> {
    let program = into.join("hpaoracle");
    let mut command = Command::new("go");
    command.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(from);
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| format!("go: {error}"))?;
    let mut said = child.stderr.take().ok_or("no stderr")?;
    let (tell, ended) = sync_channel(1);
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let read = said.read_to_string(&mut text).map(|_| text);
        tell.send(()).ok();
        read
    });
    let late = ended.recv_timeout(limit).is_err();
    if late {
        child.kill().map_err(|error| format!("go build cannot be ended: {error}"))?;
    }
    let status = child.wait().map_err(|error| format!("go build: {error}"))?;
    if late {
        return Err(format!("go build took longer than {limit:?}"));
    }
    let text = reader.join().map_err(|_| "the reader panicked")?.map_err(|error| error.to_string())?;
    if status.success() { Ok(program) } else { Err(format!("go build failed: {text}")) }
}

/// Gives every scenario of `scenarios` to a process, and each with its result to `each`, which says whether to go
/// on. At most a few scenarios are under way.
///
/// # Errors
///
/// The process does not start, ends early, or says nothing for `limit`.
pub(crate) fn run(
    program: &Path,
    scenarios: impl Iterator<Item = String> + Send + 'static,
    limit: Duration,
    mut each: impl FnMut(&str, &str) -> bool,
) -> Result<(), String> {
    let mut child: Child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let mut stdin = child.stdin.take().ok_or("no stdin")?;
    let stdout = child.stdout.take().ok_or("no stdout")?;
    let (sent, under_way) = sync_channel::<String>(4);
    let writer = std::thread::spawn(move || {
        for scenario in scenarios {
            // The channel first, so that a result never comes before its scenario.
            if sent.send(scenario.clone()).is_err() || writeln!(stdin, "{scenario}").is_err() {
                return;
            }
        }
    });
    let (tell, results) = sync_channel::<String>(4);
    let reader = std::thread::spawn(move || {
        for line in BufReader::with_capacity(1 << 20, stdout).lines() {
            let Ok(line) = line else { return };
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    let outcome = loop {
        let scenario = match under_way.recv_timeout(limit) {
            Ok(scenario) => scenario,
            Err(RecvTimeoutError::Disconnected) => break Ok(()),
            Err(RecvTimeoutError::Timeout) => break Err(format!("no scenario within {limit:?}")),
        };
        match results.recv_timeout(limit) {
            Ok(result) if each(&scenario, &result) => {}
            Ok(_) => break Ok(()),
            Err(RecvTimeoutError::Disconnected) => break Err("the real controller ended early".to_owned()),
            Err(RecvTimeoutError::Timeout) => break Err(format!("no result within {limit:?}")),
        }
    };
    drop((under_way, results));
    child.kill().ok();
    child.wait().map_err(|error| error.to_string())?;
    writer.join().and_then(|()| reader.join()).map_err(|_| "a thread panicked")?;
    outcome
}

/// Scenarios of a seed, for ever.
pub(crate) fn seeded(seed: u64) -> impl Iterator<Item = String> + Send + 'static {
    (0..).map(move |k| super::generate::scenario(seed, k))
}
