//! Internet gateways: each VPC keeps its own, whatever happens to them.

use serde_json::json;
use sim::{Fault, FaultRule, GatewayView};
use tests::{ACCOUNT, World, theirs, wait_for};

const REGION: &str = "eu-west-1";

/// The gateways of this installation.
fn ours(world: &World) -> Vec<GatewayView> {
    let all = world.sim().network(ACCOUNT, REGION).internet_gateways;
    let is_ours = |gateway: &GatewayView| gateway.tags.contains_key("berth:installation");
    all.into_iter().filter(is_ours).collect()
}

/// A cluster in a VPC of its own, whose deploy has begun. Answers with the VPC and the action.
async fn begin(world: &World, name: &str) -> (String, String) {
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.20.0.0/16", &theirs()).await;
    let vpc = vpc.unwrap().id;
    let more = json!({"name": name, "provider_options": {"vpc": {"id": vpc}}});
    let (_, action) = world.ask_to_deploy(REGION, "t3.micro", 1, more).await;
    (vpc, action)
}

#[tokio::test]
async fn i6_a_gateway_that_is_written_down_for_one_vpc_is_not_taken_for_another() {
    let world = World::start().await;
    // The first one's gateway is made and can't be attached; then the second one looks for a gateway that is free.
    let rule = world.sim().add_fault(FaultRule {
        times: 1_000_000,
        ..FaultRule::next(
            "AttachInternetGateway",
            Fault::Refuse {
                status: 503,
                code: "ServiceUnavailable".into(),
                message: "Service unavailable.".into(),
            },
        )
    });
    let (first, of_first) = begin(&world, "first").await;
    wait_for("the first gateway", || async {
        (!world.sim().played(rule).is_empty()).then_some(())
    })
    .await;
    let (second, of_second) = begin(&world, "second").await;
    wait_for("the second gateway", || async {
        (ours(&world).len() == 2).then_some(())
    })
    .await;
    world.sim().clear_faults();
    for action in [of_first, of_second] {
        let action = world.ended(&action).await;
        assert_eq!(action["state"], "Success", "{action:#}");
    }
    let mut attached: Vec<_> = ours(&world)
        .into_iter()
        .filter_map(|it| it.vpc_id)
        .collect();
    let mut vpcs = [first, second];
    attached.sort();
    vpcs.sort();
    assert_eq!(attached, vpcs);
    world.finish().await;
}

#[tokio::test]
async fn a_gateway_that_was_detached_in_the_console_is_attached_again() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    // EC2 detaches none while somebody has a public address.
    world.scale(&cluster, 0).await;
    let gateway = ours(&world).remove(0);
    let vpc = gateway.vpc_id.unwrap();
    world
        .sim()
        .console_detach_internet_gateway(ACCOUNT, REGION, &gateway.id, &vpc)
        .unwrap();
    let cluster = world.scale(&cluster, 1).await;
    assert_eq!(cluster["state"], "Deployed");
    let after = ours(&world);
    assert_eq!(after.len(), 1);
    assert_eq!(
        (after[0].id.as_str(), after[0].vpc_id.as_deref()),
        (gateway.id.as_str(), Some(vpc.as_str()))
    );
    world.finish().await;
}
