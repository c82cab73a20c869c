//! The tags that Berth writes on AWS objects and reads back.

use crate::ids::{ClusterId, InstallationId, LaunchId};

/// Whose object it is: without this tag, with this installation's id, nothing is ever changed or deleted.
pub const INSTALLATION: &str = "berth:installation";
/// The cluster that an instance belongs to.
pub const CLUSTER: &str = "berth:cluster";
/// The launch that made an instance.
pub const LAUNCH: &str = "berth:launch";
/// What the console shows.
pub const NAME: &str = "Name";
/// Docker Cloud's tag with the node's id.
pub const UUID: &str = "UUID";

/// The `Name` of the VPC that Berth manages (the seed, "What objects does Docker Cloud create").
pub const VPC_NAME: &str = "dc-vpc";
/// The `Name` of the internet gateway.
pub const GATEWAY_NAME: &str = "dc-gateway";
/// The `Name` of each subnet.
pub const SUBNET_NAME: &str = "dc-subnet";
/// The `Name` of the route table.
pub const ROUTE_TABLE_NAME: &str = "dc-route-table";
/// The name of the security group, and its `Name` (Docker Cloud, release notes).
pub const SECURITY_GROUP_NAME: &str = "dc-vpc-default";

/// An AWS tag: key and value.
pub type Tag = (String, String);

/// The tags of a network object.
pub fn network(installation: InstallationId, name: &str) -> Vec<Tag> {
    vec![
        (NAME.into(), name.into()),
        (INSTALLATION.into(), installation.to_string()),
    ]
}

/// The tags of every instance of one launch; what differs per node follows when the ids are known.
pub fn instance(
    installation: InstallationId,
    user: &str,
    cluster: ClusterId,
    cluster_name: &str,
    launch: LaunchId,
) -> Vec<Tag> {
    vec![
        ("Docker ID username".into(), user.into()),
        ("Node Cluster Name".into(), cluster_name.into()),
        (INSTALLATION.into(), installation.to_string()),
        (CLUSTER.into(), cluster.to_string()),
        (LAUNCH.into(), launch.to_string()),
    ]
}

/// The tags that Docker Cloud put on a cluster by itself at launch, inherited by its nodes ("Deployment tags").
pub fn automatic(region: &str, cluster_name: &str) -> Vec<String> {
    vec![
        crate::catalogue::AWS.to_owned(),
        "byon=false".to_owned(),
        region.to_owned(),
        cluster_name.to_owned(),
        format!("nodecluster-name={cluster_name}"),
    ]
}
