//! A value that may be acted on, or why there is none.

use std::fmt;

/// A value with sufficient and fresh evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// In thousandths, as the HPA computes.
    pub milli: i64,
    /// Time of the samples that it is of, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// Why there is no value. Each is an error to whoever asks, and an HPA leaves the replicas as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no such policy.
    NoPolicy,
    /// The policy has no such metric.
    NoMetric {
        /// Those that it has.
        has: Vec<String>,
    },
    /// Policies are not known yet: this process has only just started, or cannot list them.
    NotListed,
    /// The controller has not evaluated the policy, as it is now.
    NotEvaluated,
    /// Its last evaluation is too long ago.
    Stale {
        /// How long, in milliseconds.
        age_ms: i64,
        /// How long it may be, in milliseconds.
        allowed_ms: i64,
    },
    /// Its last evaluation lies ahead of this process' clock.
    FromTheFuture {
        /// By how much, in milliseconds.
        ahead_ms: i64,
    },
    /// The evidence does not allow fewer replicas.
    Insufficient {
        /// Which doubts, and their cures.
        message: String,
    },
    /// There is no value, or none that a quantity can hold.
    NoValue {
        /// What there is.
        text: String,
    },
}

impl Why {
    /// HTTP status and reason of a Kubernetes `Status`: what is asked for is not there, or cannot be had now.
    pub fn code(&self) -> (u16, &'static str) {
        match self {
            Self::NoPolicy | Self::NoMetric { .. } => (404, "NotFound"),
            _ => (503, "ServiceUnavailable"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |ms: &i64| {
            thanos_model::format_duration(std::time::Duration::from_millis(ms.max(&0).unsigned_abs()))
        };
        match self {
            Self::NoPolicy => f.write_str("there is no such ScalingPolicy in this namespace; create it, for example in mode Shadow"),
            Self::NoMetric { has } if has.is_empty() => f.write_str("the policy has no metrics"),
            Self::NoMetric { has } => write!(f, "the policy has no such metric; it has {}", has.join(", ")),
            Self::NotListed => f.write_str("policies are not known here yet; look whether this server may list and watch them"),
            Self::NotEvaluated => f.write_str(
                "the controller has not evaluated the policy as it is now; look at its conditions, and whether a \
                 controller runs",
            ),
            Self::Stale { age_ms, allowed_ms } => write!(
                f,
                "the controller evaluated the policy last {} ago, and {} are allowed; look whether a controller leads",
                show(age_ms),
                show(allowed_ms)
            ),
            Self::FromTheFuture { ahead_ms } => write!(
                f,
                "the controller evaluated the policy {} ahead of the clock here; set the clocks of both",
                show(ahead_ms)
            ),
            Self::Insufficient { message } if message.is_empty() => f.write_str("its evidence is insufficient"),
            Self::Insufficient { message } => write!(f, "its evidence is insufficient: {message}"),
            Self::NoValue { text } if text.is_empty() => f.write_str("the query gave no value"),
            Self::NoValue { text } => write!(f, "its value {text} is none that replicas can be computed from"),
        }
    }
}

/// Where values come from.
pub trait Values {
    /// The value of a policy's metric at `now_ms`.
    ///
    /// # Errors
    /// Why there is none that may be acted on.
    fn get(&self, namespace: &str, policy: &str, metric: &str, now_ms: i64) -> Result<Value, Why>;

    /// Policies of a namespace that have a metric of this name, in order.
    fn policies_with(&self, namespace: &str, metric: &str) -> Vec<String>;
}
