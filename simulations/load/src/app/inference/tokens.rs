//! How long prompts and answers are: draws with given means, the same for the same seed.

use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution as _, Exp1};

use super::batch::Work;
use crate::seed::seed_of_tokens;

/// No prompt and no answer is longer than so many means.
pub const LONGEST_MEANS: u32 = 8;

/// Lengths, one request after another: mostly short, with a standard deviation as large as the mean.
#[derive(Debug)]
pub(super) struct Lengths {
    prompt_mean: u32,
    output_mean: u32,
    rng: Mutex<Xoshiro256PlusPlus>,
}

impl Lengths {
    /// `whose` tells processes with the same seed apart.
    pub(super) fn new(prompt_mean: u32, output_mean: u32, seed: u64, whose: &str) -> Self {
        let rng = Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed_of_tokens(seed, whose)));
        Self { prompt_mean, output_mean, rng }
    }

    /// The next one.
    pub(super) fn draw(&self) -> Work {
        let mut rng = self.rng.lock();
        let mut tokens = |mean: u32| {
            let means: f64 = Exp1.sample(&mut *rng);
            // Half a token makes up for what rounding up adds. `as` saturates.
            ((f64::from(mean) - 0.5).max(0.0) * means.min(f64::from(LONGEST_MEANS))).ceil().max(1.0) as u32
        };
        Work { prompt_tokens: tokens(self.prompt_mean), output_tokens: tokens(self.output_mean) }
    }

    /// The longest that a request can be.
    pub(super) fn longest_tokens(&self) -> u64 {
        (u64::from(self.prompt_mean) + u64::from(self.output_mean)) * u64::from(LONGEST_MEANS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_means_and_follow_the_seed() {
        let lengths = Lengths::new(200, 40, 1, "a");
        let all: Vec<Work> = (0..50_000).map(|_| lengths.draw()).collect();
        let mean =
            |of: fn(&Work) -> u32| all.iter().map(|w| f64::from(of(w))).sum::<f64>() / all.len() as f64;
        let (prompt, output) = (mean(|w| w.prompt_tokens), mean(|w| w.output_tokens));
        assert!((prompt - 200.0).abs() < 4.0 && (output - 40.0).abs() < 1.0, "{prompt} {output}");
        for w in &all {
            assert!(w.prompt_tokens >= 1 && w.output_tokens >= 1);
            assert!(u64::from(w.prompt_tokens + w.output_tokens) <= lengths.longest_tokens());
        }
        let first = |seed, whose| Lengths::new(200, 40, seed, whose).draw();
        assert_eq!(first(1, "a"), all[0]);
        assert!(first(2, "a") != all[0] && first(1, "b") != all[0]);
    }
}
