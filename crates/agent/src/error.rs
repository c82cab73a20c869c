//! What ends the agent, or keeps a command from its end.

use std::{io, path::Path};

/// What ends the agent, in words for the machine's owner. Trouble with the server or with Docker does not: it is logged
/// and tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration can't be used.
    #[error("{0}")]
    Config(String),
    /// The server refused the token.
    #[error(
        "{host} refuses the token (401): this node is managed no more. To bring the machine back, put a fresh token \
         (`docker-cloud node byo`) into {config} and run `systemctl restart berth-agent`"
    )]
    Refused {
        /// The server.
        host: String,
        /// The configuration file.
        config: String,
    },
    /// A file or a program.
    #[error("cannot {action} {what}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The key or the certificate.
    #[error("cannot make the node's certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// What the command asks of the machine is not there.
    #[error("{0}")]
    Missing(String),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = path.display().to_string();
        move |source| Self::Io {
            action,
            what,
            source,
        }
    }

    /// The process' exit status: 78 (EX_CONFIG of sysexits.h) where starting it again changes nothing, which the systemd
    /// unit knows.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Refused { .. } => 78,
            Self::Io { .. } | Self::Certificate(_) | Self::Missing(_) => 1,
        }
    }
}
