//! A map that knows how many bytes of values it holds.

use std::collections::BTreeMap;
use std::collections::btree_map::{self, Values};
use std::ops::Range;

use bytes::Bytes;

/// Something that counts when held bytes are counted.
pub(crate) trait Weight {
    /// Its bytes.
    fn weight(&self) -> u64;
}

impl Weight for Bytes {
    fn weight(&self) -> u64 {
        self.len() as u64
    }
}

impl Weight for () {
    fn weight(&self) -> u64 {
        0
    }
}

/// A `BTreeMap` and the sum of the weights of its values, kept up to date at each change: it is
/// asked for after every event, and a map may hold thousands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Weighed<K, V> {
    map: BTreeMap<K, V>,
    weight: u64,
}

impl<K: Ord, V: Weight> Weighed<K, V> {
    pub(super) fn new() -> Weighed<K, V> {
        Weighed {
            map: BTreeMap::new(),
            weight: 0,
        }
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.weight += value.weight();
        if let Some(replaced) = self.map.insert(key, value) {
            self.weight -= replaced.weight();
        }
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(removed) = self.map.remove(key) {
            self.weight -= removed.weight();
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.map.retain(|key, value| {
            let kept = keep(key, value);
            if !kept {
                self.weight -= value.weight();
            }
            kept
        });
    }
}

impl<K: Ord, V> Weighed<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(super) fn first_in(&self, keys: Range<K>) -> Option<(&K, &V)> {
        self.map.range(keys).next()
    }

    pub(super) fn last_up_to(&self, key: K) -> Option<(&K, &V)> {
        self.map.range(..=key).next_back()
    }

    pub(super) fn values(&self) -> Values<'_, K, V> {
        self.map.values()
    }

    pub(super) fn iter(&self) -> btree_map::Iter<'_, K, V> {
        self.map.iter()
    }
}
