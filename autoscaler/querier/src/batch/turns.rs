//! Whose turn it is. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::Owner;

/// What waits, by owner, and how much of each is under way.
#[derive(Debug)]
pub(super) struct Turns<T> {
    most: usize,
    most_of_one: usize,
    busy: usize,
    lanes: BTreeMap<Owner, Lane<T>>,
    /// Owners with something waiting, the next one first.
    round: VecDeque<Owner>,
}

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<T>,
    busy: usize,
}

impl<T> Turns<T> {
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self { most, most_of_one, busy: 0, lanes: BTreeMap::new(), round: VecDeque::new() }
    }

    /// Puts something at the end of its owner's queue.
    pub(super) fn enqueue(&mut self, owner: Owner, item: T) {
        let lane =
            self.lanes.entry(owner.clone()).or_insert_with(|| Lane { waiting: VecDeque::new(), busy: 0 });
        if lane.waiting.is_empty() {
            self.round.push_back(owner);
        }
        lane.waiting.push_back(item);
    }

    /// What may begin now: of the owner whose turn it is and who has not his most under way.
    pub(super) fn next(&mut self) -> Option<(Owner, T)> {
        if self.busy >= self.most {
            return None;
        }
        for _ in 0..self.round.len() {
            let owner = self.round.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&owner) else { continue };
            if lane.busy >= self.most_of_one {
                self.round.push_back(owner);
                continue;
            }
            let Some(item) = lane.waiting.pop_front() else { continue };
            lane.busy += 1;
            self.busy += 1;
            if !lane.waiting.is_empty() {
                self.round.push_back(owner.clone());
            }
            return Some((owner, item));
        }
        None
    }

    /// Something of this owner's is over.
    pub(super) fn done(&mut self, owner: &Owner) {
        if let Some(lane) = self.lanes.get_mut(owner) {
            self.busy = self.busy.saturating_sub(1);
            lane.busy = lane.busy.saturating_sub(1);
            if lane.busy == 0 && lane.waiting.is_empty() {
                self.lanes.remove(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(turns: &mut Turns<u32>) -> Option<(String, u32)> {
        turns.next().map(|(owner, item)| (owner.to_string(), item))
    }

    #[test]
    fn owners_take_turns_whoever_came_first() {
        let mut turns = Turns::new(4, 2);
        (0..5).for_each(|i| turns.enqueue("greedy".into(), i));
        turns.enqueue("modest".into(), 10);
        turns.enqueue("other".into(), 20);
        let got: Vec<_> = std::iter::from_fn(|| next(&mut turns)).collect();
        let of = |owner: &str, item| (owner.to_owned(), item);
        assert_eq!(got, [of("greedy", 0), of("modest", 10), of("other", 20), of("greedy", 1)]);
        turns.done(&"modest".into());
        assert_eq!(next(&mut turns), None, "greedy has its most under way");
        turns.done(&"greedy".into());
        assert_eq!(next(&mut turns), Some(of("greedy", 2)));
        turns.done(&"other".into());
        turns.enqueue("late".into(), 30);
        assert_eq!(next(&mut turns), Some(of("late", 30)));
    }

    #[test]
    fn nothing_is_remembered_of_owners_that_are_done() {
        let mut turns = Turns::new(1, 1);
        turns.enqueue("a".into(), 1);
        let (owner, _) = turns.next().unwrap();
        turns.done(&owner);
        turns.done(&owner);
        assert!(turns.lanes.is_empty() && turns.round.is_empty() && turns.busy == 0);
    }
}
