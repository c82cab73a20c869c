//! The plan, step by step.

use uuid::Uuid;

use super::*;
use crate::network::LeftOut;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn view(state: ClusterState, target: u32, nodes: Vec<Node>) -> View {
    View {
        now: at(1000),
        state,
        target,
        readiness: Readiness::Instance,
        began_at: Some(at(800)),
        failure: None,
        is_canceling: false,
        deadline: Some(at(1900)),
        nodes,
        launches: vec![],
        outages: vec![],
        network: None,
    }
}

fn node_id(n: u128) -> NodeId {
    NodeId(Uuid::from_u128(n))
}

fn unplaced(n: u128) -> Node {
    Node {
        id: node_id(n),
        state: NodeState::Deploying,
        seat: None,
        launch_id: None,
        instance_id: None,
        created_at: at(900),
        terminate_requested_at: None,
        is_tagged: false,
        call: Call::default(),
    }
}

fn running(n: u128, zone: &str) -> Node {
    Node {
        state: NodeState::Deployed,
        seat: Some(Seat {
            zone: zone.into(),
            subnet_id: format!("subnet-{zone}"),
        }),
        launch_id: Some(LaunchId(Uuid::from_u128(1))),
        instance_id: Some(format!("i-{n}")),
        is_tagged: true,
        ..unplaced(n)
    }
}

fn network(zones: &[&str]) -> Network {
    let subnet = |zone: &&str| Subnet {
        subnet_id: format!("subnet-{zone}"),
        zone: (*zone).into(),
        cidr: ipnet::Ipv4Net::default(),
        free_addresses: 100,
    };
    Network {
        vpc_id: "vpc-1".into(),
        security_group_ids: vec![],
        subnets: zones.iter().map(subnet).collect(),
        left_out: vec![],
    }
}

fn settled(state: ClusterState, target: u32) -> Step {
    Step::Settle {
        state,
        target,
        end: End::Success,
    }
}

#[test]
fn a_deploy_prepares_the_network_then_places_then_launches_then_waits_then_settles() {
    let mut view = view(ClusterState::Deploying, 2, vec![unplaced(1), unplaced(2)]);
    assert_eq!(next_step(&view), Step::PrepareNetwork);

    view.network = Some(network(&["a", "b"]));
    let Step::Place(placed) = next_step(&view) else {
        panic!("{:?}", next_step(&view))
    };
    let summary: Vec<(&str, &[NodeId])> = placed
        .iter()
        .map(|(s, n)| (s.zone.as_str(), n.as_slice()))
        .collect();
    assert_eq!(
        summary,
        [("a", &[node_id(1)][..]), ("b", &[node_id(2)][..])]
    );

    let launch = LaunchId(Uuid::from_u128(7));
    for node in &mut view.nodes {
        node.launch_id = Some(launch);
    }
    view.launches = vec![Launch {
        id: launch,
        is_sent: false,
        is_followed: false,
        retry_at: at(1000),
    }];
    assert_eq!(next_step(&view), Step::Launch(vec![launch]));

    view.launches.clear();
    for node in &mut view.nodes {
        node.instance_id = Some("i-1".into());
    }
    assert_eq!(next_step(&view), Step::Wait(None));

    for node in &mut view.nodes {
        node.state = NodeState::Deployed;
    }
    assert_eq!(next_step(&view), settled(ClusterState::Deployed, 2));
    view.state = ClusterState::Deployed;
    assert_eq!(next_step(&view), Step::Tag(vec![node_id(1), node_id(2)]));
    for node in &mut view.nodes {
        node.is_tagged = true;
    }
    assert_eq!(next_step(&view), Step::Rest);
}

#[test]
fn i5_a_node_whose_launch_is_unsettled_is_never_placed_again_nor_retired() {
    let launch = LaunchId(Uuid::from_u128(7));
    let mut node = unplaced(1);
    node.launch_id = Some(launch);
    let mut view = view(ClusterState::Terminating, 0, vec![node]);
    view.launches = vec![Launch {
        id: launch,
        is_sent: true,
        is_followed: false,
        retry_at: at(1010),
    }];
    assert_eq!(next_step(&view), Step::Wait(Some(at(1010))));
}

#[test]
fn a_zone_without_capacity_is_left_for_the_others_and_comes_back() {
    let mut view = view(ClusterState::Deploying, 2, vec![unplaced(1), unplaced(2)]);
    view.network = Some(network(&["a", "b"]));
    view.outages = vec![Outage {
        zone: "a".into(),
        subnet_id: None,
        until: at(1100),
        reason: "no capacity".into(),
    }];
    let Step::Place(placed) = next_step(&view) else {
        panic!()
    };
    assert_eq!(placed.len(), 1);
    assert_eq!(placed[0].0.zone, "b");
    view.now = at(1100);
    let Step::Place(placed) = next_step(&view) else {
        panic!()
    };
    assert_eq!(placed.len(), 2);
}

#[test]
fn when_every_zone_is_out_it_waits_until_the_deadline_and_then_says_why_per_zone() {
    let mut view = view(ClusterState::Deploying, 1, vec![unplaced(1)]);
    view.network = Some(network(&["a"]));
    view.network.as_mut().unwrap().left_out = vec![LeftOut {
        zone: "b".into(),
        reason: "EC2 does not offer t2.micro there".into(),
    }];
    view.outages = vec![Outage {
        zone: "a".into(),
        subnet_id: None,
        until: at(1100),
        reason: "Insufficient".into(),
    }];
    assert_eq!(next_step(&view), Step::Wait(Some(at(1100))));
    view.deadline = Some(at(999));
    let Step::GiveUp(reason) = next_step(&view) else {
        panic!()
    };
    assert!(
        reason.contains("b: EC2 does not offer t2.micro there"),
        "{reason}"
    );
    assert!(reason.contains("a (subnet-a): Insufficient"), "{reason}");
    view.failure = Some(reason);
    assert_eq!(next_step(&view), Step::Bury(vec![node_id(1)]));
}

#[test]
fn a_network_that_never_gets_ready_ends_the_operation_after_the_deadline() {
    let mut view = view(ClusterState::Deploying, 1, vec![unplaced(1)]);
    view.deadline = Some(at(990));
    assert_eq!(next_step(&view), Step::PrepareNetwork);
    view.now = at(1050);
    assert!(matches!(next_step(&view), Step::GiveUp(_)));
}

#[test]
fn a_deploy_that_reached_only_a_part_settles_as_partly_deployed_with_the_reason() {
    let mut view = view(ClusterState::Deploying, 3, vec![running(1, "a")]);
    view.failure = Some("VcpuLimitExceeded".into());
    assert_eq!(
        next_step(&view),
        Step::Settle {
            state: ClusterState::PartlyDeployed,
            target: 3,
            end: End::Failed("VcpuLimitExceeded".to_owned())
        }
    );
}

#[test]
fn scaling_down_retires_the_surplus_then_terminates_then_settles() {
    let mut view = view(
        ClusterState::Scaling,
        1,
        vec![running(1, "a"), running(2, "b"), running(3, "b")],
    );
    let Step::Retire(victims) = next_step(&view) else {
        panic!()
    };
    assert_eq!(victims.len(), 2);
    for node in view
        .nodes
        .iter_mut()
        .filter(|node| victims.contains(&node.id))
    {
        node.state = NodeState::Terminating;
    }
    let Step::Terminate(asked) = next_step(&view) else {
        panic!()
    };
    assert_eq!(asked.len(), 2);
    for node in &mut view.nodes {
        node.terminate_requested_at = Some(at(999));
    }
    assert_eq!(next_step(&view), Step::Wait(None));
    view.now = at(1060);
    assert!(matches!(next_step(&view), Step::Terminate(_)));
    view.nodes
        .retain(|node| node.state != NodeState::Terminating);
    assert_eq!(next_step(&view), settled(ClusterState::Deployed, 1));
}

#[test]
fn a_cluster_whose_last_node_goes_becomes_an_empty_cluster() {
    let view = view(ClusterState::Deployed, 0, vec![]);
    assert_eq!(next_step(&view), settled(ClusterState::EmptyCluster, 0));
}

#[test]
fn terminating_an_empty_cluster_ends_at_once() {
    let view = view(ClusterState::Terminating, 0, vec![]);
    assert_eq!(next_step(&view), settled(ClusterState::Terminated, 0));
}

#[test]
fn a_canceled_deploy_takes_back_what_was_not_sent_finds_what_was_and_keeps_what_runs() {
    let (unsent, sent) = (LaunchId(Uuid::from_u128(7)), LaunchId(Uuid::from_u128(8)));
    let waiting = |n, launch| Node {
        launch_id: Some(launch),
        ..unplaced(n)
    };
    let mut view = view(
        ClusterState::Deploying,
        4,
        vec![
            running(1, "a"),
            waiting(2, unsent),
            waiting(3, sent),
            unplaced(4),
        ],
    );
    view.is_canceling = true;
    let launch = |id, is_sent, retry_at| Launch {
        id,
        is_sent,
        is_followed: false,
        retry_at: at(retry_at),
    };
    view.launches = vec![launch(unsent, false, 1000), launch(sent, true, 1005)];
    assert_eq!(next_step(&view), Step::Withdraw(vec![unsent]));

    view.launches.remove(0);
    view.nodes[1].launch_id = None;
    assert_eq!(next_step(&view), Step::Bury(vec![node_id(2), node_id(4)]));

    view.nodes.retain(|node| node.launch_id.is_some());
    assert_eq!(next_step(&view), Step::Wait(Some(at(1005))));
    view.now = at(1005);
    assert_eq!(next_step(&view), Step::Find(vec![sent]));

    // It had launched: that node is kept, and waited for.
    view.launches.clear();
    view.nodes[1].instance_id = Some("i-3".into());
    assert_eq!(next_step(&view), Step::Wait(None));
    view.nodes[1].state = NodeState::Deployed;
    assert_eq!(
        next_step(&view),
        Step::Settle {
            state: ClusterState::PartlyDeployed,
            target: 4,
            end: End::Canceled
        }
    );
}

#[test]
fn a_canceled_scale_down_takes_no_further_node_and_wants_those_that_are_left() {
    let mut leaving = running(1, "a");
    leaving.state = NodeState::Terminating;
    leaving.terminate_requested_at = Some(at(999));
    let mut view = view(
        ClusterState::Scaling,
        1,
        vec![leaving, running(2, "a"), running(3, "b")],
    );
    view.is_canceling = true;
    assert_eq!(next_step(&view), Step::Wait(None));
    view.nodes.remove(0);
    assert_eq!(
        next_step(&view),
        Step::Settle {
            state: ClusterState::Deployed,
            target: 2,
            end: End::Canceled
        }
    );
}

#[test]
fn a_launch_that_is_followed_is_not_sent_again_and_holds_nothing_else_up() {
    let followed = LaunchId(Uuid::from_u128(77));
    let mut on_its_way = unplaced(1);
    on_its_way.launch_id = Some(followed);
    let mut view = view(ClusterState::Deploying, 2, vec![on_its_way, unplaced(2)]);
    view.launches = vec![Launch {
        id: followed,
        is_sent: false,
        is_followed: true,
        retry_at: at(0),
    }];
    assert_eq!(next_step(&view), Step::PrepareNetwork);
    view.nodes.truncate(1);
    assert_eq!(next_step(&view), Step::Wait(Some(at(0))));
}

#[test]
fn tags_are_written_a_few_at_a_time() {
    let mut nodes: Vec<Node> = (1..=45).map(|n| running(n, "a")).collect();
    for node in &mut nodes {
        node.is_tagged = false;
    }
    let view = view(ClusterState::Deployed, 45, nodes);
    match next_step(&view) {
        Step::Tag(some) => assert_eq!(some.len(), TAGGED_AT_A_TIME),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_could_not_be_launched_by_the_deadline_is_given_up_and_what_may_have_been_is_found_first() {
    let (unsent, sent) = (LaunchId(Uuid::from_u128(61)), LaunchId(Uuid::from_u128(62)));
    let on_its_way = |n, launch| {
        let mut node = unplaced(n);
        node.launch_id = Some(launch);
        node
    };
    let mut view = view(
        ClusterState::Deploying,
        3,
        vec![on_its_way(1, unsent), on_its_way(2, sent), unplaced(3)],
    );
    let launch = |id, is_sent| Launch {
        id,
        is_sent,
        is_followed: false,
        retry_at: at(0),
    };
    view.launches = vec![launch(unsent, false), launch(sent, true)];
    view.deadline = Some(view.now);
    assert_eq!(next_step(&view), Step::Withdraw(vec![unsent]));
    view.launches.remove(0);
    assert_eq!(next_step(&view), Step::Find(vec![sent]));
    view.launches.clear();
    view.nodes[0].launch_id = None;
    view.nodes[1].launch_id = None;
    assert_eq!(next_step(&view), Step::PrepareNetwork);
    view.network = Some(network(&["a"]));
    let reason = "no zone can take a node: a (subnet-a): AWS did not take the launch in time";
    assert_eq!(next_step(&view), Step::GiveUp(reason.into()));
}

/// A view of a cluster whose nodes are to call home.
fn awaited(state: ClusterState, target: u32, nodes: Vec<Node>) -> View {
    View {
        readiness: Readiness::Agent,
        ..view(state, target, nodes)
    }
}

/// A node whose deadline has passed.
fn missed(n: u128, is_examined: bool) -> Node {
    Node {
        state: NodeState::Unreachable,
        call: Call {
            is_examined,
            ..Call::default()
        },
        ..running(n, "a")
    }
}

fn deployed(n: u128) -> Node {
    Node {
        call: Call {
            was_deployed: true,
            has_registered: true,
            is_examined: false,
        },
        ..running(n, "a")
    }
}

#[test]
fn a_node_that_has_not_called_home_is_examined_and_fails_the_operation() {
    let mut view = awaited(
        ClusterState::Deploying,
        2,
        vec![deployed(1), missed(2, false)],
    );
    assert_eq!(next_step(&view), Step::Examine(vec![node_id(2)]));
    view.nodes[1].call.is_examined = true;
    let Step::Settle { state, target, end } = next_step(&view) else {
        panic!("{:?}", next_step(&view));
    };
    assert_eq!((state, target), (ClusterState::PartlyDeployed, 2));
    let End::Failed(reason) = end else {
        panic!("{end:?}");
    };
    let words = format!("node {} (i-2) has not called home in time", node_id(2));
    assert!(reason.starts_with(&words), "{reason}");
}

#[test]
fn a_node_that_calls_home_late_makes_its_cluster_whole() {
    let rest = |node| awaited(ClusterState::PartlyDeployed, 2, vec![deployed(1), node]);
    assert_eq!(next_step(&rest(missed(2, true))), Step::Rest);
    let step = next_step(&rest(deployed(2)));
    assert_eq!(step, settled(ClusterState::Deployed, 2));
}

#[test]
fn a_scaling_is_not_to_blame_for_nodes_that_were_missed_before() {
    let old = Node {
        created_at: at(100),
        ..missed(1, true)
    };
    let view = awaited(ClusterState::Scaling, 2, vec![old, deployed(2)]);
    let step = next_step(&view);
    assert_eq!(step, settled(ClusterState::PartlyDeployed, 2));
}

#[test]
fn a_retry_of_a_deploy_says_again_what_is_missing() {
    let old = Node {
        created_at: at(100),
        ..missed(1, true)
    };
    let view = awaited(ClusterState::Deploying, 1, vec![old]);
    let step = next_step(&view);
    assert!(
        matches!(
            step,
            Step::Settle {
                end: End::Failed(_),
                ..
            }
        ),
        "{step:?}"
    );
}

#[test]
fn a_canceled_operation_does_not_wait_for_agents() {
    let booting = Node {
        state: NodeState::Deploying,
        ..running(1, "a")
    };
    let mut view = awaited(ClusterState::Deploying, 1, vec![booting]);
    assert_eq!(next_step(&view), Step::Wait(None));
    view.is_canceling = true;
    let end = End::Canceled;
    let (state, target) = (ClusterState::Deployed, 1);
    assert_eq!(next_step(&view), Step::Settle { state, target, end });
}

#[test]
fn where_the_instance_is_enough_an_unreachable_node_is_not_waited_for() {
    let stopped = missed(1, false);
    let step = next_step(&view(ClusterState::Deploying, 1, vec![stopped]));
    assert_eq!(step, settled(ClusterState::Deployed, 1));
}
