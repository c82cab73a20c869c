//! [`Account`] on AWS's SDK.

use async_trait::async_trait;
use aws_sdk_ec2::types::InstanceType;
use domain::catalogue::Architecture;

use super::Ec2;
use crate::{
    Account, AccountRegion, Denial, Error, Instances, Result, Said, SecurityGroup, Subnet, Vpc,
    read,
};

/// What is tried to launch: a type that every region has.
const TRIED_TYPE: InstanceType = InstanceType::T3Micro;
/// One is enough; the least page that EC2 gives.
const FEW: i32 = 5;
/// The most that EC2 gives in one page.
const PAGE_SIZE: i32 = 1000;
/// Canonical's account (Ubuntu documentation, "Find Ubuntu images on AWS").
const CANONICAL: &str = "099720109477";

#[async_trait]
impl Account for Ec2 {
    async fn may_launch(&self) -> std::result::Result<(), Denial> {
        let region = &self.region;
        let command = format!("aws ec2 describe-images --owners {CANONICAL} --region {region}");
        let image = match self.newest_image(Architecture::Amd64).await {
            Ok(Some(image)) => image.id,
            Ok(None) => {
                let error = Error::NotThere(Said {
                    action: "DescribeImages",
                    code: "NoImage".to_owned(),
                    message: "there is no image of Ubuntu's here".to_owned(),
                });
                return Err(Denial { error, command });
            }
            Err(error) => return Err(Denial { error, command }),
        };
        // Without a default VPC a launch must name a subnet; which one does not matter.
        let command = format!("aws ec2 describe-subnets --region {region}");
        let subnet = self
            .any_subnet()
            .await
            .map_err(|error| Denial { error, command })?;
        let mut command = format!(
            "aws ec2 run-instances --dry-run --image-id {image} --instance-type {} --region {region}",
            TRIED_TYPE.as_str()
        );
        if let Some(subnet) = &subnet {
            command.push_str(&format!(" --subnet-id {subnet}"));
        }
        match self.try_launch(&image, subnet).await {
            // EC2 API reference: "If you have the required permissions, the error response is DryRunOperation."
            Err(error) if error.said().code == "DryRunOperation" => Ok(()),
            Err(error) => Err(Denial { error, command }),
            Ok(()) => Ok(()),
        }
    }

    async fn regions(&self) -> Result<Vec<AccountRegion>> {
        self.turn("DescribeRegions").await?;
        let answer = self
            .client
            .describe_regions()
            .all_regions(true)
            .send()
            .await
            .map_err(self.said("DescribeRegions"))?;
        let regions = answer.regions.unwrap_or_default().into_iter();
        Ok(regions
            .filter_map(|region| {
                Some(AccountRegion {
                    name: region.region_name?,
                    is_on: region.opt_in_status.as_deref() != Some("not-opted-in"),
                })
            })
            .collect())
    }

    async fn all_vpcs(&self) -> Result<Vec<Vpc>> {
        self.turn("DescribeVpcs").await?;
        let asked = self.client.describe_vpcs().max_results(PAGE_SIZE);
        let mut pages = asked.into_paginator().items().send();
        let mut vpcs = Vec::new();
        while let Some(vpc) = pages.next().await {
            vpcs.extend(read::vpc(vpc.map_err(self.said("DescribeVpcs"))?));
        }
        Ok(vpcs)
    }

    async fn all_subnets(&self) -> Result<Vec<Subnet>> {
        self.turn("DescribeSubnets").await?;
        let asked = self.client.describe_subnets().max_results(PAGE_SIZE);
        let mut pages = asked.into_paginator().items().send();
        let mut subnets = Vec::new();
        while let Some(subnet) = pages.next().await {
            subnets.extend(read::subnet(subnet.map_err(self.said("DescribeSubnets"))?));
        }
        Ok(subnets)
    }

    async fn all_security_groups(&self) -> Result<Vec<SecurityGroup>> {
        self.turn("DescribeSecurityGroups").await?;
        let asked = self
            .client
            .describe_security_groups()
            .max_results(PAGE_SIZE);
        let mut pages = asked.into_paginator().items().send();
        let mut groups = Vec::new();
        while let Some(group) = pages.next().await {
            let group = group.map_err(self.said("DescribeSecurityGroups"))?;
            groups.extend(read::security_group(group));
        }
        Ok(groups)
    }
}

impl Ec2 {
    async fn any_subnet(&self) -> Result<Option<String>> {
        self.turn("DescribeSubnets").await?;
        let answer = self
            .client
            .describe_subnets()
            .max_results(FEW)
            .send()
            .await
            .map_err(self.said("DescribeSubnets"))?;
        let subnets = answer.subnets.unwrap_or_default().into_iter();
        Ok(subnets.filter_map(|subnet| subnet.subnet_id).next())
    }

    async fn try_launch(&self, image: &str, subnet: Option<String>) -> Result<()> {
        self.turn("RunInstances").await?;
        self.client
            .run_instances()
            .image_id(image)
            .instance_type(TRIED_TYPE)
            .set_subnet_id(subnet)
            .min_count(1)
            .max_count(1)
            .dry_run(true)
            .send()
            .await
            .map(drop)
            .map_err(self.said("RunInstances"))
    }
}
