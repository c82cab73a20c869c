//! The program: from its command line to its end.

use std::{
    fs::{File, TryLockError},
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{
    Error,
    agent::{Agent, Pace, Surroundings},
    api::Api,
    check::check,
    cli::{Cli, Command, Options},
    config::Config,
    docker::Systemd,
    files,
    http::Web,
    machine::{self, Machine},
    metadata::{self, Metadata},
    systemd,
};

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .map_err(Error::io("start", Path::new("the runtime")))
        .and_then(|runtime| {
            let outcome = runtime.block_on(execute(cli.command));
            // A name that is still being looked up is no reason to stay.
            runtime.shutdown_timeout(Duration::ZERO);
            outcome
        });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            writeln!(io::stderr(), "berth-agent: {error}").ok();
            ExitCode::from(error.exit_status())
        }
    }
}

async fn execute(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Run(options) => run(options).await,
        Command::Check(options) => {
            let config = load(options)?;
            let web = Web::new(config.ca_file.as_deref(), Pace::default().call)?;
            let api = Api::new(web.clone(), &config.host, config.token.clone());
            let mut metadata = Metadata::new(
                web.with_patience(metadata::PATIENCE),
                config.metadata_url.clone(),
            );
            let report = check(&config, &api, &mut metadata, machine::has_systemd()).await?;
            print(&report.lines)?;
            Ok(ExitCode::from(u8::from(report.is_incomplete)))
        }
        Command::Install(options) => {
            let home = options.home.home.clone();
            // Wrong settings are told before anything is written.
            Config::load(&home, options.settings.clone())?;
            let path = systemd::install(&home, &options.settings).await?;
            print(&format!(
                "{} is installed and runs; `journalctl -u berth-agent` shows what it does\n",
                path.display()
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Unit(home) => {
            let program =
                std::env::current_exe().map_err(Error::io("find", Path::new("berth-agent")))?;
            print(&systemd::unit(&program, &home.home))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn run(options: Options) -> Result<ExitCode, Error> {
    let config = load(options)?;
    let _lock = lock(&config.home)?;
    let stop = stopped()?;
    warn_about(&config);
    let pace = Pace::default();
    let web = Web::new(config.ca_file.as_deref(), pace.call)?;
    let surroundings = Surroundings {
        pace,
        web: web.with_patience(metadata::PATIENCE),
        machine: Machine::This,
        systemd: Systemd::of_this_machine(),
        seed: rand::random(),
    };
    let mut agent = Agent::new(config, web, surroundings)?;
    tokio::select! {
        ended = agent.run() => match ended? {},
        () = stop => {
            tracing::info!("the agent ends; Docker and its containers go on");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn load(options: Options) -> Result<Config, Error> {
    let config = Config::load(&options.home.home, options.settings)?;
    tracing_subscriber::fmt()
        .with_max_level(config.log_level)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_writer(io::stderr)
        .init();
    Ok(config)
}

/// Two agents on one machine would take each other's node away.
fn lock(home: &Path) -> Result<File, Error> {
    let path = home.join("lock");
    files::ensure(&path).map_err(Error::io("write", &path))?;
    let file = File::open(&path).map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Missing(format!(
            "another berth-agent runs with {}; `systemctl stop berth-agent` ends it",
            home.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}

/// Waits for SIGTERM or SIGINT; whoever calls this has caught them from then on.
fn stopped() -> Result<impl Future<Output = ()>, Error> {
    let catch = |kind| signal(kind).map_err(Error::io("catch", Path::new("signals")));
    let mut terminate = catch(SignalKind::terminate())?;
    let mut interrupt = catch(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn warn_about(config: &Config) {
    tracing::info!("berth-agent {} of {}", crate::wire::VERSION, config.host);
    for key in &config.unknown {
        tracing::warn!("{} has an unknown key: {key:?}", config.file().display());
    }
    if config.is_in_the_clear() {
        tracing::warn!(
            "{} has no TLS: whoever is on the way can read the token",
            config.host
        );
    }
    if config.configure_docker && !machine::has_systemd() && config.restart_command.is_none() {
        tracing::warn!(
            "systemd does not run this machine, so Docker can't be set up: set RestartCommand to the command that \
             restarts it, or ConfigureDocker to false"
        );
    }
}

fn print(text: &str) -> Result<(), Error> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::io("write", Path::new("standard output")))
}
