//! What runs on this machine with a simulated AWS: `berth dev`, `demo` and `sim`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

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
