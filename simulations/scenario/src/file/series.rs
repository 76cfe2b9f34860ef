//! Recorded loads: judged, and read where they are files.

use simulations_load::series::{POINTS_MAX, parse_csv, playable, stages};

use super::{Input, Problem, Read};
use crate::load::{Load, Series};
use crate::scenario::Scenario;

/// Reads the CSV files of the scenario's loads; says what is wrong with any series.
pub(super) fn resolve(s: &mut Scenario, read: Read<'_>, inputs: &mut Vec<Input>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let paths: Vec<String> = s.load.with_paths().map(|(path, _)| path).collect();
    for (at, load) in paths.into_iter().zip(s.load.iter_mut()) {
        if let Err((field, message)) = resolve_one(load, read, inputs) {
            problems.push(Problem::new(format!("{at}{field}"), message));
        }
    }
    problems
}

/// The path of what is wrong, below the load, and what it is.
fn resolve_one(load: &mut Load, read: Read<'_>, inputs: &mut Vec<Input>) -> Result<(), (String, String)> {
    let both = !load.stages.is_empty();
    let wrong = |field: &str, message: String| Err((format!(".series{field}"), message));
    let series = match &mut load.series {
        None if both => return Ok(()),
        None => return Err((".stages".into(), "name at least one stage, or a `series`".into())),
        Some(_) if both => return wrong("", "is there beside `stages`; a load has one of them".into()),
        Some(series) => series,
    };
    if let Err(e) = playable(series.speed, series.scale) {
        let field = if e.starts_with("`speed`") { ".speed" } else { ".scale" };
        return wrong(field, e);
    }
    if series.step.is_some_and(|step| step.is_zero()) {
        return wrong(".step", "is longer than 0s".into());
    }
    let asked = [
        (".url", series.url.is_some()),
        (".query", series.query.is_some()),
        (".from", series.from.is_some()),
        (".to", series.to.is_some()),
    ];
    let Some(file) = &series.file else {
        return query(series, &asked).or_else(|(field, message)| wrong(field, message));
    };
    if let Some((field, _)) = asked.iter().find(|(_, there)| *there) {
        return wrong(field, "is of a query; this series is a file".into());
    }
    let played = read(file).and_then(|text| {
        let named = |e| format!("{file}: {e}");
        let points = parse_csv(&text, series.step).map_err(named)?;
        inputs.push(Input { kind: "series", path: file.clone(), text });
        stages(&points, series.speed, series.scale).map_err(named)
    });
    match played {
        Ok(stages) => series.stages = stages,
        Err(e) => return wrong(".file", e),
    }
    Ok(())
}

fn query(series: &Series, asked: &[(&'static str, bool)]) -> Result<(), (&'static str, String)> {
    if asked.iter().all(|(_, there)| !there) {
        return Err(("", "say `file`, or `url`, `query`, `from`, `to` and `step`".into()));
    }
    if let Some((field, _)) = asked.iter().find(|(_, there)| !there) {
        return Err(("", format!("a query needs `{}` too", field.trim_start_matches('.'))));
    }
    let url = series.url.as_deref().unwrap_or_default();
    let uri: Option<http::Uri> = url.parse().ok();
    if !uri.is_some_and(|u| matches!(u.scheme_str(), Some("http" | "https")) && u.host().is_some()) {
        let url = thanos_model::http_url::without_secrets(url);
        return Err((".url", format!("{url:?} is no address; write for example http://prometheus:9090")));
    }
    if series.step.is_none() {
        return Err(("", "a query needs `step` too, for example 15s".into()));
    }
    match series.range() {
        Some(_) => Ok(()),
        None => Err((".to", format!("from `from` to `to` by `step` are not 2 to {POINTS_MAX} points"))),
    }
}
