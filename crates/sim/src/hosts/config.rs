//! How virtual hosts behave.

use std::ops::Range;
use std::time::Duration;

use agent::agent::Pace;

/// How virtual hosts behave.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// How long, in milliseconds, a machine boots once its instance is `running`: its system, cloud-init and Docker, up to
    /// the start of the agent.
    pub boot_ms: Range<u64>,
    /// How patient agents are.
    pub pace: Pace,
    /// How often, in seconds, agents look at their addresses.
    pub address_seconds: u64,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            boot_ms: 2_000..6_000,
            pace: Pace {
                metadata: Duration::from_secs(300),
                ..Pace::default()
            },
            address_seconds: 2,
        }
    }
}

impl HostConfig {
    /// Boots of tens of milliseconds, and agents that are not patient: for tests.
    pub fn fast() -> Self {
        Self {
            boot_ms: 20..60,
            pace: Pace {
                first_pause: Duration::from_millis(50),
                longest_pause: Duration::from_millis(500),
                ..Self::default().pace
            },
            address_seconds: 1,
        }
    }
}
