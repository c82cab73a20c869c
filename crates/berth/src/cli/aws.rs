//! `berth aws`: what AWS has to know of Berth.

use clap::{Args, Subcommand, ValueEnum};

use super::Database;

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
