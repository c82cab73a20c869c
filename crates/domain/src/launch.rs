//! A launch: one RunInstances request, decided and committed before it is sent.

use serde::{Deserialize, Serialize};

use crate::{ids::LaunchId, tags::Tag};

/// The most instances in one RunInstances call (EC2's advice: "break up large requests").
pub const MAX_BATCH: usize = 100;

/// Everything of a RunInstances call but its token and count. The same token is only ever sent with the same request,
/// so the request is kept as it was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchRequest {
    /// `ami-…`
    pub image_id: String,
    /// The device of the image's root volume, `/dev/sda1`.
    pub root_device: String,
    /// `t3.micro`
    pub instance_type: String,
    /// `subnet-…`
    pub subnet_id: String,
    /// `sg-…`
    pub security_group_ids: Vec<String>,
    /// The name of the instance profile.
    pub instance_profile: Option<String>,
    /// The root volume in GB.
    pub disk_gb: u32,
    /// cloud-init's user data, not yet in base64.
    pub user_data: String,
    /// The tags of every instance and its volume.
    pub tags: Vec<Tag>,
}

/// For which place the token of a launch is sealed.
pub fn token_place(id: LaunchId) -> String {
    format!("launch {id}")
}

/// Cuts the nodes of one subnet into batches of at most [`MAX_BATCH`].
pub fn batches<T: Clone>(nodes: &[T]) -> Vec<Vec<T>> {
    nodes.chunks(MAX_BATCH).map(<[T]>::to_vec).collect()
}
