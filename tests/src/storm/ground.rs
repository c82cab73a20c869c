//! What is there before a storm and is not Berth's: what users bring, and what must be after it as it was before.

use serde_json::{Value, json};
use sim::NetworkView;

use super::plan::{Home, PLACES, ZONES};
use crate::{ACCOUNT, World, theirs};

/// Instances of somebody else's.
const FOREIGN: u32 = 5;

/// The account as its owner has made it.
pub(super) struct Ground {
    /// A VPC without subnets, in which Berth makes them.
    own_vpc: String,
    /// A VPC with a subnet in each zone, in which Berth makes none.
    given_vpc: String,
    given_subnets: Vec<String>,
    foreign: Vec<String>,
    networks: Vec<NetworkView>,
}

impl Ground {
    /// Makes it.
    pub(super) async fn lay(world: &World) -> Self {
        let region = PLACES[0];
        let cloud = world.cloud(region).await;
        let vpc = async |block| {
            let vpc = cloud.create_vpc(block, &theirs()).await;
            vpc.expect("a VPC").id
        };
        let (own_vpc, given_vpc) = (vpc("10.20.0.0/16").await, vpc("10.1.0.0/16").await);
        let mut given_subnets = Vec::new();
        for (n, zone) in ZONES.iter().enumerate() {
            let (zone, block) = (format!("{region}{zone}"), format!("10.1.{n}.0/24"));
            let subnet = cloud
                .create_subnet(&given_vpc, &zone, &block, &theirs())
                .await;
            given_subnets.push(subnet.expect("a subnet").id);
        }
        // A gateway that nobody uses, and that nobody may take for Berth's.
        let gateway = world
            .sim()
            .console_create_internet_gateway(ACCOUNT, region, None);
        gateway.expect("a gateway");
        let foreign = world.launch_theirs(region, &given_subnets[0], FOREIGN);
        let foreign = foreign.await;
        Self {
            own_vpc,
            given_vpc,
            given_subnets,
            foreign,
            networks: networks_of_theirs(world).await,
        }
    }

    /// What a cluster's body says of its place.
    pub(super) fn options(&self, home: Home) -> Value {
        let vpc = match home {
            Home::Auto { .. } => return json!({}),
            Home::OwnVpc => json!({"id": self.own_vpc}),
            Home::GivenSubnets => json!({"id": self.given_vpc, "subnets": self.given_subnets}),
        };
        json!({"vpc": vpc})
    }

    /// Asserts that what belongs to somebody else is as it was.
    pub(super) async fn is_as_it_was(&self, world: &World) {
        let installation = world.installation().await;
        let is_theirs = |i: &sim::InstanceView| !is_ours(&i.tags, &installation);
        for region in PLACES {
            let instances = world.instances(region).into_iter().filter(is_theirs);
            let instances: Vec<String> = instances.map(|i| i.id).collect();
            let expected = if region == PLACES[0] {
                self.foreign.as_slice()
            } else {
                &[]
            };
            assert_eq!(instances, expected, "somebody else's instances in {region}");
        }
        assert_eq!(
            networks_of_theirs(world).await,
            self.networks,
            "somebody else's networks"
        );
    }
}

fn is_ours(tags: &std::collections::BTreeMap<String, String>, installation: &str) -> bool {
    let tag = tags.get("berth:installation");
    tag.is_some_and(|tag| tag == installation)
}

/// The networks of all places without what bears this installation's tag, and without what EC2 makes with a VPC of
/// this installation.
async fn networks_of_theirs(world: &World) -> Vec<NetworkView> {
    let installation = world.installation().await;
    let of_place = |region| {
        let mut network = world.sim().network(ACCOUNT, region);
        network.vpcs.retain(|it| !is_ours(&it.tags, &installation));
        let vpcs: Vec<String> = network.vpcs.iter().map(|it| it.id.clone()).collect();
        let is_in_theirs = |vpc: &String| vpcs.contains(vpc);
        network
            .subnets
            .retain(|it| !is_ours(&it.tags, &installation) && is_in_theirs(&it.vpc_id));
        network
            .internet_gateways
            .retain(|it| !is_ours(&it.tags, &installation));
        network
            .route_tables
            .retain(|it| !is_ours(&it.tags, &installation) && is_in_theirs(&it.vpc_id));
        network
            .security_groups
            .retain(|it| !is_ours(&it.tags, &installation) && is_in_theirs(&it.vpc_id));
        network
    };
    PLACES.map(of_place).into()
}
