//! Virtual hosts: an instance that has booted acts out its user data, with Berth's own agent in this process.
//!
//! One task looks at all instances whenever something was changed or a boot is through ([`Hosts::settle`]), and switches
//! their machines on and off by what it sees. A machine ([`machine`]) is a disk in memory, a console log, and what the
//! simulator knows of its instance; its agent is one more task, whose calls go by [`wire`]. Its Docker engine
//! ([`engine`]) is reached by CONNECT to the simulator ([`proxy`]).
//!
//! Agents live in real time: their pauses and heartbeats are not hurried by a clock that is moved on.

mod config;
mod console_log;
mod containers;
mod engine;
mod host;
mod machine;
mod metadata;
mod orders;
mod proxy;
mod registry;
mod user_data;
mod view;
mod wire;

use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::simulator::Simulator;
use crate::state::Millis;

pub use config::HostConfig;
pub(crate) use console_log::ConsoleLog;
pub(crate) use proxy::connect;
use registry::Registry;
pub use view::HostView;

/// Changes that come one after another are looked at together.
const GATHER: Duration = Duration::from_millis(10);
/// So many times as long as a look takes there is none: thousands of instances that boot at their own times each would
/// leave nobody else his turn.
const REST: u32 = 4;

/// The virtual hosts of a simulator.
pub(crate) struct Hosts {
    config: HostConfig,
    seed: u64,
    roads: wire::Roads,
    registry: Mutex<Registry>,
    /// Whether something may have changed since the instances were looked at.
    is_stirred: AtomicBool,
    news: Notify,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").finish_non_exhaustive()
    }
}

impl Hosts {
    pub(crate) fn new(config: HostConfig, seed: u64) -> Self {
        Self {
            config,
            seed,
            roads: wire::Roads::default(),
            registry: Mutex::default(),
            is_stirred: AtomicBool::new(true),
            news: Notify::new(),
        }
    }

    /// Something may have changed for instances.
    pub(crate) fn stir(&self) {
        self.is_stirred.store(true, Ordering::Release);
        self.news.notify_one();
    }

    /// Looks at the instances, if anything may have changed: for whoever must not see yesterday's.
    fn catch_up(&self, simulator: &Simulator) {
        if self.is_stirred.load(Ordering::Acquire) {
            self.settle(simulator);
        }
    }

    /// Brings the machines into agreement with the instances. Answers with when the next of them changes by itself.
    fn settle(&self, simulator: &Simulator) -> Option<Millis> {
        // This lock comes before the simulator's, always.
        let mut registry = self.lock();
        self.is_stirred.store(false, Ordering::Release);
        let now = simulator.now();
        let mut inner = simulator.lock();
        registry.settle(self, &mut inner.world, now)
    }

    /// Switches all machines off for good.
    pub(crate) fn end(&self) {
        self.lock().end();
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        locked(&self.registry)
    }
}

/// Keeps the machines in agreement with the instances, until it is dropped.
pub(crate) async fn conduct(simulator: Simulator, hosts: Arc<Hosts>) {
    loop {
        let began = Instant::now();
        let next = hosts.settle(&simulator);
        let took = began.elapsed();
        let change = async {
            match next {
                Some(at) => sleep(Duration::from_millis(at.saturating_sub(simulator.now()))).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = change => {}
            () = hosts.news.notified() => {}
        }
        sleep(GATHER.max(took * REST)).await;
    }
}

/// A panic while a lock was held would be a bug of ours; one machine's must not end the others.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
