//! A hosted zone, made as its owner makes it, and whether it has exactly the names of the nodes there are.

use std::{collections::BTreeMap, net::IpAddr};

use store::naming::Zone;
use uuid::Uuid;

use crate::{World, wait_for, world::OWNER_ACCESS_KEY};

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// A request of Route 53's REST protocol by the account's owner.
async fn post(endpoint: &str, path: &str, body: String) -> String {
    let scope = format!("{OWNER_ACCESS_KEY}/20260101/us-east-1/route53/aws4_request");
    let response = reqwest::Client::new()
        .post(format!("{endpoint}{path}"))
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        )
        .body(body)
        .send()
        .await
        .expect("AWS answers");
    let is_success = response.status().is_success();
    let text = response.text().await.expect("a body");
    assert!(is_success, "{path}: {text}");
    text
}

/// Makes a hosted zone as the account's owner.
pub(crate) async fn make(endpoint: &str) -> Zone {
    let domain = "example.com";
    let reference = Uuid::new_v4();
    let body = format!(
        r#"<CreateHostedZoneRequest xmlns="{NAMESPACE}"><Name>{domain}</Name>
           <CallerReference>{reference}</CallerReference></CreateHostedZoneRequest>"#
    );
    let text = post(endpoint, "/2013-04-01/hostedzone", body).await;
    let (_, rest) = text.split_once("<Id>/hostedzone/").expect("an id");
    let (id, _) = rest.split_once('<').expect("an end of the id");
    Zone {
        hosted_zone_id: id.to_owned(),
        domain: domain.to_owned(),
    }
}

/// Addresses by names.
pub(crate) type Addresses = BTreeMap<String, IpAddr>;

impl World {
    /// Makes or removes a CNAME record in the zone as the account's owner, for which [`aws::Names`] has no need.
    ///
    /// # Panics
    /// Where nodes get no names in this world.
    pub async fn change_cname(&self, action: &str, name: &str) {
        let zone = self.zone.as_ref().expect("nodes get names in this world");
        let body = format!(
            r#"<ChangeResourceRecordSetsRequest xmlns="{NAMESPACE}"><ChangeBatch><Changes><Change><Action>{action}</Action>
               <ResourceRecordSet><Name>{name}</Name><Type>CNAME</Type><TTL>60</TTL><ResourceRecords><ResourceRecord>
               <Value>example.net</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes>
               </ChangeBatch></ChangeResourceRecordSetsRequest>"#
        );
        let path = format!("/2013-04-01/hostedzone/{}/rrset/", zone.hosted_zone_id);
        post(&self.endpoint.url, &path, body).await;
    }

    /// The name of a node in the zone.
    ///
    /// # Panics
    /// Where nodes get no names in this world.
    pub fn name_of(&self, uuid: &str) -> String {
        let zone = self.zone.as_ref().expect("nodes get names in this world");
        format!("{uuid}.node.{}", zone.domain)
    }

    /// What is in the zone below the domain of the nodes.
    ///
    /// # Panics
    /// Where nodes get no names in this world.
    pub async fn names_in_zone(&self) -> Addresses {
        let zone = self.zone.as_ref().expect("nodes get names in this world");
        let names = self.names().await;
        let records = names.records(&zone.hosted_zone_id, &zone.nodes()).await;
        let records = records.expect("the zone is there").into_iter();
        records
            .filter_map(|record| Some((record.name, *record.addresses.first()?)))
            .collect()
    }

    /// The names, with their wildcards, that the nodes should have by their rows.
    ///
    /// # Panics
    /// Where the rows can't be read.
    pub async fn names_wanted(&self) -> Addresses {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT id::text, public_ip FROM node
             WHERE public_ip IS NOT NULL AND state NOT IN ('Terminating', 'Terminated')",
        )
        .fetch_all(&self.pool)
        .await
        .expect("the nodes");
        rows.into_iter()
            .flat_map(|(uuid, address)| {
                let name = self.name_of(&uuid);
                let address: IpAddr = address.parse().expect("an address");
                [(format!("*.{name}"), address), (name, address)]
            })
            .collect()
    }

    /// Waits until the zone has the names of the nodes, and no others.
    pub async fn names_are_right(&self) -> Addresses {
        wait_for("the zone to have the names of the nodes", || async {
            let is = self.names_in_zone().await;
            (is == self.names_wanted().await).then_some(is)
        })
        .await
    }
}
