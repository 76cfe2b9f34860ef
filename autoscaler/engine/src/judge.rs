//! The seam to the decision core: the only module that knows what a decision is made of.
//!
//! It turns a [`Decision`] into words that the others use. What is only worth having when a status is written is
//! made then.

use std::collections::BTreeMap;
use std::time::Duration;

use autoscaler_api::MetricStatus;
use autoscaler_api::conditions::types;
use autoscaler_core::{
    ConditionType, Decision, Doubt, Evidence, Input, LimitKind, Mode, Observation, Record, Verdict,
    canonical_json, decide,
};
use sha2::{Digest as _, Sha256};

use crate::effect;
use crate::hash::Digest;
use crate::objects::Name;
use crate::ring::arrange::Wanted;
use crate::said::Said;
use crate::text::{CAUSE_MAX, MESSAGE_MAX, WARNING_MAX, clip, some_of};

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
        let held = decision.limited_by() == Some(LimitKind::InsufficientEvidence);
        let wanted = match decision.write {
            Some(replicas) => Wanted::Replicas(replicas),
            None if held => Wanted::Held,
            None => Wanted::Present,
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

    pub(crate) fn desired(&self) -> i32 {
        self.decision.desired_replicas
    }

    pub(crate) fn write(&self) -> Option<i32> {
        self.decision.write
    }

    pub(crate) fn cause(&self) -> String {
        clip(&self.decision.cause, CAUSE_MAX)
    }

    /// The decision's conditions.
    pub(crate) fn said(&mut self) -> Vec<Said> {
        let said = |c: autoscaler_core::Condition| {
            let kind = match c.kind {
                ConditionType::AbleToScale => types::ABLE_TO_SCALE,
                ConditionType::ScalingActive => types::SCALING_ACTIVE,
                ConditionType::ScalingLimited => types::SCALING_LIMITED,
                ConditionType::EvidenceSufficient => types::EVIDENCE_SUFFICIENT,
            };
            Said::new(kind, c.status, c.reason, c.message)
        };
        self.decision.conditions.clone().into_iter().map(said).collect()
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
        self.decision.metrics.iter().all(|v| doubts(v).is_empty())
    }

    /// The record of it.
    pub(crate) fn record(&self, policy: &Name, input: &Input) -> Option<effect::Record> {
        let record = Record::new(input.clone(), self.decision.clone());
        let json = canonical_json(&record).ok()?;
        let digest = Sha256::digest(&json).iter().map(|b| format!("{b:02x}")).collect();
        let json = String::from_utf8(json).ok()?;
        Some(effect::Record { policy: policy.clone(), digest, json })
    }

    /// What the next decision needs, and the verdicts for the status.
    pub(crate) fn end(self) -> (autoscaler_core::History, Vec<Verdict>) {
        (self.decision.history, self.decision.metrics)
    }
}

/// What cannot be asked, or was not answered.
pub(crate) fn failed(
    name: &str,
    kind: autoscaler_core::FailureKind,
    message: impl Into<String>,
) -> Observation {
    Observation {
        name: name.to_owned(),
        reading: autoscaler_core::Reading::Failed { kind, message: message.into() },
        series_count: 0,
        newest_sample_age_ms: BTreeMap::new(),
        timeless: false,
        warnings: Vec::new(),
    }
}

/// Age of the newest sample of the cluster that lags most, in milliseconds.
pub(crate) fn oldest_ms(observation: &Observation) -> Option<i64> {
    observation.newest_sample_age_ms.values().copied().flatten().max()
}

/// What of the verdicts is worth a status when it changes.
pub(crate) fn matters(verdicts: &[Verdict], digest: &mut Digest) {
    for verdict in verdicts {
        digest.part(verdict.name.as_bytes());
        digest.number(doubts(verdict).len().try_into().unwrap_or(i64::MAX));
        digest.number(verdict.fallback.map_or(-1, i64::from));
    }
}

/// Each metric's value with its evidence.
pub(crate) fn metrics(input: &Input, verdicts: &[Verdict]) -> Vec<MetricStatus> {
    let observed: BTreeMap<&str, &Observation> =
        input.observations.iter().map(|o| (o.name.as_str(), o)).collect();
    let specs = input.policy.metrics.iter().zip(verdicts);
    specs
        .filter(|(spec, verdict)| spec.name == verdict.name)
        .filter_map(|(spec, verdict)| {
            let observation = observed.get(verdict.name.as_str())?;
            let doubts = doubts(verdict);
            let doubtful = |cluster: &str| {
                doubts.iter().any(|d| match d {
                    Doubt::ClusterMissing { cluster: c }
                    | Doubt::Stale { cluster: c, .. }
                    | Doubt::FromTheFuture { cluster: c, .. } => c == cluster,
                    _ => false,
                })
            };
            let fresh = |c: &&str| {
                observation.newest_sample_age_ms.get(*c).is_some_and(Option::is_some) && !doubtful(c)
            };
            let clusters = spec.evidence.clusters.iter().map(String::as_str);
            let (answered, missing): (Vec<&str>, Vec<&str>) = clusters.partition(fresh);
            let age =
                |ms: i64| thanos_model::format_duration(Duration::from_millis(ms.max(0).unsigned_abs()));
            Some(MetricStatus {
                name: verdict.name.clone(),
                value: verdict.value.map(|v| v.to_string()),
                age: oldest_ms(observation).map(age),
                sufficient: doubts.is_empty(),
                message: (!doubts.is_empty()).then(|| {
                    let texts: Vec<String> = doubts.iter().map(|d| format!("{d} ({})", d.cure())).collect();
                    clip(&texts.join("; "), MESSAGE_MAX)
                }),
                clusters_answered: some_of(answered.into_iter()),
                clusters_missing: some_of(missing.into_iter()),
                warnings: observation
                    .warnings
                    .iter()
                    .take(WARNINGS_MAX)
                    .map(|w| clip(w, WARNING_MAX))
                    .collect(),
                proposal: verdict.proposal,
            })
        })
        .collect()
}

fn doubts(verdict: &Verdict) -> &[Doubt] {
    match &verdict.evidence {
        Evidence::Sufficient => &[],
        Evidence::Insufficient { doubts, .. } => doubts,
    }
}

/// A policy of which nothing can be followed; it is never decided on.
pub(crate) fn no_policy() -> autoscaler_core::Policy {
    autoscaler_core::Policy {
        min_replicas: 0,
        max_replicas: 0,
        metrics: Vec::new(),
        behavior: None,
        mode: Mode::Paused,
        defaults: autoscaler_core::Defaults::default(),
        interval_ms: 0,
    }
}
