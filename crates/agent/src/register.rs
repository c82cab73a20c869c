//! Becoming a node: registration with the token, and the announcement of the certificate at every start.

use std::fmt::Display;

use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    Error,
    agent::Agent,
    api::ApiError,
    backoff::Backoff,
    http::Transport,
    state::fingerprint,
    wire::{Announcement, Form, Registration, VERSION, is_name},
};

impl<T: Transport> Agent<T> {
    /// Registers this machine if it is no node, and announces its certificate.
    pub(crate) async fn connect(&mut self) -> Result<Uuid, Error> {
        self.metadata.settle(self.pace.metadata).await;
        self.notice_a_copy()?;
        self.take_up_the_configured()?;
        loop {
            let node = match self.state.get().uuid {
                Some(node) => node,
                None => self.register().await?,
            };
            if self.announce(node).await? {
                tracing::info!("this machine is node {node} of {}", self.config.host);
                return Ok(node);
            }
            tracing::warn!("node {node} is not known to {}", self.config.host);
            self.forget()?;
        }
    }

    /// The disk of a node, copied to another instance, makes that one no second such node.
    fn notice_a_copy(&mut self) -> Result<(), Error> {
        let known = self.state.get().instance_id.as_deref();
        let Some((known, own)) = known.zip(self.metadata.instance_id()) else {
            return Ok(());
        };
        if known != own {
            tracing::warn!(
                "this is instance {own}, a copy of {known}: it registers as a node of its own"
            );
            self.forget()?;
        }
        Ok(())
    }

    /// The configuration may name a node that the server has made for this machine; once it is forgotten, it is no more.
    fn take_up_the_configured(&mut self) -> Result<(), Error> {
        let configured = self.config.uuid;
        if configured.is_none() || configured == self.state.get().claimed {
            return Ok(());
        }
        let instance_id = self.metadata.instance_id().map(str::to_owned);
        self.state.change(|state| {
            state.uuid = configured;
            state.claimed = configured;
            state.instance_id = instance_id;
        })
    }

    async fn register(&mut self) -> Result<Uuid, Error> {
        let token = fingerprint(&[self.config.token.0.as_bytes()]);
        if self.state.get().refused_token.as_ref() == Some(&token) {
            return Err(self.refused());
        }
        let registration = Registration {
            agent_version: VERSION.to_owned(),
            instance: self.metadata.identify().await,
        };
        let mut backoff = self.backoff();
        let form = loop {
            match self.api.register(&registration).await {
                Ok(form) => break form,
                Err(error) if error.is_unauthorized() => {
                    tracing::error!("{error}");
                    return self.retire(token).await;
                }
                Err(error) => self.wait_after("register", &error, &mut backoff).await,
            }
        };
        self.state.change(|state| {
            state.uuid = Some(form.uuid);
            state.instance_id = registration.instance.instance_id;
            state.refused_token = None;
        })?;
        self.certify(form.uuid, form.external_fqdn)?;
        Ok(form.uuid)
    }

    /// The token is worth nothing any more: nobody's clients are let in from now on.
    async fn retire(&mut self, token: String) -> Result<Uuid, Error> {
        self.state
            .change(|state| state.refused_token = Some(token))?;
        match self.docker.withdraw(&mut self.state).await {
            Ok(()) => self.keys.forget()?,
            Err(error) => tracing::error!("Docker could not be set back: {error}"),
        }
        Err(self.refused())
    }

    fn refused(&self) -> Error {
        Error::Refused {
            host: self.config.host.clone(),
            config: self.config.file().display().to_string(),
        }
    }

    /// Announces the node; `false` when the server does not know it.
    async fn announce(&mut self, node: Uuid) -> Result<bool, Error> {
        let mut backoff = self.backoff();
        loop {
            match self.try_to_announce(node).await? {
                Ok(form) if form.uuid == node => {
                    if let Some(pem) = &form.user_ca_cert {
                        self.keys.keep_authority(pem)?;
                    }
                    return Ok(true);
                }
                Ok(form) => {
                    let error = format!("the server's answer is about another node, {}", form.uuid);
                    self.wait_after("announce", &error, &mut backoff).await;
                }
                Err(error) if error.is_forgotten() => return Ok(false),
                Err(error) => self.wait_after("announce", &error, &mut backoff).await,
            }
        }
    }

    async fn try_to_announce(&mut self, node: Uuid) -> Result<Result<Form, ApiError>, Error> {
        let certificate = self.keys.certificate()?;
        let public_cert = match certificate.filter(|_| self.state.get().certified == Some(node)) {
            Some(certificate) => certificate,
            // One that was made for this machine: its name is not known yet.
            None => match self.api.node(node).await {
                Ok(form) => self.certify(node, form.external_fqdn)?,
                Err(error) => return Ok(Err(error)),
            },
        };
        let engine = self.engine.info().await;
        let announcement = Announcement {
            public_cert,
            agent_version: VERSION.to_owned(),
            docker_version: engine.ok().map(|info| info.server_version),
            instance: self.metadata.identify().await,
        };
        Ok(self.api.announce(node, &announcement).await)
    }

    /// Makes the node's key and certificate.
    fn certify(&mut self, node: Uuid, external_fqdn: Option<String>) -> Result<String, Error> {
        let configured = self.config.cert_common_name.clone();
        let name = configured.or(external_fqdn).filter(|name| is_name(name));
        let certificate = self.keys.renew(&name.unwrap_or_else(|| node.to_string()))?;
        self.state.change(|state| state.certified = Some(node))?;
        Ok(certificate)
    }

    async fn wait_after(&mut self, action: &str, error: &impl Display, backoff: &mut Backoff) {
        let pause = backoff.pause(&mut self.random);
        tracing::warn!(
            "cannot {action} at {} (tried again in {:.0?}): {error}",
            self.config.host,
            pause
        );
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{FakeMetadata, FakeServer, Machine, TOKEN, authorization};

    #[tokio::test]
    async fn a_machine_registers_and_announces_as_the_original_agent_does() {
        let server = FakeServer::start().await;
        let machine = Machine::new(&server);
        let _agent = machine.boot();
        server.wait_for_number("heartbeat", 1).await;
        assert_eq!(server.order()[..2], ["register", "announce"]);
        let register = &server.calls("register")[0];
        assert_eq!(register.path, "/api/agent/v1/node/");
        assert_eq!(authorization(register), format!("TutumAgentToken {TOKEN}"));
        assert_eq!(register.headers["content-type"], "application/json");
        assert_eq!(
            register.headers["user-agent"],
            format!("berth-agent/{VERSION}")
        );
        assert_eq!(register.body(), json!({"agent_version": VERSION}));
        let announce = &server.calls("announce")[0];
        assert_eq!(
            announce.path,
            format!("/api/agent/v1/node/{}/", server.node)
        );
        assert_eq!(authorization(announce), format!("TutumAgentToken {TOKEN}"));
        let cert = machine.read("cert.pem").unwrap();
        // There is no Docker, so there is no docker_version.
        assert_eq!(
            announce.body(),
            json!({"agent_version": VERSION, "public_cert": cert})
        );
        assert_eq!(machine.read("ca.pem").unwrap(), server.authority);
        assert_eq!(machine.json("state.json")["uuid"], json!(server.node));
    }

    #[tokio::test]
    async fn after_a_reboot_it_announces_the_same_certificate_and_does_not_register() {
        let server = FakeServer::start().await;
        let mut machine = Machine::new(&server);
        drop(machine.boot_until_heartbeat(&server, 1).await);
        let _engine = machine.start_docker().await;
        let _agent = machine.boot_until_heartbeat(&server, 2).await;
        let announcements = server.calls("announce");
        let [first, second] = announcements.as_slice() else {
            panic!("{announcements:#?}");
        };
        assert_eq!(second.body()["public_cert"], first.body()["public_cert"]);
        assert_eq!(second.body()["docker_version"], "26.1.5");
        assert_eq!(server.calls("register").len(), 1);
    }

    #[tokio::test]
    async fn an_instance_says_which_one_it_is() {
        let server = FakeServer::start().await;
        let service = FakeMetadata::start().await;
        let mut machine = Machine::new(&server);
        machine.settings.metadata_url = Some(service.url.clone());
        let _agent = machine.boot_until_heartbeat(&server, 1).await;
        for name in ["register", "announce"] {
            let body = server.calls(name)[0].body();
            assert_eq!(body["instance_id"], "i-0123456789abcdef0");
            assert_eq!(body["instance_identity"]["rsa2048"], "MIAGCSqG");
            let document = body["instance_identity"]["document"].as_str().unwrap();
            assert_eq!(document, "{\n  \"instanceId\" : \"i-0123456789abcdef0\"\n}");
        }
        let heartbeat = server.calls("heartbeat")[0].body();
        assert_eq!(heartbeat["instance_id"], "i-0123456789abcdef0");
    }

    #[tokio::test]
    async fn the_disk_of_another_instance_is_no_identity() {
        let server = FakeServer::start().await;
        let service = FakeMetadata::start().await;
        let mut machine = Machine::new(&server);
        machine.settings.metadata_url = Some(service.url.clone());
        drop(machine.boot_until_heartbeat(&server, 1).await);
        let cert = machine.read("cert.pem").unwrap();
        let text = machine.read("state.json").unwrap();
        let copy = text.replace("i-0123456789abcdef0", "i-0fedcba9876543210");
        std::fs::write(machine.path("state.json"), copy).unwrap();
        let _agent = machine.boot_until_heartbeat(&server, 2).await;
        assert_eq!(server.calls("register").len(), 2);
        assert_ne!(machine.read("cert.pem").unwrap(), cert);
    }

    #[tokio::test]
    async fn a_node_that_was_made_for_the_machine_is_claimed_without_registration() {
        let server = FakeServer::start().await;
        let mut machine = Machine::new(&server);
        machine.settings.uuid = Some(server.node.to_string());
        let _agent = machine.boot_until_heartbeat(&server, 1).await;
        assert_eq!(server.order()[..2], ["get", "announce"]);
        assert!(server.calls("register").is_empty());
    }

    #[tokio::test]
    async fn a_forgotten_node_registers_anew_and_its_configured_id_is_not_claimed_again() {
        for status in [401, 404] {
            let mut server = FakeServer::start().await;
            let mut machine = Machine::new(&server);
            machine.settings.uuid = Some(server.node.to_string());
            drop(machine.boot_until_heartbeat(&server, 1).await);
            let cert = machine.read("cert.pem").unwrap();
            server.once("announce", status, r#"{"error": "no such node"}"#);
            server.become_node(Uuid::from_u128(8));
            drop(machine.boot_until_heartbeat(&server, 2).await);
            assert_eq!(server.calls("register").len(), 1, "{status}");
            assert_ne!(machine.read("cert.pem").unwrap(), cert, "{status}");
            let _agent = machine.boot_until_heartbeat(&server, 3).await;
            let last = server.calls("announce").pop().unwrap();
            assert!(
                last.path.contains(&server.node.to_string()),
                "{}",
                last.path
            );
        }
    }

    #[tokio::test]
    async fn a_refused_token_ends_the_agent_for_good() {
        let server = FakeServer::start().await;
        let mut machine = Machine::new(&server);
        server.once("register", 401, "");
        let error = machine.boot().ended().await;
        assert_eq!(error.exit_status(), 78);
        let words = error.to_string();
        assert!(
            words.contains("docker-cloud node byo") && words.contains("dockercloud-agent.conf"),
            "{words}"
        );
        // A reboot does not ask again.
        assert!(matches!(
            machine.boot().ended().await,
            Error::Refused { .. }
        ));
        assert_eq!(server.calls("register").len(), 1);
        // A fresh token does.
        machine.settings.token = Some("another".to_owned());
        let _agent = machine.boot_until_heartbeat(&server, 1).await;
        assert_eq!(server.calls("register").len(), 2);
    }

    #[tokio::test]
    async fn trouble_with_the_server_is_waited_out() {
        let server = FakeServer::start().await;
        let machine = Machine::new(&server);
        let another = json!({"uuid": Uuid::from_u128(9)}).to_string();
        for name in ["register", "announce"] {
            for (status, text) in [
                (500, "oops"),
                (404, "<html>"),
                (204, ""),
                (301, ""),
                (429, ""),
                (200, ""),
                (200, "<html>"),
                (200, "[]"),
                (200, r#"{"uuid": "../../../etc/passwd"}"#),
                (200, r#"{"uuid": null}"#),
                (
                    201,
                    r#"{"uuid": "00000000-0000-0000-0000-000000000009", "user_ca_cert": "x"}"#,
                ),
            ] {
                // To an announcement 404 is another answer.
                if !(name == "announce" && status == 404) {
                    server.once(name, status, text);
                }
            }
        }
        server.once("announce", 200, &another);
        let _agent = machine.boot_until_heartbeat(&server, 1).await;
        assert_eq!(server.calls("register").len(), 12);
        assert_eq!(server.calls("announce").len(), 12);
        assert_eq!(machine.json("state.json")["uuid"], json!(server.node));
        assert_eq!(machine.read("ca.pem").unwrap(), server.authority);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_yet_is_waited_for() {
        let server = FakeServer::start().await;
        let mut machine = Machine::new(&server);
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        machine.settings.host = Some(format!("http://127.0.0.1:{port}"));
        let mut agent = machine.agent();
        let registered = tokio::time::timeout(std::time::Duration::from_millis(200), agent.run());
        assert!(registered.await.is_err());
        assert_eq!(machine.read("state.json").unwrap_or_default(), "");
        machine.settings.host = Some(server.url.clone());
        let _agent = machine.boot_until_heartbeat(&server, 1).await;
    }

    #[tokio::test]
    async fn the_name_in_the_certificate_may_be_configured_or_missing() {
        let server = FakeServer::start().await;
        server.set(
            "register",
            201,
            &json!({"uuid": server.node, "external_fqdn": "", "user_ca_cert": ""}),
        );
        server.set("announce", 200, &json!({"uuid": server.node}));
        let machine = Machine::new(&server);
        let _agent = machine.boot_until_heartbeat(&server, 1).await;
        assert!(
            machine
                .read("cert.pem")
                .unwrap()
                .starts_with("-----BEGIN CERTIFICATE-----")
        );
        assert!(!machine.path("ca.pem").exists());
    }
}
