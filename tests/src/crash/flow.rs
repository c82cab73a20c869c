//! What is done, and what must have come of it, however often the worker died.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{ACCOUNT, Shift, World, theirs};

const REGION: &str = "sa-east-1";
const NODE_TYPE: &str = "t3.micro";

/// A flow of the crash matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The first deploy of an account: the network is made.
    FirstDeploy,
    /// A deploy into a VPC of the user's, in which the subnets are made.
    OwnVpc,
    /// Three more nodes.
    ScaleUp,
    /// Three nodes less.
    ScaleDown,
    /// The cluster's end.
    TerminateCluster,
    /// The end of one node.
    TerminateNode,
    /// One zone has no room and another one for one node only.
    CapacityFallback,
}

impl Flow {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::FirstDeploy,
        Self::OwnVpc,
        Self::ScaleUp,
        Self::ScaleDown,
        Self::TerminateCluster,
        Self::TerminateNode,
        Self::CapacityFallback,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstDeploy => "first deploy",
            Self::OwnVpc => "deploy into an own VPC",
            Self::ScaleUp => "scale up",
            Self::ScaleDown => "scale down",
            Self::TerminateCluster => "terminate cluster",
            Self::TerminateNode => "terminate node",
            Self::CapacityFallback => "capacity fallback",
        }
    }

    /// What is there before, made by a worker that nobody kills. Answers with the cluster.
    pub(super) async fn prepare(self, world: &World) -> Value {
        let nodes = match self {
            Self::FirstDeploy | Self::OwnVpc | Self::CapacityFallback => {
                let more = match self {
                    Self::OwnVpc => own_vpc(world).await,
                    Self::CapacityFallback => {
                        let sim = world.sim();
                        let limit = |zone: &str, room| {
                            let zone = format!("{REGION}{zone}");
                            sim.set_capacity(ACCOUNT, REGION, &zone, NODE_TYPE, Some(room));
                        };
                        limit("a", 0);
                        limit("b", 1);
                        json!({})
                    }
                    _ => json!({}),
                };
                return world.create(REGION, NODE_TYPE, 4, more).await;
            }
            Self::ScaleUp | Self::TerminateNode => 3,
            Self::ScaleDown | Self::TerminateCluster => 6,
        };
        let shift = Shift::begin(world);
        let (cluster, action) = world.deploy(REGION, NODE_TYPE, nodes, json!({})).await;
        assert_eq!(action["state"], "Success", "{action:#}");
        shift.end().await;
        cluster
    }

    /// Asks for it; answers with the action's URI.
    pub(super) async fn begin(self, world: &World, cluster: &Value) -> String {
        let client = &world.client;
        let uri = cluster["resource_uri"].as_str().expect("a URI");
        let answer = match self {
            Self::FirstDeploy | Self::OwnVpc | Self::CapacityFallback => {
                client.post(&format!("{uri}deploy/"), &json!({})).await
            }
            Self::ScaleUp => client.patch(uri, &json!({"target_num_nodes": 6})).await,
            Self::ScaleDown => client.patch(uri, &json!({"target_num_nodes": 3})).await,
            Self::TerminateCluster => client.delete(uri).await,
            Self::TerminateNode => {
                let node = world.nodes(cluster).await.remove(0);
                client
                    .delete(node["resource_uri"].as_str().expect("a URI"))
                    .await
            }
        };
        answer.expect(202).action_uri()
    }

    /// Whether the action has ended and nothing is left to do, the nodes' own tags among it.
    pub(super) async fn is_over(self, world: &World, action: &str) -> bool {
        let state = world.fetch(action).await["state"].clone();
        if state != "Success" && state != "Failed" {
            return false;
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

    /// Asserts what must have come of it.
    pub(super) async fn check(self, world: &World, cluster: &Value, action: &str) {
        let action = world.fetch(action).await;
        assert_eq!(action["state"], "Success", "{action:#}");
        let (nodes, state) = match self {
            Self::FirstDeploy | Self::OwnVpc | Self::CapacityFallback => (4, "Deployed"),
            Self::ScaleUp => (6, "Deployed"),
            Self::ScaleDown => (3, "Deployed"),
            Self::TerminateCluster => (0, "Terminated"),
            Self::TerminateNode => (2, "Deployed"),
        };
        let uri = cluster["resource_uri"].as_str().expect("a URI");
        let cluster = world.fetch(uri).await;
        assert_eq!(cluster["state"], state, "{cluster:#}");
        assert_eq!(cluster["current_num_nodes"], nodes, "{cluster:#}");
        // Exactly once means that there never was one too many, not only that none is left.
        let launched = match self {
            Self::FirstDeploy | Self::OwnVpc | Self::CapacityFallback => 4,
            Self::ScaleUp | Self::ScaleDown | Self::TerminateCluster => 6,
            Self::TerminateNode => 3,
        };
        let ever = world.ever_launched(REGION).await;
        assert_eq!(ever.len(), launched, "instances that were ever launched");
        let zones = world.per_zone(REGION);
        assert_eq!(zones.values().sum::<usize>(), nodes, "{zones:?}");
        if self == Self::CapacityFallback {
            let expected = [(format!("{REGION}b"), 1), (format!("{REGION}c"), 3)];
            assert_eq!(zones, BTreeMap::from(expected));
        } else {
            let fullest = zones.values().max().copied().unwrap_or_default();
            let emptiest = if zones.len() == 3 {
                zones.values().min().copied().unwrap_or_default()
            } else {
                0
            };
            assert!(fullest - emptiest <= 1, "{zones:?}");
        }
        let open: Vec<String> =
            sqlx::query_scalar("SELECT name || ' ' || state FROM action WHERE ended_at IS NULL")
                .fetch_all(&world.pool)
                .await
                .expect("the actions");
        assert!(open.is_empty(), "actions without an end: {open:?}");
    }
}

/// The way to a VPC of the user's that has no subnets.
async fn own_vpc(world: &World) -> Value {
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.9.0.0/16", &theirs()).await;
    json!({"provider_options": {"vpc": {"id": vpc.expect("a VPC").id}}})
}
