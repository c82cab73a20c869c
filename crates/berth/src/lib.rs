//! The `berth` binary as a library, so that the tests run the very code that users run.
//!
//! One file per subcommand; [`cli`] lists them. What `dev`, `demo` and `serve` have in common is [`replica`] (an API
//! and a worker on one database) and [`local`] (a replica with a Postgres and a simulated AWS of its own).

use std::process::ExitCode;

use clap::Parser;

mod aws_policy;
pub mod cli;
mod demo;
mod dev;
mod edge;
pub mod error;
mod key;
pub mod local;
mod logging;
mod memory;
mod migrate;
mod names;
mod openapi;
mod org;
mod people;
mod quota;
pub mod replica;
mod rotate_key;
mod secret_key;
mod serve;
mod sim_flags;
mod sim_server;
mod user;

use cli::{Cli, Command};
pub use error::Error;

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Error::Io("the runtime can't be started".into(), error)),
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last word of a command goes to the user's terminal"
)]
fn fail(error: &Error) -> ExitCode {
    eprintln!("berth: {error}");
    ExitCode::FAILURE
}

async fn run(cli: Cli) -> Result<(), Error> {
    let default_level = match &cli.command {
        // Their own words on the terminal are the output; the log is for when something is wrong.
        Command::Demo(_)
        | Command::User(_)
        | Command::Org(_)
        | Command::Key(_)
        | Command::Quota(_)
        | Command::Aws(_)
        | Command::Openapi => "warn",
        Command::Dev(_)
        | Command::Serve(_)
        | Command::Sim(_)
        | Command::Migrate(_)
        | Command::RotateKey(_) => "info",
    };
    logging::start(&cli.logging, default_level)?;
    match cli.command {
        Command::Dev(options) => dev::run(options).await,
        Command::Demo(options) => demo::run(options).await,
        Command::Serve(options) => serve::run(*options).await,
        Command::Sim(options) => sim_server::run(options).await,
        Command::Migrate(options) => migrate::run(&options).await,
        Command::User(options) => user::run(options).await,
        Command::Aws(options) => aws_policy::run(options).await,
        Command::RotateKey(options) => rotate_key::run(options).await,
        Command::Org(options) => org::run(options).await,
        Command::Key(options) => key::run(options).await,
        Command::Quota(options) => quota::run(options).await,
        Command::Openapi => openapi::run(),
    }
}
