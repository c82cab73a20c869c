//! The command line: subcommands, flags and the environment variables that stand for them.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::{node::Readiness, user_data::PublicUrl};

/// Node clusters on AWS over HTTP, wire-compatible with Docker Cloud.
#[derive(Debug, Parser)]
#[command(name = "berth", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to log.
    #[command(flatten)]
    pub logging: Logging,
}

/// How to log.
#[derive(Debug, Args)]
pub struct Logging {
    /// The form of log lines, which go to standard error.
    #[arg(long, global = true, env = "BERTH_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged, as a filter: a level (error, warn, info, debug, trace), or target=level pairs with commas.
    #[arg(long, global = true, env = "BERTH_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything on this machine: Postgres, a simulated AWS, the API and a worker. User dev, key dev.
    Dev(Dev),
    /// Show the life of a node cluster in the terminal, against a simulated AWS, in a temporary folder.
    Demo(Demo),
    /// The API, the worker or both, on a Postgres of yours and against AWS.
    ///
    /// AWS is reached by the SDK's own environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, a role of
    /// the instance or container, and AWS_ENDPOINT_URL for the simulator or another emulator.
    Serve(Box<Serve>),
    /// The simulated AWS alone.
    Sim(Sim),
    /// Bring the database up to date.
    Migrate(Database),
    /// Manage who may call the API.
    User(User),
    /// Print what AWS has to know of Berth.
    Aws(Aws),
    /// Seal everything that is sealed in the database under the newest secret key. Give the older ones with it.
    RotateKey(RotateKey),
    /// Manage organizations: namespaces of several users, each with a role.
    Org(Org),
    /// Manage the API keys of users.
    Key(Key),
    /// Manage how much a namespace may have.
    Quota(Quota),
    /// Print the OpenAPI document.
    Openapi,
}

/// Flags of `berth rotate-key`.
#[derive(Debug, Args)]
pub struct RotateKey {
    /// The database.
    #[command(flatten)]
    pub database: Database,
    /// The secret keys.
    #[command(flatten)]
    pub secret: SecretOptions,
}

/// `berth aws`.
#[derive(Debug, Args)]
pub struct Aws {
    /// What to do.
    #[command(subcommand)]
    pub command: AwsCommand,
}

/// What `berth aws` can do.
#[derive(Debug, Subcommand)]
pub enum AwsCommand {
    /// The trust policy and the permission policy of the role through which Berth is let into an account, each in JSON.
    ///
    /// The trust policy names this server's AWS account, which AWS is asked for, and the external id of the namespace.
    Policy {
        /// Whose role it is.
        namespace: String,
        /// The AWS account of the servers of this installation. [default: that of the credentials of this process]
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// Print one of the two alone.
        #[arg(long, value_enum)]
        only: Option<Policy>,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
}

/// A policy of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// Who may assume the role.
    Trust,
    /// What the role may do.
    Permissions,
}

/// Flags of `berth dev`.
#[derive(Debug, Args)]
pub struct Dev {
    /// Where the API listens.
    #[arg(long, env = "BERTH_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the simulated AWS listens.
    #[arg(long, env = "BERTH_SIM_LISTEN", default_value = "127.0.0.1:4566")]
    pub sim_listen: SocketAddr,
    /// Where the database lives; it survives a restart. [default: berth/dev in the user's data folder]
    #[arg(long, env = "BERTH_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Orders for the simulated AWS, at its start or later (docs/SIMULATOR.md). Berth's own access key is "berth".
    #[arg(long, env = "BERTH_SIM_SCENARIO", value_name = "FILE")]
    pub scenario: Option<PathBuf>,
}

/// Flags of `berth demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// How many nodes.
    #[arg(long, default_value_t = 6)]
    pub nodes: u32,
    /// The AWS region.
    #[arg(long, default_value = "us-east-1")]
    pub region: String,
    /// The EC2 instance type.
    #[arg(long, default_value = "t3.micro")]
    pub node_type: String,
    /// Keep it running until Ctrl-C, to look around.
    #[arg(long)]
    pub keep: bool,
}

/// The database.
#[derive(Debug, Args)]
pub struct Database {
    /// The Postgres database, as postgres://USER:PASSWORD@HOST/NAME.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

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

/// Where the secret key is. Without one no host can register.
#[derive(Debug, Clone, Args)]
pub struct SecretOptions {
    /// A file with the key under which those of certificate authorities and of AWS are sealed: 32 random bytes in base64,
    /// the same for all replicas. Older keys, which only open what was sealed before, may follow on lines of their own.
    /// BERTH_SECRET_KEY may hold the same instead; it is taken out of the environment at the start.
    #[arg(long, env = "BERTH_SECRET_KEY_FILE", value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
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

/// Flags of `berth sim`.
#[derive(Debug, Args)]
pub struct Sim {
    /// Where it listens.
    #[arg(long, env = "BERTH_SIM_LISTEN", default_value = "127.0.0.1:4566")]
    pub listen: SocketAddr,
    /// How it behaves.
    #[command(flatten)]
    pub behavior: Behavior,
    /// Orders to carry out at the start or later (docs/SIMULATOR.md); those of the flags come first.
    #[arg(long, env = "BERTH_SIM_SCENARIO", value_name = "FILE")]
    pub scenario: Option<PathBuf>,
}

/// What makes the simulated AWS less kind; without any of it, it has room for everything and allows everything.
#[derive(Debug, Args)]
pub struct Behavior {
    /// Throttle calls by EC2's documented token buckets.
    #[arg(long)]
    pub throttle: bool,
    /// Keep new objects unseen for a time in this range, as EC2's eventual consistency does.
    #[arg(long, value_name = "MIN-MAX", value_parser = range)]
    pub consistency_ms: Option<(u64, u64)>,
    /// How many vCPUs an account may have running in a region.
    #[arg(long, value_name = "N")]
    pub vcpus: Option<u32>,
    /// How many instances of a type a zone has room for, as us-east-1a/t3.micro=3. Both may have wildcards. Repeatable.
    #[arg(long, value_name = "ZONE/TYPE=N")]
    pub capacity: Vec<String>,
    /// Allow an access key only what an IAM policy document allows. Repeatable.
    #[arg(long, value_name = "ACCESS_KEY=FILE")]
    pub policy: Vec<String>,
    /// Any order of the control API, with its body in JSON, as quotas={"vpcs":5}. Repeatable.
    #[arg(long, value_name = "NAME=BODY")]
    pub order: Vec<String>,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let number = |it: &str| it.parse::<u64>().ok();
    let bounds = text
        .split_once('-')
        .and_then(|(min, max)| Some((number(min)?, number(max)?)));
    bounds.ok_or_else(|| "must be two numbers of milliseconds, as 0-3000".to_owned())
}

/// `berth user`.
#[derive(Debug, Args)]
pub struct User {
    /// What to do.
    #[command(subcommand)]
    pub command: UserCommand,
}

/// What `berth user` can do.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user, or give an existing one another key. Prints the new API key, which can't be shown again.
    Add {
        /// Lower-case letters, digits, "-" and "_"; it is the user's namespace, too.
        name: String,
        /// The user may manage the installation over the API: users, organizations and quotas.
        #[arg(long)]
        operator: bool,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
    /// List the users: the name, and whether the user is an operator.
    List {
        /// The database.
        #[command(flatten)]
        database: Database,
    },
    /// Remove a user with all API keys and memberships. The name is not given to anybody else.
    Remove {
        /// The user's name.
        name: String,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
}

/// `berth org`.
#[derive(Debug, Args)]
pub struct Org {
    /// What to do.
    #[command(subcommand)]
    pub command: OrgCommand,
}

/// What `berth org` can do.
#[derive(Debug, Subcommand)]
pub enum OrgCommand {
    /// Make an organization.
    Add {
        /// Lower-case letters, digits, "-" and "_"; it is the organization's namespace, too.
        name: String,
        /// The user who is its first admin.
        #[arg(long, value_name = "USER")]
        admin: String,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
    /// List the organizations, or the members of one: the name and the role.
    List {
        /// The organization.
        name: Option<String>,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
    /// Give a user a role in an organization.
    Member {
        /// The organization.
        name: String,
        /// The user.
        user: String,
        /// What the user may do there: read, read-write or admin.
        role: String,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
    /// Take a user out of an organization.
    Remove {
        /// The organization.
        name: String,
        /// The user.
        user: String,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
}

/// `berth key`.
#[derive(Debug, Args)]
pub struct Key {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// What `berth key` can do.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make an API key for a user. Prints it; it can't be shown again.
    Add {
        /// The user.
        user: String,
        /// Its name among the user's keys. [default: one is made up]
        #[arg(long)]
        name: Option<String>,
        /// What it may do at most: read, read-write or admin.
        #[arg(long, default_value = "admin")]
        role: String,
        /// For how many days it is good. [default: for ever]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
    /// List a user's API keys: the name, the role, when it expires and when it was used last.
    List {
        /// The user.
        user: String,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
    /// Revoke an API key: it is worth nothing from then on.
    Revoke {
        /// The user.
        user: String,
        /// The key's name.
        name: String,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
}

/// `berth quota`.
#[derive(Debug, Args)]
pub struct Quota {
    /// What to do.
    #[command(subcommand)]
    pub command: QuotaCommand,
}

/// What `berth quota` can do.
#[derive(Debug, Subcommand)]
pub enum QuotaCommand {
    /// Set how much a namespace may have; what is left out is as the installation's replicas were started with.
    Set {
        /// The namespace: a user's or an organization's.
        namespace: String,
        /// How many node clusters and nodes.
        #[command(flatten)]
        quota: QuotaOfNamespace,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
    /// Show what a namespace has, and the limits of its own.
    Show {
        /// The namespace: a user's or an organization's.
        namespace: String,
        /// The database.
        #[command(flatten)]
        database: Database,
    },
}

/// The limits of one namespace.
#[derive(Debug, Clone, Copy, Args)]
pub struct QuotaOfNamespace {
    /// How many node clusters it may have.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub clusters: Option<u32>,
    /// How many nodes it may have.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub nodes: Option<u32>,
}
