//! [`Leftovers`] on AWS's SDK.

use async_trait::async_trait;
use domain::{
    network::{Object, ObjectKind},
    tags,
};

use super::{Ec2, filter};
use crate::{Leftovers, Result, Tags};

fn object(kind: ObjectKind, id: String, vpc_id: Option<String>, tags: &Tags) -> Object {
    Object {
        kind,
        id,
        vpc_id,
        name: tags.name().map(str::to_owned),
    }
}

#[async_trait]
impl Leftovers for Ec2 {
    async fn network_objects(&self, installation: &str) -> Result<Vec<Object>> {
        let ours = || filter(&format!("tag:{}", tags::INSTALLATION), installation);
        let (vpcs, subnets, tables, gateways, groups) = tokio::try_join!(
            self.find_vpcs(ours()),
            self.find_subnets(ours()),
            self.find_route_tables(ours()),
            self.find_gateways(ours()),
            self.find_security_groups(vec![ours()]),
        )?;
        let mut objects = Vec::new();
        objects.extend(
            vpcs.into_iter()
                .map(|it| object(ObjectKind::Vpc, it.id.clone(), Some(it.id), &it.tags)),
        );
        objects.extend(
            subnets
                .into_iter()
                .map(|it| object(ObjectKind::Subnet, it.id, Some(it.vpc_id), &it.tags)),
        );
        objects.extend(
            tables
                .into_iter()
                .map(|it| object(ObjectKind::RouteTable, it.id, Some(it.vpc_id), &it.tags)),
        );
        objects.extend(
            gateways
                .into_iter()
                .map(|it| object(ObjectKind::InternetGateway, it.id, it.vpc_id, &it.tags)),
        );
        objects.extend(
            groups
                .into_iter()
                .map(|it| object(ObjectKind::SecurityGroup, it.id, Some(it.vpc_id), &it.tags)),
        );
        Ok(objects)
    }

    async fn delete_network_object(&self, object: &Object) -> Result<()> {
        let (client, id) = (&self.client, &object.id);
        match object.kind {
            ObjectKind::Subnet => {
                self.turn("DeleteSubnet").await?;
                let answer = client.delete_subnet().subnet_id(id).send().await;
                answer.map_err(self.said("DeleteSubnet"))?;
            }
            ObjectKind::RouteTable => {
                self.turn("DeleteRouteTable").await?;
                let answer = client.delete_route_table().route_table_id(id).send().await;
                answer.map_err(self.said("DeleteRouteTable"))?;
            }
            ObjectKind::InternetGateway => {
                if let Some(vpc_id) = &object.vpc_id {
                    self.turn("DetachInternetGateway").await?;
                    let detach = client.detach_internet_gateway();
                    let answer = detach.internet_gateway_id(id).vpc_id(vpc_id).send().await;
                    answer.map_err(self.said("DetachInternetGateway"))?;
                }
                self.turn("DeleteInternetGateway").await?;
                let delete = client.delete_internet_gateway();
                let answer = delete.internet_gateway_id(id).send().await;
                answer.map_err(self.said("DeleteInternetGateway"))?;
            }
            ObjectKind::SecurityGroup => {
                self.turn("DeleteSecurityGroup").await?;
                let answer = client.delete_security_group().group_id(id).send().await;
                answer.map_err(self.said("DeleteSecurityGroup"))?;
            }
            ObjectKind::Vpc => {
                self.turn("DeleteVpc").await?;
                let answer = client.delete_vpc().vpc_id(id).send().await;
                answer.map_err(self.said("DeleteVpc"))?;
            }
        }
        Ok(())
    }
}
