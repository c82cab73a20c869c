//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{HOME, Settings};

/// Makes this machine a node of Berth's.
#[derive(Debug, Parser)]
#[command(name = "berth-agent", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Be the agent: register, keep Docker reachable, send heartbeats. It ends at SIGTERM.
    Run(Options),
    /// Tell what is missing on this machine. Ends with status 1 when something is.
    Check(Options),
    /// Write the given settings into the configuration file, and install, enable and start the systemd unit.
    Install(Options),
    /// Print the systemd unit.
    Unit(Home),
}

/// Where everything is.
#[derive(Debug, Args)]
pub struct Home {
    /// The folder of the configuration, the key, the certificates and the state.
    #[arg(long, env = "BERTH_AGENT_HOME", default_value = HOME, value_name = "FOLDER")]
    pub home: PathBuf,
}

/// What every command that does something needs.
#[derive(Debug, Args)]
pub struct Options {
    /// Where everything is.
    #[command(flatten)]
    pub home: Home,
    /// What the configuration file need not say.
    #[command(flatten)]
    pub settings: Settings,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
