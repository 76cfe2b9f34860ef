//! What a decision is about: the workload that its policy scales, which rarely has the policy's name.

use std::fmt;

/// A workload of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) cluster: String,
    pub(crate) name: String,
    /// Empty where the record does not say it, or mixes several.
    pub(crate) kind: String,
}

impl Target {
    pub(crate) fn new(cluster: &str, kind: &str, name: &str) -> Self {
        Self { cluster: cluster.to_owned(), name: name.to_owned(), kind: kind.to_owned() }
    }

    /// Whether what is told of `other` is told of this too: a kind that is not said may be any.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.cluster == other.cluster
            && self.name == other.name
            && (self.kind.is_empty() || self.kind == other.kind)
    }

    /// `Deployment/web`, or the name alone.
    pub(crate) fn short(&self) -> String {
        if self.kind.is_empty() { self.name.clone() } else { format!("{}/{}", self.kind, self.name) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.as_str() {
            "" => write!(f, "{}/{}", self.cluster, self.name),
            kind => write!(f, "{}, {kind}/{}", self.cluster, self.name),
        }
    }
}

/// A policy; one name may be in several namespaces, and on several targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PolicyId {
    pub(crate) cluster: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// What it scales, where the record says so.
    pub(crate) target: Option<Target>,
}

impl PolicyId {
    pub(super) fn new(cluster: &str, namespace: &str, name: &str, (kind, target): (&str, &str)) -> Self {
        Self {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            target: (!target.is_empty()).then(|| Target::new(cluster, kind, target)),
        }
    }

    /// What its decisions are about.
    pub(crate) fn subject(&self) -> Subject {
        match &self.target {
            Some(target) => Subject::Workload(target.clone()),
            None => Subject::Policy(self.cluster.clone(), self.full_name()),
        }
    }

    /// With its namespace, where the record says it.
    pub(crate) fn full_name(&self) -> String {
        match self.namespace.as_str() {
            "" => self.name.clone(),
            namespace => format!("{namespace}/{}", self.name),
        }
    }
}

/// What there is something to tell of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Workload(Target),
    /// Cluster and name of a policy whose target the record does not name.
    Policy(String, String),
}

impl Subject {
    pub(crate) fn cluster(&self) -> &str {
        match self {
            Self::Workload(target) => &target.cluster,
            Self::Policy(cluster, _) => cluster,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(target) => target.fmt(f),
            Self::Policy(cluster, name) => write!(f, "{cluster}, policy {name}"),
        }
    }
}
