use std::collections::BTreeMap;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::*;
use crate::querier::Answer;

/// Answers `quick` at once, `slow` after a second, `hang` never; keeps who was asked when.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<String>>,
}

impl Querier for Fake {
    fn instant(&self, query: &str, _: i64, _: Duration) -> BoxFuture<'static, Outcome> {
        self.asked.lock().push(query.to_owned());
        let lasts = match query.split(' ').next() {
            Some("slow") => Some(Duration::from_secs(1)),
            Some("hang") => None,
            _ => Some(Duration::ZERO),
        };
        async move {
            match lasts {
                Some(lasts) => tokio::time::sleep(lasts).await,
                None => std::future::pending().await,
            }
            Ok(Answer::default())
        }
        .boxed()
    }
}

fn queries(of: &str, what: &str, n: usize) -> Vec<(Owner, String)> {
    (0..n).map(|i| (of.into(), format!("{what} {i}"))).collect()
}

/// When each query was answered, milliseconds from now, and whether it was.
async fn outcomes(
    slots: &Slots,
    queries: Vec<(Owner, String)>,
    deadline_ms: u64,
) -> BTreeMap<String, (u128, bool)> {
    let began = Instant::now();
    let names: Vec<String> = queries.iter().map(|(owner, query)| format!("{owner} {query}")).collect();
    let batch = slots.instant_batch(0, queries, Duration::from_millis(deadline_ms));
    let told = batch.map(|(i, outcome)| (names[i].clone(), (began.elapsed().as_millis(), outcome.is_ok())));
    let told: Vec<_> = told.collect().await;
    assert_eq!(told.len(), names.len());
    told.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn whose_queries_hang_waits_for_himself() {
    let slots = Slots::new(Arc::new(Fake::default()));
    let mut all = queries("aslow", "hang", 32);
    all.extend(queries("web", "quick", 1));
    let told = outcomes(&slots, all, 2_000).await;
    assert_eq!(told["web quick 0"], (0, true));
    let hung: Vec<u128> = told
        .iter()
        .filter(|(n, _)| n.starts_with("aslow"))
        .map(|(_, (at, ok))| {
            assert!(!ok);
            *at
        })
        .collect();
    assert_eq!(hung.iter().filter(|at| **at == 2_000).count(), IN_FLIGHT_OF_ONE, "eight at a time");
    assert_eq!(hung.iter().max(), Some(&8_000), "each has a whole deadline from when it was sent");
}

#[tokio::test(start_paused = true)]
async fn hundreds_that_hang_leave_slots_for_the_others() {
    let slots = Slots::new(Arc::new(Fake::default()));
    // Fifteen owners cannot take all slots.
    let mut all: Vec<_> = (0..15).flat_map(|i| queries(&format!("a{i}"), "hang", 20)).collect();
    all.extend((0..100).flat_map(|i| queries(&format!("z{i}"), "quick", 2)));
    let told = outcomes(&slots, all, 2_000).await;
    let late: Vec<_> =
        told.iter().filter(|(name, (at, ok))| name.starts_with('z') && !(*ok && *at == 0)).collect();
    assert!(late.is_empty(), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_runs_from_sending_and_waiting_has_its_own_end() {
    let slots = Slots::new(Arc::new(Fake::default()));
    // Eight at a time, a second each: the last are sent after three seconds, with a deadline of 1.5.
    let told = outcomes(&slots, queries("a", "slow", 32), 1_500).await;
    assert!(told.values().all(|(_, ok)| *ok), "{told:?}");
    assert_eq!(told.values().map(|(at, _)| at).max(), Some(&4_000));
    let told = outcomes(&slots, queries("a", "hang", 100), 1_000).await;
    assert_eq!(told.values().map(|(at, _)| at).max(), Some(&4_000), "{told:?}");
    assert_eq!(told.values().filter(|(at, _)| *at < 4_000).count(), 3 * IN_FLIGHT_OF_ONE);
}

#[tokio::test(start_paused = true)]
async fn batches_share_the_slots_and_one_that_goes_away_gives_its_own_back() {
    let fake = Arc::new(Fake::default());
    let slots = Slots::new(fake.clone());
    let mut dropped = slots.instant_batch(0, queries("a", "hang", 20), Duration::from_secs(60));
    assert!(dropped.next().now_or_never().is_none());
    assert_eq!(fake.asked.lock().len(), IN_FLIGHT_OF_ONE);
    let mut waits = slots.instant_batch(0, queries("a", "quick", 1), Duration::from_secs(1));
    assert!(waits.next().now_or_never().is_none(), "of the same owner");
    drop(dropped);
    assert!(waits.next().await.unwrap().1.is_ok());
    drop(waits);
    let told = outcomes(&slots, queries("a", "quick", 50), 1_000).await;
    assert!(told.values().all(|told| *told == (0, true)));
}
