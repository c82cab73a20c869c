//! [`Offers`] on AWS's SDK.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_ec2::types::{AvailabilityZoneState, InstanceType, LocationType};
use domain::catalogue::{Figures, ShownZone};

use super::Ec2;
use crate::{Offers, Result, read};

/// The most that EC2 gives in one page of offerings.
const PAGE_SIZE: i32 = 1000;
/// The most types that one call may name.
const NAMES: usize = 100;

#[async_trait]
impl Offers for Ec2 {
    async fn offers(&self) -> Result<Vec<ShownZone>> {
        let (zones, mut offered) = tokio::try_join!(self.zone_states(), self.offerings())?;
        let zones = zones.into_iter().map(|(name, is_available)| ShownZone {
            node_types: offered
                .remove(&name)
                .into_iter()
                .flatten()
                .collect::<Vec<_>>(),
            name,
            is_available,
        });
        Ok(zones.collect())
    }

    async fn node_types(&self, names: &[String]) -> Result<Vec<Figures>> {
        let mut figures = Vec::new();
        for some in names.chunks(NAMES) {
            let named = some.iter().map(|name| InstanceType::from(name.as_str()));
            let asked = self
                .client
                .describe_instance_types()
                .set_instance_types(Some(named.collect()));
            let mut next = None;
            loop {
                self.turn("DescribeInstanceTypes").await?;
                let page = asked
                    .clone()
                    .set_next_token(next)
                    .send()
                    .await
                    .map_err(self.said("DescribeInstanceTypes"))?;
                let types = page.instance_types.unwrap_or_default();
                figures.extend(types.into_iter().filter_map(read::node_type));
                next = page.next_token.filter(|token| !token.is_empty());
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(figures)
    }
}

impl Ec2 {
    /// The zones by name, and whether each is available.
    async fn zone_states(&self) -> Result<BTreeMap<String, bool>> {
        self.turn("DescribeAvailabilityZones").await?;
        let answer = self
            .client
            .describe_availability_zones()
            .send()
            .await
            .map_err(self.said("DescribeAvailabilityZones"))?;
        let zones = answer.availability_zones.unwrap_or_default().into_iter();
        Ok(zones
            .filter(read::is_availability_zone)
            .filter_map(|zone| {
                let is_available = zone.state == Some(AvailabilityZoneState::Available);
                Some((zone.zone_name?, is_available))
            })
            .collect())
    }

    /// The types that each zone offers.
    async fn offerings(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut offered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut next = None;
        loop {
            self.turn("DescribeInstanceTypeOfferings").await?;
            let page = self
                .client
                .describe_instance_type_offerings()
                .location_type(LocationType::AvailabilityZone)
                .max_results(PAGE_SIZE)
                .set_next_token(next)
                .send()
                .await
                .map_err(self.said("DescribeInstanceTypeOfferings"))?;
            for offering in page.instance_type_offerings.unwrap_or_default() {
                if let (Some(zone), Some(kind)) = (offering.location, offering.instance_type) {
                    let types = offered.entry(zone).or_default();
                    types.insert(kind.as_str().to_owned());
                }
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(offered);
            }
        }
    }
}
