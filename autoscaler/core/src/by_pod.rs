//! From one value a pod to replicas: upstream's arithmetic, and its answer only where that is safe.
//!
//! ```text
//!  Reading::Pods ─► fresh, of pods that are there ─┬─► by_pod (autoscaler-hpa) ──────────────► raises ─┐
//!  Input::pods ──► who is ready for long enough ───┤      └ again without pods that are unready        ├─► the higher
//!                       │                          └─► ratio × the most that were ready meanwhile ─► lowers no
//!                       ▼                                                                          further
//!                   PodsUnmeasured: nothing is lowered
//! ```
//!
//! Upstream fills in pods without a value, at their target where replicas would be lowered, and that stays. Beyond it:
//!
//! - a value older than `maxAge` is none, and neither is one from the future;
//! - a pod that has been ready for `maxAge` and has no value is a doubt, so that nothing is lowered;
//! - a pod that is not ready may not lower by what little it uses: it counts as one without a value there;
//! - what is above its target never lowers, and neither does anything while no pod is ready;
//! - after a lowering, values of before it are the load shared by more pods: their ratio multiplies those, and values
//!   of before the pods were watched lower nothing;
//! - sums that would wrap are taken in larger units, and what fits no number of replicas is the most that there is.

use std::collections::{BTreeMap, BTreeSet};

use autoscaler_hpa::pod::requests;
use autoscaler_hpa::ratio::{Tolerances, Usage};
use autoscaler_hpa::replicas::{Circumstances, PodTarget, by_pod};
use autoscaler_hpa::{Settings, grouping};

use crate::doubt::Doubt;
use crate::evidence::{Judgement, Moment, Value};
use crate::history::MAX_AHEAD_MS;
use crate::input::Input;
use crate::observation::{Observation, Reading};
use crate::pods::{Pod, Pods, Sample};
use crate::policy::{MetricSpec, PodEvidence, Target};
use crate::replicas::Answer;

/// What each of a metric's two values asks for, the settled one first; what speaks against it is told to `judgement`.
pub(crate) fn ask(
    input: &Input,
    spec: &MetricSpec,
    observation: Option<&Observation>,
    moment: Moment<'_>,
    judgement: &mut Judgement,
) -> [Option<(Value, Answer)>; 2] {
    let Some(observation) = observation else { return [None, None] };
    let pods = match input.pods.as_ref() {
        Some(Pods::Selected(pods)) => pods,
        other => {
            judgement.doubts.push(Doubt::PodsUnknown { why: Pods::why_unknown(other) });
            (judgement.settled, judgement.newest) = (None, None);
            return [None, None];
        }
    };
    let asking = Asking {
        spec,
        moment,
        pods,
        current: input.scale.spec_replicas,
        tolerances: input.policy.tolerances(),
        settings: &input.policy.defaults.settings(),
    };
    let settled = observation.settled.as_ref().map(|settled| &settled.reading);
    let (mut lowers, mut doubts) = (true, Vec::new());
    let mut answer = |value: Option<Value>, reading: Option<&Reading>| {
        let zero;
        let samples: &[Sample] = match reading {
            Some(Reading::Pods(samples)) => samples,
            // No series, which the user says is zero: of every pod.
            Some(Reading::Failed { .. }) if value.is_some() => {
                zero = asking.zero();
                &zero
            }
            _ => return None,
        };
        let fresh = asking.fresh(samples);
        // What may lower is judged: the settled value, or the only one.
        if std::mem::take(&mut lowers) {
            doubts.extend(asking.doubts(samples, &fresh));
        }
        let value = value?;
        match asking.answer(&fresh, value) {
            Ok((answer, shown, doubt)) => {
                doubts.extend(doubt);
                Some((Value { value: shown, ..value }, answer))
            }
            Err(why) => {
                doubts.push(Doubt::PodsUnknown { why });
                None
            }
        }
    };
    let asked = [answer(judgement.settled, settled), answer(judgement.newest, Some(&observation.newest))];
    for doubt in doubts {
        // Both values may be without the same.
        if !judgement.doubts.contains(&doubt) {
            judgement.doubts.push(doubt);
        }
    }
    asked
}

/// One metric's question, but for the values.
#[derive(Clone, Copy)]
struct Asking<'a> {
    spec: &'a MetricSpec,
    moment: Moment<'a>,
    pods: &'a [Pod],
    current: i32,
    tolerances: Tolerances,
    settings: &'a Settings,
}

impl Asking<'_> {
    fn max_age_ms(&self) -> i64 {
        self.spec.evidence.max_age_ms.max(0)
    }

    /// Whether a sample is of now. Values of a query are as old as its series, which are judged as series.
    fn is_fresh(&self, sample: &Sample) -> bool {
        let age_ms = self.moment.now_ms.saturating_sub(sample.at_ms);
        self.spec.kind.resource().is_none() || (-MAX_AHEAD_MS..=self.max_age_ms()).contains(&age_ms)
    }

    /// Zero of every pod.
    fn zero(&self) -> Vec<Sample> {
        let at_ms = self.moment.now_ms;
        let sample = |pod: &Pod| Sample { pod: pod.name.clone(), value_milli: 0, at_ms, window_ms: 0 };
        self.pods.iter().map(sample).collect()
    }

    /// Fresh samples of pods that are there, by name.
    fn fresh(&self, samples: &[Sample]) -> Vec<Sample> {
        let there: BTreeSet<&str> = self.pods.iter().map(|pod| pod.name.as_str()).collect();
        let counts = |sample: &&Sample| self.is_fresh(sample) && there.contains(sample.pod.as_str());
        samples.iter().filter(counts).cloned().collect()
    }

    /// Ready for as long as it takes to have a sample.
    fn is_expected(&self, pod: &Pod) -> bool {
        let since_ms = self.moment.now_ms.saturating_sub(self.max_age_ms());
        !pod.deleting && pod.is_ready() && pod.ready.is_some_and(|ready| ready.transition_ms <= since_ms)
    }

    fn doubts(&self, samples: &[Sample], fresh: &[Sample]) -> Vec<Doubt> {
        if self.spec.evidence.pods == PodEvidence::Ignore {
            return Vec::new();
        }
        let mut doubts = Vec::new();
        if self.spec.kind.resource().is_some() {
            let newest_ms = samples.iter().map(|sample| sample.at_ms).max();
            let ahead_ms = newest_ms.map_or(0, |ms| ms.saturating_sub(self.moment.now_ms));
            if ahead_ms > MAX_AHEAD_MS {
                doubts.push(Doubt::FromTheFuture { cluster: self.moment.cluster.clone(), ahead_ms });
            }
        }
        let measured: BTreeSet<&str> = fresh.iter().map(|sample| sample.pod.as_str()).collect();
        let (mut ready, mut without, mut first) = (0u32, 0u32, None);
        for pod in self.pods.iter().filter(|pod| self.is_expected(pod)) {
            ready = ready.saturating_add(1);
            if !measured.contains(pod.name.as_str()) {
                without = without.saturating_add(1);
                first.get_or_insert(pod);
            }
        }
        let unmeasured = first.map(|pod| {
            let pod = pod.name.as_str().into();
            Doubt::PodsUnmeasured { pod, measured: ready.saturating_sub(without), ready }
        });
        doubts.extend(unmeasured);
        doubts
    }

    /// Replicas, what is shown of the use (percent, or the average of a pod), and what speaks against lowering to them.
    fn answer(&self, fresh: &[Sample], value: Value) -> Result<(Answer, f64, Option<Doubt>), String> {
        let (mut replicas, usage) = self.replicas(fresh)?;
        let shown = match usage.utilization {
            Some(percent) => f64::from(percent),
            None => usage.average_milli as f64 / 1000.0,
        };
        let ready = self.pods.iter().filter(|pod| pod.is_ready());
        let ready: BTreeSet<&str> = ready.map(|pod| pod.name.as_str()).collect();
        let of_ready: Vec<Sample> =
            fresh.iter().filter(|s| ready.contains(s.pod.as_str())).cloned().collect();
        let mut none_ready = false;
        if of_ready.len() < fresh.len() {
            match self.replicas(&of_ready) {
                Ok((without, _)) => replicas = replicas.max(without),
                Err(_) => none_ready = true,
            }
        }
        if replicas >= self.current {
            return Ok((Answer::Replicas(replicas), shown, None));
        }
        if none_ready {
            return Ok((Answer::NoneReady, shown, None));
        }
        if usage.ratio > 1.0 {
            return Ok((Answer::Replicas(self.current), shown, None));
        }
        let from_ms = self.measured_from_ms(fresh, value);
        let were = self.moment.ready.most_since(from_ms);
        let of_those = (usage.ratio * f64::from(were)).ceil() as i32;
        let since_ms = self.moment.ready.changes().first().map_or(i64::MAX, |first| first.since_ms);
        let left_ms = since_ms.saturating_sub(from_ms);
        let unwatched = (left_ms > 0).then_some(Doubt::Unwatched { left_ms });
        Ok((Answer::Replicas(replicas.max(of_those).min(self.current)), shown, unwatched))
    }

    /// When the window of the oldest value began.
    fn measured_from_ms(&self, fresh: &[Sample], value: Value) -> i64 {
        if self.spec.kind.resource().is_none() {
            return value.at_ms.saturating_sub(self.spec.evidence.window_ms.max(0));
        }
        let begins = fresh.iter().map(|sample| sample.at_ms.saturating_sub(sample.window_ms.max(0)));
        begins.min().unwrap_or(self.moment.now_ms)
    }

    /// Upstream's answer, with sums that fit.
    fn replicas(&self, fresh: &[Sample]) -> Result<(i32, Usage), String> {
        let resource = self.spec.kind.resource();
        let mut target = match (self.spec.target, resource) {
            (Target::Utilization { average_utilization: percent }, Some((name, container))) => {
                let pod_level = self.settings.pod_level_resources;
                let requests = requests(self.pods, name, container, pod_level);
                PodTarget::Utilization { percent, requests }
            }
            (target, _) => PodTarget::Average { milli: target.milli() },
        };
        let mut samples = fresh.to_vec();
        let divisor = shrink(&mut samples, &mut target);
        let at = Circumstances {
            settings: self.settings,
            tolerances: self.tolerances,
            pods: self.pods,
            now_ms: self.moment.now_ms,
        };
        let name = resource.map(|(name, _)| name);
        let (replicas, mut usage) = by_pod(&at, &samples, name, self.current, &target)?;
        usage.average_milli = usage.average_milli.saturating_mul(divisor);
        if replicas < 0 || self.is_beyond(&at, &samples, name, &target) {
            return Ok((i32::MAX, Usage { ratio: f64::INFINITY, utilization: None, ..usage }));
        }
        Ok((replicas, usage))
    }

    /// A utilization that upstream would cut to 32 bits.
    fn is_beyond(
        &self,
        at: &Circumstances<'_>,
        samples: &[Sample],
        resource: Option<&str>,
        target: &PodTarget<'_>,
    ) -> bool {
        let PodTarget::Utilization { requests: Ok(requests), .. } = target else { return false };
        let all: i128 = samples.iter().map(|sample| i128::from(sample.value_milli)).sum();
        let least = requests.values().copied().filter(|request| *request > 0).min().unwrap_or(1);
        if all * 100 <= i128::from(i32::MAX) * i128::from(least) {
            return false;
        }
        let (mut used, mut requested) = (0i128, 0i128);
        let by_name: BTreeMap<&str, &Sample> = samples.iter().map(|s| (s.pod.as_str(), s)).collect();
        let groups = grouping::group(at.pods, &by_name, resource, at.settings, at.now_ms);
        for (pod, sample) in &by_name {
            if groups.ignored.contains(pod) || groups.unready.contains(pod) {
                continue;
            }
            if let Some(request) = requests.get(pod) {
                used += i128::from(sample.value_milli);
                requested += i128::from(*request);
            }
        }
        requested > 0 && used * 100 / requested > i128::from(i32::MAX)
    }
}

/// Divides use and target alike so that no sum of them wraps, and says by what: a hundred times 84 TiB of memory do,
/// in thousandths of a byte.
fn shrink(samples: &mut [Sample], target: &mut PodTarget<'_>) -> i64 {
    let used: i128 = samples.iter().map(|sample| i128::from(sample.value_milli)).sum();
    let (asked, factor) = match &*target {
        PodTarget::Utilization { percent, requests } => {
            let asked = requests.iter().flat_map(BTreeMap::values).map(|request| i128::from(*request)).sum();
            (asked, i128::from((*percent).max(100)))
        }
        PodTarget::Average { milli } => (i128::from(*milli) * samples.len() as i128, 1),
    };
    let largest = used.max(asked).saturating_mul(factor);
    let divisor = i64::try_from(largest / i128::from(i64::MAX / 2) + 1).unwrap_or(i64::MAX);
    if divisor == 1 {
        return divisor;
    }
    for sample in samples {
        // Up, or a use of just 40 % would be cut to 39.
        sample.value_milli = sample.value_milli / divisor + i64::from(sample.value_milli % divisor > 0);
    }
    match target {
        PodTarget::Utilization { requests: Ok(requests), .. } => {
            requests.values_mut().for_each(|request| *request /= divisor);
        }
        PodTarget::Utilization { .. } => {}
        PodTarget::Average { milli } => *milli = (*milli / divisor).max(1),
    }
    divisor
}
