//! Which changes of conditions are worth an event, and when.
//!
//! Events are objects, so they are few: at most once per [`GAP_MS`], what then differs from what was told last.
//! A change within the gap is told at its end if it has lasted, never forgotten.

use std::collections::BTreeMap;

use autoscaler_api::conditions::{events, reasons, types};
use autoscaler_core::reasons::INSUFFICIENT_EVIDENCE;

use crate::status::Said;

/// Shortest time between two rounds of events of one policy.
const GAP_MS: i64 = 10_000;

/// One event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Telling {
    pub warning: bool,
    pub reason: String,
    pub said: Said,
}

/// What was told of one policy, and what waits. Bounded by the number of conditions.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// By condition, the reason last told while it is bad.
    bad: BTreeMap<String, String>,
    /// By condition, the latest change since.
    waiting: BTreeMap<String, Said>,
    last_ms: Option<i64>,
}

impl Told {
    /// Takes changes in; gives what is to be told now.
    pub(crate) fn due(&mut self, changed: &[Said], now_ms: i64) -> Vec<Telling> {
        for said in changed {
            self.waiting.insert(said.kind.clone(), said.clone());
        }
        let recent = |last: i64| now_ms.saturating_sub(last).saturating_abs() < GAP_MS;
        if self.last_ms.is_some_and(recent) {
            return Vec::new();
        }
        let due: Vec<Telling> =
            std::mem::take(&mut self.waiting).into_values().filter_map(|said| self.telling(said)).collect();
        if !due.is_empty() {
            self.last_ms = Some(now_ms);
        }
        due
    }

    /// An event could not be published: it waits, unless there is something newer to say.
    pub(crate) fn failed(&mut self, telling: Telling) {
        let said = telling.said;
        if !said.status {
            self.bad.remove(&said.kind);
        } else {
            self.bad.insert(said.kind.clone(), String::new());
        }
        self.waiting.entry(said.kind.clone()).or_insert(said);
    }

    fn telling(&mut self, said: Said) -> Option<Telling> {
        let was = if said.status {
            self.bad.remove(&said.kind)
        } else {
            self.bad.insert(said.kind.clone(), said.reason.clone())
        };
        let (warning, reason) = match (said.kind.as_str(), said.status) {
            // EvidenceSufficient tells the same.
            (types::SCALING_ACTIVE, false) if said.reason == INSUFFICIENT_EVIDENCE => return None,
            (types::ABLE_TO_SCALE | types::SCALING_ACTIVE | types::EVIDENCE_SUFFICIENT, false)
                if was.as_ref() == Some(&said.reason) =>
            {
                return None;
            }
            (types::ABLE_TO_SCALE, false) if said.reason == reasons::FAILED_UPDATE_SCALE => {
                (true, events::FAILED_RESCALE)
            }
            (types::ABLE_TO_SCALE | types::SCALING_ACTIVE, false) => (true, said.reason.as_str()),
            (types::EVIDENCE_SUFFICIENT, false) => (true, events::EVIDENCE_INSUFFICIENT),
            (types::EVIDENCE_SUFFICIENT, true) if was.is_some() => (false, events::EVIDENCE_SUFFICIENT),
            _ => return None,
        };
        Some(Telling { warning, reason: reason.to_owned(), said })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(status: bool) -> Said {
        Said::new("EvidenceSufficient", status, if status { "EvidenceComplete" } else { "StaleSamples" }, "")
    }

    fn able(status: bool, reason: &str) -> Said {
        Said::new("AbleToScale", status, reason, "")
    }

    fn reasons(told: &mut Told, changed: &[Said], now_ms: i64) -> Vec<String> {
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
        let no_number = Said::new("ScalingActive", false, INSUFFICIENT_EVIDENCE, "");
        assert_eq!(reasons(&mut Told::default(), &[no_number], 0), [""; 0], "EvidenceSufficient tells it");
    }

    #[test]
    fn an_event_that_could_not_be_published_is_tried_again() {
        let mut told = Told::default();
        for (said, reason) in
            [(evidence(false), "EvidenceInsufficient"), (evidence(true), "EvidenceSufficient")]
        {
            let start = told.last_ms.map_or(0, |ms| ms + GAP_MS);
            for telling in told.due(&[said], start) {
                told.failed(telling);
            }
            assert_eq!(reasons(&mut told, &[], start + 1), [""; 0], "not at once");
            assert_eq!(reasons(&mut told, &[], start + GAP_MS), [reason]);
        }
    }
}
