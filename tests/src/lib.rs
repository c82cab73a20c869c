//! The whole-system harness: a real Postgres, real HTTP, and the simulated AWS (or moto) on this machine.
//!
//! A test starts a [`World`], acts on it as users do (over HTTP) and as the AWS console does, waits for conditions
//! with a deadline, and ends with [`World::finish`], which asserts what must hold at rest after every story.

mod account;
mod api_process;
mod client;
pub mod crash;
mod docker;
mod docker_client;
mod docker_cloud;
mod engine;
mod engine_socket;
mod host;
pub mod measure;
mod moto;
mod numbers;
mod pace;
mod postgres;
mod process;
mod python;
mod raw;
mod real_engine;
mod rest;
mod shift;
mod socket;
pub mod storm;
mod transitions;
mod users;
mod virtual_host;
mod worker_process;
mod world;
mod zone;

pub use account::trust;
pub use api_process::ApiProcess;
pub use client::{Answer, Client};
pub use crash::words;
pub use docker::Docker;
pub use docker_client::docker_ping;
pub use docker_cloud::DockerCloud;
pub use engine::{DOCKER_PORT, Engine, ORIGINAL_PORT};
pub use engine_socket::EngineSocket;
pub use host::{Host, agent_config, facts, fresh_token};
pub use moto::{AccessKey, CheckedMoto, Moto};
pub use numbers::{
    Cost, Round, cost_of_a_first_launch, cost_of_a_round_in_given_subnets, describes_at_rest,
};
pub use pace::{fast_connector, fast_worker};
pub use postgres::{OwnPostgres, fresh_database};
pub use process::{Ended, Process, free_port};
pub use python::{python, schemathesis, venv};
pub use raw::{RawAnswer, raw_bytes, raw_exchange, raw_http};
pub use real_engine::RealEngine;
pub use shift::Shift;
pub use socket::{Heard, Socket};
pub use users::add_user;
pub use worker_process::WorkerProcess;
pub use world::{
    ACCOUNT, IAM_POLICY, Options, SERVER_IAM_POLICY, World, theirs, wait_for, whole_policy,
};
