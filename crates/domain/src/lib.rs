//! The pure rules of Berth: what a node cluster is, which states it walks through, how a network is cut and where a
//! node goes.
//!
//! Nothing in here waits, reads a clock, draws a random number or knows of HTTP, SQL or AWS's SDK. Decide in a pure
//! function here, act in a thin one elsewhere: what can be tested in a microsecond is where the thinking goes.

pub mod action;
pub mod catalogue;
pub mod cidr;
pub mod cluster;
pub mod heartbeat;
pub mod host;
pub mod ids;
pub mod launch;
pub mod link;
pub mod network;
pub mod node;
pub mod placement;
pub mod plan;
pub mod provider_options;
pub mod quota;
pub mod role;
pub mod ssh;
pub mod state;
pub mod tags;
pub mod upgrade;
pub mod user_data;
