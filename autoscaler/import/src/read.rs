//! One object of the input: read, and what stands for it in the answer.

use std::collections::{BTreeMap, BTreeSet};

use autoscaler_api::{Compatibility, Mode};

use crate::document::{Kind, Object};
use crate::draft::{Draft, Metric, Source};
use crate::field::At;
use crate::note::Note;
use crate::policy::{self, Judge};
use crate::render::{self, Section};
use crate::{hpa, keda, takeover};

/// How to import.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The mode of the policies; what its owner had paused is `Paused` in any case.
    pub mode: Mode,
    /// Whose rules decide; `None`: the policies' own, which are safer.
    pub compatibility: Option<Compatibility>,
    /// Whether to tell the steps of taking over.
    pub takeover: bool,
    /// Whether suggested metrics become metrics of the policies.
    pub take_suggestions: bool,
    /// Whether a text is PromQL.
    pub judge: Judge<'a>,
}

/// One object, read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) source: Source,
    pub(crate) draft: Option<Draft>,
    pub(crate) notes: Vec<Note>,
    /// Another object of the input has the same target.
    shared: bool,
}

impl Read {
    /// Reads one of all objects.
    pub(crate) fn of(object: &Object, all: &[Object]) -> Self {
        let at = At::root(&object.value);
        let text = |name: &str| at.field("metadata").and_then(|m| m.field(name)).and_then(|f| f.text());
        let kind = at.field("kind").and_then(|k| k.text()).unwrap_or_default();
        let source = Source {
            at: object.at.clone(),
            kind: kind.to_owned(),
            namespace: text("namespace").map(str::to_owned),
            name: text("name").unwrap_or_default().to_owned(),
        };
        let mut notes = Vec::new();
        let mut draft = None;
        let named = policy::is_object_name(&source.name)
            && source.namespace.as_deref().is_none_or(policy::is_object_name);
        if named {
            draft = match object.kind {
                Kind::Hpa => read_hpa(&at, &source, all, &mut notes),
                Kind::ScaledObject => keda::read(&at, source.namespace.clone(), &mut notes),
                Kind::Other(message, cure) => {
                    notes.push(Note::lost("kind", message, cure));
                    None
                }
            };
        } else {
            let message = "name or namespace is no name of an object";
            notes.push(Note::lost("metadata", message, "write lower-case letters, digits, - and ."));
        }
        Self { source, draft, notes, shared: false }
    }

    /// What stands for it in the answer.
    pub(crate) fn section(
        &mut self,
        names: &mut BTreeSet<(Option<String>, String)>,
        options: Options<'_>,
    ) -> Section {
        let mut section = Section {
            title: self.source.to_string(),
            notes: std::mem::take(&mut self.notes),
            policy: None,
            suggestions: Vec::new(),
            suggested_policy: None,
            steps: Vec::new(),
        };
        let Some(draft) = &self.draft else { return section };
        let mode = match options.mode {
            _ if draft.paused => Mode::Paused,
            // Two writers on one target would be refused.
            Mode::Active if self.shared => Mode::Shadow,
            mode => mode,
        };
        let mut metrics = draft.metrics.clone();
        if options.compatibility.is_some() {
            for metric in metrics.iter_mut().filter(|metric| metric.fallback.is_some()) {
                metric.fallback = None;
                let message = "compatibility: HPA has no fallbacks, as the HPA has none";
                section.notes.push(Note::lost(
                    metric.field.clone(),
                    message,
                    "import without --compatibility",
                ));
            }
        }
        let mut suggested: Vec<Metric> = Vec::new();
        for s in &draft.suggestions {
            if options.take_suggestions {
                let message = format!("the suggested query is taken, which needs {}", s.needs);
                section.notes.push(Note::guess(s.metric.field.clone(), message, "see that it gives a value"));
                metrics.push(s.metric.clone());
            } else if let [metric] =
                policy::fit(std::slice::from_ref(&s.metric), options.judge, &mut Vec::new()).as_slice()
            {
                section.suggestions.push((s.needs.clone(), render::metric(metric)));
                suggested.push(s.metric.clone());
            }
        }
        let name = own_name(&self.source, names, &mut section.notes);
        let write = |metrics: &[Metric], notes: &mut Vec<Note>| {
            let fits = policy::fit(metrics, options.judge, notes);
            if fits.is_empty() {
                return None;
            }
            policy::policy(&self.source, &name, draft, &fits, (mode, options.compatibility), notes)
        };
        section.policy = write(&metrics, &mut section.notes);
        if section.policy.is_none() {
            section.suggested_policy = write(&suggested, &mut Vec::new());
        }
        if section.policy.is_none() && section.suggested_policy.is_none() {
            section.notes.push(Note::lost(
                "spec",
                "no policy: no metric is left",
                "write a query for what it scales on",
            ));
        }
        let commented = section.policy.is_none();
        if options.takeover && (section.policy.is_some() || section.suggested_policy.is_some()) {
            section.steps = takeover::steps(&self.source, &name, draft, mode, commented);
        }
        section
    }
}

/// An HPA that KEDA made is told, and left to its ScaledObject.
fn read_hpa(at: &At<'_>, source: &Source, all: &[Object], notes: &mut Vec<Note>) -> Option<Draft> {
    let owner = hpa::keda_owner(at);
    let there = owner.is_some_and(|owner| {
        all.iter().filter(|o| o.kind == Kind::ScaledObject).any(|o| {
            let metadata = o.value.get("metadata");
            let text = |name: &str| metadata.and_then(|m| m.get(name)).and_then(|v| v.as_str());
            text("name") == Some(owner) && text("namespace") == source.namespace.as_deref()
        })
    });
    if there {
        let message = "KEDA made it from a ScaledObject that is imported too";
        notes.push(Note::differs("metadata.ownerReferences", message, "nothing is lost"));
        return None;
    }
    hpa::read(at, source.namespace.clone(), notes)
}

/// The object's own name, or one beside it where an HPA and a ScaledObject share one.
fn own_name(
    source: &Source,
    taken: &mut BTreeSet<(Option<String>, String)>,
    notes: &mut Vec<Note>,
) -> String {
    let mut name = source.name.clone();
    let mut n = 2;
    while !taken.insert((source.namespace.clone(), name.clone())) {
        let suffix = format!("-{n}");
        let room = 253usize.saturating_sub(suffix.len());
        name = format!("{}{suffix}", source.name.get(..room).unwrap_or(&source.name));
        n += 1;
    }
    if name != source.name {
        let message = format!("{} is another policy's name already, so this one is {name}", source.name);
        notes.push(Note::differs("metadata.name", message, "keep one of them"));
    }
    name
}

/// Tells objects whose target an earlier one has too.
pub(crate) fn tell_shared_targets(read: &mut [Read]) {
    let mut targets: BTreeMap<(Option<String>, String, String), String> = BTreeMap::new();
    for r in read {
        let Some(draft) = &r.draft else { continue };
        let key = (r.source.namespace.clone(), draft.target.kind.clone(), draft.target.name.clone());
        match targets.get(&key) {
            Some(first) => {
                r.shared = true;
                let message = format!("{} {} is scaled by {first} too", key.1, key.2);
                r.notes.push(Note::lost(
                    "spec.scaleTargetRef",
                    message,
                    "keep one, or put all metrics into one policy",
                ));
            }
            None => {
                targets.insert(key, r.source.to_string());
            }
        }
    }
}
