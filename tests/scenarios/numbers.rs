//! How many calls of EC2 things take: the figures of the documentation. The limits are EC2's documented ones.

use std::collections::BTreeMap;

#[tokio::test]
async fn a_hundred_nodes_of_a_fresh_region_take_three_launches_and_sixty_calls() {
    let cost = tests::cost_of_a_first_launch("sa-east-1", "t3.micro", 100).await;
    assert!(cost.all() <= 60, "{cost:#?}");
    assert_eq!(cost.throttled, 0);
    let once: BTreeMap<&str, u64> = BTreeMap::from([
        ("CreateVpc", 1),
        ("CreateSubnet", 3),
        ("CreateInternetGateway", 1),
        ("CreateRouteTable", 1),
        ("CreateSecurityGroup", 1),
        ("RunInstances (dry run)", 3),
        ("RunInstances", 3),
    ]);
    for (action, count) in once {
        assert_eq!(cost.of(action), count, "{action}: {cost:#?}");
    }
}

#[tokio::test]
async fn a_hundred_nodes_in_given_subnets_take_three_launches_and_ten_calls() {
    let round = tests::cost_of_a_round_in_given_subnets("sa-east-1", "t3.micro", 100).await;
    assert_eq!(round.launch.of("RunInstances"), 3, "{round:#?}");
    assert!(round.launch.all() <= 10, "{round:#?}");
    assert_eq!(round.launch.throttled, 0);
    assert_eq!(round.terminations, 1);
}

#[tokio::test]
async fn a_thousand_nodes_take_twelve_launches_and_two_terminations_and_none_is_throttled() {
    let round = tests::cost_of_a_round_in_given_subnets("sa-east-1", "t3.micro", 1000).await;
    assert!(round.launch.of("RunInstances") <= 12, "{round:#?}");
    assert_eq!(round.launch.throttled, 0);
    assert!(round.terminations <= 2, "{round:#?}");
}

#[tokio::test]
async fn at_rest_a_site_is_described_once_a_sweep_however_many_clusters_there_are() {
    let of_one = tests::describes_at_rest(1, 5).await;
    let of_many = tests::describes_at_rest(8, 5).await;
    // A sweep may be under way when the counting begins, and one when it ends.
    assert!((5..=7).contains(&of_one), "{of_one}");
    assert!((5..=7).contains(&of_many), "{of_many}");
}
