//! A request that an endpoint is working on: how it went reaches the endpoint's load in any case.

use std::sync::Arc;

use proxy_core::classify::Eos;
use proxy_core::load::{Unanswered, Verdict, Waiting};

use tokio::time::Instant;

use super::route::{Endpoint, Route};
use crate::body::Held;

/// Until its response's head. Dropped before, its client left.
pub(crate) struct InUse<'a> {
    route: &'a Arc<Route>,
    waiting: Option<Waiting>,
}

impl<'a> InUse<'a> {
    pub(crate) fn start(route: &'a Arc<Route>, endpoint: &Endpoint) -> Self {
        Self { route, waiting: Some(endpoint.load.start(route.now_ns(), route.random())) }
    }

    /// The head came. `heard`: when the client last sent something of the request. What is returned also keeps
    /// `guards` until the response is over.
    pub(crate) fn answered(
        &mut self,
        eos: Option<Eos>,
        heard: Option<Instant>,
        guards: impl Send + Sync + 'static,
    ) -> Held {
        self.heard(heard);
        let verdict = eos.map_or(Some(Verdict::Good), Verdict::of_head);
        let streaming =
            self.waiting.take().and_then(|w| w.answered(verdict, self.route.now_ns(), self.route.random()));
        let route = self.route.clone();
        Held::telling(move |class| {
            if let Some(streaming) = streaming {
                streaming.over(Verdict::of(class), route.now_ns(), route.random());
            }
            drop(guards);
        })
    }

    /// It failed.
    pub(crate) fn unanswered(&mut self, how: Unanswered, heard: Option<Instant>) {
        self.heard(heard);
        if let Some(waiting) = self.waiting.take() {
            waiting.unanswered(how, self.route.now_ns(), self.route.random());
        }
    }

    fn heard(&mut self, heard: Option<Instant>) {
        if let (Some(waiting), Some(heard)) = (&mut self.waiting, heard) {
            let ago = u64::try_from(heard.elapsed().as_nanos()).unwrap_or(u64::MAX);
            waiting.heard(self.route.now_ns().saturating_sub(ago));
        }
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.unanswered(Unanswered::Canceled, None);
    }
}
