//! Repeatable chance: the same seed gives the same draws.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A source of random draws.
pub struct Chance(fastrand::Rng);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// True in this many cases out of a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    pub fn number(&mut self, range: RangeInclusive<u32>) -> u32 {
        self.0.u32(range)
    }

    /// A length of time with a whole number of milliseconds.
    pub fn duration(&mut self, seconds: RangeInclusive<u64>) -> Duration {
        let milliseconds = seconds.start() * 1000..=seconds.end() * 1000;
        Duration::from_millis(self.0.u64(milliseconds))
    }

    /// The seed of a lot that is drawn elsewhere.
    pub fn lot(&mut self) -> u64 {
        self.0.u64(..)
    }

    pub fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.0.usize(0..items.len())]
    }

    /// One of the items, each as often as its weight says.
    pub fn weighed<T: Clone>(&mut self, items: &[(u32, T)]) -> T {
        let mut throw = self.0.u32(0..items.iter().map(|(weight, _)| weight).sum());
        for (weight, item) in items {
            match throw.checked_sub(*weight) {
                Some(left) => throw = left,
                None => return item.clone(),
            }
        }
        unreachable!("the throw is below the sum of the weights")
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}
