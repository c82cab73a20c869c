//! The stories that Berth must live through, over real HTTP, on a real Postgres, against the simulated AWS.
#![expect(
    clippy::unwrap_used,
    reason = "these are tests: what goes wrong ends the story"
)]

mod actions;
mod agent;
mod bad_input;
mod botocore;
mod capacity;
mod catalogue;
mod command_line;
mod compatibility;
mod constraints;
mod coverage;
mod docker_cloud_cli;
mod edge;
mod filters;
mod first_deploy;
mod gateways;
mod hardening;
mod hostile;
mod hosts;
mod isolation;
mod launches;
mod linking;
mod listings;
mod lists;
mod lost_workers;
mod moto;
mod names;
mod node_operations;
mod numbers;
mod openapi;
mod options;
mod own_vpc;
mod people;
mod quotas;
mod recovery;
mod refusals;
mod scaling;
mod schemathesis;
mod small_endpoints;
mod streams;
mod tables;
mod tags;
mod termination;
mod transactions;
mod wire;
mod workers;
