//! Everything that one sync reads.

use crate::metrics::Scale;
use crate::pod::Pod;
use crate::sample::Answer;
use crate::spec::HpaSpec;
use crate::status::HpaStatus;

/// What one sync reads, all of it at one time.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// When, in milliseconds of the clock that all other times are of.
    pub now_ms: i64,
    /// The object's spec.
    pub spec: &'a HpaSpec,
    /// The object's status as it is stored.
    pub status: &'a HpaStatus,
    /// The target's scale, or why it cannot be had.
    pub scale: Result<Scale, &'a str>,
    /// The pods under the scale's selector.
    pub pods: Selected<'a>,
    /// One answer for each metric of the spec, at the same place. Not looked at unless metrics decide.
    pub answers: &'a [Answer],
}

/// What the scale's selector selects.
#[derive(Clone, Copy, Debug)]
pub enum Selected<'a> {
    /// These pods.
    Pods(&'a [Pod]),
    /// The scale has no selector.
    Required,
    /// The selector cannot be read, and why.
    Invalid(&'a str),
    /// Another HorizontalPodAutoscaler selects some of these pods too; which.
    Ambiguous(&'a str),
}
