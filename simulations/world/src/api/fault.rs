//! What can go wrong between a client and the API server, and how it is drawn.

use http::{Method, Uri};
use serde::{Deserialize, Serialize};
use simulations_kernel::{Stream, shrink, swarm};

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// One object is read.
    Get,
    /// Many are read.
    List,
    /// Changes are followed.
    Watch,
    /// One is made.
    Create,
    /// One is replaced.
    Update,
    /// One is changed.
    Patch,
    /// One is, or many are, deleted.
    Delete,
}

impl Verb {
    /// Whether nothing changes by it.
    pub fn only_reads(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// Which calls a fault is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    /// These verbs; all, if there are none.
    pub verbs: Vec<Verb>,
    /// This resource, with its subresource if that is meant (`leases`, `deployments/scale`); all, if it is empty.
    pub resource: String,
    /// This actor's calls; everybody's, if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

impl Scope {
    /// All calls.
    pub fn all() -> Self {
        Self::default()
    }

    /// Some verbs on a resource; "" for all resources.
    pub fn of(verbs: &[Verb], resource: &str) -> Self {
        Self { verbs: verbs.to_vec(), resource: resource.to_owned(), actor: None }
    }

    /// The same of one actor alone.
    #[must_use]
    pub fn by(self, actor: &str) -> Self {
        Self { actor: Some(actor.to_owned()), ..self }
    }

    pub(super) fn is_of(&self, actor: &str) -> bool {
        self.actor.as_deref().is_none_or(|wanted| wanted == actor)
    }

    pub(super) fn covers(&self, call: &Called) -> bool {
        (self.verbs.is_empty() || self.verbs.contains(&call.verb))
            && (self.resource.is_empty() || self.resource == call.resource)
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiFault {
    /// With which calls.
    pub scope: Scope,
    /// With how many of a thousand of these.
    pub permille: u64,
    /// What.
    pub kind: ApiFaultKind,
}

/// The kinds of what goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApiFaultKind {
    /// The call is refused and changes nothing.
    Refused {
        /// HTTP status: 409, 429, 500, 503.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after_s: Option<u32>,
    },
    /// There is no connection.
    Unreachable,
    /// No answer comes, and nothing changes.
    Hangs,
    /// What is asked for happens, and no answer comes.
    HangsAfter,
    /// What is asked for happens, and the answer is an error.
    FailsAfter {
        /// HTTP status, such as 500 or 504.
        status: u16,
    },
    /// The call reaches the server late.
    Late {
        /// Milliseconds.
        ms: u64,
    },
    /// A list is as it was some changes ago.
    StaleList {
        /// Revisions.
        behind: u64,
    },
    /// Watches end as this begins, and last no longer than this while it goes on.
    WatchCut {
        /// Milliseconds.
        every_ms: u64,
    },
    /// Watches tell of changes late.
    WatchLate {
        /// Milliseconds.
        ms: u64,
    },
    /// Watches tell of changes twice.
    WatchRepeats,
    /// Watches end with 410 Gone as this begins, and each that is begun meanwhile ends so after a time.
    WatchGone {
        /// Milliseconds.
        every_ms: u64,
    },
    /// No bookmarks come.
    NoBookmarks,
}

/// Every kind, and how it is drawn for an autoscaler.
pub const SOURCES: &[swarm::Source<ApiFault, ()>] = &[
    swarm::Source { name: "api-conflict", draw: |s, ()| refused(s, Scope::of(WRITES, ""), 409, false) },
    swarm::Source { name: "api-throttled", draw: |s, ()| refused(s, Scope::all(), 429, true) },
    swarm::Source { name: "api-error", draw: |s, ()| refused(s, Scope::all(), 500, false) },
    swarm::Source { name: "api-unavailable", draw: |s, ()| refused(s, Scope::all(), 503, false) },
    swarm::Source { name: "api-unreachable", draw: |s, ()| some(s, Scope::all(), ApiFaultKind::Unreachable) },
    swarm::Source { name: "api-hangs", draw: |s, ()| some(s, Scope::all(), ApiFaultKind::Hangs) },
    swarm::Source {
        name: "api-hangs-after",
        draw: |s, ()| some(s, Scope::of(WRITES, ""), ApiFaultKind::HangsAfter),
    },
    swarm::Source {
        name: "api-fails-after",
        draw: |s, ()| some(s, Scope::of(WRITES, ""), ApiFaultKind::FailsAfter { status: 504 }),
    },
    swarm::Source {
        name: "api-late",
        draw: |s, ()| {
            let ms = 10 + s.below(3000);
            some(s, Scope::all(), ApiFaultKind::Late { ms })
        },
    },
    swarm::Source {
        name: "lease-hangs",
        draw: |s, ()| some(s, Scope::of(&[], "leases"), ApiFaultKind::Hangs),
    },
    swarm::Source {
        name: "lease-refused",
        draw: |s, ()| refused(s, Scope::of(WRITES, "leases"), 500, false),
    },
    swarm::Source {
        name: "stale-list",
        draw: |s, ()| {
            let behind = 1 + s.below(50);
            some(s, Scope::of(&[Verb::List], ""), ApiFaultKind::StaleList { behind })
        },
    },
    swarm::Source {
        name: "watch-cut",
        draw: |s, ()| {
            let every_ms = 100 + s.below(10_000);
            some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::WatchCut { every_ms })
        },
    },
    swarm::Source {
        name: "watch-late",
        draw: |s, ()| {
            let ms = 100 + s.below(20_000);
            some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::WatchLate { ms })
        },
    },
    swarm::Source {
        name: "watch-repeats",
        draw: |s, ()| some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::WatchRepeats),
    },
    swarm::Source {
        name: "watch-gone",
        draw: |s, ()| {
            let every_ms = 100 + s.below(10_000);
            some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::WatchGone { every_ms })
        },
    },
    swarm::Source {
        name: "no-bookmarks",
        draw: |s, ()| some(s, Scope::of(&[Verb::Watch], ""), ApiFaultKind::NoBookmarks),
    },
];

const WRITES: &[Verb] = &[Verb::Create, Verb::Update, Verb::Patch, Verb::Delete];

fn some(stream: &mut Stream, scope: Scope, kind: ApiFaultKind) -> ApiFault {
    let permille = if stream.chance(0.3) { 1000 } else { 100 + stream.below(900) };
    ApiFault { scope, permille, kind }
}

fn refused(stream: &mut Stream, scope: Scope, status: u16, may_say_when: bool) -> ApiFault {
    let after = u32::try_from(1 + stream.below(10)).ok().filter(|_| may_say_when);
    let says = stream.chance(0.7);
    some(stream, scope, ApiFaultKind::Refused { status, retry_after_s: after.filter(|_| says) })
}

impl shrink::Kind for ApiFault {
    fn milder(&self) -> Vec<Self> {
        let with = |kind| Self { kind, ..self.clone() };
        let mut all = match &self.kind {
            ApiFaultKind::Late { ms } if *ms > 20 => vec![with(ApiFaultKind::Late { ms: ms / 2 })],
            ApiFaultKind::WatchLate { ms } if *ms > 200 => vec![with(ApiFaultKind::WatchLate { ms: ms / 2 })],
            ApiFaultKind::StaleList { behind } if *behind > 1 => {
                vec![with(ApiFaultKind::StaleList { behind: behind / 2 })]
            }
            _ => Vec::new(),
        };
        if self.permille > 200 {
            all.push(Self { permille: self.permille / 2, ..self.clone() });
        }
        all
    }
}

/// A call, as faults see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) verb: Verb,
    /// With its subresource, as `deployments/scale`.
    pub(super) resource: String,
}

impl Called {
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let segments: Vec<&str> = uri.path().split('/').filter(|s| !s.is_empty()).collect();
        let rest = match segments.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            other => other,
        };
        let rest = match rest {
            ["namespaces", _, rest @ ..] if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) => {
                rest
            }
            rest => rest,
        };
        let (resource, is_named) = match rest {
            [plural, _, subresource, ..] => (format!("{plural}/{subresource}"), true),
            [plural, _] => ((*plural).to_owned(), true),
            [plural] => ((*plural).to_owned(), false),
            [] => (String::new(), false),
        };
        let watches = || {
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
                .any(|(name, value)| name == "watch" && value != "false" && value != "0")
        };
        let verb = match *method {
            Method::GET if is_named => Verb::Get,
            Method::GET if watches() => Verb::Watch,
            Method::GET => Verb::List,
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::DELETE => Verb::Delete,
            _ => Verb::Patch,
        };
        Self { verb, resource }
    }
}
