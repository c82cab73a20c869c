//! Users, organizations, their keys and quotas: `berth user`, `org`, `key` and `quota`.

use clap::{Args, Subcommand};

use super::Database;

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
