//! Berth's HTTP API, wire-compatible with Docker Cloud's infra and audit API.
//!
//! A request comes in at [`server`], is given its canonical path by [`path`], and is answered by a handler. There is one
//! file for each verb of a resource: it has the request's wire form, the checks, the one transaction, and the answer.
//! Everything that a handler gets as an argument has been checked already: the caller ([`auth`]), the id ([`answer`]),
//! the body ([`body`]). Whatever goes wrong is an [`error`], named by its meaning.
//! What is told as it happens goes over a [`stream`].

use std::{path::PathBuf, sync::Arc};

use domain::{node::Readiness, user_data::PublicUrl};
use store::PgPool;

mod action;
mod agent;
mod answer;
pub mod auth;
mod authority;
mod az;
mod body;
mod catalogue;
mod credentials;
mod docs;
mod edge;
mod error;
mod events;
mod health;
mod install;
mod list;
mod node;
mod nodecluster;
mod nodetype;
mod parameter;
mod path;
mod people;
mod permission;
mod provider;
mod region;
mod server;
mod service;
mod stream;
mod tag;
mod time;
mod token;
mod uri;

pub use edge::{Edge, Tls, TlsError};
pub use server::{openapi, openapi_json, serve, serve_health, service};

/// How the API is set up.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// How hosts are dealt with.
    pub hosts: domain::host::Settings,
    /// Under which the keys of the authorities and of AWS are sealed; without it no host can register.
    pub secret_key: Option<pki::SecretKey>,
    /// How engines are reached.
    pub engines: engine::Way,
    /// How machines become nodes with an agent.
    pub agents: Agents,
    /// The way to AWS, to try credentials and to look; without it none can be linked.
    pub clouds: Option<Arc<dyn aws::Clouds>>,
    /// The namespaces that may use the server's own credentials.
    pub ambient: domain::link::Ambient,
    /// How much a namespace may have that has no limits of its own.
    pub quota: domain::quota::Limits,
    /// What stands between the network and the handlers.
    pub edge: Edge,
}

/// How machines become nodes with an agent.
#[derive(Debug, Clone)]
pub struct Agents {
    /// Under which URL machines reach Berth; none where the operator has not said.
    pub public_url: Option<PublicUrl>,
    /// What makes the nodes of a cluster usable that says nothing of it.
    pub readiness: Readiness,
    /// The folder with the agent's programs, one for each architecture.
    pub folder: Option<PathBuf>,
}

impl Default for Agents {
    fn default() -> Self {
        Self {
            public_url: None,
            readiness: Readiness::Instance,
            folder: None,
        }
    }
}

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct App {
    pool: PgPool,
    catalogue: Arc<catalogue::Cache>,
    streams: Arc<stream::Streams>,
    heartbeats: Arc<agent::heartbeats::Heartbeats>,
    hosts: domain::host::Settings,
    secret_key: Option<pki::SecretKey>,
    engines: engine::Way,
    agents: Arc<Agents>,
    checksums: Arc<install::program::Checksums>,
    clouds: Option<Arc<dyn aws::Clouds>>,
    ambient: domain::link::Ambient,
    options: Arc<provider::options::Cache>,
    quota: domain::quota::Limits,
    edge: Arc<Edge>,
    logins: Arc<edge::Logins>,
    requests: Arc<edge::Requests>,
    trials: Arc<edge::Requests>,
}

impl App {
    /// An application on this database.
    pub fn new(pool: PgPool, config: Config) -> Self {
        Self {
            pool,
            catalogue: Arc::default(),
            streams: Arc::default(),
            heartbeats: Arc::default(),
            hosts: config.hosts,
            secret_key: config.secret_key,
            engines: config.engines,
            agents: Arc::new(config.agents),
            checksums: Arc::default(),
            clouds: config.clouds,
            ambient: config.ambient,
            options: Arc::default(),
            quota: config.quota,
            logins: Arc::new(edge::Logins::new(&config.edge)),
            requests: Arc::new(edge::Requests::new(&config.edge)),
            trials: Arc::new(edge::Requests::to_try_credentials(&config.edge)),
            edge: Arc::new(config.edge),
        }
    }

    /// The way to AWS.
    fn clouds(&self) -> Result<&dyn aws::Clouds, error::ApiError> {
        self.clouds.as_deref().ok_or_else(|| {
            error::ApiError::NoAnswerOfAws("this replica has no way to AWS".to_owned())
        })
    }
}
