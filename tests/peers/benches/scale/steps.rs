//! Steps of the load, and when each row had followed.

use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};

use crate::Outcome;
use crate::bed::{Bed, ask};
use crate::rows::{Kind, QUERY, RATES, REPLICAS, TARGET};

/// After this the window of the query, a scrape and the way of its samples lie behind a change of the rate.
const SETTLED: Duration = Duration::from_secs(7);
/// Enough for a controller that was started again to have decided at least once.
const WARM: Duration = Duration::from_millis(2500);
/// How often the bound asks.
const OFTEN: Duration = Duration::from_millis(20);
/// The HPA's tolerance, and ours.
const TOLERANCE: f64 = 0.1;

/// When one row had followed one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Followed {
    /// More replicas than before.
    pub(crate) first: Duration,
    /// As many as the load needs.
    pub(crate) full: Duration,
    /// After the load had gone again, as many as before.
    pub(crate) back: Option<Duration>,
}

/// Of all steps: what each row did, and the bound.
pub(crate) struct Taken {
    pub(crate) seed: u64,
    /// Longest pause before a change of the load.
    pub(crate) period: Duration,
    pub(crate) rows: Vec<(Kind, Vec<Followed>)>,
    pub(crate) bound: Vec<Followed>,
}

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    /// Up to `most`, evenly.
    fn up_to(&mut self, most: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        most.mul_f64(((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Takes steps, one more than asked for: the first finds everything cold and is not counted.
pub(crate) async fn take(bed: &mut Bed, steps: usize, seed: u64) -> Outcome<Taken> {
    let slow = bed.rows.iter().any(|row| row.kind == Kind::C);
    let period = Duration::from_secs(if slow { 15 } else { 1 });
    let rows = bed.rows.iter().map(|row| (row.kind, Vec::new())).collect();
    let mut taken = Taken { seed, period, rows, bound: Vec::new() };
    let mut dice = Dice(seed);
    tokio::time::sleep(SETTLED).await;
    for step in 0..=steps {
        let waits: Vec<_> = bed.rows.iter().map(|_| dice.up_to(Duration::from_secs(1))).collect();
        join_all(bed.rows.iter_mut().zip(waits).map(|(row, wait)| row.again(wait))).await;
        tokio::time::sleep(WARM + dice.up_to(period)).await;
        let (followed, bound) = take_one(bed, dice.up_to(period)).await?;
        if step > 0 {
            taken.rows.iter_mut().zip(followed).for_each(|((_, all), one)| all.push(one));
            taken.bound.extend(bound);
        }
    }
    Ok(taken)
}

/// Up, and down again after a pause.
async fn take_one(bed: &Bed, pause: Duration) -> Outcome<(Vec<Followed>, Option<Followed>)> {
    let load = bed.load.as_ref().ok_or("no load")?;
    all_at(bed, REPLICAS.0)?;
    let start = load.set(RATES.1);
    let (bound, _) = futures::try_join!(bound(bed, start), reach(bed, REPLICAS.1))?;
    tokio::time::sleep(SETTLED.saturating_sub(start.elapsed()) + pause).await;
    all_at(bed, REPLICAS.1)?;
    let mut followed =
        bed.rows.iter().map(|row| up(&row.watched.since(start))).collect::<Outcome<Vec<_>>>()?;

    let start = load.set(RATES.0);
    reach(bed, REPLICAS.0).await?;
    tokio::time::sleep(SETTLED.saturating_sub(start.elapsed())).await;
    all_at(bed, REPLICAS.0)?;
    for (one, row) in followed.iter_mut().zip(&bed.rows) {
        one.back = row.watched.since(start).into_iter().find(|(_, n)| *n == REPLICAS.0).map(|(at, _)| at);
    }
    Ok((followed, bound))
}

async fn reach(bed: &Bed, replicas: i32) -> Outcome<()> {
    try_join_all(bed.rows.iter().map(|row| row.watched.reaches(replicas))).await?;
    Ok(())
}

/// Every row has come to the same for the same load.
fn all_at(bed: &Bed, replicas: i32) -> Outcome<()> {
    let others = bed.rows.iter().map(|row| (row.kind, row.watched.newest())).filter(|(_, n)| *n != replicas);
    let others: Vec<_> = others.collect();
    if others.is_empty() { Ok(()) } else { Err(format!("not at {replicas} replicas: {others:?}").into()) }
}

fn up(changes: &[(Duration, i32)]) -> Outcome<Followed> {
    let first = changes.iter().find(|(_, n)| *n > REPLICAS.0);
    let full = changes.iter().find(|(_, n)| *n == REPLICAS.1);
    let over = changes.iter().any(|(_, n)| *n > REPLICAS.1);
    match (first, full) {
        (Some((first, _)), Some((full, _))) if !over => {
            Ok(Followed { first: *first, full: *full, back: None })
        }
        _ => Err(format!("not from {} to {} replicas: {changes:?}", REPLICAS.0, REPLICAS.1).into()),
    }
}

/// Decides as the rows do, but always and at once, by what Prometheus has.
async fn bound(bed: &Bed, start: Instant) -> Outcome<Option<Followed>> {
    let Some(prometheus) = &bed.prometheus else { return Ok(None) };
    let (client, url) = (peers::http::client(), prometheus.url(9090));
    let (mut replicas, mut first) = (f64::from(REPLICAS.0), None);
    while start.elapsed() < SETTLED {
        let value = ask(&client, &url, QUERY).await?;
        if value / (replicas * TARGET) > 1.0 + TOLERANCE {
            replicas = (value / TARGET).ceil();
            let now = start.elapsed();
            let first = *first.get_or_insert(now);
            if replicas >= f64::from(REPLICAS.1) {
                return Ok(Some(Followed { first, full: now, back: None }));
            }
        }
        tokio::time::sleep(OFTEN).await;
    }
    Err(format!("Prometheus never saw what {} replicas are for", REPLICAS.1).into())
}
