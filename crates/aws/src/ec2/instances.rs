//! [`Instances`] on AWS's SDK.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_ec2::{
    operation::run_instances::builders::RunInstancesFluentBuilder,
    types::{
        BlockDeviceMapping, EbsBlockDevice, Filter, HttpTokensState,
        IamInstanceProfileSpecification, InstanceMetadataOptionsRequest, InstanceType,
        LocationType, ResourceType, VolumeType,
    },
};
use aws_smithy_types::base64;
use domain::{catalogue::Architecture, launch::LaunchRequest, tags::Tag};

use super::{Ec2, filter, filter_any, sdk_tags, tag_specification};
use crate::{Image, Instance, Instances, Result, Turn, read};

/// Canonical's account (Ubuntu documentation, "Find Ubuntu images on AWS").
const CANONICAL: &str = "099720109477";
/// The most that EC2 gives in one page.
const PAGE_SIZE: i32 = 1000;
/// The most values of one filter (EC2 user guide, "Filter resources": 200 by call).
const FILTER_VALUES: usize = 200;

impl Ec2 {
    async fn find_instances(&self, by: Filter) -> Result<Vec<Instance>> {
        let mut instances = Vec::new();
        let mut next = None;
        loop {
            self.turn("DescribeInstances").await?;
            let page = self
                .client
                .describe_instances()
                .filters(by.clone())
                .max_results(PAGE_SIZE)
                .set_next_token(next)
                .send()
                .await
                .map_err(self.said("DescribeInstances"))?;
            instances.extend(
                page.reservations
                    .unwrap_or_default()
                    .into_iter()
                    .flat_map(|reservation| reservation.instances.unwrap_or_default())
                    .filter_map(read::instance),
            );
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(instances);
            }
        }
    }

    fn launch(&self, request: &LaunchRequest) -> RunInstancesFluentBuilder {
        let root = EbsBlockDevice::builder()
            .volume_size(i32::try_from(request.disk_gb).unwrap_or(i32::MAX))
            .volume_type(VolumeType::Gp3)
            .encrypted(true)
            .delete_on_termination(true)
            .build();
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_tokens(HttpTokensState::Required)
            .build();
        let profile = request.instance_profile.as_ref().map(|name| {
            IamInstanceProfileSpecification::builder()
                .name(name)
                .build()
        });
        self.client
            .run_instances()
            .image_id(&request.image_id)
            .instance_type(InstanceType::from(request.instance_type.as_str()))
            .subnet_id(&request.subnet_id)
            .set_security_group_ids(Some(request.security_group_ids.clone()))
            .set_iam_instance_profile(profile)
            .block_device_mappings(
                BlockDeviceMapping::builder()
                    .device_name(&request.root_device)
                    .ebs(root)
                    .build(),
            )
            .metadata_options(metadata)
            .user_data(base64::encode(&request.user_data))
            .tag_specifications(tag_specification(ResourceType::Instance, &request.tags))
            .tag_specifications(tag_specification(ResourceType::Volume, &request.tags))
    }
}

#[async_trait]
impl Instances for Ec2 {
    async fn zones(&self) -> Result<Vec<String>> {
        self.turn("DescribeAvailabilityZones").await?;
        let answer = self
            .client
            .describe_availability_zones()
            .filters(filter("state", "available"))
            .send()
            .await
            .map_err(self.said("DescribeAvailabilityZones"))?;
        let mut zones: Vec<String> = answer
            .availability_zones
            .unwrap_or_default()
            .into_iter()
            .filter(read::is_availability_zone)
            .filter_map(|zone| zone.zone_name)
            .collect();
        zones.sort();
        Ok(zones)
    }

    async fn zones_offering(&self, instance_type: &str) -> Result<BTreeSet<String>> {
        self.turn("DescribeInstanceTypeOfferings").await?;
        let answer = self
            .client
            .describe_instance_type_offerings()
            .location_type(LocationType::AvailabilityZone)
            .filters(filter("instance-type", instance_type))
            .send()
            .await
            .map_err(self.said("DescribeInstanceTypeOfferings"))?;
        Ok(answer
            .instance_type_offerings
            .unwrap_or_default()
            .into_iter()
            .filter_map(|o| o.location)
            .collect())
    }

    async fn newest_image(&self, architecture: Architecture) -> Result<Option<Image>> {
        self.turn("DescribeImages").await?;
        // Ubuntu's LTS releases are those of an even year's April; their names end in two digits and ".04".
        let name = format!(
            "ubuntu/images/hvm-ssd*/ubuntu-*-??.04-{}-server-*",
            architecture.as_str()
        );
        let answer = self
            .client
            .describe_images()
            .owners(CANONICAL)
            .filters(filter("name", &name))
            .filters(filter("state", "available"))
            .send()
            .await
            .map_err(self.said("DescribeImages"))?;
        let newest = answer
            .images
            .unwrap_or_default()
            .into_iter()
            .filter_map(|image| {
                Some((
                    lts_release(image.name.as_deref()?)?,
                    image.creation_date.clone(),
                    image,
                ))
            })
            .max_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        Ok(newest.and_then(|(_, _, image)| read::image(image)))
    }

    async fn image(&self, image_id: &str) -> Result<Option<Image>> {
        self.turn("DescribeImages").await?;
        let answer = self
            .client
            .describe_images()
            .filters(filter("image-id", image_id))
            .send()
            .await
            .map_err(self.said("DescribeImages"))?;
        Ok(answer
            .images
            .unwrap_or_default()
            .into_iter()
            .find_map(read::image))
    }

    async fn dry_run(&self, request: &LaunchRequest) -> Result<()> {
        self.turn("RunInstances").await?;
        let answer = self
            .launch(request)
            .min_count(1)
            .max_count(1)
            .dry_run(true)
            .send()
            .await;
        match answer.map_err(self.said("RunInstances")) {
            Ok(_) => Ok(()),
            // EC2 API reference: "If you have the required permissions, the error response is DryRunOperation."
            Err(error) if error.said().code == "DryRunOperation" => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn turn_to_launch(&self, count: u32) -> Result<Turn> {
        self.turn_of("RunInstances", count).await
    }

    async fn run_instances(
        &self,
        turn: Turn,
        request: &LaunchRequest,
        client_token: &str,
        count: u32,
    ) -> Result<Vec<Instance>> {
        turn.used();
        let answer = self
            .launch(request)
            .client_token(client_token)
            .min_count(1)
            .max_count(i32::try_from(count).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(self.said("RunInstances"))?;
        Ok(answer
            .instances
            .unwrap_or_default()
            .into_iter()
            .filter_map(read::instance)
            .collect())
    }

    async fn instances_tagged(&self, key: &str, value: &str) -> Result<Vec<Instance>> {
        self.find_instances(filter(&format!("tag:{key}"), value))
            .await
    }

    async fn instances_by_id(&self, instance_ids: &[String]) -> Result<Vec<Instance>> {
        let mut instances = Vec::new();
        for ids in instance_ids.chunks(FILTER_VALUES) {
            // A filter, since one id that is not known would refuse the whole call.
            instances.extend(self.find_instances(filter_any("instance-id", ids)).await?);
        }
        Ok(instances)
    }

    async fn console_output(&self, instance_id: &str) -> Result<Option<String>> {
        self.turn("GetConsoleOutput").await?;
        let answer = self
            .client
            .get_console_output()
            .instance_id(instance_id)
            .send()
            .await
            .map_err(self.said("GetConsoleOutput"))?;
        let decoded = answer
            .output
            .and_then(|output| base64::decode(output.trim()).ok());
        // Text columns have no place for U+0000.
        let text = decoded.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', ""));
        Ok(text.filter(|text| !text.is_empty()))
    }

    async fn terminate_instances(&self, instance_ids: &[String]) -> Result<()> {
        let count = u32::try_from(instance_ids.len()).unwrap_or(u32::MAX);
        self.turn_of("TerminateInstances", count).await?.used();
        self.client
            .terminate_instances()
            .set_instance_ids(Some(instance_ids.to_vec()))
            .send()
            .await
            .map_err(self.said("TerminateInstances"))?;
        Ok(())
    }

    async fn create_tags(&self, resource_id: &str, tags: &[Tag]) -> Result<()> {
        self.turn("CreateTags").await?;
        self.client
            .create_tags()
            .resources(resource_id)
            .set_tags(Some(sdk_tags(tags)))
            .send()
            .await
            .map_err(self.said("CreateTags"))?;
        Ok(())
    }
}

/// The release of an LTS image by its name: (24, 4) of "…/ubuntu-noble-24.04-amd64-server-20260815"; none of others.
fn lts_release(name: &str) -> Option<(u32, u32)> {
    name.split('-').find_map(|part| {
        let (year, month) = part.split_once('.')?;
        let release = (year.parse().ok()?, month.parse().ok()?);
        matches!(release, (year, 4) if year % 2 == 0).then_some(release)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_april_releases_of_even_years_are_lts() {
        assert_eq!(
            lts_release("ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260815"),
            Some((24, 4))
        );
        assert_eq!(
            lts_release("ubuntu/images/hvm-ssd-gp3/ubuntu-plucky-25.04-amd64-server-20260815"),
            None
        );
        assert_eq!(
            lts_release("ubuntu/images/hvm-ssd-gp3/ubuntu-oracular-24.10-amd64-server-1"),
            None
        );
        assert_eq!(lts_release("amzn2-ami-hvm-2.0"), None);
    }
}
