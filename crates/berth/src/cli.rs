//! The command line: subcommands, flags and the environment variables that stand for them.

use std::path::PathBuf;

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser},
};

mod aws;
mod local;
mod people;
mod serve;

pub use aws::{Aws, AwsCommand, Policy};
pub use local::{Behavior, Demo, Dev, Sim};
pub use people::{
    Key, KeyCommand, Org, OrgCommand, Quota, QuotaCommand, QuotaOfNamespace, User, UserCommand,
};
pub use serve::{
    AgentOptions, EdgeOptions, HostOptions, NameOptions, QuotaOptions, Role, Serve, WorkerOptions,
};

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

/// The database.
#[derive(Debug, Args)]
pub struct Database {
    /// The Postgres database, as postgres://USER:PASSWORD@HOST/NAME.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

/// Where the secret key is. Without one no host can register.
#[derive(Debug, Clone, Args)]
pub struct SecretOptions {
    /// A file with the key under which those of certificate authorities and of AWS are sealed: 32 random bytes in base64,
    /// the same for all replicas. Older keys, which only open what was sealed before, may follow on lines of their own.
    /// BERTH_SECRET_KEY may hold the same instead; it is taken out of the environment at the start.
    #[arg(
        long,
        env = "BERTH_SECRET_KEY_FILE",
        value_name = "FILE",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub secret_key_file: Option<PathBuf>,
}
