//! Clients: one for each link and region, and one of Route 53, made at first use and kept.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials as SdkCredentials;
use domain::ids::LinkId;
use tokio::sync::Mutex;

use crate::{
    Cloud, Clouds, Credentials, Identity, Link, Names, Result, budget::Budget, ec2::Ec2, iam, link,
    route53::Route53,
};

/// An endpoint other than AWS's own, and the credentials for it.
#[derive(Clone)]
pub struct Endpoint {
    /// `http://127.0.0.1:4566`
    pub url: String,
    /// The access key.
    pub access_key_id: String,
    /// The secret that belongs to it.
    pub secret_access_key: String,
}

/// How long AWS may take for an answer: a large launch takes some seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A link, where it has an id, and a region.
type Site = (Option<LinkId>, String);
/// An account, where it is known, and a region.
type Limited = (Option<String>, String);

/// Connects to AWS.
pub struct Connector {
    endpoint: Option<Endpoint>,
    call_timeout: Duration,
    config: Mutex<Option<SdkConfig>>,
    clients: Mutex<HashMap<Site, (Credentials, Arc<Ec2>)>>,
    /// Of the links' own, by their ids.
    configs: Mutex<HashMap<LinkId, (Credentials, SdkConfig)>>,
    /// By account and region. The process's own credentials have budgets of their own, whose account nobody knows.
    budgets: Mutex<HashMap<Limited, Arc<Budget>>>,
    names: Mutex<Option<Arc<Route53>>>,
}

impl Connector {
    /// By the SDK's own environment: credentials, profile, `AWS_ENDPOINT_URL`, instance role.
    pub fn ambient() -> Self {
        Self {
            endpoint: None,
            call_timeout: CALL_TIMEOUT,
            config: Mutex::new(None),
            clients: Mutex::default(),
            configs: Mutex::default(),
            budgets: Mutex::default(),
            names: Mutex::new(None),
        }
    }

    /// To an endpoint that is given, whatever the environment says.
    pub fn to(endpoint: Endpoint) -> Self {
        Self {
            endpoint: Some(endpoint),
            ..Self::ambient()
        }
    }

    /// The same, with another time after which an answer is given up as lost.
    pub fn with_call_timeout(self, call_timeout: Duration) -> Self {
        Self {
            call_timeout,
            ..self
        }
    }

    async fn config(&self) -> SdkConfig {
        let mut config = self.config.lock().await;
        if let Some(config) = &*config {
            return config.clone();
        }
        let loader = aws_config::defaults(BehaviorVersion::latest())
            // Nothing is sent again behind Berth's back. A call that makes an object and has no client token would make a
            // second one; a lack of capacity would be asked for three times in the same zone; and no bucket counts it.
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(5))
                    .operation_attempt_timeout(self.call_timeout)
                    .build(),
            );
        let loader = match &self.endpoint {
            Some(endpoint) => loader
                .endpoint_url(&endpoint.url)
                .credentials_provider(SdkCredentials::new(
                    &endpoint.access_key_id,
                    &endpoint.secret_access_key,
                    None,
                    None,
                    "endpoint",
                ))
                .region(Region::from_static("us-east-1")),
            None => loader,
        };
        config.insert(loader.load().await).clone()
    }

    /// The configuration of the link's clients. All of them have the same temporary credentials of a role.
    async fn config_of(&self, link: &Link) -> SdkConfig {
        let ambient = self.config().await;
        let (Some(id), credentials) = (link.id, &link.credentials) else {
            return link::configure(&ambient, &link.credentials);
        };
        let mut configs = self.configs.lock().await;
        match configs.get(&id) {
            Some((known, config)) if known == credentials => config.clone(),
            _ => {
                let config = link::configure(&ambient, credentials);
                configs.insert(id, (credentials.clone(), config.clone()));
                config
            }
        }
    }

    async fn budget(&self, link: &Link, region: &str) -> Arc<Budget> {
        let place = (link.account.clone(), region.to_owned());
        Arc::clone(self.budgets.lock().await.entry(place).or_default())
    }

    async fn client(&self, link: &Link, region: &str, config: &SdkConfig) -> Arc<Ec2> {
        let budget = self.budget(link, region).await;
        // What is only tried is not kept.
        if link.id.is_none() && link.credentials != Credentials::Ambient {
            return Arc::new(Ec2::new(config, region, budget));
        }
        let mut clients = self.clients.lock().await;
        let place = (link.id, region.to_owned());
        match clients.get(&place) {
            Some((credentials, client)) if *credentials == link.credentials => Arc::clone(client),
            _ => {
                let client = Arc::new(Ec2::new(config, region, budget));
                clients.insert(place, (link.credentials.clone(), Arc::clone(&client)));
                client
            }
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector(…)")
    }
}

#[async_trait]
impl Clouds for Connector {
    async fn cloud(&self, link: &Link, region: &str) -> Arc<dyn Cloud> {
        self.client(link, region, &self.config_of(link).await).await
    }

    async fn clouds(&self, link: &Link, regions: &[String]) -> Vec<Arc<dyn Cloud>> {
        let config = self.config_of(link).await;
        let mut clouds: Vec<Arc<dyn Cloud>> = Vec::new();
        for region in regions {
            clouds.push(self.client(link, region, &config).await);
        }
        clouds
    }

    async fn identity(&self, link: &Link) -> Result<Identity> {
        link::identity(&self.config_of(link).await).await
    }

    async fn instance_profiles(&self, link: &Link) -> Result<Vec<String>> {
        iam::instance_profiles(&self.config_of(link).await).await
    }

    async fn names(&self) -> Arc<dyn Names> {
        let mut names = self.names.lock().await;
        if let Some(client) = &*names {
            return Arc::clone(client) as Arc<dyn Names>;
        }
        let client = Arc::new(Route53::new(&self.config().await));
        *names = Some(Arc::clone(&client));
        client
    }
}
