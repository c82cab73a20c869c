//! [`Network`] on AWS's SDK.

use async_trait::async_trait;
use aws_sdk_ec2::types::{
    AttributeBooleanValue, Filter, IpPermission, IpRange, ResourceType, UserIdGroupPair,
};
use domain::tags::Tag;

use super::{Ec2, empty, filter, filter_any, tag_specification, there_already_is_fine};
use crate::{
    Gateway, Ingress, Network, Result, RouteTable, SecurityGroup, Subnet, Tags, Vpc, read,
};

#[async_trait]
impl Network for Ec2 {
    async fn vpcs_named(&self, name: &str) -> Result<Vec<Vpc>> {
        self.find_vpcs(filter("tag:Name", name)).await
    }

    async fn vpc(&self, vpc_id: &str) -> Result<Option<Vpc>> {
        Ok(self
            .find_vpcs(filter("vpc-id", vpc_id))
            .await?
            .into_iter()
            .next())
    }

    async fn create_vpc(&self, cidr: &str, tags: &[Tag]) -> Result<Vpc> {
        self.turn("CreateVpc").await?;
        let answer = self
            .client
            .create_vpc()
            .cidr_block(cidr)
            .tag_specifications(tag_specification(ResourceType::Vpc, tags))
            .send()
            .await
            .map_err(self.said("CreateVpc"))?;
        answer
            .vpc
            .and_then(read::vpc)
            .ok_or_else(|| empty("CreateVpc"))
    }

    async fn enable_dns_hostnames(&self, vpc_id: &str) -> Result<()> {
        self.turn("ModifyVpcAttribute").await?;
        self.client
            .modify_vpc_attribute()
            .vpc_id(vpc_id)
            .enable_dns_hostnames(AttributeBooleanValue::builder().value(true).build())
            .send()
            .await
            .map_err(self.said("ModifyVpcAttribute"))?;
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
        self.turn("CreateSubnet").await?;
        let answer = self
            .client
            .create_subnet()
            .vpc_id(vpc_id)
            .availability_zone(zone)
            .cidr_block(cidr)
            .tag_specifications(tag_specification(ResourceType::Subnet, tags))
            .send()
            .await
            .map_err(self.said("CreateSubnet"))?;
        answer
            .subnet
            .and_then(read::subnet)
            .ok_or_else(|| empty("CreateSubnet"))
    }

    async fn map_public_ips(&self, subnet_id: &str) -> Result<()> {
        self.turn("ModifySubnetAttribute").await?;
        self.client
            .modify_subnet_attribute()
            .subnet_id(subnet_id)
            .map_public_ip_on_launch(AttributeBooleanValue::builder().value(true).build())
            .send()
            .await
            .map_err(self.said("ModifySubnetAttribute"))?;
        Ok(())
    }

    async fn delete_subnet(&self, subnet_id: &str) -> Result<()> {
        self.turn("DeleteSubnet").await?;
        self.client
            .delete_subnet()
            .subnet_id(subnet_id)
            .send()
            .await
            .map_err(self.said("DeleteSubnet"))?;
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
        self.turn("CreateInternetGateway").await?;
        let answer = self
            .client
            .create_internet_gateway()
            .tag_specifications(tag_specification(ResourceType::InternetGateway, tags))
            .send()
            .await
            .map_err(self.said("CreateInternetGateway"))?;
        answer
            .internet_gateway
            .and_then(read::gateway)
            .ok_or_else(|| empty("CreateInternetGateway"))
    }

    async fn attach_gateway(&self, gateway_id: &str, vpc_id: &str) -> Result<()> {
        self.turn("AttachInternetGateway").await?;
        self.client
            .attach_internet_gateway()
            .internet_gateway_id(gateway_id)
            .vpc_id(vpc_id)
            .send()
            .await
            .map_err(self.said("AttachInternetGateway"))?;
        Ok(())
    }

    async fn route_tables(&self, vpc_id: &str) -> Result<Vec<RouteTable>> {
        self.find_route_tables(filter("vpc-id", vpc_id)).await
    }

    async fn create_route_table(
        &self,
        vpc_id: &str,
        client_token: &str,
        tags: &[Tag],
    ) -> Result<RouteTable> {
        self.turn("CreateRouteTable").await?;
        let answer = self
            .client
            .create_route_table()
            .vpc_id(vpc_id)
            .client_token(client_token)
            .tag_specifications(tag_specification(ResourceType::RouteTable, tags))
            .send()
            .await
            .map_err(self.said("CreateRouteTable"))?;
        answer
            .route_table
            .and_then(read::route_table)
            .ok_or_else(|| empty("CreateRouteTable"))
    }

    async fn create_default_route(&self, route_table_id: &str, gateway_id: &str) -> Result<()> {
        self.turn("CreateRoute").await?;
        let answer = self
            .client
            .create_route()
            .route_table_id(route_table_id)
            .destination_cidr_block("0.0.0.0/0")
            .gateway_id(gateway_id)
            .send()
            .await;
        there_already_is_fine(answer.map(|_| ()).map_err(self.said("CreateRoute")))
    }

    async fn associate_route_table(&self, route_table_id: &str, subnet_id: &str) -> Result<()> {
        self.turn("AssociateRouteTable").await?;
        let answer = self
            .client
            .associate_route_table()
            .route_table_id(route_table_id)
            .subnet_id(subnet_id)
            .send()
            .await;
        there_already_is_fine(answer.map(|_| ()).map_err(self.said("AssociateRouteTable")))
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
        self.turn("CreateSecurityGroup").await?;
        let answer = self
            .client
            .create_security_group()
            .vpc_id(vpc_id)
            .group_name(name)
            .description("Nodes of Berth")
            .tag_specifications(tag_specification(ResourceType::SecurityGroup, tags))
            .send()
            .await
            .map_err(self.said("CreateSecurityGroup"))?;
        Ok(SecurityGroup {
            id: answer
                .group_id
                .ok_or_else(|| empty("CreateSecurityGroup"))?,
            vpc_id: vpc_id.to_owned(),
            name: name.to_owned(),
            has_ingress: false,
            open_tcp: Vec::new(),
            tags: Tags(tags.iter().cloned().collect()),
        })
    }

    async fn authorize_ingress(&self, group_id: &str, ingress: &[Ingress]) -> Result<()> {
        self.turn("AuthorizeSecurityGroupIngress").await?;
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
                .map_err(self.said("AuthorizeSecurityGroupIngress")),
        )
    }
}

impl Ec2 {
    pub(super) async fn find_vpcs(&self, filter: Filter) -> Result<Vec<Vpc>> {
        self.turn("DescribeVpcs").await?;
        let answer = self
            .client
            .describe_vpcs()
            .filters(filter)
            .send()
            .await
            .map_err(self.said("DescribeVpcs"))?;
        Ok(answer
            .vpcs
            .unwrap_or_default()
            .into_iter()
            .filter_map(read::vpc)
            .collect())
    }

    pub(super) async fn find_subnets(&self, filter: Filter) -> Result<Vec<Subnet>> {
        self.turn("DescribeSubnets").await?;
        let mut pages = self
            .client
            .describe_subnets()
            .filters(filter)
            .into_paginator()
            .items()
            .send();
        let mut subnets = Vec::new();
        while let Some(subnet) = pages.next().await {
            subnets.extend(read::subnet(subnet.map_err(self.said("DescribeSubnets"))?));
        }
        Ok(subnets)
    }

    pub(super) async fn find_gateways(&self, filter: Filter) -> Result<Vec<Gateway>> {
        self.turn("DescribeInternetGateways").await?;
        let answer = self
            .client
            .describe_internet_gateways()
            .filters(filter)
            .send()
            .await
            .map_err(self.said("DescribeInternetGateways"))?;
        Ok(answer
            .internet_gateways
            .unwrap_or_default()
            .into_iter()
            .filter_map(read::gateway)
            .collect())
    }

    pub(super) async fn find_route_tables(&self, filter: Filter) -> Result<Vec<RouteTable>> {
        self.turn("DescribeRouteTables").await?;
        let mut pages = self
            .client
            .describe_route_tables()
            .filters(filter)
            .into_paginator()
            .items()
            .send();
        let mut tables = Vec::new();
        while let Some(table) = pages.next().await {
            tables.extend(read::route_table(
                table.map_err(self.said("DescribeRouteTables"))?,
            ));
        }
        Ok(tables)
    }

    pub(super) async fn find_security_groups(
        &self,
        filters: Vec<Filter>,
    ) -> Result<Vec<SecurityGroup>> {
        self.turn("DescribeSecurityGroups").await?;
        let answer = self
            .client
            .describe_security_groups()
            .set_filters(Some(filters))
            .send()
            .await
            .map_err(self.said("DescribeSecurityGroups"))?;
        Ok(answer
            .security_groups
            .unwrap_or_default()
            .into_iter()
            .filter_map(read::security_group)
            .collect())
    }
}
