//! The seam to the decision core: the only module that knows what a decision is made of.
//!
//! It turns a [`Decision`] into words that the others use. What is only worth having when a status is written is
//! made then.

use std::time::Duration;

use autoscaler_api::MetricStatus;
use autoscaler_api::conditions::types;
use autoscaler_core::{
    Cause, ConditionType, Decision, Doubt, FailureKind, Float, History, Input, MetricKind, Mode, Observation,
    Reading, Record, Samples, SelectorSamples, Verdict, Wish, canonical_json, decide,
};
use sha2::{Digest as _, Sha256};

use crate::effect;
use crate::hash::Digest;
use crate::objects::Name;
use crate::ring::arrange::Wanted;
use crate::said::Said;
use crate::text::{CAUSE_MAX, MESSAGE_MAX, WARNING_MAX, clip, some_of};
use crate::usages::Usage;

/// Most warnings of one metric in a status.
const WARNINGS_MAX: usize = 2;

/// A decision, understood.
#[derive(Debug)]
pub(crate) struct Judged {
    decision: Decision,
    /// For a ring: what is wanted, and whether that is known at all.
    pub wanted: Wanted,
    /// What kept it from being what the metrics ask for, in words.
    pub limits: Vec<String>,
}

impl Judged {
    /// Decides.
    pub(crate) fn new(input: &Input) -> Self {
        let decision = decide(input);
        let is_paused = input.policy.mode == Mode::Paused || input.policy.pause.replicas.is_some();
        let wanted = match (decision.write, decision.wish(input.scale.spec_replicas)) {
            (Some(replicas), _) => Wanted::Replicas(replicas),
            // Who is paused wants what is there; an earlier wish is void.
            (None, Wish::Hold) if !is_paused => Wanted::Held,
            (None, _) => Wanted::Present,
        };
        let mut limits: Vec<String> =
            decision.limits.iter().map(|l| format!("{} {}→{}", l.kind, l.from, l.to)).collect();
        // A hold without any number to cut has no limit of its own, but is one to a reader.
        if limits.is_empty()
            && let Some(kind) = decision.limited_by()
        {
            limits.push(kind.to_string());
        }
        Self { decision, wanted, limits }
    }

    /// Somebody switched scaling off, or the policy contradicts itself: it does not act.
    pub(crate) fn is_switched_off(&self) -> bool {
        matches!(self.decision.cause, Cause::Disabled | Cause::Invalid(_))
    }

    pub(crate) fn desired(&self) -> i32 {
        self.decision.desired_replicas
    }

    pub(crate) fn write(&self) -> Option<i32> {
        self.decision.write
    }

    /// Why, in a sentence.
    pub(crate) fn cause(&self, input: &Input) -> String {
        clip(&self.decision.cause(input), CAUSE_MAX)
    }

    /// Why no metric gave a number, if none did.
    pub(crate) fn uncomputed(&self, input: &Input) -> Option<String> {
        self.decision.failed_to_compute().then(|| self.cause(input))
    }

    /// The decision's conditions.
    pub(crate) fn said(&self, input: &Input) -> Vec<Said> {
        let said = |c: autoscaler_core::Condition| {
            let kind = match c.kind {
                ConditionType::AbleToScale => types::ABLE_TO_SCALE,
                ConditionType::ScalingActive => types::SCALING_ACTIVE,
                ConditionType::ScalingLimited => types::SCALING_LIMITED,
                ConditionType::EvidenceSufficient => types::EVIDENCE_SUFFICIENT,
            };
            Said::new(kind, c.status, c.reason, c.message)
        };
        self.decision.conditions(input).into_iter().map(said).collect()
    }

    /// In one word, before anything is written.
    pub(crate) fn became(&self, mode: Mode, current: i32) -> effect::Became {
        match mode {
            Mode::Paused => effect::Became::Paused,
            _ if self.desired() == current => effect::Became::Hold,
            Mode::Shadow => effect::Became::Shadow,
            Mode::Active => effect::Became::Waiting,
        }
    }

    /// Why, and what limited it, from closed sets.
    pub(crate) fn codes(&self, input: &Input) -> (String, String) {
        let limited_by = self.decision.limited_by().map(|kind| kind.to_string()).unwrap_or_default();
        (self.decision.cause_code(input).to_owned(), limited_by)
    }

    /// What its evidence is worth, from a closed set.
    pub(crate) fn evidence_code(&self) -> String {
        self.decision.evidence_code().to_owned()
    }

    /// Whether the evidence would allow fewer replicas.
    pub(crate) fn is_sufficient(&self) -> bool {
        !self.decision.verdicts().any(|verdict| verdict.evidence.is_insufficient())
    }

    /// The record of it.
    pub(crate) fn record(&self, policy: &Name, input: &Input) -> Option<effect::Record> {
        let record = Record::new(input.clone(), self.decision.clone());
        let json = canonical_json(&record).ok()?;
        let digest = Sha256::digest(&json).iter().map(|b| format!("{b:02x}")).collect();
        let json = String::from_utf8(json).ok()?;
        Some(effect::Record { policy: policy.clone(), at_ms: input.now_ms, digest, json })
    }

    /// What the next decision needs, and the verdicts for the status: the metrics', and the formula's after them.
    pub(crate) fn end(self) -> (History, Vec<Verdict>) {
        let mut verdicts = self.decision.metrics;
        verdicts.extend(self.decision.formula);
        (self.decision.history, verdicts)
    }
}

/// What cannot be asked, or was not answered.
pub(crate) fn failed(kind: FailureKind, message: impl Into<String>) -> Observation {
    let message = message.into();
    Observation {
        name: autoscaler_core::Name::default(),
        newest: Reading::Failed { kind, message: message.clone() },
        settled: None,
        samples: Samples::Unknown(message),
        starts: Vec::new(),
        warnings: Vec::new(),
        incomplete: None,
    }
}

/// What a list of PodMetrics says of a resource metric.
pub(crate) fn used(usage: Option<&Usage>, kind: &MetricKind) -> Observation {
    let fail = |message: &str| Reading::Failed { kind: FailureKind::MetricsApi, message: message.to_owned() };
    let newest = match (usage, kind.resource()) {
        (Some(Ok(list)), Some((resource, container))) => autoscaler_pods::reading(list, resource, container),
        (Some(Err(message)), _) => fail(message),
        (None, _) | (_, None) => fail("it was not read"),
    };
    Observation {
        name: autoscaler_core::Name::default(),
        newest,
        settled: None,
        samples: Samples::Timeless,
        starts: Vec::new(),
        warnings: Vec::new(),
        incomplete: None,
    }
}

/// Age of the slowest series' newest sample of the cluster that lags most, in milliseconds.
pub(crate) fn oldest_ms(observation: &Observation, now_ms: i64) -> Option<i64> {
    let clusters = selectors(observation).iter().flat_map(|selector| &selector.clusters);
    clusters.map(|c| now_ms.saturating_sub(c.slowest_ms.unwrap_or(c.newest_ms))).max()
}

fn selectors(observation: &Observation) -> &[SelectorSamples] {
    match &observation.samples {
        Samples::Seen(selectors) => selectors,
        Samples::Timeless | Samples::Unknown(_) => &[],
    }
}

fn newest(observation: &Observation) -> Option<Float> {
    match observation.newest {
        Reading::Value(value) => Some(value),
        Reading::Pods(_) | Reading::Series(_) | Reading::Failed { .. } => None,
    }
}

/// What of the verdicts is worth a status when it changes, and who is expected from now on: another leader has to
/// know both.
pub(crate) fn matters(verdicts: &[Verdict], history: &History, digest: &mut Digest) {
    for verdict in verdicts {
        digest.part(verdict.name.as_bytes());
        digest.number(verdict.evidence.doubts().len().try_into().unwrap_or(i64::MAX));
        digest.number(verdict.fallback.map_or(-1, i64::from));
    }
    for cluster in history.metrics.iter().flat_map(|known| &known.clusters) {
        digest.part(cluster.name.as_bytes());
    }
}

/// Each metric's value with its evidence; the input's history is that of after the decision.
pub(crate) fn metrics(input: &Input, verdicts: &[Verdict]) -> Vec<MetricStatus> {
    let specs = input.policy.metrics.iter().zip(verdicts);
    let age = |ms: i64| thanos_model::format_duration(Duration::from_millis(ms.max(0).unsigned_abs()));
    specs
        .filter(|(spec, verdict)| spec.name == verdict.name)
        .filter_map(|(spec, verdict)| {
            let observation = input.observations.iter().find(|o| o.name == verdict.name)?;
            let doubts = verdict.evidence.doubts();
            let fresh = |cluster: &&str| {
                let doubted = doubts.iter().any(|doubt| doubt.cluster().is_some_and(|c| c == *cluster));
                let seen = |s: &SelectorSamples| s.clusters.iter().any(|c| c.cluster == **cluster);
                !doubted && selectors(observation).iter().any(seen)
            };
            let expected = expected(input, spec);
            let (answered, missing): (Vec<&str>, Vec<&str>) = expected.into_iter().partition(fresh);
            let said = observation.incomplete.iter().chain(&observation.warnings);
            Some(MetricStatus {
                name: verdict.name.to_string(),
                value: verdict.value.map(|v| v.to_string()),
                newest: newest(observation).filter(|v| Some(*v) != verdict.value).map(|v| v.to_string()),
                age: oldest_ms(observation, input.now_ms).map(age),
                sufficient: doubts.is_empty(),
                message: message(doubts),
                clusters_answered: some_of(answered.into_iter()),
                clusters_missing: some_of(missing.into_iter()),
                warnings: said.take(WARNINGS_MAX).map(|w| clip(w, WARNING_MAX)).collect(),
                proposal: verdict.proposal,
            })
        })
        .collect()
}

/// The formula's number with its evidence, if the policy has one and was decided on.
pub(crate) fn formula(input: &Input, verdicts: &[Verdict]) -> Option<Box<MetricStatus>> {
    input.policy.formula.as_ref()?;
    let verdict = verdicts.get(input.policy.metrics.len())?;
    let doubts = verdict.evidence.doubts();
    Some(Box::new(MetricStatus {
        name: verdict.name.to_string(),
        value: verdict.value.map(|v| v.to_string()),
        sufficient: doubts.is_empty(),
        message: message(doubts),
        proposal: verdict.proposal,
        ..MetricStatus::default()
    }))
}

/// The clusters that the policy names, else those that are remembered.
fn expected<'a>(input: &'a Input, spec: &'a autoscaler_core::MetricSpec) -> Vec<&'a str> {
    if !spec.evidence.clusters.is_empty() {
        return spec.evidence.clusters.iter().map(|cluster| cluster.as_str()).collect();
    }
    let known = input.history.metrics.iter().find(|known| known.name == spec.name);
    let remembered = known.into_iter().flat_map(|known| &known.clusters);
    remembered.map(|cluster| cluster.name.as_str()).filter(|name| !name.is_empty()).collect()
}

fn message(doubts: &[Doubt]) -> Option<String> {
    (!doubts.is_empty()).then(|| {
        let texts: Vec<String> = doubts.iter().map(|d| format!("{d} ({})", d.cure())).collect();
        clip(&texts.join("; "), MESSAGE_MAX)
    })
}

/// A policy of which nothing can be followed; it is never decided on.
pub(crate) fn no_policy() -> autoscaler_core::Policy {
    autoscaler_core::Policy {
        min_replicas: 0,
        max_replicas: 0,
        metrics: Vec::new(),
        behavior: None,
        mode: Mode::Paused,
        compatibility: autoscaler_core::Compatibility::None,
        defaults: autoscaler_core::Defaults::default(),
        interval_ms: 0,
        zero: None,
        pause: autoscaler_core::Pause::default(),
        formula: None,
    }
}
