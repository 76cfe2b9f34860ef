//! Keeps one cluster's lease: reads, takes, renews, and gives it back at the end.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use thanos_telemetry::Shutdown;
use tokio::time::{Instant, timeout};

use super::share::{answered, ask, asked_by};
use super::{Election, Fence, Share, Step, Timing};
use crate::clock::{Clock, timestamp};
use crate::metrics::Calls;

/// The task that keeps one lease.
pub(crate) struct Elector {
    /// For logs.
    pub cluster: String,
    /// The cluster's API.
    pub client: Client,
    /// Where the lease lives.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are; unique per process.
    pub identity: String,
    /// How long things take.
    pub timing: Timing,
    /// What it opens.
    pub fence: Fence,
    /// What is known of the cluster's other leases.
    pub share: Arc<Share>,
    /// What is counted of calls.
    pub calls: Calls,
    /// What the lease is dated by.
    pub clock: Arc<dyn Clock>,
}

impl Elector {
    /// Runs until `stop`, then releases the lease so that a successor need not wait for it to expire.
    pub(crate) async fn run(self, stop: Shutdown) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut election = Election::new(self.identity.clone(), self.timing);
        let mut led = false;
        let mut failing = false;
        while !stop.is_started() {
            // Half of what renewing may take: after a call that hangs there is time for another one.
            match timeout(self.timing.renew / 2, self.attempt(&api, &mut election)).await {
                Ok(Ok(())) => failing = false,
                Ok(Err(error)) if !failing => {
                    failing = true;
                    tracing::warn!(cluster = self.cluster, %error, "lease could not be kept");
                }
                Err(_) if !failing => {
                    failing = true;
                    tracing::warn!(
                        cluster = self.cluster,
                        "lease could not be kept: the API server does not answer"
                    );
                }
                _ => {}
            }
            let leads = self.fence.holds(Instant::now());
            if leads != led {
                led = leads;
                let now = if leads { "leading" } else { "not leading" };
                tracing::info!(cluster = self.cluster, identity = self.identity, "{now}");
            }
            tokio::select! {
                biased;
                () = stop.started() => {}
                () = tokio::time::sleep(self.timing.retry) => {}
            }
        }
        let held = self.fence.holds(Instant::now()) || self.share.is_held(&self.name, &self.identity);
        self.fence.set(None);
        if !held {
            return;
        }
        let cause = match timeout(self.timing.retry, self.release(&api)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::info!(cluster = self.cluster, cause, "lease not released; it will expire");
    }

    /// One look and, if due, one write.
    async fn attempt(&self, api: &Api<Lease>, election: &mut Election) -> Result<(), kube::Error> {
        let current = self.call("get", api.get_opt(&self.name)).await?;
        let step = election.observe(current.as_ref(), Instant::now());
        self.share.saw(&self.name, current.as_ref(), &self.identity);
        if step == Step::Wait {
            // Lost to somebody else, or never had.
            self.fence.set(None);
            return match current {
                Some(lease) if election.is_kept(Instant::now()) => self.ask(api, lease).await,
                _ => Ok(()),
            };
        }
        let asked = current.as_ref().and_then(|lease| asked_by(lease, &self.identity));
        if asked.is_some() && step == Step::Renew && self.share.gives(&self.name, &self.identity) {
            return self.give(api).await;
        }
        self.share.takes(&self.name, &self.identity);
        let sent = Instant::now();
        let next = self.next(current.as_ref(), &step);
        let params = PostParams::default();
        let written = match current {
            None => self.call("create", api.create(&params, &next)).await,
            Some(_) => self.call("update", api.replace(&self.name, &params, &next)).await,
        };
        match written {
            Ok(_) => self.fence.set(Some(election.valid_until(sent))),
            // Somebody wrote in between; the next look tells who. A fence that is open closes by itself.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Asks for somebody else's lease, if that has most of them and we have less than our share.
    async fn ask(&self, api: &Api<Lease>, lease: Lease) -> Result<(), kube::Error> {
        if !self.share.asks(&self.name, &self.identity) {
            return Ok(());
        }
        let asked = ask(lease, &self.identity);
        match self.call("update", api.replace(&self.name, &PostParams::default(), &asked)).await {
            // Its holder wrote in between, as it does every second; there is a next time.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            done => done.map(drop),
        }
    }

    /// Lets the right to act end, and what was under way arrive; then gives the lease back, for who asked.
    async fn give(&self, api: &Api<Lease>) -> Result<(), kube::Error> {
        let now = Instant::now();
        let is_open = self.fence.holds(now);
        if is_open || self.fence.closed_for(now).is_some_and(|closed| closed < self.timing.retry) {
            return Ok(());
        }
        match self.call("update", self.release(api)).await {
            // Somebody wrote in between.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                tracing::info!(cluster = self.cluster, lease = self.name, "given away");
                Ok(())
            }
        }
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> kube::Result<T> {
        let began = Instant::now();
        let done = call.await;
        let code = match &done {
            Ok(_) => 200,
            Err(kube::Error::Api(status)) => status.code,
            Err(_) => 0,
        };
        self.calls.count(&self.cluster, verb, "leases", code, began.elapsed());
        done
    }

    fn next(&self, current: Option<&Lease>, step: &Step) -> Lease {
        let now = MicroTime(timestamp(self.clock.wall_ms()));
        let old = current.and_then(|l| l.spec.clone()).unwrap_or_default();
        let acquired = *step == Step::Acquire;
        let changed_hands = acquired && old.holder_identity.as_deref().is_some_and(|h| !h.is_empty());
        let metadata = current.map_or_else(
            || ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            |l| answered(l.clone()).metadata,
        );
        let seconds = self.timing.lease_seconds();
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(seconds),
                acquire_time: if acquired { Some(now.clone()) } else { old.acquire_time },
                renew_time: Some(now),
                lease_transitions: Some(
                    old.lease_transitions.unwrap_or(0).saturating_add(i32::from(changed_hands)),
                ),
                ..old
            }),
        }
    }

    async fn release(&self, api: &Api<Lease>) -> Result<(), kube::Error> {
        let Some(mut lease) = api.get_opt(&self.name).await? else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(());
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(timestamp(self.clock.wall_ms())));
        api.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
    }
}
