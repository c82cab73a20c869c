//! Clients: one for each region, and one of Route 53, made at first use and kept.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use tokio::sync::Mutex;

use crate::{Cloud, Clouds, Names, ec2::Ec2, route53::Route53};

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

/// Connects to AWS.
pub struct Connector {
    endpoint: Option<Endpoint>,
    call_timeout: Duration,
    config: Mutex<Option<SdkConfig>>,
    clients: Mutex<HashMap<String, Arc<Ec2>>>,
    names: Mutex<Option<Arc<Route53>>>,
}

impl Connector {
    /// By the SDK's own environment: credentials, profile, `AWS_ENDPOINT_URL`, instance role.
    pub fn ambient() -> Self {
        Self {
            endpoint: None,
            call_timeout: CALL_TIMEOUT,
            config: Mutex::new(None),
            clients: Mutex::new(HashMap::new()),
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
                .credentials_provider(Credentials::new(
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
}

#[async_trait]
impl Clouds for Connector {
    async fn cloud(&self, region: &str) -> Arc<dyn Cloud> {
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(region) {
            return Arc::clone(client) as Arc<dyn Cloud>;
        }
        let client = Arc::new(Ec2::new(&self.config().await, region));
        clients.insert(region.to_owned(), Arc::clone(&client));
        client
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
