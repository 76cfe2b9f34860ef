//! Requests at even times, whatever the answers do, and each answer checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use peers::http::client;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Outcome;

/// Longer than an answer may take.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// Requests under way.
pub(crate) struct Load {
    rate: watch::Sender<f64>,
    told: Arc<Told>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Told {
    sent: AtomicU64,
    answered: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Load {
    /// Begins with `rate` requests a second.
    pub(crate) fn start(url: String, rate: f64) -> Self {
        let (rate, rates) = watch::channel(rate);
        let told = Arc::new(Told::default());
        let task = tokio::spawn(send(url, rates, told.clone()));
        Self { rate, told, task }
    }

    /// Changes the rate now, and says when that was.
    pub(crate) fn set(&self, rate: f64) -> Instant {
        let now = Instant::now();
        self.rate.send_replace(rate);
        now
    }

    /// Ends it: how many were sent, each answered as it should be.
    pub(crate) async fn stop(self) -> Outcome<u64> {
        self.task.abort();
        let start = Instant::now();
        let count = |n: &AtomicU64| n.load(Ordering::SeqCst);
        while count(&self.told.answered) < count(&self.told.sent) {
            if start.elapsed() > LAST_ANSWER {
                return Err("an answer never came".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let wrong = self.told.wrong.lock();
        match wrong.first() {
            None => Ok(count(&self.told.sent)),
            Some(first) => Err(format!("{} requests failed, the first: {first}", wrong.len()).into()),
        }
    }
}

async fn send(url: String, mut rates: watch::Receiver<f64>, told: Arc<Told>) {
    let client = client();
    let mut next = tokio::time::Instant::now();
    loop {
        let pause = Duration::from_secs_f64(1.0 / *rates.borrow_and_update());
        next += pause;
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            changed = rates.changed() => {
                if changed.is_err() {
                    return;
                }
                next = tokio::time::Instant::now();
                continue;
            }
        }
        told.sent.fetch_add(1, Ordering::SeqCst);
        let (request, told) = (client.get(&url).send(), told.clone());
        tokio::spawn(async move {
            if let Err(why) = answered(request.await).await {
                told.wrong.lock().push(why);
            }
            told.answered.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn answered(answer: reqwest::Result<reqwest::Response>) -> Result<(), String> {
    let answer = answer.map_err(|e| e.to_string())?;
    let (status, body) = (answer.status(), answer.text().await.map_err(|e| e.to_string())?);
    if status == 200 && body == "ok\n" { Ok(()) } else { Err(format!("{status}: {body:.100}")) }
}
