//! How sums and floats become replicas: the one thing in which windows and rates differ for who uses them here.
//!
//! Sums are made in 64 bits, in which replicas and their changes do not overflow, and cut to 32 where upstream's are
//! looked at: wrapping at each step and once at the end are the same.

use crate::amd64::integer;

/// What becomes of a number that is no number of replicas.
pub trait Arithmetic {
    /// The replicas that a period began with.
    fn start(sum: i64) -> i64;
    /// A sum.
    fn sum(sum: i64) -> i32;
    /// A whole float.
    fn whole(x: f64) -> i32;
}

/// Upstream's, to the letter: sums wrap, and floats are [`amd64`](crate::amd64)'s.
#[derive(Clone, Copy, Debug)]
pub struct Go;

impl Arithmetic for Go {
    fn start(sum: i64) -> i64 {
        i64::from(Self::sum(sum))
    }

    fn sum(sum: i64) -> i32 {
        sum as i32
    }

    fn whole(x: f64) -> i32 {
        integer(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_wrap_and_floats_are_those_of_amd64() {
        let max = i64::from(i32::MAX);
        for (sum, wrapped) in [(7, 7), (max + 1, i32::MIN), (-max - 2, i32::MAX), (1 << 32, 0)] {
            assert_eq!((Go::sum(sum), Go::start(sum)), (wrapped, i64::from(wrapped)), "{sum}");
        }
        assert_eq!([3e9, f64::NAN, -1.9].map(Go::whole), [i32::MIN, i32::MIN, -1]);
    }
}
