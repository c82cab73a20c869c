//! [`Names`] on AWS's SDK.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_route53::{
    Client,
    config::{Builder, Region, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
    types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType},
};
use aws_smithy_types::error::operation::BuildError;
use tokio::{sync::Mutex, time::Instant};

use crate::{Error, Names, Record, RecordChange, Result, Said, error};

/// Route 53 is one for all regions, and its requests are signed for this one ("Amazon Route 53 endpoints and quotas").
const REGION: &str = "us-east-1";
/// "Five requests per second per AWS account" ("Quotas"), of which one is left to others.
const APART: Duration = Duration::from_millis(250);
/// What is in the answer to a batch that is refused, where it is not in the form of other errors ("The
/// InvalidChangeBatch element is the root", says the reference of ChangeResourceRecordSets).
const INVALID_BATCH: &str = "InvalidChangeBatch";

/// Route 53.
pub(crate) struct Route53 {
    client: Client,
    /// When the next request may be sent.
    next: Mutex<Instant>,
}

impl Route53 {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        let config = Builder::from(config)
            .region(Region::from_static(REGION))
            .build();
        Self {
            client: Client::from_conf(config),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits until a request may be sent. Those that wait are served in their order.
    async fn turn(&self) {
        let mut next = self.next.lock().await;
        tokio::time::sleep_until(*next).await;
        *next = Instant::now() + APART;
    }
}

#[async_trait]
impl Names for Route53 {
    async fn zone_name(&self, zone_id: &str) -> Result<String> {
        self.turn().await;
        let answer = self.client.get_hosted_zone().id(zone_id).send().await;
        let answer = answer.map_err(said("GetHostedZone"))?;
        let name = answer.hosted_zone.map(|zone| zone.name).unwrap_or_default();
        Ok(name.trim_end_matches('.').to_owned())
    }

    async fn change_records(&self, zone_id: &str, changes: &[RecordChange]) -> Result<()> {
        const ACTION: &str = "ChangeResourceRecordSets";
        let batch = batch(changes).map_err(|incomplete| {
            Error::Rejected(Said {
                action: ACTION,
                code: "ConstructionFailure".to_owned(),
                message: incomplete.to_string(),
            })
        })?;
        self.turn().await;
        let change = self.client.change_resource_record_sets();
        let answer = change
            .hosted_zone_id(zone_id)
            .change_batch(batch)
            .send()
            .await;
        answer.map_err(said("ChangeResourceRecordSets"))?;
        Ok(())
    }

    async fn records(&self, zone_id: &str, domain: &str) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        // Names are listed by their labels from the right, so those below the domain stand together.
        let mut from = Some((domain.to_owned(), None));
        while let Some((name, kind)) = from {
            self.turn().await;
            let list = self
                .client
                .list_resource_record_sets()
                .hosted_zone_id(zone_id);
            let answer = list
                .start_record_name(name)
                .set_start_record_type(kind)
                .send()
                .await;
            let answer = answer.map_err(said("ListResourceRecordSets"))?;
            let is_below = |name: &str| {
                name.strip_suffix(domain)
                    .is_some_and(|front| front.is_empty() || front.ends_with('.'))
            };
            let count = answer.resource_record_sets.len();
            let below = answer.resource_record_sets.into_iter().map(record);
            let below: Vec<Record> = below.take_while(|record| is_below(&record.name)).collect();
            let is_end = below.len() < count;
            records.extend(below);
            from = answer
                .next_record_name
                .filter(|_| answer.is_truncated && !is_end)
                .map(|name| (name, answer.next_record_type));
        }
        Ok(records)
    }
}

fn batch(changes: &[RecordChange]) -> std::result::Result<ChangeBatch, BuildError> {
    let changes = changes
        .iter()
        .map(change)
        .collect::<std::result::Result<Vec<_>, _>>()?;
    ChangeBatch::builder().set_changes(Some(changes)).build()
}

fn change(change: &RecordChange) -> std::result::Result<Change, BuildError> {
    let (action, wanted) = match change {
        RecordChange::Upsert(record) => (ChangeAction::Upsert, record),
        RecordChange::Delete(record) => (ChangeAction::Delete, record),
    };
    let kind = if wanted.addresses.iter().any(IpAddr::is_ipv6) {
        RrType::Aaaa
    } else {
        RrType::A
    };
    let value = |address: &IpAddr| ResourceRecord::builder().value(address.to_string()).build();
    let values = wanted
        .addresses
        .iter()
        .map(value)
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let set = ResourceRecordSet::builder()
        .name(&wanted.name)
        .r#type(kind)
        .ttl(wanted.ttl_s.into())
        .set_resource_records(Some(values))
        .build()?;
    Change::builder()
        .action(action)
        .resource_record_set(set)
        .build()
}

fn record(set: ResourceRecordSet) -> Record {
    // "Route 53 … returns the * as \\052" ("DNS domain name format").
    let name = set.name.trim_end_matches('.').replace("\\052", "*");
    let values = set.resource_records.unwrap_or_default().into_iter();
    Record {
        name,
        ttl_s: set.ttl.and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(0),
        addresses: values
            .filter_map(|record| record.value.parse().ok())
            .collect(),
    }
}

/// Names what Route 53 answered with.
fn said<E>(action: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| {
        let body = error
            .raw_response()
            .and_then(|answer| answer.body().bytes());
        let messages = body
            .map(String::from_utf8_lossy)
            .and_then(|body| messages(&body));
        match messages {
            Some(message) => Error::from_said(Said {
                action,
                code: INVALID_BATCH.to_owned(),
                message,
            }),
            None => error::from_sdk(action)(error),
        }
    }
}

/// The messages of a batch that is refused, where it is the root of the answer; the SDK does not read them.
fn messages(body: &str) -> Option<String> {
    let (_, rest) = body.split_once(&format!("<{INVALID_BATCH}"))?;
    let messages = rest.split("<Message>").skip(1);
    let messages = messages.filter_map(|rest| rest.split_once("</Message>"));
    let messages: Vec<String> = messages.map(|(text, _)| unescaped(text)).collect();
    Some(messages.join(" "))
}

fn unescaped(text: &str) -> String {
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_a_batch_that_is_refused_are_read() {
        let body = "<?xml version=\"1.0\"?><InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
            <Messages><Message>Tried to delete [name=&apos;a.&apos;]</Message><Message>b</Message></Messages>\
            <RequestId>r</RequestId></InvalidChangeBatch>";
        assert_eq!(
            messages(body).as_deref(),
            Some("Tried to delete [name='a.'] b")
        );
        let usual = "<ErrorResponse><Error><Code>InvalidChangeBatch</Code><Message>m</Message></Error></ErrorResponse>";
        assert_eq!(messages(usual), None);
    }
}
