//! Faults that a test orders: the next call of an action goes wrong in a given way.
//!
//! They wait in a queue per action, first in, first out. Faults on the n-th call, hanging and slow answers belong here.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// One way to go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Answer this error; nothing happened.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// AWS's error code.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// Do what was asked, then break the connection off instead of answering.
    DropAfterEffect,
    /// Do what was asked, then answer this HTTP status and error code.
    ErrorAfterEffect(u16, String),
}

/// The faults that wait.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: BTreeMap<String, VecDeque<Fault>>,
}

impl Faults {
    pub(crate) fn push(&mut self, action: &str, fault: Fault) {
        self.waiting
            .entry(action.to_owned())
            .or_default()
            .push_back(fault);
    }

    pub(crate) fn take(&mut self, action: &str) -> Option<Fault> {
        self.waiting.get_mut(action)?.pop_front()
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }
}
