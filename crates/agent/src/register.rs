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
            self.api.use_own_token(self.state.get().token.clone());
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
            state.token = form.token;
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
mod tests;
