//! A node as its own agent is told of it.

use domain::state::NodeState;
use serde::Serialize;
use store::host::Host;
use utoipa::{ToSchema, openapi::Object};
use uuid::Uuid;

use crate::{docs, uri};

/// A node as its own agent is told of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentNode {
    /// The agent's version, as it last said it.
    #[schema(required = true, example = "1.1.0")]
    agent_version: Option<String>,
    /// Where a Docker engine is described for an agent that finds none on its machine; empty: nowhere.
    #[schema(example = "")]
    docker_url: &'static str,
    /// The name under which the node can be reached, for its certificate.
    #[schema(example = "203.0.113.25")]
    external_fqdn: String,
    /// The server of reverse tunnels; empty: there is none.
    #[schema(example = "")]
    ngrok_server_addr: &'static str,
    /// Where the program for reverse tunnels is described; empty: nowhere.
    #[schema(example = "")]
    ngrok_url: &'static str,
    /// The certificate that the agent announced.
    #[schema(required = true, example = json!(null))]
    public_cert: Option<String>,
    /// The address that the node was last heard from.
    #[schema(required = true, example = "203.0.113.25")]
    public_ip: Option<String>,
    /// The agent's own URI of the node.
    #[schema(example = "/api/agent/v1/node/75d20367-0948-4f10-8ba4-ffb4d16ed3c6/")]
    resource_uri: String,
    #[schema(schema_with = states)]
    state: &'static str,
    /// The address of the tunnel that the agent opened.
    #[schema(required = true, example = json!(null))]
    tunnel: Option<String>,
    /// The certificate (PEM) of the authority whose clients the engine is to let in.
    #[schema(example = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n")]
    user_ca_cert: String,
    /// The node's id.
    uuid: Uuid,
    /// The node's own token, which its agent uses from now on instead of that of its launch. Only the answer to a
    /// registration with such a one has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    token: Option<String>,
}

fn states() -> Object {
    let all = NodeState::ALL.iter().map(|state| state.as_str());
    docs::state(all, "How far the node is.")
}

impl AgentNode {
    pub(super) fn new(host: Host) -> Self {
        Self {
            agent_version: host.agent_version,
            docker_url: "",
            external_fqdn: host.external_fqdn,
            ngrok_server_addr: "",
            ngrok_url: "",
            public_cert: host.public_cert,
            public_ip: host.public_ip,
            resource_uri: uri::agent_node(host.id),
            state: host.state.as_str(),
            tunnel: host.tunnel,
            user_ca_cert: host.authority.unwrap_or_default(),
            uuid: host.id.0,
            token: None,
        }
    }

    /// The same, told its own token.
    pub(super) fn with_token(self, token: String) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }
}
