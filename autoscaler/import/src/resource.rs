//! CPU and memory: metrics of resources, as HPAs and KEDA have them.

use autoscaler_api::Quantity;

use crate::draft::{Found, Measure, Metric, Target, quantity};
use crate::field::At;
use crate::note::Note;

/// A resource metric as the HPA and KEDA have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource<'a> {
    /// `cpu`, `memory`, or something else.
    pub(crate) name: &'a str,
    /// Only this container of each pod.
    pub(crate) container: Option<&'a str>,
    /// The field that asks for it.
    pub(crate) field: &'a str,
}

/// Percent of the requests, or an amount a pod.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Utilization(i32),
    AverageValue(Quantity),
}

impl Ask {
    /// An HPA's target.
    pub(crate) fn of_target(target: &At<'_>, notes: &mut Vec<Note>) -> Option<Self> {
        let words = [("Utilization", true), ("AverageValue", false)];
        let utilization = match target.field("type") {
            Some(kind) => kind.one_of(&words, notes)?,
            // As autoscaling/v1 and v2beta1 wrote it: whichever is there.
            None => target.field("averageUtilization").is_some(),
        };
        let name = if utilization { "averageUtilization" } else { "averageValue" };
        let Some(value) = target.field(name) else {
            notes.push(target.wrong(&format!("{name} beside the type")));
            return None;
        };
        if utilization {
            value.within(1, 1_000_000, notes).map(Self::Utilization)
        } else {
            quantity(&value, notes).map(Self::AverageValue)
        }
    }
}

/// Takes a resource metric over.
pub(crate) fn take(resource: Resource<'_>, ask: Ask, found: &mut Found) {
    for name in [Some(resource.name), resource.container].into_iter().flatten() {
        let strange = |c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c));
        if name.is_empty() || name.len() > 63 || name.contains(strange) {
            let message = format!("{name:?} names no resource and no container");
            found.notes.push(Note::lost(resource.field, message, "correct the name"));
            return;
        }
    }
    let of = resource.container.map(|container| format!("-{container}")).unwrap_or_default();
    found.metrics.push(Metric {
        name: format!("{}{of}", resource.name),
        measure: Measure::Resource {
            name: resource.name.to_owned(),
            container: resource.container.map(str::to_owned),
        },
        target: match ask {
            Ask::Utilization(percent) => Target::Utilization(percent),
            Ask::AverageValue(quantity) => Target::AverageValue(quantity),
        },
        fallback: None,
        field: resource.field.to_owned(),
        server: None,
    });
}
