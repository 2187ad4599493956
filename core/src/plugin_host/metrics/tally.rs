use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
};

/// One number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted apart from each other.
pub trait Kind: Copy + PartialEq + 'static {
    const ALL: &'static [Self];

    /// As it is called in the API.
    fn word(self) -> &'static str;
}

/// A counter for each kind.
pub struct Tally<K> {
    counters: Box<[Counter]>,
    kind: PhantomData<K>,
}

impl<K: Kind> Default for Tally<K> {
    fn default() -> Self {
        Self {
            counters: K::ALL.iter().map(|_| Counter::default()).collect(),
            kind: PhantomData,
        }
    }
}

impl<K: Kind> Tally<K> {
    pub fn add(&self, kind: K) {
        let counted = K::ALL.iter().zip(&self.counters);
        for (_, counter) in counted.filter(|(one, _)| **one == kind) {
            counter.add();
        }
    }

    pub fn of(&self, kind: K) -> u64 {
        let counted = self.all().filter(|(one, _)| *one == kind);
        counted.map(|(_, count)| count).sum()
    }

    pub fn total(&self) -> u64 {
        self.all().map(|(_, count)| count).sum()
    }

    /// All kinds, also those that have not come yet.
    pub(super) fn all(&self) -> impl Iterator<Item = (K, u64)> {
        let counted = K::ALL.iter().zip(&self.counters);
        counted.map(|(kind, counter)| (*kind, counter.get()))
    }

    /// By word, those that have come.
    pub(super) fn counted(&self) -> BTreeMap<String, u64> {
        let come = self.all().filter(|(_, count)| *count > 0);
        come.map(|(kind, count)| (kind.word().to_owned(), count))
            .collect()
    }
}
