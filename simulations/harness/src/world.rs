//! The clusters of a run: started, filled with the manifests, and waited for.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use http::Uri;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use simulations_cluster::{Cluster, ClusterConfig, Dns, Zone, preflight, write_kubeconfig};
use simulations_scenario::platform::{RING, RING_NAMESPACE, RING_REPLICAS, SERVICES_NAMESPACE};
use simulations_scenario::{FaultKind, Lane, Loaded, Part, PolicyDocument};

use crate::link::{Cut, Links};
use crate::{manifests, needs};

/// Long enough for a busy two-core machine to start every first pod, beside what the pods take themselves.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// What the controller calls its Lease unless told.
const LEASE: &str = "gauntlet-autoscaler";

/// All of it, whatever an API server does not answer.
const FILLED_WITHIN: Duration = Duration::from_mins(5);

/// One call to an API server.
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// Running clusters.
#[derive(Debug)]
pub struct World {
    clusters: Vec<Cluster>,
    dns: Dns,
    /// Only where the scenario cuts them.
    links: Option<Links>,
    kubeconfig: PathBuf,
    /// What scales the services, from the beginning of the load on.
    policies: String,
}

impl World {
    /// Starts a scenario's clusters under `dir`; pods run `program`. The first cluster also holds the querier
    /// and the controller. `tell` hears what is being waited for.
    ///
    /// # Errors
    /// A cluster could not start, or a workload was not ready in time; the error has the end of its log.
    pub async fn start(
        dir: &Path,
        program: &Path,
        loaded: &Loaded,
        tell: &(dyn Fn(&str) + Sync),
    ) -> anyhow::Result<Self> {
        let needs = needs::of(&loaded.scenario, dir);
        let found = tokio::task::spawn_blocking(move || preflight::findings(&needs)).await?;
        preflight::refuse(&found)?;
        found.iter().for_each(|warning| tell(&format!("warning: {warning}")));
        let mut clusters = Vec::new();
        for name in &loaded.scenario.clusters {
            tell(&format!("starting cluster {name}"));
            let mut config = ClusterConfig::new(name, dir.join(name)).program("gauntlet", program);
            // Which pods there are, and so which one a fault hits, is the seed's.
            config.seed = Some(loaded.scenario.seed);
            clusters.push(Cluster::start(config).await.with_context(|| format!("cluster {name}"))?);
        }
        Self::start_in(clusters, dir, loaded, tell).await
    }

    /// As [`World::start`], in clusters that run already and have the scenario's names; those may be real ones
    /// with a node of ours ([`Cluster::attach`]), where `partition` is not possible.
    ///
    /// # Errors
    /// A workload was not ready in time; the error has the end of its log.
    pub async fn start_in(
        clusters: Vec<Cluster>,
        dir: &Path,
        loaded: &Loaded,
        tell: &(dyn Fn(&str) + Sync),
    ) -> anyhow::Result<Self> {
        let kubeconfig = dir.join("kubeconfig");
        let first = clusters.first().ok_or_else(|| anyhow!("a world has at least one cluster"))?;
        let links = if loaded.scenario.faults.iter().any(|f| f.kind == FaultKind::Partition) {
            Some(Links::start(&clusters).await?)
        } else {
            None
        };
        tell_kubeconfigs(&clusters, &kubeconfig, links.as_ref())?;
        // Only pods of the first cluster ask for names, so that its view is everybody's.
        let zone = |c: &Cluster| {
            let route = links.as_ref().and_then(|links| links.route(first.name(), c.name()));
            let zone = Zone::new(c.domain(), c.client());
            match route {
                Some(route) => zone.through(route),
                None => zone,
            }
        };
        let dns = Dns::serve(first.dns_addr(), clusters.iter().map(zone).collect()).await?;
        let others: Vec<_> = loaded.policies.iter().filter(|p| p.target != RING).collect();
        let world = Self { clusters, dns, links, kubeconfig, policies: documents(&others) };
        let filled = tokio::time::timeout(FILLED_WITHIN, world.fill(loaded, tell)).await;
        if let Err(e) = filled.unwrap_or_else(|_| Err(anyhow!("not all was there after {FILLED_WITHIN:?}"))) {
            let logs = world.logs_of_the_unready().await;
            world.stop().await;
            return Err(e.context(logs));
        }
        Ok(world)
    }

    async fn fill(&self, loaded: &Loaded, tell: &(dyn Fn(&str) + Sync)) -> anyhow::Result<()> {
        let services = manifests::services(&loaded.scenario);
        let ring: Vec<_> = loaded.policies.iter().filter(|p| p.target == RING).collect();
        let ring = documents(&ring);
        let crd = autoscaler_api::crd_yaml().map_err(|e| anyhow!(e))?;
        for cluster in &self.clusters {
            cluster.apply_yaml(manifests::NAMESPACES).await.context("namespaces.yaml")?;
            cluster.apply_yaml(&crd).await.context("the ScalingPolicy definition")?;
            for (namespace, rbac) in manifests::rbac() {
                cluster.apply_yaml_in(namespace, &rbac).await.context("rbac.yaml")?;
            }
            cluster.apply_yaml(manifests::MESH).await.context("mesh.yaml")?;
        }
        for (i, cluster) in self.clusters.iter().enumerate() {
            tell(&format!("{}: the mesh", cluster.name()));
            self.wait_ready(cluster, "mesh", "destination", 1).await?;
            let destination = pods(cluster, "mesh", "destination")
                .await?
                .into_iter()
                .find_map(|p| p.status?.pod_ip)
                .ok_or_else(|| anyhow!("the destination pod has no address"))?;
            let fill = |text: &str| {
                text.replace("${CLUSTER}", cluster.name())
                    .replace("${DESTINATION}", &destination)
                    .replace("${DNS}", &self.dns.addr().to_string())
            };
            cluster.apply_yaml(&fill(manifests::METRICS)).await.context("metrics.yaml")?;
            cluster.apply_yaml(&fill(&services)).await.context("services")?;
            cluster.apply_yaml(&fill(&ring)).await.context("the ring's policy")?;
            if i == 0 {
                cluster
                    .apply_yaml(&fill(&manifests::global(&loaded.scenario)))
                    .await
                    .context("global.yaml")?;
            }
        }
        for (i, cluster) in self.clusters.iter().enumerate() {
            tell(&format!("{}: metrics plane and services", cluster.name()));
            if i == 0 {
                self.wait_ready(cluster, "monitoring", "query", 1).await?;
                self.wait_ready(cluster, "gauntlet-system", "autoscaler", loaded.scenario.controllers.into())
                    .await?;
            }
            self.wait_ready(cluster, "monitoring", "scrape", 1).await?;
            for (name, service) in &loaded.scenario.services {
                let patience = READY_WITHIN + service.start_up.unwrap_or_default();
                self.wait_ready_for(cluster, SERVICES_NAMESPACE, name, service.replicas.into(), patience)
                    .await?;
            }
        }
        // Receive is ready once the controller has written the ring.
        for cluster in &self.clusters {
            tell(&format!("{}: the receive ring", cluster.name()));
            self.wait_ready(cluster, RING_NAMESPACE, RING, RING_REPLICAS.into()).await?;
        }
        Ok(())
    }

    async fn wait_ready(&self, cluster: &Cluster, ns: &str, app: &str, want: usize) -> anyhow::Result<()> {
        self.wait_ready_for(cluster, ns, app, want, READY_WITHIN).await
    }

    async fn wait_ready_for(
        &self,
        cluster: &Cluster,
        ns: &str,
        app: &str,
        want: usize,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let ready = pods(cluster, ns, app).await?.iter().filter(|p| is_ready(p)).count();
            // The workload's own status follows its pods by a moment, and is what the run will be judged by.
            if ready >= want && told_ready(cluster, ns, app).await? >= want {
                return Ok(());
            }
            if started.elapsed() > patience {
                bail!("{}: {ready} of {want} pods of {ns}/{app} ready after {patience:?}", cluster.name());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The last log lines of containers in pods that are not ready, for an error that explains itself.
    async fn logs_of_the_unready(&self) -> String {
        let mut text = String::from("a workload did not become ready; the logs of those that are not:");
        for cluster in &self.clusters {
            let all: Api<Pod> = Api::all(cluster.client());
            let Ok(list) = answered(all.list(&ListParams::default())).await else { continue };
            for pod in list.items.iter().filter(|p| !is_ready(p)) {
                let (ns, name) = names(pod);
                for container in pod.spec.iter().flat_map(|s| &s.containers) {
                    let params = LogParams {
                        container: Some(container.name.clone()),
                        tail_lines: Some(5),
                        ..LogParams::default()
                    };
                    let api: Api<Pod> = Api::namespaced(cluster.client(), &ns);
                    let log =
                        answered(api.logs(&name, &params)).await.unwrap_or_else(|e| format!("(no log: {e})"));
                    text.push_str(&format!("\n--- {}/{ns}/{name}/{}\n{log}", cluster.name(), container.name));
                }
            }
        }
        text
    }

    /// Applies the policies that scale services: not before the load begins, so that nothing is scaled on nothing.
    ///
    /// # Errors
    /// An API server refused them, or did not answer.
    pub async fn apply_policies(&self) -> anyhow::Result<()> {
        let apply = async |cluster: &Cluster| {
            let text = self.policies.replace("${CLUSTER}", cluster.name());
            answered_within(cluster.apply_yaml(&text)).await
        };
        if !self.policies.is_empty() {
            futures::future::try_join_all(self.clusters.iter().map(apply)).await.context("policies")?;
        }
        Ok(())
    }

    /// In the order given.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// One by name.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|c| c.name() == name)
    }

    /// Cuts a cluster off from the others until the result is dropped.
    ///
    /// # Errors
    /// The world was started without links.
    pub fn cut(&self, cluster: &str, lanes: &[Lane]) -> anyhow::Result<Cut> {
        let links = self.links.as_ref().ok_or_else(|| anyhow!("this world has no links to cut"))?;
        Ok(links.cut(cluster, lanes))
    }

    /// A context for every cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where the ready pods of a service take requests: at their sidecars.
    ///
    /// # Errors
    /// The API server did not answer.
    pub async fn targets(&self, cluster: &Cluster, service: &str) -> anyhow::Result<Vec<Uri>> {
        let ready = pods(cluster, "default", service).await?;
        let uri = |p: &Pod| format!("http://{}:4143/", p.status.as_ref()?.pod_ip.as_ref()?).parse().ok();
        Ok(ready.iter().filter(|p| is_ready(p)).filter_map(uri).collect())
    }

    /// The querier's address.
    ///
    /// # Errors
    /// There is none.
    pub async fn query_url(&self) -> anyhow::Result<String> {
        let first = self.clusters.first().ok_or_else(|| anyhow!("no cluster"))?;
        let ip: Option<IpAddr> = pods(first, "monitoring", "query")
            .await?
            .into_iter()
            .filter(is_ready)
            .find_map(|p| p.status?.pod_ip?.parse().ok());
        Ok(format!("http://{}:9090", ip.ok_or_else(|| anyhow!("no querier is ready"))?))
    }

    /// Ends every process as if the power went: nothing of it is looked at any more.
    pub async fn stop(self) {
        // First, as it watches the API servers.
        drop(self.dns);
        futures::future::join_all(self.clusters.into_iter().map(|c| c.stop_at_once(&[]))).await;
    }

    /// Asks every process to end, so that what it writes is whole.
    pub async fn stop_politely(self) {
        drop(self.dns);
        futures::future::join_all(self.clusters.into_iter().map(Cluster::stop)).await;
    }
}

/// Pods see every cluster, their own as the current one and the others through links; who works with the world from
/// outside sees all as they are.
fn tell_kubeconfigs(clusters: &[Cluster], outside: &Path, links: Option<&Links>) -> anyhow::Result<()> {
    let write = |path: &Path, from: &str, links: Option<&Links>| {
        let url = |to: &Cluster| match links.and_then(|links| links.api_url(from, to.name())) {
            Some(url) => url.to_owned(),
            None => to.api_url(),
        };
        let urls: Vec<(&str, String)> = clusters.iter().map(|c| (c.name(), url(c))).collect();
        let urls: Vec<(&str, &str)> = urls.iter().map(|(name, url)| (*name, url.as_str())).collect();
        write_kubeconfig(path, &urls, from).with_context(|| format!("cannot write {}", path.display()))
    };
    write(outside, clusters.first().map_or("", Cluster::name), None)?;
    // In a real cluster every pod has its own.
    let own = |c: &&Cluster| !c.is_attached();
    clusters.iter().filter(own).try_for_each(|c| write(&c.kubeconfig_path(), c.name(), links))
}

/// An API server's answer, within its time.
async fn answered<T>(call: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
    answered_within(async { Ok(call.await?) }).await
}

async fn answered_within<T>(call: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let answer = tokio::time::timeout(CALL_WITHIN, call).await;
    answer.with_context(|| format!("the API server gave no answer within {CALL_WITHIN:?}"))?
}

/// Pods with the label `app`, by name.
///
/// # Errors
/// The API server did not answer.
pub async fn pods(cluster: &Cluster, ns: &str, app: &str) -> anyhow::Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(cluster.client(), ns);
    let mut list = answered(api.list(&ListParams::default().labels(&format!("app={app}")))).await?.items;
    list.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    Ok(list)
}

/// The pods that a fault may hit, the first first: those in which the container runs; of controllers, the one that
/// leads `cluster`; ready ones before others, older before younger.
///
/// # Errors
/// The API server did not answer.
pub async fn victims(cluster: &Cluster, part: &Part) -> anyhow::Result<Vec<String>> {
    let Part { namespace, app, container } = part;
    let running = cluster.running(namespace, container);
    let place = |pod: &Pod| running.iter().position(|name| *name == names(pod).1);
    let mut all = pods(cluster, namespace, app).await?;
    all.retain(|pod| place(pod).is_some());
    all.sort_by_key(|pod| (!is_ready(pod), place(pod)));
    let leases: Api<Lease> = Api::namespaced(cluster.client(), namespace);
    let lease = if app == "autoscaler" { answered(leases.get_opt(LEASE)).await? } else { None };
    let holder = lease.and_then(|l| l.spec?.holder_identity);
    let all = all.iter().map(|p| names(p).1).collect();
    Ok(leader_first(all, holder.as_deref().unwrap_or_default()))
}

/// A holder is named `POD_…`; a pod's name has no underscore.
fn leader_first(mut pods: Vec<String>, holder: &str) -> Vec<String> {
    let leader = holder.split('_').next().unwrap_or_default();
    // Stable, so that the others stay in their order.
    pods.sort_by_key(|p| p != leader);
    pods
}

/// Documents as one text.
fn documents(policies: &[&PolicyDocument]) -> String {
    policies.iter().map(|p| p.yaml.as_str()).collect::<Vec<_>>().join("\n---\n")
}

/// Ready replicas by the status of the Deployment or StatefulSet of that name.
async fn told_ready(cluster: &Cluster, ns: &str, name: &str) -> anyhow::Result<usize> {
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), ns);
    let ready = match answered(deployments.get_opt(name)).await? {
        Some(d) => d.status.and_then(|s| s.ready_replicas),
        None => {
            let sets: Api<StatefulSet> = Api::namespaced(cluster.client(), ns);
            answered(sets.get_opt(name)).await?.and_then(|s| s.status?.ready_replicas)
        }
    };
    Ok(usize::try_from(ready.unwrap_or(0)).unwrap_or(0))
}

/// Whether a pod takes traffic: Ready and not on its way out.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// Namespace and name.
pub fn names(pod: &Pod) -> (String, String) {
    (pod.metadata.namespace.clone().unwrap_or_default(), pod.metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_controllers_the_one_that_leads_is_hit() {
        let pods =
            || vec!["autoscaler-1-c".to_owned(), "autoscaler-1-a".to_owned(), "autoscaler-1-b".to_owned()];
        let first = |holder: &str| leader_first(pods(), holder);
        assert_eq!(
            first("autoscaler-1-b_812_17ab_east"),
            ["autoscaler-1-b", "autoscaler-1-c", "autoscaler-1-a"]
        );
        // A lease that is free, or whose holder is gone.
        assert_eq!(first(""), pods());
        assert_eq!(first("autoscaler-1-d_812_17ab_east"), pods());
        assert_eq!(leader_first(vec![], "autoscaler-1-b_812_17ab_east"), [""; 0]);
    }
}
