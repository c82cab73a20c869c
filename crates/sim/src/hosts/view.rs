//! What tests and people see of virtual hosts.

use serde::Serialize;

use super::machine::{Agent, Machine};

/// A virtual host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostView {
    /// The instance's id.
    pub instance_id: String,
    /// `none` (the user data wants no agent), `waiting` (the machine is off or boots), `runs`, `killed`,
    /// `dead on arrival` or `ended: ` with the reason.
    pub agent: String,
    /// The node that its agent has become.
    pub node: Option<String>,
    /// Whether it is on: its boot is through.
    pub is_on: bool,
    /// Whether it has its network.
    pub has_network: bool,
    /// Whether its engine has what it needs to listen with TLS.
    pub has_engine: bool,
}

impl HostView {
    pub(super) fn new(machine: &Machine) -> Self {
        Self {
            instance_id: machine.instance.clone(),
            agent: match machine.agent() {
                Agent::None => "none".to_owned(),
                Agent::Waiting => "waiting".to_owned(),
                Agent::Runs => "runs".to_owned(),
                Agent::Killed => "killed".to_owned(),
                Agent::DeadOnArrival => "dead on arrival".to_owned(),
                Agent::Ended(why) => format!("ended: {why}"),
            },
            node: machine.node(),
            is_on: machine.is_on(),
            has_network: machine.has_network(),
            has_engine: machine.engine_files().is_some(),
        }
    }
}
