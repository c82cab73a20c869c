//! EC2's eventual consistency ("Eventual consistency in the Amazon EC2 API"): "its ID might not have propagated
//! throughout the system, and you will get an error responding that the resource does not exist".
//!
//! Everything new lies on a [`Shelf`], which does not show it before its time, neither in lists nor by its id. What the
//! simulator needs to know itself (what is in the way, what counts against a quota, what a client token stands for) it
//! reads with the methods that say `all` or `any`. Changes of what is seen already are seen at once.

use std::collections::BTreeMap;

use crate::protocol::ApiError;
use crate::state::{Kind, Millis, Region};

/// Resources of one kind by id, the ones that are too young to be seen apart.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    seen: BTreeMap<String, T>,
    young: BTreeMap<String, (Millis, T)>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            seen: BTreeMap::new(),
            young: BTreeMap::new(),
        }
    }
}

impl<T> Shelf<T> {
    /// Adds a resource that is seen from a time on, or at once.
    pub(crate) fn insert(&mut self, id: String, value: T, from: Option<Millis>) {
        match from {
            Some(from) => {
                self.young.insert(id, (from, value));
            }
            None => {
                self.seen.insert(id, value);
            }
        }
    }

    /// Shows what has grown old enough.
    pub(crate) fn settle(&mut self, now: Millis) {
        let grown = self.young.extract_if(.., |_, (from, _)| *from <= now);
        self.seen.extend(grown.map(|(id, (_, value))| (id, value)));
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.seen.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.seen.get_mut(id)
    }

    pub(crate) fn contains_key(&self, id: &str) -> bool {
        self.seen.contains_key(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &T)> {
        self.seen.iter()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.seen.values()
    }

    /// One that exists, seen or not.
    pub(crate) fn any(&self, id: &str) -> Option<&T> {
        let young = || self.young.get(id).map(|(_, value)| value);
        self.seen.get(id).or_else(young)
    }

    pub(crate) fn any_mut(&mut self, id: &str) -> Option<&mut T> {
        let young = self.young.get_mut(id).map(|(_, value)| value);
        self.seen.get_mut(id).or(young)
    }

    /// All that exist, seen or not.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        let young = self.young.values().map(|(_, value)| value);
        self.seen.values().chain(young)
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let young = self.young.values_mut().map(|(_, value)| value);
        self.seen.values_mut().chain(young)
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.len() + self.young.len()
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.seen.remove(id);
        self.young.remove(id);
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.seen.retain(|_, value| keep(value));
        self.young.retain(|_, (_, value)| keep(value));
    }
}

impl Region {
    /// When something that is made now will be seen; None is at once.
    pub(crate) fn appears(&mut self, kind: Kind, id: &str) -> Option<Millis> {
        self.hiding.made(kind, id, self.now);
        match self.ids.within(&self.consistency_ms) {
            0 => None,
            delay => Some(self.now.saturating_add(delay)),
        }
    }

    /// Refuses when any of the ids is unknown, or not seen yet.
    pub(crate) fn all_exist(&self, kind: Kind, ids: &[&str]) -> Result<(), ApiError> {
        let unseen = |id: &&str| !self.exists(kind, id);
        let unknown: Vec<&str> = ids.iter().copied().filter(unseen).collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(kind.none_of(&unknown))
        }
    }
}
