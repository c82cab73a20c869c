//! `berth serve`: a replica, and all that can be set of it.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use domain::{node::Readiness, user_data::PublicUrl};

use super::{Database, SecretOptions};

/// Flags of `berth serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// What this replica does.
    #[arg(long, env = "BERTH_ROLE", value_enum, default_value_t = Role::All)]
    pub role: Role,
    /// The database.
    #[command(flatten)]
    pub database: Database,
    /// The most connections to the database; the API and the worker each keep one of them to listen for notifications.
    #[arg(long, env = "BERTH_DATABASE_CONNECTIONS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(4..=1000))]
    pub database_connections: u32,
    /// Where the API listens; a worker alone serves /healthz and /readyz there.
    #[arg(long, env = "BERTH_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// How the worker goes about it.
    #[command(flatten)]
    pub worker: WorkerOptions,
    /// The names of nodes.
    #[command(flatten)]
    pub names: NameOptions,
    /// How hosts are dealt with.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// The agents on the nodes.
    #[command(flatten)]
    pub agents: AgentOptions,
    /// The secret key.
    #[command(flatten)]
    pub secret: SecretOptions,
    /// The namespaces that may use this server's own AWS credentials, with commas between them, or * for all. [default:
    /// none: each links an account of its own]
    #[arg(
        long,
        env = "BERTH_AMBIENT_NAMESPACES",
        value_name = "NAMES",
        default_value = "",
        hide_default_value = true
    )]
    pub ambient_namespaces: String,
    /// How much a namespace may have.
    #[command(flatten)]
    pub quota: QuotaOptions,
    /// What stands between the network and the API.
    #[command(flatten)]
    pub edge: EdgeOptions,
}

/// Flags about the agents on the nodes. All replicas of an installation must be given the same.
#[derive(Debug, Args)]
pub struct AgentOptions {
    /// Under which URL machines reach this API, as https://berth.example.com. Needed where nodes are to call home.
    #[arg(long, env = "BERTH_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<PublicUrl>,
    /// What makes a node usable, where its cluster says nothing: "agent", that its agent has called home and its Docker
    /// engine answers; "instance", that its instance runs.
    #[arg(long, env = "BERTH_READINESS", default_value = "agent", value_name = "READINESS", value_parser = readiness)]
    pub readiness: Readiness,
    /// The folder with the agent's programs, berth-agent-linux-amd64 and berth-agent-linux-arm64. [default: the one that
    /// this program is in]
    #[arg(long, env = "BERTH_AGENT_DIR", value_name = "FOLDER")]
    pub agent_dir: Option<PathBuf>,
}

fn public_url(text: &str) -> Result<PublicUrl, String> {
    PublicUrl::new("URL", text).map_err(|error| error.reason)
}

fn readiness(text: &str) -> Result<Readiness, String> {
    text.parse()
        .map_err(|_| "must be \"agent\" or \"instance\"".to_owned())
}

/// Flags about what stands between the network and the API.
#[derive(Debug, Args)]
pub struct EdgeOptions {
    /// A certificate with its chain, in PEM: TLS is served in place of plain HTTP. SIGHUP reads it anew.
    #[arg(
        long,
        env = "BERTH_TLS_CERTIFICATE",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key, in PEM.
    #[arg(
        long,
        env = "BERTH_TLS_KEY",
        value_name = "FILE",
        requires = "tls_certificate"
    )]
    pub tls_key: Option<PathBuf>,
    /// The networks of load balancers whose X-Forwarded-For is believed, as 10.0.0.0/8, with commas.
    #[arg(
        long,
        env = "BERTH_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<String>,
    /// How many requests a second a user may go on making; 0 is no limit.
    #[arg(long, env = "BERTH_REQUESTS_PER_SECOND", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub requests_per_second: u32,
    /// How many wrong keys and tokens a minute may come from one address; 0 is no limit.
    #[arg(long, env = "BERTH_FAILED_LOGINS_PER_MINUTE", default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub failed_logins_per_minute: u32,
    /// How many connections there may be; further ones wait. 0 is no limit.
    #[arg(long, env = "BERTH_CONNECTIONS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub connections: u32,
    /// How many of them may be from one address; further ones are closed. 0 is no limit.
    #[arg(long, env = "BERTH_CONNECTIONS_PER_ADDRESS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub connections_per_address: u32,
}

/// How much a namespace may have that has no limits of its own (`berth quota`). All replicas must be given the same.
#[derive(Debug, Clone, Copy, Args)]
pub struct QuotaOptions {
    /// How many node clusters a namespace may have. [default: no limit]
    #[arg(long, env = "BERTH_MAX_CLUSTERS", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub max_clusters: Option<u32>,
    /// How many nodes a namespace may have. [default: no limit]
    #[arg(long, env = "BERTH_MAX_NODES", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub max_nodes: Option<u32>,
}

/// Flags about the names of nodes. All workers of an installation must be given the same.
#[derive(Debug, Args)]
pub struct NameOptions {
    /// A hosted zone of yours in Route 53, as Z0123456789ABCDEFGHIJ, in which nodes get names. [default: EC2's names]
    #[arg(long, env = "BERTH_HOSTED_ZONE_ID", value_name = "ID")]
    pub hosted_zone_id: Option<String>,
    /// The domain of the names, in that zone, as example.com: a node is UUID.node.example.com.
    #[arg(long, env = "BERTH_NODE_DOMAIN", value_name = "DOMAIN")]
    pub node_domain: Option<String>,
}

/// Flags about the hosts behind the nodes.
#[derive(Debug, Clone, Args)]
pub struct HostOptions {
    /// How often, in seconds, the agents on the nodes are to send heartbeats.
    #[arg(long, env = "BERTH_HEARTBEAT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub heartbeat_seconds: u32,
    /// After how many seconds without a heartbeat a node is unreachable.
    #[arg(long, env = "BERTH_UNREACHABLE_AFTER_SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(2..=86400))]
    pub unreachable_after_seconds: u32,
    /// How long, in seconds, the Docker engine of a node may take to answer.
    #[arg(long, env = "BERTH_PROBE_TIMEOUT_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub probe_timeout_seconds: u64,
    /// An HTTP proxy through which the Docker engines of nodes are reached, by CONNECT. [default: they are reached straight]
    #[arg(long, env = "BERTH_ENGINE_PROXY", value_name = "http://HOST:PORT")]
    pub engine_proxy: Option<engine::Proxy>,
    /// How long, in seconds, a new node may take until its agent has called home and its Docker engine answers.
    #[arg(long, env = "BERTH_REGISTRATION_DEADLINE_SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u32).range(10..=86400))]
    pub registration_deadline_seconds: u32,
}

/// Flags about the worker.
#[derive(Debug, Args)]
pub struct WorkerOptions {
    /// The image of every node, an AMI id. [default: Canonical's newest Ubuntu LTS]
    #[arg(long, env = "BERTH_IMAGE")]
    pub image: Option<String>,
    /// How often, in seconds, instances are looked at while nodes are changing.
    #[arg(long, env = "BERTH_SWEEP_SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub sweep_seconds: u64,
    /// How often, in seconds, instances are looked at when nothing is changing.
    #[arg(long, env = "BERTH_SWEEP_AT_REST_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub sweep_at_rest_seconds: u64,
    /// How long, in seconds, a deploy or scale-up tries to launch before it gives up.
    #[arg(long, env = "BERTH_LAUNCH_DEADLINE_SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub launch_deadline_seconds: u64,
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// It answers requests.
    Api,
    /// It works on sites.
    Worker,
    /// Both.
    All,
}
