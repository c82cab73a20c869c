//! The EC2 instance metadata service, version 2: which instance this is, and its public address.

use std::{net::IpAddr, time::Duration};

use http::{Method, Request, StatusCode};
use hyper::body::Bytes;
use tokio::time::{Instant, sleep};

use crate::{
    http::{HttpError, Transport, Web},
    wire::{Identity, Instance},
};

/// For calls of the service, which answers within milliseconds where there is one.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is asked while it comes up.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How often it is looked for where it was not found.
const SELDOM: Duration = Duration::from_secs(300);
/// The longest life that a session token may have.
const TOKEN_SECONDS: &str = "21600";

/// The metadata service, and what it has told. What it once told stays true while it does not answer: an address does
/// not go away because the service is slow.
pub struct Metadata<T = Web> {
    web: T,
    url: Option<String>,
    token: Option<String>,
    instance_id: Option<String>,
    public_ip: Option<IpAddr>,
    asleep_until: Option<Instant>,
}

/// Why the service was of no help.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the instance metadata service answers {0}")]
    Status(StatusCode),
    #[error("no request can be made: {0}")]
    Request(#[from] http::Error),
}

impl<T: Transport> Metadata<T> {
    /// The service at this URL; `None` where there is none.
    pub fn new(web: T, url: Option<String>) -> Self {
        Self {
            web,
            url,
            token: None,
            instance_id: None,
            public_ip: None,
            asleep_until: None,
        }
    }

    /// The instance's id, as far as it is known; away from EC2 there is none.
    pub fn instance_id(&self) -> Option<&str> {
        self.instance_id.as_deref()
    }

    /// The public address; `None` within when the instance has none, `None` when this is no instance.
    pub fn public_ip(&self) -> Option<Option<IpAddr>> {
        self.instance_id.as_ref().map(|_| self.public_ip)
    }

    /// Looks until the service has answered, for this long at most: at boot the network may come up after the agent,
    /// and an instance that registers without its id is none of the server's.
    pub async fn settle(&mut self, longest: Duration) {
        let deadline = Instant::now() + longest;
        loop {
            self.asleep_until = None;
            self.look().await;
            if self.url.is_none() || self.instance_id.is_some() || Instant::now() >= deadline {
                return;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Looks what is new.
    pub async fn look(&mut self) {
        if self.url.is_none()
            || self
                .asleep_until
                .is_some_and(|until| Instant::now() < until)
        {
            return;
        }
        if let Err(trouble) = self.try_to_look().await {
            tracing::debug!("{trouble}");
            if self.instance_id.is_none() {
                self.asleep_until = Some(Instant::now() + SELDOM);
            }
        }
    }

    /// What proves to the server which instance this is.
    pub async fn identify(&mut self) -> Instance {
        Instance {
            instance_id: self.instance_id.clone(),
            instance_identity: self.identity().await.unwrap_or_else(|trouble| {
                tracing::warn!("the instance identity document can't be had: {trouble}");
                None
            }),
        }
    }

    async fn identity(&mut self) -> Result<Option<Identity>, Trouble> {
        if self.instance_id.is_none() {
            return Ok(None);
        }
        let document = self.get("dynamic/instance-identity/document").await?;
        let signature = self.get("dynamic/instance-identity/rsa2048").await?;
        Ok(document
            .zip(signature)
            .map(|(document, signature)| Identity {
                document,
                rsa2048: signature.split_whitespace().collect(),
            }))
    }

    async fn try_to_look(&mut self) -> Result<(), Trouble> {
        if self.instance_id.is_none() {
            let id = self.get("meta-data/instance-id").await?;
            // Other clouds have other services at the same address.
            self.instance_id = id.filter(|id| is_instance_id(id));
            if self.instance_id.is_none() {
                self.asleep_until = Some(Instant::now() + SELDOM);
                return Ok(());
            }
        }
        let public = self.get("meta-data/public-ipv4").await?;
        self.public_ip = public.and_then(|ip| ip.trim().parse().ok());
        Ok(())
    }

    /// One item; `None` where the service has no such item.
    async fn get(&mut self, path: &str) -> Result<Option<String>, Trouble> {
        if let Some(token) = self.token.clone() {
            match self.get_with(path, &token).await {
                // The token has run out.
                Err(Trouble::Status(StatusCode::UNAUTHORIZED)) => self.token = None,
                other => return other,
            }
        }
        let request = self
            .request(Method::PUT, "api/token")
            .header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
        let answer = self.web.send(request.body(Bytes::new())?).await?;
        if answer.status() != StatusCode::OK {
            return Err(Trouble::Status(answer.status()));
        }
        let token = String::from_utf8_lossy(answer.body()).trim().to_owned();
        self.token = Some(token.clone());
        self.get_with(path, &token).await
    }

    async fn get_with(&self, path: &str, token: &str) -> Result<Option<String>, Trouble> {
        let request = self
            .request(Method::GET, path)
            .header("x-aws-ec2-metadata-token", token);
        let answer = self.web.send(request.body(Bytes::new())?).await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(String::from_utf8_lossy(answer.body()).into_owned())),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(Trouble::Status(status)),
        }
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let url = self.url.as_deref().unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(format!("{url}/latest/{path}"))
    }
}

fn is_instance_id(id: &str) -> bool {
    id.strip_prefix("i-").is_some_and(|digits| {
        (8..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeMetadata, web};

    #[tokio::test]
    async fn an_instance_knows_its_id_its_proof_and_its_address() {
        let service = FakeMetadata::start().await;
        let mut metadata = Metadata::new(web(), Some(service.url.clone()));
        metadata.settle(Duration::from_secs(30)).await;
        assert_eq!(metadata.instance_id(), Some("i-0123456789abcdef0"));
        assert_eq!(metadata.public_ip(), Some(None));
        let instance = metadata.identify().await;
        assert_eq!(instance.instance_id.as_deref(), Some("i-0123456789abcdef0"));
        assert_eq!(instance.instance_identity.unwrap().rsa2048, "MIAGCSqG");

        service.set_public_ip(Some("203.0.113.7"));
        metadata.look().await;
        assert_eq!(
            metadata.public_ip(),
            Some(Some("203.0.113.7".parse().unwrap()))
        );
        service.set_public_ip(None);
        metadata.look().await;
        assert_eq!(metadata.public_ip(), Some(None));
    }

    #[tokio::test]
    async fn a_token_that_has_run_out_is_replaced() {
        let service = FakeMetadata::start().await;
        let mut metadata = Metadata::new(web(), Some(service.url.clone()));
        metadata.look().await;
        service.expire_tokens();
        service.set_public_ip(Some("203.0.113.7"));
        metadata.look().await;
        assert!(metadata.public_ip().unwrap().is_some());
    }

    #[tokio::test]
    async fn a_service_that_falls_silent_takes_no_address_away() {
        let service = FakeMetadata::start().await;
        service.set_public_ip(Some("203.0.113.7"));
        let mut metadata = Metadata::new(web(), Some(service.url.clone()));
        metadata.look().await;
        drop(service);
        metadata.look().await;
        assert_eq!(metadata.instance_id(), Some("i-0123456789abcdef0"));
        assert!(metadata.public_ip().unwrap().is_some());
    }

    #[tokio::test]
    async fn away_from_ec2_there_is_no_instance() {
        let nobody = Metadata::new(web(), None);
        let mut silent = Metadata::new(web(), Some("http://127.0.0.1:1".to_owned()));
        silent.settle(Duration::ZERO).await;
        assert!(silent.asleep_until.is_some());
        for mut metadata in [nobody, silent] {
            assert_eq!(metadata.instance_id(), None);
            assert_eq!(metadata.public_ip(), None);
            assert_eq!(metadata.identify().await, Instance::default());
        }
    }

    #[test]
    fn another_clouds_id_is_none() {
        assert!(is_instance_id("i-0123456789abcdef0") && is_instance_id("i-01234567"));
        for other in ["", "i-", "i-xyz12345", "4520031799277581759", "<html>"] {
            assert!(!is_instance_id(other), "{other}");
        }
    }
}
