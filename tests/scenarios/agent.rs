//! Hosts that call home: what their agents are told, and what becomes of their nodes.

mod certificates;
mod crowds;
mod heartbeats;
mod install;
mod launched;
mod process;
mod reachability;
mod real_engine;
mod registration;
mod ssh;
mod theft;
mod upgrades;

/// Whose engine listens at this machine's own address, at Docker's port: one at a time.
static OWN_PORT: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
