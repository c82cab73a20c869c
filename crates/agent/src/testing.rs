//! Stand-ins for everything around the agent: the server, the engine, the metadata service, the machine.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::JoinHandle;

use crate::http::Web;

mod engine;
mod machine;
mod metadata;
mod server;

pub(crate) use engine::FakeEngine;
pub(crate) use machine::Machine;
pub(crate) use metadata::FakeMetadata;
pub(crate) use server::{Call, FakeServer};

/// No test waits longer than this for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const TOKEN: &str = "21268a001bcf40acb5c0884679d4fd1f";

pub(crate) fn web() -> Web {
    Web::new(None, Duration::from_secs(20)).unwrap()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
