//! `gauntlet report`: records in, one page out.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use thanos_telemetry::{Context, RunError};

/// A record larger than this is refused unread: a run of a day with thousands of pods is a tenth of it.
const RECORD_BYTES_MAX: u64 = 256 << 20;

/// Write one HTML page about a run, or about several side by side.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Records of runs (their result.json), or folders that hold one; several are set side by side in this order.
    #[arg(required = true, value_name = "RESULT")]
    pub results: Vec<PathBuf>,
    /// Where to write the page.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub output: PathBuf,
    /// Instead of a page, print how far the key figures of several runs of one scenario lie apart (Markdown).
    #[arg(long, conflicts_with = "output")]
    pub spread: bool,
}

/// Writes the page. What was at its place before is replaced only by a whole one.
///
/// # Errors
/// [`RunError::Config`] for a record that cannot be read; anything else when the page cannot be written.
#[expect(clippy::print_stdout, reason = "a command's result")]
pub async fn run(args: Args, _ctx: Context) -> Result<(), RunError> {
    if args.spread {
        let records = args.results.iter().map(|p| read(p)).collect::<Result<Vec<_>, _>>()?;
        print!("{}", crate::spread(&records).map_err(RunError::config)?);
        return Ok(());
    }
    write_page(&args)?;
    println!("{}", args.output.display());
    Ok(())
}

pub(crate) fn write_page(args: &Args) -> Result<(), RunError> {
    let records = args.results.iter().map(|p| read(p)).collect::<Result<Vec<_>, _>>()?;
    let folders: Vec<String> = args.results.iter().map(|p| folder(&args.output, &file(p))).collect();
    let all = records.iter().zip(&folders);
    let page =
        crate::page_of(all.map(|((name, json), folder)| (name.as_str(), folder.as_str(), json.as_slice())));
    write(&args.output, &page.map_err(RunError::config)?)
}

/// A folder stands for the record in it.
fn file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("result.json") } else { path.to_owned() }
}

/// The way from the page to a record's folder, with `/` between its parts; empty where they are side by side.
fn folder(page: &Path, record: &Path) -> String {
    let parts = |path: &Path| -> Vec<String> {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = whole.parent().unwrap_or(&whole);
        // Through links the way may be another.
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        folder.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect()
    };
    let (from, to) = (parts(page), parts(record));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - shared);
    up.chain(to.iter().skip(shared).map(String::as_str)).collect::<Vec<_>>().join("/")
}

fn read(path: &Path) -> Result<(String, Vec<u8>), RunError> {
    let path = file(path);
    let fail = |e: &dyn std::fmt::Display| RunError::Config(format!("{}: {e}", path.display()));
    let size = std::fs::metadata(&path).map_err(|e| fail(&e))?.len();
    if size > RECORD_BYTES_MAX {
        return Err(fail(&format!("{size} bytes is over the limit of {RECORD_BYTES_MAX}")));
    }
    let json = std::fs::read(&path).map_err(|e| fail(&e))?;
    Ok((path.display().to_string(), json))
}

/// Beside its place first, then into it.
fn write(path: &Path, page: &str) -> Result<(), RunError> {
    let name = path.file_name().ok_or_else(|| {
        RunError::Config(format!("--output {}: name a file, such as report.html", path.display()))
    })?;
    let mut beside = name.to_owned();
    beside.push(".new");
    let beside = path.with_file_name(beside);
    let written = std::fs::write(&beside, page).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // What is left of it is of no use.
        let _ = std::fs::remove_file(&beside);
    }
    Ok(written.with_context(|| format!("writing {}", path.display()))?)
}
