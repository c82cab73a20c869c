//! [`Cloud`](crate::Cloud) on AWS's SDK.

use aws_config::SdkConfig;
use aws_sdk_ec2::{
    Client,
    config::{
        Builder, Region,
        retry::{RetryConfig, RetryPartition},
    },
    types::{Filter, ResourceType, Tag as SdkTag, TagSpecification},
};
use domain::tags::Tag;

use crate::{Error, Result, Said};

mod instances;
mod network;

/// EC2 in one region.
pub(crate) struct Ec2 {
    client: Client,
}

impl Ec2 {
    pub(crate) fn new(config: &SdkConfig, region: &str) -> Self {
        let config = Builder::from(config)
            .region(Region::new(region.to_owned()))
            // The SDK's default partition is shared by everybody in the process who talks to the region: one account
            // that is throttled would use up the others' retries.
            .retry_partition(RetryPartition::new(format!("berth-{region}")))
            .build();
        Self {
            client: Client::from_conf(config),
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

/// For calls that the SDK must not send again by itself.
///
/// Those that make an object and have no client token: after a lost answer a second one would be made; a look by tag
/// comes first. And launches: the planner decides whether, when and where one is sent again, while the SDK would
/// resend a lack of capacity three times to the same zone.
fn no_retry() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
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
