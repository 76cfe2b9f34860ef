//! HorizontalPodAutoscalers and KEDA ScaledObjects to ScalingPolicies, and what does not carry over.
//!
//! ```text
//!  files ─► document ─┬─► hpa  ─┐                           ┌─► policy ─► checked as an API server would
//!            objects  └─► keda ─┴─► Draft + Notes ─► import ┤
//!                                   + Suggestions           └─► takeover: steps ─► render: YAML and comments
//! ```
//!
//! Invariants:
//! - nothing is dropped in silence: a field that is not understood, or that a policy cannot do, is a [`Note`];
//! - every policy that comes out is one that `gauntlet autoscaler check` and the CRD take, and none of them writes
//!   beside the autoscaler that it came from unless somebody asks for that ([`Options::mode`]);
//! - no document panics, and none grows: lists, names, queries and comments have limits;
//! - a comment never becomes YAML that is in force, and credentials are never shown;
//! - this is pure: whether a text is PromQL is a function that the caller hands over.
//!
//! Modules in reading order: `document`, `note`, `field`; `draft`; `hpa`, `keda`, with `behavior`, `promql` and
//! `resource`; `read`, `servers`; `policy`, `takeover`, `render`.

mod behavior;
mod document;
mod draft;
mod field;
mod hpa;
mod keda;
mod note;
mod policy;
mod promql;
mod read;
mod render;
mod resource;
mod servers;
mod takeover;

use std::collections::BTreeSet;

use autoscaler_api::{Compatibility, Mode, ScalingPolicy};

use read::Read;
use render::Section;

pub use document::MAX_OBJECTS;
pub use note::{Note, NoteKind};
pub use policy::{Judge, QueryFacts};
pub use read::Options;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Import {
    /// Policies as YAML, with comments.
    pub text: String,
    /// The policies themselves.
    pub policies: Vec<ScalingPolicy>,
    /// Autoscalers that were found.
    pub objects: usize,
    /// Those of them that could be understood at all.
    pub understood: usize,
    /// Every note, in order.
    pub notes: Vec<Note>,
}

impl Import {
    /// Notes that somebody has to act on.
    #[must_use]
    pub fn open(&self) -> usize {
        self.notes.iter().filter(|note| note.kind.asks()).count()
    }
}

/// Imports files, each with the name that it is told by.
///
/// # Errors
/// One line that names the file: it is no YAML, or there is nothing to import.
pub fn import(files: &[(String, String)], options: Options<'_>) -> Result<Import, String> {
    let objects = document::objects(files)?;
    if objects.is_empty() {
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!(
            "{}: neither a HorizontalPodAutoscaler nor a ScaledObject; check the file's name, and kind and apiVersion",
            names.join(", ")
        ));
    }
    let mut read: Vec<Read> = objects.iter().map(|object| Read::of(object, &objects)).collect();
    let querier = servers::settle(&mut read);
    read::tell_shared_targets(&mut read);
    let mut names = BTreeSet::new();
    let sections: Vec<Section> = read.iter_mut().map(|r| r.section(&mut names, options)).collect();
    let head = head(&read, querier.as_deref(), options);
    Ok(Import {
        text: render::text(&head, &sections),
        policies: sections.iter().filter_map(|s| s.policy.clone()).collect(),
        objects: objects.len(),
        understood: read.iter().filter(|r| r.draft.is_some()).count(),
        notes: sections.into_iter().flat_map(|s| s.notes).collect(),
    })
}

/// What holds for all of them, told once.
fn head(read: &[Read], querier: Option<&str>, options: Options<'_>) -> Vec<String> {
    let any = |kind: &str| read.iter().any(|r| r.draft.is_some() && r.source.kind == kind);
    let (hpa, keda) = (any("HorizontalPodAutoscaler"), any("ScaledObject"));
    if !hpa && !keda {
        return Vec::new();
    }
    let mut lines = vec!["Written by gauntlet autoscaler import. What differs for all of these:".to_owned()];
    let mut tell = |line: &str| lines.push(format!("- {line}"));
    if options.mode == Mode::Shadow {
        tell(
            "mode is Shadow: a policy decides and shows, and writes nothing while the old autoscaler is there.",
        );
    }
    if options.compatibility == Some(Compatibility::Hpa) {
        tell(
            "compatibility is HPA: values are taken as they are, however old or incomplete, as the HPA takes them. \
             Without it, missing, stale and partial answers lower nothing.",
        );
    } else {
        tell(
            "Missing, stale and partial answers hold the replicas or raise them, and never lower them. Name in \
             evidence.clusters what a complete answer has, and set evidence.maxAge to a little over two scrape \
             intervals. Whoever wants the HPA's own answer to the letter imports with --compatibility=HPA.",
        );
    }
    if keda {
        tell(
            "KEDA's ignoreNullValues is true where it is left out: an empty answer, NaN and Inf were zero, and lowered. \
             Here they hold.",
        );
    }
    tell(
        "Where behavior is left out, the defaults are the HPA's: 300 s of stabilization down, 0 s up, tolerance 0.1, an \
         evaluation every 15 s. kube-controller-manager's --horizontal-pod-autoscaler-… flags may have changed them in \
         your cluster, and no object shows that: then write behavior and interval.",
    );
    tell(
        "A querier over several clusters sums them all: add the cluster's label to the queries that are about one, and \
         names such as namespace and pod are as your scrape configuration gives them.",
    );
    if let Some(querier) = querier {
        tell(&format!("The controller asks one querier: gauntlet autoscaler run --query-url={querier}"));
    }
    lines
}
