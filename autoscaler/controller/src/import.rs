//! `gauntlet autoscaler import`: policies from HorizontalPodAutoscalers and ScaledObjects.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use autoscaler_api::{Compatibility, Mode};
use autoscaler_import::{Import, Options, QueryFacts, import};
use thanos_promql_syntax::Query;
use thanos_telemetry::{RunError, cli};

/// Exit code where a policy does not do all that its origin did.
const EXIT_OPEN: u8 = 2;
/// As much as a configuration file may have.
const STDIN_LIMIT_BYTES: u64 = 16 << 20;

/// Flags of `gauntlet autoscaler import`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Files with YAML documents or lists, as kubectl get -o yaml prints them; - for standard input. Other kinds are
    /// left alone
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Mode of the policies: Shadow, Active or Paused
    #[arg(long, default_value = "Shadow", value_parser = mode)]
    pub mode: Mode,
    /// HPA: decide to the letter as the HPA does, which takes values as they are, however old or incomplete
    #[arg(long, value_parser = compatibility)]
    pub compatibility: Option<Compatibility>,
    /// Make suggested queries metrics of the policies, for example those of an HPA's Pods metrics
    #[arg(long)]
    pub take_suggestions: bool,
    /// Tell the steps of taking over without a jump, as comments
    #[arg(long)]
    pub takeover: bool,
}

/// Prints the policies, with what does not carry over in comments.
///
/// # Errors
/// [`RunError::Config`] if a file cannot be read or has nothing to import; [`RunError::Verdict`] with exit code 64 if
/// nothing in it could be understood, and 2 if a policy does not do all that its origin did.
pub(crate) fn run(args: &Args) -> Result<(), RunError> {
    let mut files = Vec::with_capacity(args.files.len());
    for path in &args.files {
        files.push(text(path)?);
    }
    let options = Options {
        mode: args.mode,
        compatibility: args.compatibility,
        takeover: args.takeover,
        take_suggestions: args.take_suggestions,
        judge: &judge,
    };
    let imported = import(&files, options).map_err(RunError::Config)?;
    crate::print(&imported.text)?;
    verdict(&imported)
}

fn verdict(imported: &Import) -> Result<(), RunError> {
    let (objects, policies, open) = (imported.objects, imported.policies.len(), imported.open());
    let of = format!("{policies} {} of {objects}", if policies == 1 { "policy" } else { "policies" });
    if imported.understood == 0 {
        let message = format!("{of}: none could be understood; the comments say why");
        return Err(RunError::Verdict { code: cli::EXIT_CONFIG, message });
    }
    if open > 0 {
        let things =
            if open == 1 { "1 thing needs a look".to_owned() } else { format!("{open} things need a look") };
        let message = format!("{of}: {things}; the comments say what, why and what to do");
        return Err(RunError::Verdict { code: EXIT_OPEN, message });
    }
    Ok(())
}

fn judge(query: &str) -> Result<QueryFacts, String> {
    let query = Query::parse(query).map_err(|e| e.to_string())?;
    Ok(QueryFacts { shortest_range_ms: query.shortest_range_ms() })
}

/// A file's text under the name that it is told by.
fn text(path: &Path) -> Result<(String, String), RunError> {
    if path != Path::new("-") {
        return Ok((path.display().to_string(), cli::read_config(path)?));
    }
    let name = "standard input";
    let mut text = String::new();
    let read = std::io::stdin().lock().take(STDIN_LIMIT_BYTES + 1).read_to_string(&mut text);
    read.map_err(|e| RunError::Config(format!("{name}: {e}")))?;
    if text.len() as u64 > STDIN_LIMIT_BYTES {
        return Err(RunError::Config(format!("{name}: is over the limit of {STDIN_LIMIT_BYTES} bytes")));
    }
    Ok((name.to_owned(), text))
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "Active" => Ok(Mode::Active),
        "Shadow" => Ok(Mode::Shadow),
        "Paused" => Ok(Mode::Paused),
        _ => Err("write Shadow, Active or Paused".to_owned()),
    }
}

fn compatibility(text: &str) -> Result<Compatibility, String> {
    if text == "HPA" { Ok(Compatibility::Hpa) } else { Err("write HPA, or leave it out".to_owned()) }
}

#[cfg(test)]
mod tests;
