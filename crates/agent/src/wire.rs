//! What goes over the wire between the agent and the server: the messages of Docker Cloud's agent 1.1.0, and what
//! Berth's own agent adds to them. Servers leave out or add members as they like, so that nearly every one is optional.

use std::{fmt, net::IpAddr};

use ipnet::Ipv4Net;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::{config::Token, upgrade::Upgrade};

/// This agent's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `POST …/node/`: a machine becomes a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The agent's version.
    pub agent_version: String,
    /// Which EC2 instance it is.
    #[serde(flatten)]
    pub instance: Instance,
}

/// Which EC2 instance the machine is, in addition to what the original agent says; nothing away from EC2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id, by its metadata service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// What AWS has signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_identity: Option<Identity>,
}

/// The instance identity document and AWS's signature of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The document, byte for byte as AWS has signed it.
    pub document: String,
    /// The PKCS #7 signature with RSA-2048, in base64 without header and footer.
    pub rsa2048: String,
}

/// `PATCH …/node/<uuid>/`: the agent has started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Announcement {
    /// The certificate, in PEM, that the engine shows.
    pub public_cert: String,
    /// The agent's version.
    pub agent_version: String,
    /// The engine's version; absent while there is no engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_version: Option<String>,
    /// Which EC2 instance it is.
    #[serde(flatten)]
    pub instance: Instance,
}

/// The answer to a registration, to an announcement, and to `GET …/node/<uuid>/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Form {
    /// The node.
    pub uuid: Uuid,
    /// The node's name, which becomes the certificate's.
    #[serde(default, deserialize_with = "name")]
    pub external_fqdn: Option<String>,
    /// Certificates in PEM: whose clients the engine lets in.
    #[serde(default, deserialize_with = "authorities")]
    pub user_ca_cert: Option<String>,
    /// The node's state; the answer to GET has it for certain.
    #[serde(default)]
    pub state: Option<String>,
    /// The node's own token, where the one that it has registered with is not for it alone: that of a launch.
    #[serde(default, deserialize_with = "token")]
    pub token: Option<Token>,
}

/// The answer to `POST …/node/<uuid>/ping/`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Ping {
    /// Whether the server could reach the engine.
    pub reachable: bool,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateIp {
    /// The interface.
    pub name: String,
    /// Its address with the length of its network's prefix, as 10.78.112.4/18.
    #[serde(rename = "CIDR")]
    pub cidr: Ipv4Net,
}

/// `POST …/node/<uuid>/heartbeat/`: the agent lives. An addition of Berth's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The agent's version.
    pub agent_version: String,
    /// The engine's version; null while it does not answer.
    pub docker_version: Option<String>,
    /// The engine's runtime.
    pub docker_execdriver: Option<String>,
    /// The engine's storage driver.
    pub docker_graphdriver: Option<String>,
    /// How many cores.
    pub cpu: u64,
    /// How much memory, in kB.
    pub memory: u64,
    /// How large the file system of the engine's data is, in GB.
    pub disk: u64,
    /// How many containers run.
    pub containers: u64,
    /// The addresses of the interfaces.
    pub private_ips: Vec<PrivateIp>,
    /// The public address, where the machine knows of one.
    pub public_ip: Option<IpAddr>,
    /// Which EC2 instance it is.
    pub instance_id: Option<String>,
    /// What has become of the engine upgrade that was ordered last; absent when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct HeartbeatAnswer {
    /// When the next heartbeat is expected.
    pub heartbeat_seconds: Option<u64>,
    /// The node's state.
    pub state: Option<String>,
    /// The node's name.
    pub external_fqdn: Option<String>,
    /// The id of an engine upgrade to carry out. A server may leave it out and tell the state `Upgrading` alone.
    pub upgrade: Option<String>,
}

impl HeartbeatAnswer {
    /// The engine upgrade that is ordered.
    pub fn order(&self) -> Option<&str> {
        let by_state = self.state.as_deref().filter(|state| *state == "Upgrading");
        self.upgrade.as_deref().or(by_state)
    }
}

/// A DNS name or address, and nothing that would do harm in a certificate or a log; "" is none.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?.filter(|name| !name.is_empty());
    if name.as_deref().is_some_and(|name| !is_name(name)) {
        return Err(wrong("external_fqdn is no name of a host"));
    }
    Ok(name)
}

/// A token that can stand in a header; "" is none.
fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Token>, D::Error> {
    let token = Option::<String>::deserialize(deserializer)?.filter(|token| !token.is_empty());
    let is_token = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.as_deref().is_some_and(|token| !is_token(token)) {
        return Err(wrong("token has characters that no token has"));
    }
    Ok(token.map(Token))
}

/// Whether this is a DNS name or an address.
pub fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*'))
    };
    name.parse::<IpAddr>().is_ok() || name.len() <= 253 && name.split('.').all(is_label)
}

/// Certificates that Docker's daemon can read: with others it would not start. "" is none.
fn authorities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(pem) = Option::<String>::deserialize(deserializer)?.filter(|pem| !pem.is_empty())
    else {
        return Ok(None);
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates =
        certificates.map_err(|error| wrong(format!("user_ca_cert is no PEM: {error}")))?;
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store
            .add(certificate)
            .map_err(|error| wrong(format!("user_ca_cert has a broken certificate: {error}")))?;
    }
    if store.is_empty() {
        return Err(wrong("user_ca_cert has no certificate"));
    }
    Ok(Some(pem))
}

fn wrong<E: serde::de::Error>(reason: impl fmt::Display) -> E {
    E::custom(reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::keys::tests::authority;

    const UUID: &str = "75d20367-0948-4f10-8ba4-ffb4d16ed3c6";

    fn form(members: serde_json::Value) -> Result<Form, String> {
        serde_json::from_value(members).map_err(|error| error.to_string())
    }

    #[test]
    fn a_registration_away_from_ec2_is_that_of_the_original_agent() {
        let registration = Registration {
            agent_version: "1.1.0".to_owned(),
            ..Registration::default()
        };
        assert_eq!(
            serde_json::to_value(registration).unwrap(),
            json!({"agent_version": "1.1.0"})
        );
    }

    #[test]
    fn a_registration_on_ec2_says_which_instance_it_is() {
        let registration = Registration {
            agent_version: "1.1.0".to_owned(),
            instance: Instance {
                instance_id: Some("i-0123456789abcdef0".to_owned()),
                instance_identity: Some(Identity {
                    document: "{}".to_owned(),
                    rsa2048: "MIA".to_owned(),
                }),
            },
        };
        assert_eq!(
            serde_json::to_value(registration).unwrap(),
            json!({
                "agent_version": "1.1.0",
                "instance_id": "i-0123456789abcdef0",
                "instance_identity": {"document": "{}", "rsa2048": "MIA"},
            })
        );
    }

    #[test]
    fn a_form_with_all_members_is_read() {
        let pem = authority();
        let read = form(json!({
            "uuid": UUID, "external_fqdn": "a.node.example.com", "user_ca_cert": pem,
            "docker_url": "", "ngrok_url": "", "public_ip": null, "state": "Deploying", "token": "0123abcd",
        }));
        let expected = Form {
            uuid: UUID.parse().unwrap(),
            external_fqdn: Some("a.node.example.com".to_owned()),
            user_ca_cert: Some(pem),
            state: Some("Deploying".to_owned()),
            token: Some(Token("0123abcd".to_owned())),
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_a_server_has_not_got_may_be_empty_null_or_absent() {
        for members in [
            json!({"uuid": UUID}),
            json!({"uuid": UUID, "external_fqdn": "", "user_ca_cert": "", "token": ""}),
            json!({"uuid": UUID, "external_fqdn": null, "user_ca_cert": null, "token": null}),
        ] {
            let read = form(members).unwrap();
            assert_eq!((read.external_fqdn, read.user_ca_cert), (None, None));
            assert_eq!(read.token, None);
        }
    }

    #[test]
    fn garbage_is_refused_before_it_reaches_a_file() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (members, word) in [
            (json!({}), "uuid"),
            (json!({"uuid": "../../etc"}), "UUID"),
            (
                json!({"uuid": UUID, "external_fqdn": "a b"}),
                "external_fqdn",
            ),
            (
                json!({"uuid": UUID, "external_fqdn": "a..b"}),
                "external_fqdn",
            ),
            (json!({"uuid": UUID, "external_fqdn": 7}), "string"),
            (json!({"uuid": UUID, "token": "a\nb"}), "token"),
            (
                json!({"uuid": UUID, "user_ca_cert": "pem"}),
                "no certificate",
            ),
            (
                json!({"uuid": UUID, "user_ca_cert": broken}),
                "broken certificate",
            ),
        ] {
            let error = form(members.clone()).unwrap_err();
            assert!(error.contains(word), "{members}: {error}");
        }
    }

    #[test]
    fn an_address_is_a_name_too() {
        for name in ["203.0.113.25", "2001:db8::1", "a", "*.node.example.com"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "a.",
            "a/b",
            "a\nb",
            &"a".repeat(64),
            &"a.".repeat(200),
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn an_upgrade_is_ordered_by_its_id_or_by_the_state() {
        let order = |members| {
            let answer: HeartbeatAnswer = serde_json::from_value(members).unwrap();
            answer.order().map(str::to_owned)
        };
        assert_eq!(order(json!({"state": "Deployed"})), None);
        assert_eq!(
            order(json!({"state": "Upgrading"})).as_deref(),
            Some("Upgrading")
        );
        assert_eq!(
            order(json!({"state": "Upgrading", "upgrade": "7"})).as_deref(),
            Some("7")
        );
        assert_eq!(order(json!({"upgrade": null})), None);
    }

    proptest! {
        #[test]
        fn whatever_a_server_answers_is_read_or_refused(
            name in any::<String>(),
            pem in "(-----BEGIN CERTIFICATE-----\n)?[A-Za-z0-9+/=\n]{0,80}(-----END CERTIFICATE-----\n)?",
        ) {
            let read = form(json!({"uuid": UUID, "external_fqdn": name, "user_ca_cert": pem}));
            if let Ok(form) = read {
                prop_assert!(form.external_fqdn.is_none_or(|name| is_name(&name)));
                prop_assert_eq!(form.user_ca_cert, None);
            }
        }
    }
}
