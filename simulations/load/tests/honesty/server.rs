//! A server that counts what reaches it, on threads of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http::Uri;

/// What the server does with a request.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// Answers after this long.
    Takes(Duration),
    /// Answers at once, except between these times after its start, when it answers nothing.
    Stalls(Duration, Duration),
}

/// Serves until its process ends.
pub(crate) struct Server {
    pub(crate) uri: Uri,
    answered: Arc<AtomicU64>,
    runtime: Option<tokio::runtime::Runtime>,
    listener: std::net::TcpListener,
}

impl Server {
    /// Listens; [`Server::start`] begins to answer, and a stall's clock.
    pub(crate) fn bind() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        Self { uri, answered: Arc::default(), runtime: Some(runtime), listener }
    }

    pub(crate) fn start(self, behaviour: Behaviour) -> Self {
        let started = Instant::now();
        let answered = self.answered.clone();
        let handler = move || {
            let answered = answered.clone();
            async move {
                match behaviour {
                    Behaviour::Takes(time) => tokio::time::sleep(time).await,
                    Behaviour::Stalls(from, to) if (from..to).contains(&started.elapsed()) => {
                        tokio::time::sleep_until((started + to).into()).await;
                    }
                    Behaviour::Stalls(..) => {}
                }
                answered.fetch_add(1, Relaxed);
                "ok\n"
            }
        };
        let router = Router::new().route("/", get(handler));
        let listener = self.listener.try_clone().unwrap();
        self.runtime.as_ref().unwrap().spawn(async move {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await
        });
        self
    }

    /// Requests answered since the last call.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.swap(0, Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Waiting for it is not allowed within a test's own executor.
        self.runtime.take().unwrap().shutdown_background();
    }
}
