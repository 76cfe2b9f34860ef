// The controller's one-word codes as sentences; a code that is new reads as its own words. Pure.

const CAUSES = {
  AboveTarget: "the metrics ask for more",
  OnTarget: "the metrics ask for what is there",
  BelowTarget: "the metrics ask for fewer",
  Fallback: "evidence is missing, so the fallback counts",
  InsufficientEvidence: "the evidence does not suffice to lower",
  FailedGetExternalMetric: "a metric gives no number",
  ScalingPaused: "the policy is paused",
  ScalingDisabled: "the target has no replicas",
  InvalidPolicy: "the policy contradicts itself",
  TooManyReplicas: "there were more than maxReplicas",
  TooFewReplicas: "there were fewer than minReplicas",
};

const LIMITS = {
  InsufficientEvidence: "not lowered: insufficient evidence",
  EvidenceTooShort: "not lowered: good evidence is too recent",
  ScaleUpStabilized: "held by the scale-up window",
  ScaleDownStabilized: "held by the scale-down window",
  ScaleUpLimit: "cut by the scale-up rate",
  ScaleDownLimit: "cut by the scale-down rate",
  TooManyReplicas: "cut at maxReplicas",
  TooFewReplicas: "kept at minReplicas",
};

const EVIDENCE = {
  EvidenceComplete: "fresh and complete",
  StaleSamples: "samples are too old",
  ClustersMissing: "a cluster has no samples",
  QueryWarnings: "the querier warned of a partial answer",
  QueryFailed: "the query failed",
  SourceUnusable: "the policy's source cannot be asked",
  EmptyResult: "the query gave nothing",
  ManySeries: "the query gave several series",
  NotANumber: "the value is not a number",
  NegativeValue: "the value is below zero",
  PodsMissing: "pods without fresh samples",
  QueryAnnotated: "the querier warned of the query",
  NotSettled: "samples are still on their way",
  NoReadyReplicas: "no replica is ready",
  NotObserved: "a metric was not observed",
};

const plain = (code) => code.replace(/([a-z])(?=[A-Z])/g, "$1 ").toLowerCase();
const words = (table) => (code) => (code ? (Object.hasOwn(table, code) ? table[code] : plain(code)) : "");

export const cause = words(CAUSES);
export const limit = words(LIMITS);
export const evidence = words(EVIDENCE);
