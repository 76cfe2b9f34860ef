//! Resource metrics: who asks for what pods use, and who is told.

use autoscaler_core::FailureKind;
use autoscaler_pods::PodMetrics;

use super::{Engine, Id};
use crate::effect::{Effect, ReadUsage};
use crate::judge;
use crate::pool::Ended;
use crate::targets::Known;
use crate::usages::{Asked, Selected};

impl Engine {
    /// The pool let a query of a resource go: it is answered from a list, or waits for one until `until_ms`.
    pub(super) fn ask_usage(&mut self, id: Id, query: u64, until_ms: u64) {
        let Some(selected) = self.selected(id) else {
            let message = "the target's scale has no selector for its pods";
            if self.pool.done(query, Ended::Answered) {
                self.fail(query, FailureKind::MetricsApi, message);
            }
            return;
        };
        let read = self.next_number();
        match self.usages.ask(&selected, query, read, self.now.mono_ms, until_ms) {
            Asked::Known => self.tell_usage(query, &selected),
            Asked::Waits => self.deadlines.push_back((until_ms, query)),
            Asked::Read => {
                let Selected { cluster, namespace, selector } = selected;
                let deadline_ms = self.config.query_timeout_ms;
                self.out.push(Effect::ReadUsage(ReadUsage {
                    id: read,
                    cluster,
                    namespace,
                    selector,
                    deadline_ms,
                }));
                self.counters.queries = self.counters.queries.saturating_add(1);
                self.deadlines.push_back((until_ms, query));
            }
        }
    }

    /// A list was read, or not.
    pub(super) fn used(&mut self, read: u64, usage: Result<Vec<PodMetrics>, String>) {
        let Some((selected, waiting)) = self.usages.told(read, usage, self.now.mono_ms) else {
            self.counters.late = self.counters.late.saturating_add(1);
            return;
        };
        for query in waiting {
            self.tell_usage(query, &selected);
        }
    }

    /// Answers a query from the last list.
    fn tell_usage(&mut self, query: u64, selected: &Selected) {
        if !self.pool.done(query, Ended::Answered) {
            return;
        }
        let Some(&(id, metric)) = self.queries.get(&query) else { return };
        let spec = self.live(id).and_then(|live| live.input.policy.metrics.get(metric));
        let Some(kind) = spec.map(|spec| spec.kind.clone()) else { return };
        let observation = judge::used(self.usages.last(selected), &kind);
        self.observed(query, observation);
    }

    /// The pods of a policy's target.
    fn selected(&self, id: Id) -> Option<Selected> {
        let (key, _) = self.policies.get(&id)?.target.as_ref()?;
        let Known::There(target) = self.targets.get(key) else { return None };
        let (namespace, selector) = (key.namespace.clone(), target.selector.clone());
        (!selector.is_empty()).then(|| Selected { cluster: key.cluster, namespace, selector })
    }
}
