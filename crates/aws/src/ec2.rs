//! [`Cloud`](crate::Cloud) on AWS's SDK.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_ec2::{
    Client,
    config::{Builder, Region, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
    types::{Filter, ResourceType, Tag as SdkTag, TagSpecification},
};
use domain::{ids::ClusterId, tags::Tag};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    Cloud, Error, Result, Said,
    budget::{Budget, Flow, Turn},
    error,
};

mod account;
mod instances;
mod leftovers;
mod network;
mod offers;

/// EC2 in one region.
#[derive(Clone)]
pub(crate) struct Ec2 {
    client: Client,
    region: String,
    /// Shared by everybody who calls this region of the account.
    budget: Arc<Budget>,
    flow: Flow,
    stop: CancellationToken,
    /// Told when AWS has refused the credentials.
    doubt: Arc<Notify>,
}

#[async_trait]
impl Cloud for Ec2 {
    fn on_behalf_of(&self, cluster: ClusterId) -> Arc<dyn Cloud> {
        Arc::new(Self {
            flow: Some(cluster),
            ..self.clone()
        })
    }

    fn until(&self, stop: CancellationToken) -> Arc<dyn Cloud> {
        Arc::new(Self {
            stop,
            ..self.clone()
        })
    }

    fn launched_before(&self, launches: &[(Duration, u32)]) {
        self.budget.launched_before(launches);
    }

    async fn credentials_refused(&self) {
        self.doubt.notified().await;
    }
}

impl Ec2 {
    pub(crate) fn new(config: &SdkConfig, region: &str, budget: Arc<Budget>) -> Self {
        let config = Builder::from(config)
            .region(Region::new(region.to_owned()))
            .build();
        Self {
            client: Client::from_conf(config),
            region: region.to_owned(),
            budget,
            flow: None,
            stop: CancellationToken::new(),
            doubt: Arc::default(),
        }
    }

    /// Waits until the call may be made.
    async fn turn(&self, action: &'static str) -> Result<()> {
        self.turn_of(action, 0).await.map(Turn::used)
    }

    /// Waits until a call with so many instances in it may be made.
    async fn turn_of(&self, action: &'static str, instances: u32) -> Result<Turn> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::stopped(action)),
            turn = self.budget.take(action, self.flow, instances) => Ok(turn),
        }
    }

    /// Names what AWS answered with, and learns from a refusal that there were too many calls.
    fn said<E>(&self, action: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        move |error| {
            let error = error::from_sdk(action)(error);
            if matches!(error, Error::Throttled(_)) {
                self.budget.refused(action);
            }
            if error.is_about_credentials() {
                self.doubt.notify_one();
            }
            error
        }
    }
}

fn tag_specification(resource: ResourceType, tags: &[Tag]) -> TagSpecification {
    TagSpecification::builder()
        .resource_type(resource)
        .set_tags(Some(sdk_tags(tags)))
        .build()
}

fn sdk_tags(tags: &[Tag]) -> Vec<SdkTag> {
    tags.iter()
        .map(|(key, value)| SdkTag::builder().key(key).value(value).build())
        .collect()
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn filter_any(name: &str, values: &[String]) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(values.to_vec()))
        .build()
}

/// An answer without the object that was just made.
fn empty(action: &'static str) -> Error {
    Error::OutcomeUnknown(Said {
        action,
        code: "EmptyAnswer".to_owned(),
        message: "the answer does not name what was made".to_owned(),
    })
}

/// An answer that says that the object is there already is what was wanted.
fn there_already_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::AlreadyThere(_)) => Ok(()),
        other => other,
    }
}
