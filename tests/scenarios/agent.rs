//! Hosts that call home: what their agents are told, and what becomes of their nodes.

mod heartbeats;
mod reachability;
mod registration;
mod theft;
