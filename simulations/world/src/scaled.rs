//! Who changed replicas, from what to what and exactly when: what a judge goes by, whatever anybody says of it.

use std::sync::Arc;

use http::Uri;
use parking_lot::Mutex;
use simulations_cluster::ApiServer;

/// One change of replicas that an API server took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaled {
    /// When the call was sent, in milliseconds since the world began.
    pub sent_ms: i64,
    /// When it was stored.
    pub at_ms: i64,
    /// Which of the world's clusters.
    pub cluster: usize,
    /// Whose call it was.
    pub actor: String,
    /// The object's name.
    pub name: String,
    /// Replicas ordered before.
    pub from: i32,
    /// Replicas ordered from then on.
    pub to: i32,
    /// Who held the world's lease when the call was sent, if anybody did.
    pub holder: Option<String>,
}

/// All changes of replicas in a world, in their order. Its clones are one journal.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// The lease whose holder is noted, in the namespace `default`.
    lease: Arc<str>,
    all: Arc<Mutex<Vec<Scaled>>>,
}

impl Journal {
    /// A journal that notes who holds this lease.
    pub(crate) fn beside(lease: &str) -> Self {
        Self { lease: lease.into(), all: Arc::default() }
    }

    /// What changed so far.
    pub fn all(&self) -> Vec<Scaled> {
        self.all.lock().clone()
    }

    pub(crate) fn push(&self, scaled: Scaled) {
        self.all.lock().push(scaled);
    }

    pub(crate) fn holder(&self, server: &ApiServer) -> Option<String> {
        let lease = server.object("leases.coordination.k8s.io", "default", &self.lease)?;
        let holder = lease.get("spec")?.get("holderIdentity")?.as_str()?;
        (!holder.is_empty()).then(|| holder.to_owned())
    }
}

/// An object with replicas, as a path names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalable {
    collection: String,
    namespace: String,
    pub(crate) name: String,
}

impl Scalable {
    /// What a call on this path may scale; `None`: it is about something else.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let segments: Vec<&str> = uri.path().split('/').filter(|s| !s.is_empty()).collect();
        let ["apis", group, _, "namespaces", namespace, plural, name, rest @ ..] = segments.as_slice() else {
            return None;
        };
        matches!(rest, [] | ["scale"]).then(|| Self {
            collection: format!("{plural}.{group}"),
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
        })
    }

    /// Replicas that are ordered; `None`: there is no such object, or it has none.
    pub(crate) fn replicas(&self, server: &ApiServer) -> Option<i32> {
        let object = server.object(&self.collection, &self.namespace, &self.name)?;
        i32::try_from(object.get("spec")?.get("replicas")?.as_i64()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_replicas_is_read_from_the_path() {
        for (path, expected) in [
            ("/apis/apps/v1/namespaces/a/deployments/web/scale?fieldManager=x", Some("deployments.apps")),
            ("/apis/apps/v1/namespaces/a/statefulsets/web", Some("statefulsets.apps")),
            ("/apis/apps/v1/namespaces/a/deployments/web/status", None),
            ("/apis/apps/v1/namespaces/a/deployments", None),
            ("/api/v1/namespaces/a/pods/web", None),
        ] {
            let found = Scalable::of(&path.parse().unwrap());
            assert_eq!(found.as_ref().map(|s| s.collection.as_str()), expected, "{path}");
            assert!(found.is_none_or(|s| (s.namespace.as_str(), s.name.as_str()) == ("a", "web")));
        }
    }
}
