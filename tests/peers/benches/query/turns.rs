//! Sides in turns: latency, processor time, and how many a second.

use std::error::Error;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use peers::answers::same;
use peers::http::client;
use peers::usage::{Figures, Usage};

use crate::Settings;
use crate::questions::{self, Answer, Question};
use crate::rig::{Querier, Rig, Side};

/// Clients of a crowd.
pub(crate) const CLIENTS: usize = 8;
/// A turn has at least so many queries, and at most.
const LEAST: usize = 5;
const MOST: usize = 200;
/// Queries that are not counted, of each side.
const WARM_UP: usize = 3;

/// One side's figures for one query.
pub(crate) struct Turned {
    pub(crate) question: &'static str,
    pub(crate) querier: Querier,
    pub(crate) asked: usize,
    pub(crate) latency_ms: Figures,
    /// Processor time a query: of the querier, of all stores.
    pub(crate) cpu_ms: Figures,
    pub(crate) stores_cpu_ms: Figures,
}

/// One side's figures with a crowd of clients.
pub(crate) struct Crowded {
    pub(crate) querier: Querier,
    pub(crate) rate: Figures,
    pub(crate) latency_ms: Figures,
    pub(crate) cpu_ms: Figures,
    pub(crate) stores_cpu_ms: Figures,
}

/// What one turn gave.
#[derive(Default)]
struct Turn {
    latencies_ms: Vec<f64>,
    cpu: Duration,
    stores_cpu: Duration,
}

/// Every query by every side.
///
/// # Errors
/// An answer that is missing, wrong, or not the same from all.
pub(crate) async fn all(
    rig: &Rig,
    sides: &[Side],
    settings: &Settings,
) -> Result<Vec<Turned>, Box<dyn Error>> {
    let client = client();
    let mut figures = Vec::new();
    for question in questions::all() {
        let mut slowest = Duration::ZERO;
        for side in sides {
            for _ in 0..WARM_UP {
                slowest = question.ask(&client, &side.server.url(9090), rig.end_ms).await?.0;
            }
        }
        let asks = (settings.turn.as_secs_f64() / slowest.as_secs_f64()).ceil() as usize;
        let asks = asks.clamp(LEAST, MOST);
        let mut turns: Vec<Vec<Turn>> = sides.iter().map(|_| Vec::new()).collect();
        for round in 0..settings.rounds {
            // Another moment every round: nobody lives on what was asked before.
            let at_ms = rig.end_ms - 1000 * round as i64;
            let mut truth = None;
            for i in (0..sides.len()).map(|i| (i + round) % sides.len()) {
                turns[i].push(turn(rig, &sides[i], &question, &client, (at_ms, asks), &mut truth).await?);
            }
        }
        for (side, turns) in sides.iter().zip(turns) {
            let per_query = |cpu: fn(&Turn) -> Duration| {
                let ms = turns.iter().map(|t| cpu(t).as_secs_f64() * 1e3 / asks as f64);
                Figures::new(ms.collect())
            };
            figures.push(Turned {
                question: question.name,
                querier: side.querier,
                asked: asks * settings.rounds,
                cpu_ms: per_query(|t| t.cpu),
                stores_cpu_ms: per_query(|t| t.stores_cpu),
                latency_ms: Figures::new(turns.into_iter().flat_map(|t| t.latencies_ms).collect()),
            });
        }
    }
    Ok(figures)
}

async fn turn(
    rig: &Rig,
    side: &Side,
    question: &Question,
    client: &reqwest::Client,
    (at_ms, asks): (i64, usize),
    truth: &mut Option<Answer>,
) -> Result<Turn, Box<dyn Error>> {
    let before = used(rig, side);
    let mut turn = Turn::default();
    for _ in 0..asks {
        let (took, answer) = question.ask(client, &side.server.url(9090), at_ms).await?;
        turn.latencies_ms.push(took.as_secs_f64() * 1e3);
        agrees(side, question, answer, truth)?;
    }
    let after = used(rig, side);
    (turn.cpu, turn.stores_cpu) = (after.0 - before.0, after.1 - before.1);
    Ok(turn)
}

/// The first answer is the truth for all that follow.
fn agrees(
    side: &Side,
    question: &Question,
    answer: Answer,
    truth: &mut Option<Answer>,
) -> Result<(), Box<dyn Error>> {
    match truth {
        Some(truth) => same(&answer, truth, false).map_err(|why| {
            let why = why.replace("ours", "this").replace("theirs", "first");
            format!("{} differs from the first side: {}: {why}", side.querier, question.name).into()
        }),
        None => {
            *truth = Some(answer);
            Ok(())
        }
    }
}

/// Processor time used so far: by the querier, by all stores.
fn used(rig: &Rig, side: &Side) -> (Duration, Duration) {
    let stores = rig.stores.iter().map(|s| Usage::of(s.id()).cpu).sum();
    (Usage::of(side.server.id()).cpu, stores)
}

/// The first query by many clients at once.
///
/// # Errors
/// As [`all`].
pub(crate) async fn crowds(
    rig: &Rig,
    sides: &[Side],
    settings: &Settings,
) -> Result<Vec<Crowded>, Box<dyn Error>> {
    let [question, ..] = questions::all();
    let client = client();
    let mut turns: Vec<Vec<Turn>> = sides.iter().map(|_| Vec::new()).collect();
    for round in 0..settings.rounds {
        let at_ms = rig.end_ms - 1000 * round as i64;
        let (_, truth) = question.ask(&client, &sides[0].server.url(9090), at_ms).await?;
        for i in (0..sides.len()).map(|i| (i + round) % sides.len()) {
            let side = &sides[i];
            let before = used(rig, side);
            let end = Instant::now() + settings.crowd_turn;
            let one = || one_of_many(side, &question, &client, at_ms, &truth, end);
            let latencies_ms = try_join_all((0..CLIENTS).map(|_| one())).await?.concat();
            let after = used(rig, side);
            turns[i].push(Turn { latencies_ms, cpu: after.0 - before.0, stores_cpu: after.1 - before.1 });
        }
    }
    let seconds = settings.crowd_turn.as_secs_f64();
    let crowded = |(side, turns): (&Side, Vec<Turn>)| {
        let each = |f: &dyn Fn(&Turn, f64) -> f64| {
            Figures::new(turns.iter().map(|t| f(t, t.latencies_ms.len() as f64)).collect())
        };
        Crowded {
            querier: side.querier,
            rate: each(&|_, n| n / seconds),
            cpu_ms: each(&|t, n| t.cpu.as_secs_f64() * 1e3 / n),
            stores_cpu_ms: each(&|t, n| t.stores_cpu.as_secs_f64() * 1e3 / n),
            latency_ms: Figures::new(turns.iter().flat_map(|t| t.latencies_ms.iter().copied()).collect()),
        }
    };
    Ok(sides.iter().zip(turns).map(crowded).collect())
}

async fn one_of_many(
    side: &Side,
    question: &Question,
    client: &reqwest::Client,
    at_ms: i64,
    truth: &Answer,
    end: Instant,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut latencies_ms = Vec::new();
    while Instant::now() < end {
        let (took, answer) = question.ask(client, &side.server.url(9090), at_ms).await?;
        same(&answer, truth, false).map_err(|why| format!("{} in a crowd: {why}", side.querier))?;
        latencies_ms.push(took.as_secs_f64() * 1e3);
    }
    Ok(latencies_ms)
}
