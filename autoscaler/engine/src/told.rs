//! Which changes are worth an event, and when.
//!
//! Events are objects, so they are few: conditions at most once per [`GAP_MS`], what then differs from what was told
//! last; changes of replicas one by one while they are few ([`BURST`]), and then once per [`GAP_MS`], several as one.
//! What happened within a gap is told at its end, never forgotten.

use std::collections::BTreeMap;

use autoscaler_api::conditions::{events, reasons, types};
use autoscaler_core::reasons::{INSUFFICIENT_EVIDENCE, NOT_SETTLED};

use crate::said::Said;
use crate::text::{NOTE_MAX, clip};

/// Shortest time between two rounds of events of one policy.
const GAP_MS: u64 = 10_000;

/// Changes of replicas that are told one by one after a quiet time; one more each [`GAP_MS`].
const BURST: u64 = 4;

/// One event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Telling {
    pub warning: bool,
    pub reason: String,
    pub note: String,
}

/// What was told of one policy, and what waits. Bounded by the number of conditions.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// By condition, the reason last told while it is bad.
    bad: BTreeMap<&'static str, String>,
    /// No metric gave a number last time.
    uncomputed: bool,
    /// By condition, the latest change since.
    waiting: BTreeMap<&'static str, Said>,
    last_ms: Option<u64>,
    /// Changes of replicas since the last one that was told.
    scales: Option<Scales>,
    /// When all of [`BURST`] is there again.
    rested_ms: u64,
}

/// Changes of replicas that are told as one.
#[derive(Debug)]
struct Scales {
    from: i32,
    to: i32,
    count: u32,
    since_ms: u64,
    cause: String,
}

impl Told {
    /// A decision was computed from metrics, or from none, for this reason; gives it if that is another answer than
    /// before. It is no condition, but told like one.
    pub(crate) fn computed(&mut self, uncomputed: Option<String>) -> Option<Said> {
        let fails = uncomputed.is_some();
        (std::mem::replace(&mut self.uncomputed, fails) != fails).then(|| {
            let kind = events::FAILED_COMPUTE_METRICS_REPLICAS;
            Said::new(kind, !fails, kind, uncomputed.unwrap_or_default())
        })
    }

    /// Takes changes of conditions in; gives what is to be told now.
    pub(crate) fn due(&mut self, changed: &[Said], now_ms: u64) -> Vec<Telling> {
        for said in changed {
            self.waiting.insert(said.kind, said.clone());
        }
        if self.waiting.is_empty() || is_recent(self.last_ms, now_ms) {
            return Vec::new();
        }
        let due: Vec<Telling> =
            std::mem::take(&mut self.waiting).into_values().filter_map(|said| self.telling(said)).collect();
        if !due.is_empty() {
            self.last_ms = Some(now_ms);
        }
        due
    }

    /// Replicas were changed; gives what is to be told now.
    pub(crate) fn scaled(&mut self, from: i32, to: i32, cause: &str, now_ms: u64) -> Option<Telling> {
        match &mut self.scales {
            Some(scales) => {
                (scales.to, scales.count) = (to, scales.count.saturating_add(1));
                cause.clone_into(&mut scales.cause);
            }
            None => {
                self.scales = Some(Scales { from, to, count: 1, since_ms: now_ms, cause: cause.to_owned() })
            }
        }
        self.scales_due(now_ms)
    }

    /// Changes of replicas that waited for the gap's end.
    pub(crate) fn scales_due(&mut self, now_ms: u64) -> Option<Telling> {
        let rested_ms = self.rested_ms.max(now_ms).saturating_add(GAP_MS);
        if rested_ms.saturating_sub(now_ms) > BURST * GAP_MS {
            return None;
        }
        let Scales { from, to, count, since_ms, cause } = self.scales.take()?;
        self.rested_ms = rested_ms;
        let several = if count > 1 {
            let seconds = now_ms.saturating_sub(since_ms).div_ceil(1_000).max(1);
            format!(", by {count} changes from {from} within {seconds}s")
        } else {
            String::new()
        };
        let note = clip(&format!("New size: {to}{several}; reason: {cause}"), NOTE_MAX);
        Some(Telling { warning: false, reason: events::SUCCESSFUL_RESCALE.to_owned(), note })
    }

    /// Whether something waits to be told.
    pub(crate) fn waits(&self) -> bool {
        self.scales.is_some() || !self.waiting.is_empty()
    }

    fn telling(&mut self, said: Said) -> Option<Telling> {
        // Over with the next evaluation: each policy begins like this.
        if said.kind == types::EVIDENCE_SUFFICIENT && !said.status && said.reason == NOT_SETTLED {
            return None;
        }
        let was = if said.status {
            self.bad.remove(said.kind)
        } else {
            self.bad.insert(said.kind, said.reason.clone().into_owned())
        };
        let (warning, reason) = match (said.kind, said.status) {
            // EvidenceSufficient tells the same.
            (types::SCALING_ACTIVE, false) if said.reason == INSUFFICIENT_EVIDENCE => return None,
            (
                types::ABLE_TO_SCALE
                | types::SCALING_ACTIVE
                | types::EVIDENCE_SUFFICIENT
                | events::FAILED_COMPUTE_METRICS_REPLICAS,
                false,
            ) if was.as_deref() == Some(said.reason.as_ref()) => {
                return None;
            }
            (types::ABLE_TO_SCALE, false) if said.reason == reasons::FAILED_UPDATE_SCALE => {
                (true, events::FAILED_RESCALE)
            }
            (
                types::ABLE_TO_SCALE | types::SCALING_ACTIVE | events::FAILED_COMPUTE_METRICS_REPLICAS,
                false,
            ) => (true, said.reason.as_ref()),
            (types::EVIDENCE_SUFFICIENT, false) => (true, events::EVIDENCE_INSUFFICIENT),
            (types::EVIDENCE_SUFFICIENT, true) if was.is_some() => (false, events::EVIDENCE_SUFFICIENT),
            _ => return None,
        };
        Some(Telling { warning, reason: reason.to_owned(), note: clip(&said.message, NOTE_MAX) })
    }
}

fn is_recent(last_ms: Option<u64>, now_ms: u64) -> bool {
    last_ms.is_some_and(|last| now_ms.saturating_sub(last) < GAP_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(status: bool) -> Said {
        Said::new("EvidenceSufficient", status, if status { "EvidenceComplete" } else { "StaleSamples" }, "")
    }

    fn able(status: bool, reason: &'static str) -> Said {
        Said::new("AbleToScale", status, reason, "")
    }

    fn reasons(told: &mut Told, changed: &[Said], now_ms: u64) -> Vec<String> {
        told.due(changed, now_ms).into_iter().map(|t| t.reason).collect()
    }

    #[test]
    fn two_conditions_that_turn_bad_at_once_are_both_told() {
        let changed = [able(false, "FailedGetScale"), evidence(false)];
        assert_eq!(reasons(&mut Told::default(), &changed, 0), ["FailedGetScale", "EvidenceInsufficient"]);
    }

    #[test]
    fn a_change_within_the_gap_is_told_at_its_end() {
        let mut told = Told::default();
        assert_eq!(reasons(&mut told, &[evidence(false)], 0), ["EvidenceInsufficient"]);
        assert_eq!(reasons(&mut told, &[evidence(true), able(false, "FailedGetScale")], 3_000), [""; 0]);
        assert_eq!(reasons(&mut told, &[], 9_999), [""; 0]);
        assert_eq!(reasons(&mut told, &[], 10_000), ["FailedGetScale", "EvidenceSufficient"]);
        assert_eq!(reasons(&mut told, &[], 60_000), [""; 0]);
    }

    #[test]
    fn what_flaps_is_told_once_per_gap_and_only_if_it_lasts() {
        let mut told = Told::default();
        let mut count = 0;
        for second in 0..100 {
            count += told.due(&[evidence(second % 2 == 1)], second * 1_000).len();
        }
        assert!(count <= 10, "{count}");
        // Bad, good, bad again within a gap is as told.
        let mut told = Told::default();
        told.due(&[evidence(false)], 0);
        told.due(&[evidence(true)], 1_000);
        assert_eq!(reasons(&mut told, &[evidence(false)], 20_000), [""; 0]);
    }

    #[test]
    fn good_news_comes_only_after_bad_news() {
        assert_eq!(reasons(&mut Told::default(), &[evidence(true), able(true, "x")], 0), [""; 0]);
        let unsettled = Said::new("EvidenceSufficient", false, NOT_SETTLED, "");
        assert_eq!(reasons(&mut Told::default(), &[unsettled], 0), [""; 0], "nor what ends by itself");
        let no_number = Said::new("ScalingActive", false, INSUFFICIENT_EVIDENCE, "");
        assert_eq!(reasons(&mut Told::default(), &[no_number], 0), [""; 0], "EvidenceSufficient tells it");
    }

    #[test]
    fn that_no_metric_gives_a_number_is_told_when_it_begins() {
        let mut told = Told::default();
        assert_eq!(told.computed(None), None);
        let failed = told.computed(Some("no answer".into())).unwrap();
        assert_eq!(reasons(&mut told, &[failed], 0), ["FailedComputeMetricsReplicas"]);
        assert_eq!(told.computed(Some("no series".into())), None, "as told");
        let again = told.computed(None).unwrap();
        assert_eq!(reasons(&mut told, &[again], 20_000), [""; 0], "no news is good news");
        let failed = told.computed(Some("no answer".into())).unwrap();
        assert_eq!(reasons(&mut told, &[failed], 40_000), ["FailedComputeMetricsReplicas"]);
    }

    #[test]
    fn a_fast_descent_is_one_event_a_gap_and_none_is_lost() {
        let mut told = Told::default();
        let mut notes = Vec::new();
        for second in 0..25 {
            let (from, to) = (100 - second, 99 - second);
            notes.extend(told.scaled(from, to, "less", u64::from(i32::cast_unsigned(second)) * 1_000));
        }
        notes.extend(told.scales_due(60_000));
        assert!(!told.waits());
        let notes: Vec<&str> = notes.iter().map(|t| t.note.as_str()).collect();
        assert_eq!(notes.len(), 7, "{notes:?}");
        assert_eq!((notes[0], notes[3]), ("New size: 99; reason: less", "New size: 96; reason: less"));
        assert_eq!(notes[4], "New size: 89, by 7 changes from 96 within 6s; reason: less");
        assert!(notes[6].starts_with("New size: 75, by "), "{notes:?}");
    }
}
