//! Hosts that call home: what their agents are told, and what becomes of their nodes.

mod certificates;
mod crowds;
mod heartbeats;
mod install;
mod launched;
mod process;
mod reachability;
mod registration;
mod ssh;
mod theft;
mod upgrades;
