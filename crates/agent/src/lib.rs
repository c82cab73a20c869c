//! Berth's agent: it makes a machine with Docker a node.
//!
//! It speaks the agent protocol of Docker Cloud (`/api/agent/v1/node/…`, agent 1.1.0): it registers with a token, makes
//! the node's key and certificate, has Docker listen with mutual TLS, and announces the certificate at every start.
//! Heartbeats are Berth's addition: by them the server knows that the node lives, and where.
//!
//! Everything waits in one thread, and every file is replaced at once, so that the agent may be killed at any moment.

pub mod addresses;
pub mod agent;
pub mod api;
pub mod backoff;
pub mod check;
pub mod cli;
pub mod command;
pub mod config;
pub mod daemon_json;
pub mod docker;
pub mod drop_in;
pub mod engine;
mod error;
pub mod files;
mod heartbeat;
pub mod http;
pub mod keys;
pub mod machine;
pub mod metadata;
mod register;
mod start;
pub mod state;
pub mod systemd;
#[cfg(test)]
mod testing;
pub mod upgrade;
pub mod wire;

pub use error::Error;
pub use start::main;
