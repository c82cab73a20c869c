//! [`Cloud`] on AWS's SDK.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_ec2::{
    Client,
    config::{
        Builder, Region,
        retry::{RetryConfig, RetryPartition},
    },
    operation::run_instances::builders::RunInstancesFluentBuilder,
    types::{
        AttributeBooleanValue, BlockDeviceMapping, EbsBlockDevice, Filter, HttpTokensState,
        IamInstanceProfileSpecification, InstanceMetadataOptionsRequest, InstanceType,
        IpPermission, IpRange, LocationType, ResourceType, Tag as SdkTag, TagSpecification,
        UserIdGroupPair, VolumeType,
    },
};
use aws_smithy_types::base64;
use domain::{catalogue::Architecture, launch::LaunchRequest, tags::Tag};

use crate::{
    Cloud, Error, Gateway, Image, Ingress, Instance, Result, RouteTable, Said, SecurityGroup,
    Subnet, Vpc, error::from_sdk, read,
};

/// Canonical's account (Ubuntu documentation, "Find Ubuntu images on AWS").
const CANONICAL: &str = "099720109477";
/// The most that EC2 gives in one page.
const PAGE_SIZE: i32 = 1000;

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

#[async_trait]
impl Cloud for Ec2 {
    async fn zones(&self) -> Result<Vec<String>> {
        let answer = self
            .client
            .describe_availability_zones()
            .filters(filter("state", "available"))
            .send()
            .await
            .map_err(from_sdk("DescribeAvailabilityZones"))?;
        let mut zones: Vec<String> = answer
            .availability_zones
            .unwrap_or_default()
            .into_iter()
            // Local and wavelength zones are no availability zones of the region.
            .filter(|zone| {
                zone.zone_type
                    .as_deref()
                    .is_none_or(|kind| kind == "availability-zone")
            })
            .filter_map(|zone| zone.zone_name)
            .collect();
        zones.sort();
        Ok(zones)
    }

    async fn zones_offering(&self, instance_type: &str) -> Result<BTreeSet<String>> {
        let answer = self
            .client
            .describe_instance_type_offerings()
            .location_type(LocationType::AvailabilityZone)
            .filters(filter("instance-type", instance_type))
            .send()
            .await
            .map_err(from_sdk("DescribeInstanceTypeOfferings"))?;
        Ok(answer
            .instance_type_offerings
            .unwrap_or_default()
            .into_iter()
            .filter_map(|o| o.location)
            .collect())
    }

    async fn newest_image(&self, architecture: Architecture) -> Result<Option<Image>> {
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
            .map_err(from_sdk("DescribeImages"))?;
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
        let answer = self
            .client
            .describe_images()
            .filters(filter("image-id", image_id))
            .send()
            .await
            .map_err(from_sdk("DescribeImages"))?;
        Ok(answer
            .images
            .unwrap_or_default()
            .into_iter()
            .find_map(read::image))
    }

    async fn vpcs_named(&self, name: &str) -> Result<Vec<Vpc>> {
        let answer = self
            .client
            .describe_vpcs()
            .filters(filter("tag:Name", name))
            .send()
            .await
            .map_err(from_sdk("DescribeVpcs"))?;
        Ok(answer
            .vpcs
            .unwrap_or_default()
            .into_iter()
            .filter_map(read::vpc)
            .collect())
    }

    async fn vpc(&self, vpc_id: &str) -> Result<Option<Vpc>> {
        let answer = self
            .client
            .describe_vpcs()
            .filters(filter("vpc-id", vpc_id))
            .send()
            .await
            .map_err(from_sdk("DescribeVpcs"))?;
        Ok(answer
            .vpcs
            .unwrap_or_default()
            .into_iter()
            .find_map(read::vpc))
    }

    async fn create_vpc(&self, cidr: &str, tags: &[Tag]) -> Result<Vpc> {
        let answer = self
            .client
            .create_vpc()
            .cidr_block(cidr)
            .tag_specifications(tag_specification(ResourceType::Vpc, tags))
            .customize()
            .config_override(no_retry())
            .send()
            .await
            .map_err(from_sdk("CreateVpc"))?;
        answer
            .vpc
            .and_then(read::vpc)
            .ok_or_else(|| empty("CreateVpc"))
    }

    async fn enable_dns_hostnames(&self, vpc_id: &str) -> Result<()> {
        self.client
            .modify_vpc_attribute()
            .vpc_id(vpc_id)
            .enable_dns_hostnames(AttributeBooleanValue::builder().value(true).build())
            .send()
            .await
            .map_err(from_sdk("ModifyVpcAttribute"))?;
        Ok(())
    }

    async fn subnets(&self, vpc_id: &str) -> Result<Vec<Subnet>> {
        self.find_subnets(filter("vpc-id", vpc_id)).await
    }

    async fn subnets_by_id(&self, subnet_ids: &[String]) -> Result<Vec<Subnet>> {
        self.find_subnets(filter_any("subnet-id", subnet_ids)).await
    }

    async fn create_subnet(
        &self,
        vpc_id: &str,
        zone: &str,
        cidr: &str,
        tags: &[Tag],
    ) -> Result<Subnet> {
        let answer = self
            .client
            .create_subnet()
            .vpc_id(vpc_id)
            .availability_zone(zone)
            .cidr_block(cidr)
            .tag_specifications(tag_specification(ResourceType::Subnet, tags))
            .customize()
            .config_override(no_retry())
            .send()
            .await
            .map_err(from_sdk("CreateSubnet"))?;
        answer
            .subnet
            .and_then(read::subnet)
            .ok_or_else(|| empty("CreateSubnet"))
    }

    async fn map_public_ips(&self, subnet_id: &str) -> Result<()> {
        self.client
            .modify_subnet_attribute()
            .subnet_id(subnet_id)
            .map_public_ip_on_launch(AttributeBooleanValue::builder().value(true).build())
            .send()
            .await
            .map_err(from_sdk("ModifySubnetAttribute"))?;
        Ok(())
    }

    async fn delete_subnet(&self, subnet_id: &str) -> Result<()> {
        self.client
            .delete_subnet()
            .subnet_id(subnet_id)
            .send()
            .await
            .map_err(from_sdk("DeleteSubnet"))?;
        Ok(())
    }

    async fn gateway_of(&self, vpc_id: &str) -> Result<Option<Gateway>> {
        Ok(self
            .find_gateways(filter("attachment.vpc-id", vpc_id))
            .await?
            .into_iter()
            .next())
    }

    async fn gateways_named(&self, name: &str) -> Result<Vec<Gateway>> {
        self.find_gateways(filter("tag:Name", name)).await
    }

    async fn create_gateway(&self, tags: &[Tag]) -> Result<Gateway> {
        let answer = self
            .client
            .create_internet_gateway()
            .tag_specifications(tag_specification(ResourceType::InternetGateway, tags))
            .customize()
            .config_override(no_retry())
            .send()
            .await
            .map_err(from_sdk("CreateInternetGateway"))?;
        answer
            .internet_gateway
            .and_then(read::gateway)
            .ok_or_else(|| empty("CreateInternetGateway"))
    }

    async fn attach_gateway(&self, gateway_id: &str, vpc_id: &str) -> Result<()> {
        let answer = self
            .client
            .attach_internet_gateway()
            .internet_gateway_id(gateway_id)
            .vpc_id(vpc_id)
            .send()
            .await;
        there_already_is_fine(
            answer
                .map(|_| ())
                .map_err(from_sdk("AttachInternetGateway")),
        )
    }

    async fn route_tables(&self, vpc_id: &str) -> Result<Vec<RouteTable>> {
        let mut pages = self
            .client
            .describe_route_tables()
            .filters(filter("vpc-id", vpc_id))
            .into_paginator()
            .items()
            .send();
        let mut tables = Vec::new();
        while let Some(table) = pages.next().await {
            tables.extend(read::route_table(
                table.map_err(from_sdk("DescribeRouteTables"))?,
            ));
        }
        Ok(tables)
    }

    async fn create_route_table(
        &self,
        vpc_id: &str,
        client_token: &str,
        tags: &[Tag],
    ) -> Result<RouteTable> {
        let answer = self
            .client
            .create_route_table()
            .vpc_id(vpc_id)
            .client_token(client_token)
            .tag_specifications(tag_specification(ResourceType::RouteTable, tags))
            .send()
            .await
            .map_err(from_sdk("CreateRouteTable"))?;
        answer
            .route_table
            .and_then(read::route_table)
            .ok_or_else(|| empty("CreateRouteTable"))
    }

    async fn create_default_route(&self, route_table_id: &str, gateway_id: &str) -> Result<()> {
        let answer = self
            .client
            .create_route()
            .route_table_id(route_table_id)
            .destination_cidr_block("0.0.0.0/0")
            .gateway_id(gateway_id)
            .send()
            .await;
        there_already_is_fine(answer.map(|_| ()).map_err(from_sdk("CreateRoute")))
    }

    async fn associate_route_table(&self, route_table_id: &str, subnet_id: &str) -> Result<()> {
        let answer = self
            .client
            .associate_route_table()
            .route_table_id(route_table_id)
            .subnet_id(subnet_id)
            .send()
            .await;
        there_already_is_fine(answer.map(|_| ()).map_err(from_sdk("AssociateRouteTable")))
    }

    async fn security_groups_named(&self, vpc_id: &str, name: &str) -> Result<Vec<SecurityGroup>> {
        self.find_security_groups(vec![filter("vpc-id", vpc_id), filter("group-name", name)])
            .await
    }

    async fn security_groups_by_id(&self, group_ids: &[String]) -> Result<Vec<SecurityGroup>> {
        self.find_security_groups(vec![filter_any("group-id", group_ids)])
            .await
    }

    async fn create_security_group(
        &self,
        vpc_id: &str,
        name: &str,
        tags: &[Tag],
    ) -> Result<SecurityGroup> {
        let answer = self
            .client
            .create_security_group()
            .vpc_id(vpc_id)
            .group_name(name)
            .description("Nodes of Berth")
            .tag_specifications(tag_specification(ResourceType::SecurityGroup, tags))
            .customize()
            .config_override(no_retry())
            .send()
            .await
            .map_err(from_sdk("CreateSecurityGroup"))?;
        Ok(SecurityGroup {
            id: answer
                .group_id
                .ok_or_else(|| empty("CreateSecurityGroup"))?,
            vpc_id: vpc_id.to_owned(),
            name: name.to_owned(),
            has_ingress: false,
            tags: crate::Tags(tags.iter().cloned().collect()),
        })
    }

    async fn authorize_ingress(&self, group_id: &str, ingress: &[Ingress]) -> Result<()> {
        let permissions = ingress.iter().map(|rule| match rule {
            Ingress::Tcp(port) => IpPermission::builder()
                .ip_protocol("tcp")
                .from_port(i32::from(*port))
                .to_port(i32::from(*port))
                .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
                .build(),
            Ingress::Itself => IpPermission::builder()
                .ip_protocol("-1")
                .user_id_group_pairs(UserIdGroupPair::builder().group_id(group_id).build())
                .build(),
        });
        let answer = self
            .client
            .authorize_security_group_ingress()
            .group_id(group_id)
            .set_ip_permissions(Some(permissions.collect()))
            .send()
            .await;
        there_already_is_fine(
            answer
                .map(|_| ())
                .map_err(from_sdk("AuthorizeSecurityGroupIngress")),
        )
    }

    async fn dry_run(&self, request: &LaunchRequest) -> Result<()> {
        let answer = self
            .launch(request)
            .min_count(1)
            .max_count(1)
            .dry_run(true)
            .customize()
            .config_override(no_retry())
            .send()
            .await;
        match answer.map_err(from_sdk("RunInstances")) {
            Ok(_) => Ok(()),
            // EC2 API reference: "If you have the required permissions, the error response is DryRunOperation."
            Err(error) if error.said().code == "DryRunOperation" => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn run_instances(
        &self,
        request: &LaunchRequest,
        client_token: &str,
        count: u32,
    ) -> Result<Vec<Instance>> {
        let answer = self
            .launch(request)
            .client_token(client_token)
            .min_count(1)
            .max_count(i32::try_from(count).unwrap_or(i32::MAX))
            .customize()
            .config_override(no_retry())
            .send()
            .await
            .map_err(from_sdk("RunInstances"))?;
        Ok(answer
            .instances
            .unwrap_or_default()
            .into_iter()
            .filter_map(read::instance)
            .collect())
    }

    async fn instances_tagged(&self, key: &str, value: &str) -> Result<Vec<Instance>> {
        let mut pages = self
            .client
            .describe_instances()
            .filters(filter(&format!("tag:{key}"), value))
            .into_paginator()
            .page_size(PAGE_SIZE)
            .items()
            .send();
        let mut instances = Vec::new();
        while let Some(reservation) = pages.next().await {
            let reservation = reservation.map_err(from_sdk("DescribeInstances"))?;
            instances.extend(
                reservation
                    .instances
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(read::instance),
            );
        }
        Ok(instances)
    }

    async fn terminate_instances(&self, instance_ids: &[String]) -> Result<()> {
        self.client
            .terminate_instances()
            .set_instance_ids(Some(instance_ids.to_vec()))
            .send()
            .await
            .map_err(from_sdk("TerminateInstances"))?;
        Ok(())
    }

    async fn create_tags(&self, resource_id: &str, tags: &[Tag]) -> Result<()> {
        self.client
            .create_tags()
            .resources(resource_id)
            .set_tags(Some(sdk_tags(tags)))
            .send()
            .await
            .map_err(from_sdk("CreateTags"))?;
        Ok(())
    }
}

impl Ec2 {
    async fn find_subnets(&self, filter: Filter) -> Result<Vec<Subnet>> {
        let mut pages = self
            .client
            .describe_subnets()
            .filters(filter)
            .into_paginator()
            .items()
            .send();
        let mut subnets = Vec::new();
        while let Some(subnet) = pages.next().await {
            subnets.extend(read::subnet(subnet.map_err(from_sdk("DescribeSubnets"))?));
        }
        Ok(subnets)
    }

    async fn find_gateways(&self, filter: Filter) -> Result<Vec<Gateway>> {
        let answer = self
            .client
            .describe_internet_gateways()
            .filters(filter)
            .send()
            .await
            .map_err(from_sdk("DescribeInternetGateways"))?;
        Ok(answer
            .internet_gateways
            .unwrap_or_default()
            .into_iter()
            .filter_map(read::gateway)
            .collect())
    }

    async fn find_security_groups(&self, filters: Vec<Filter>) -> Result<Vec<SecurityGroup>> {
        let answer = self
            .client
            .describe_security_groups()
            .set_filters(Some(filters))
            .send()
            .await
            .map_err(from_sdk("DescribeSecurityGroups"))?;
        Ok(answer
            .security_groups
            .unwrap_or_default()
            .into_iter()
            .filter_map(read::security_group)
            .collect())
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
