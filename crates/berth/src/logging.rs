//! Log lines, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    Error,
    cli::{LogFormat, Logging},
};

/// Starts logging; `default_level` is for what the user did not say.
pub(crate) fn start(options: &Logging, default_level: &str) -> Result<(), Error> {
    // What Postgres remarks on in passing ("already exists, skipping") helps nobody.
    // What agents on virtual hosts say is on the consoles of their instances.
    let default_filter = format!("{default_level},sqlx::postgres::notice=warn,agent=error");
    let filter = options.log.as_deref().unwrap_or(&default_filter);
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Error::Usage(format!("--log {filter:?} is no filter: {error}")))?;
    let registry = tracing_subscriber::registry().with(filter);
    match options.log_format {
        LogFormat::Text => {
            let colored = io::stderr().is_terminal();
            registry
                .with(fmt::layer().with_ansi(colored).with_writer(io::stderr))
                .init();
        }
        LogFormat::Json => registry
            .with(fmt::layer().json().with_writer(io::stderr))
            .init(),
    }
    Ok(())
}
