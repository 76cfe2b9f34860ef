//! Continuous batching: sequences that generate a token each in every step, and those that wait for room. Without a
//! clock; how long a step takes is the caller's to say.
//!
//! ```text
//!  submit ─► waiting ─► admit ─► running ─► advance: one token each ─► finished
//!               ▲                  │
//!               └── preempted ◄────┘ the cache is full: the last one starts over
//! ```
//!
//! As vLLM's scheduler does it: first come, first served; the last one admitted is the first to be preempted, loses
//! what the cache held of it, and is first in line.

use std::collections::VecDeque;

/// A sequence's number, in the order of arrival.
pub(crate) type SequenceId = u64;

/// What a request asks for; both at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// Tokens to read.
    pub(crate) prompt_tokens: u32,
    /// Tokens to generate.
    pub(crate) output_tokens: u32,
}

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Sequences in one step (`--max-num-seqs`, `--parallel`).
    pub(crate) slots: usize,
    /// Tokens that the KV cache holds.
    pub(crate) kv_tokens: u64,
    /// Sequences that may wait.
    pub(crate) waiting: usize,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// Too many wait.
    Full,
    /// It would never fit into the cache.
    TooLong,
}

/// What a step has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Sequences that get a token.
    pub(crate) sequences: usize,
    /// Tokens of those that were just admitted, which are read first.
    pub(crate) prefilled: u64,
}

/// What can be seen from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// Sequences that generate.
    pub(crate) running: usize,
    /// Sequences that wait.
    pub(crate) waiting: usize,
    /// Share of the cache that is held, from 0 to 1.
    pub(crate) kv_usage: f64,
    /// Ever started over.
    pub(crate) preemptions: u64,
    /// Tokens ever read.
    pub(crate) prompt_tokens: u64,
    /// Tokens ever generated.
    pub(crate) generated_tokens: u64,
    /// Sequences ever finished.
    pub(crate) finished: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sequence {
    id: SequenceId,
    work: Work,
    made: u32,
}

impl Sequence {
    /// Tokens in the cache while it runs.
    fn held(&self) -> u64 {
        u64::from(self.work.prompt_tokens) + u64::from(self.made)
    }
}

/// The sequences of one server.
#[derive(Debug)]
pub(crate) struct Batch {
    room: Room,
    running: Vec<Sequence>,
    waiting: VecDeque<Sequence>,
    next: SequenceId,
    preemptions: u64,
    prompt_tokens: u64,
    generated_tokens: u64,
    finished: u64,
}

impl Batch {
    pub(crate) fn new(room: Room) -> Self {
        Self {
            room,
            running: Vec::new(),
            waiting: VecDeque::new(),
            next: 0,
            preemptions: 0,
            prompt_tokens: 0,
            generated_tokens: 0,
            finished: 0,
        }
    }

    /// Takes a request in.
    ///
    /// # Errors
    /// Too many wait, or it would never fit.
    pub(crate) fn submit(&mut self, work: Work) -> Result<SequenceId, Rejected> {
        let work =
            Work { prompt_tokens: work.prompt_tokens.max(1), output_tokens: work.output_tokens.max(1) };
        let longest = u64::from(work.prompt_tokens) + u64::from(work.output_tokens);
        if longest > self.room.kv_tokens {
            return Err(Rejected::TooLong);
        }
        if self.waiting.len() >= self.room.waiting {
            return Err(Rejected::Full);
        }
        let id = self.next;
        self.next += 1;
        self.waiting.push_back(Sequence { id, work, made: 0 });
        Ok(id)
    }

    /// Begins a step: whoever fits comes in, in order. None if there is nothing to do.
    pub(crate) fn admit(&mut self) -> Option<Step> {
        let mut prefilled = 0;
        while let Some(first) = self.waiting.front() {
            // And a token for it in this very step.
            let fits = self.held() + first.held() < self.room.kv_tokens;
            if self.running.len() >= self.room.slots.max(1) || !(fits || self.running.is_empty()) {
                break;
            }
            prefilled += first.held();
            self.running.extend(self.waiting.pop_front());
        }
        self.prompt_tokens += prefilled;
        let sequences = self.running.len();
        (sequences > 0).then_some(Step { sequences, prefilled })
    }

    /// Ends a step: each running sequence has one more token. Returns those that have all.
    pub(crate) fn advance(&mut self) -> Vec<SequenceId> {
        while self.running.len() > 1 && self.held() + self.running.len() as u64 > self.room.kv_tokens {
            if let Some(last) = self.running.pop() {
                self.waiting.push_front(last);
            }
            self.preemptions += 1;
        }
        self.generated_tokens += self.running.len() as u64;
        let mut finished = Vec::new();
        self.running.retain_mut(|sequence| {
            sequence.made += 1;
            let goes_on = sequence.made < sequence.work.output_tokens;
            if !goes_on {
                finished.push(sequence.id);
            }
            goes_on
        });
        self.finished += finished.len() as u64;
        finished
    }

    /// Whoever asked has left.
    pub(crate) fn cancel(&mut self, id: SequenceId) {
        self.running.retain(|sequence| sequence.id != id);
        self.waiting.retain(|sequence| sequence.id != id);
    }

    /// What can be seen from outside.
    pub(crate) fn load(&self) -> Load {
        Load {
            running: self.running.len(),
            waiting: self.waiting.len(),
            kv_usage: self.held() as f64 / self.room.kv_tokens.max(1) as f64,
            preemptions: self.preemptions,
            prompt_tokens: self.prompt_tokens,
            generated_tokens: self.generated_tokens,
            finished: self.finished,
        }
    }

    fn held(&self) -> u64 {
        self.running.iter().map(Sequence::held).sum()
    }
}

#[cfg(test)]
mod tests;
