//! What is there before a flow begins.

use serde_json::{Value, json};

use super::flow::{NODE_TYPE, REGION};
use crate::{ACCOUNT, World, theirs};

/// The zones of the region.
pub(super) const ZONES: [&str; 3] = ["a", "b", "c"];
/// A t3.micro has two.
pub(super) const VCPUS_OF_TWO_NODES: u32 = 4;

/// The way to a VPC of the user's that has no subnets.
pub(super) async fn own_vpc(world: &World) -> Value {
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.9.0.0/16", &theirs()).await;
    json!({"provider_options": {"vpc": {"id": vpc.expect("a VPC").id}}})
}

/// The way to a VPC of the user's with a subnet in each zone.
pub(super) async fn given_subnets(world: &World) -> Value {
    let mut options = own_vpc(world).await;
    let vpc = &mut options["provider_options"]["vpc"];
    let cloud = world.cloud(REGION).await;
    let mut subnets = Vec::new();
    for (n, zone) in ZONES.iter().enumerate() {
        let (zone, block) = (format!("{REGION}{zone}"), format!("10.9.{n}.0/24"));
        let id = vpc["id"].as_str().expect("an id");
        let subnet = cloud.create_subnet(id, &zone, &block, &theirs()).await;
        subnets.push(subnet.expect("a subnet").id);
    }
    vpc["subnets"] = json!(subnets);
    options
}

/// A zone has room for so many instances.
pub(super) fn room(world: &World, zone: &str, instances: u32) {
    let zone = format!("{REGION}{zone}");
    let sim = world.sim();
    sim.set_capacity(ACCOUNT, REGION, &zone, NODE_TYPE, Some(instances));
}

/// The account may have so many vCPUs.
pub(super) fn quota(world: &World, vcpus: Option<u32>) {
    world.sim().set_quotas(sim::Quotas {
        vcpus,
        ..sim::Quotas::default()
    });
}

/// Versions before migration 3 wrote down the VPC and the security group only, and the migration does no more.
pub(super) async fn as_an_earlier_version_left_it(world: &World) {
    sqlx::query("DELETE FROM creation WHERE kind IN ('internet gateway', 'route table')")
        .execute(&world.pool)
        .await
        .expect("the creations");
}
