//! What is done, and what must have come of it, however often the worker died.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::stage;
use crate::{Shift, World, wait_for};

pub(super) const REGION: &str = "sa-east-1";
pub(super) const NODE_TYPE: &str = "t3.micro";

/// A flow of the crash matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The first deploy of an account: the network is made.
    FirstDeploy,
    /// The same of nodes that call home.
    FirstDeployOfHosts,
    /// A deploy into a VPC of the user's, in which the subnets are made.
    OwnVpc,
    /// Two clusters are deployed at the same time, and the network is made for both.
    TwoClusters,
    /// Three more nodes.
    ScaleUp,
    /// The same after an update from a version that wrote less of the network down.
    ScaleUpAfterUpdate,
    /// Three nodes less.
    ScaleDown,
    /// The same in subnets of the user's.
    ScaleDownInGivenSubnets,
    /// The cluster's end.
    TerminateCluster,
    /// The end of one node.
    TerminateNode,
    /// One zone has no room and another one for one node only.
    CapacityFallback,
    /// A deploy that a quota of the account's ended, once more.
    Retry,
    /// A deploy that is canceled when its first launch is sent.
    Cancel,
}

/// What must have come of a flow.
struct Aim {
    /// How many nodes each cluster has.
    nodes: Vec<usize>,
    /// How many instances there ever were: exactly once means that there never was one too many, not only that none is
    /// left.
    ever: usize,
    /// The clusters' state.
    state: &'static str,
}

impl Flow {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::FirstDeploy,
        Self::FirstDeployOfHosts,
        Self::OwnVpc,
        Self::TwoClusters,
        Self::ScaleUp,
        Self::ScaleUpAfterUpdate,
        Self::ScaleDown,
        Self::ScaleDownInGivenSubnets,
        Self::TerminateCluster,
        Self::TerminateNode,
        Self::CapacityFallback,
        Self::Retry,
        Self::Cancel,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstDeploy => "first deploy",
            Self::FirstDeployOfHosts => "first deploy of nodes that call home",
            Self::OwnVpc => "deploy into an own VPC",
            Self::TwoClusters => "two clusters at once",
            Self::ScaleUp => "scale up",
            Self::ScaleUpAfterUpdate => "scale up after an update",
            Self::ScaleDown => "scale down",
            Self::ScaleDownInGivenSubnets => "scale down in given subnets",
            Self::TerminateCluster => "terminate cluster",
            Self::TerminateNode => "terminate node",
            Self::CapacityFallback => "capacity fallback",
            Self::Retry => "retry after a failure",
            Self::Cancel => "cancel a deploy",
        }
    }

    /// Whether its nodes call home.
    pub(super) fn has_hosts(self) -> bool {
        self == Self::FirstDeployOfHosts
    }

    /// What is there before, made by a worker that nobody kills. Answers with the clusters.
    pub(super) async fn prepare(self, world: &World) -> Vec<Value> {
        let more = match self {
            Self::OwnVpc => stage::own_vpc(world).await,
            Self::ScaleDownInGivenSubnets => stage::given_subnets(world).await,
            _ => json!({}),
        };
        let nodes = match self {
            Self::CapacityFallback => {
                stage::room(world, "a", 0);
                stage::room(world, "b", 1);
                4
            }
            Self::FirstDeploy
            | Self::FirstDeployOfHosts
            | Self::OwnVpc
            | Self::TwoClusters
            | Self::Cancel => 4,
            Self::ScaleUp | Self::ScaleUpAfterUpdate | Self::TerminateNode => 3,
            Self::ScaleDown | Self::ScaleDownInGivenSubnets | Self::TerminateCluster => 6,
            Self::Retry => {
                stage::quota(world, Some(stage::VCPUS_OF_TWO_NODES));
                4
            }
        };
        let first = world.create(REGION, NODE_TYPE, nodes, more).await;
        match self {
            Self::FirstDeploy
            | Self::FirstDeployOfHosts
            | Self::OwnVpc
            | Self::CapacityFallback
            | Self::Cancel => {
                return vec![first];
            }
            Self::TwoClusters => {
                let more = json!({"name": "other"});
                return vec![first, world.create(REGION, NODE_TYPE, 2, more).await];
            }
            _ => {}
        }
        let shift = Shift::begin(world);
        let answer = world
            .client
            .post(&format!("{}deploy/", uri(&first)), &json!({}))
            .await;
        let action = world.ended(&answer.expect(202).action_uri()).await;
        let expected = if self == Self::Retry {
            "Failed"
        } else {
            "Success"
        };
        assert_eq!(action["state"], expected, "{action:#}");
        world.comes_to_rest().await;
        shift.end().await;
        match self {
            Self::Retry => stage::quota(world, None),
            Self::ScaleUpAfterUpdate => stage::as_an_earlier_version_left_it(world).await,
            _ => {}
        }
        vec![first]
    }

    /// Asks for it; answers with the actions' URIs.
    pub(super) async fn begin(self, world: &World, clusters: &[Value]) -> Vec<String> {
        let client = &world.client;
        let first = uri(&clusters[0]);
        let answer = match self {
            Self::FirstDeploy
            | Self::FirstDeployOfHosts
            | Self::OwnVpc
            | Self::TwoClusters
            | Self::CapacityFallback
            | Self::Cancel => {
                let mut actions = Vec::new();
                for cluster in clusters {
                    let path = format!("{}deploy/", uri(cluster));
                    let answer = client.post(&path, &json!({})).await;
                    actions.push(answer.expect(202).action_uri());
                }
                return actions;
            }
            Self::ScaleUp | Self::ScaleUpAfterUpdate => {
                client.patch(first, &json!({"target_num_nodes": 6})).await
            }
            Self::ScaleDown | Self::ScaleDownInGivenSubnets => {
                client.patch(first, &json!({"target_num_nodes": 3})).await
            }
            Self::TerminateCluster => client.delete(first).await,
            Self::TerminateNode => {
                let node = world.nodes(&clusters[0]).await.remove(0);
                client.delete(uri(&node)).await
            }
            Self::Retry => {
                let path = format!("/api/audit/v1/action/?object={first}&limit=1");
                let newest = client.get(&path).await.expect(200).body;
                let failed = uri(&newest["objects"][0]).to_owned();
                client.post(&format!("{failed}retry/"), &json!({})).await
            }
        };
        vec![answer.expect(202).action_uri()]
    }

    /// What the user does while the workers are at it, and die.
    pub(super) async fn interfere(self, world: &World, actions: &[String]) {
        if self != Self::Cancel {
            return;
        }
        wait_for("the first launch", || async {
            world
                .sim()
                .calls()
                .contains_key("RunInstances")
                .then_some(())
        })
        .await;
        let path = format!("{}cancel/", actions[0]);
        let answer = world.client.post(&path, &json!({})).await;
        // It may have come to its end before.
        assert!(matches!(answer.status, 202 | 400 | 409), "{}", answer.text);
    }

    /// Whether the actions have ended and nothing is left to do, the nodes' own tags among it.
    pub(super) async fn is_over(self, world: &World, actions: &[String]) -> bool {
        for action in actions {
            let state = world.fetch(action).await["state"].clone();
            if !matches!(state.as_str(), Some("Success" | "Failed" | "Canceled")) {
                return false;
            }
        }
        let working: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM node WHERE state IN ('Deploying', 'Terminating')
                OR (state = 'Deployed' AND tagged_at IS NULL)",
        )
        .fetch_one(&world.pool)
        .await
        .expect("the nodes");
        working == 0
    }

    /// What must come of it; none where that is a matter of when the user's request came.
    fn aim(self) -> Option<Aim> {
        let aim = |nodes: &[usize], ever| Aim {
            nodes: nodes.to_vec(),
            ever,
            state: "Deployed",
        };
        Some(match self {
            Self::FirstDeploy
            | Self::FirstDeployOfHosts
            | Self::OwnVpc
            | Self::CapacityFallback
            | Self::Retry => aim(&[4], 4),
            Self::TwoClusters => aim(&[4, 2], 6),
            Self::ScaleUp | Self::ScaleUpAfterUpdate => aim(&[6], 6),
            Self::ScaleDown | Self::ScaleDownInGivenSubnets => aim(&[3], 6),
            Self::TerminateNode => aim(&[2], 3),
            Self::TerminateCluster => Aim {
                state: "Terminated",
                ..aim(&[0], 6)
            },
            Self::Cancel => return None,
        })
    }

    /// Asserts what must have come of it.
    pub(super) async fn check(self, world: &World, clusters: &[Value], actions: &[String]) {
        world.comes_to_rest().await;
        world.rows_name_what_is_there(&BTreeSet::new()).await;
        world.states_are_consistent().await;
        match self.aim() {
            Some(aim) => self.check_aim(world, clusters, actions, &aim).await,
            None => check_canceled(world, &clusters[0], &actions[0]).await,
        }
    }

    async fn check_aim(self, world: &World, clusters: &[Value], actions: &[String], aim: &Aim) {
        for action in actions {
            let action = world.fetch(action).await;
            assert_eq!(action["state"], "Success", "{action:#}");
        }
        for (cluster, nodes) in clusters.iter().zip(&aim.nodes) {
            let cluster = world.fetch(uri(cluster)).await;
            assert_eq!(cluster["state"], aim.state, "{cluster:#}");
            assert_eq!(cluster["current_num_nodes"], *nodes, "{cluster:#}");
            let zones = zones_of(world, &cluster);
            assert_eq!(zones.values().sum::<usize>(), *nodes, "{zones:?}");
            if self == Self::CapacityFallback {
                let expected = [("a", 0), ("b", 1), ("c", 3)];
                assert_eq!(zones, BTreeMap::from(expected));
            } else {
                let spread = zones.values().max().zip(zones.values().min());
                let is_even = spread.is_some_and(|(fullest, emptiest)| fullest - emptiest <= 1);
                assert!(is_even, "{zones:?}");
            }
        }
        let ever = world.ever_launched(REGION).await;
        assert_eq!(ever.len(), aim.ever, "instances that were ever launched");
    }
}

/// A deploy that was canceled keeps what it has launched, and has launched nothing else.
async fn check_canceled(world: &World, cluster: &Value, action: &str) {
    let action = world.fetch(action).await;
    let cluster = world.fetch(uri(cluster)).await;
    let has = cluster["current_num_nodes"].as_u64().expect("a number");
    let expected = match (action["state"].as_str(), has) {
        (Some("Success" | "Canceled"), 4) => "Deployed",
        (Some("Canceled"), 1..4) => "Partly deployed",
        (Some("Canceled"), 0) => "Empty cluster",
        _ => panic!("{has} nodes of {action:#}"),
    };
    assert_eq!(cluster["state"], expected, "{cluster:#}");
    let live = world.instances(REGION).len() as u64;
    assert_eq!(live, has, "instances of {cluster:#}");
    let ever = world.ever_launched(REGION).await.len();
    assert!(ever <= 4, "{ever} instances were ever launched");
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM node WHERE instance_id IS NOT NULL")
        .fetch_one(&world.pool)
        .await
        .expect("the nodes");
    assert_eq!(known, ever as i64, "each instance is or was a node's");
}

/// How many live instances of a cluster there are in each zone.
fn zones_of(world: &World, cluster: &Value) -> BTreeMap<&'static str, usize> {
    let id = cluster["uuid"].as_str().expect("an id");
    let instances = world.instances(REGION);
    let in_zone = |zone: &str| {
        let name = format!("{REGION}{zone}");
        let its = instances
            .iter()
            .filter(|i| i.tags.get("berth:cluster").is_some_and(|it| it == id));
        its.filter(|i| i.zone == name).count()
    };
    stage::ZONES
        .into_iter()
        .map(|zone| (zone, in_zone(zone)))
        .collect()
}

fn uri(object: &Value) -> &str {
    object["resource_uri"].as_str().expect("a URI")
}
