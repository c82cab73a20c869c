//! What tests see of the simulator's inside.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::state::{Instance, Region};

/// An instance, as a person reads it in the AWS console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceView {
    /// `i-…`
    pub id: String,
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`.
    pub state: String,
    /// The instance type.
    pub instance_type: String,
    /// The image's id.
    pub image: String,
    /// The availability zone.
    pub zone: String,
    /// The subnet's id.
    pub subnet_id: String,
    /// The VPC's id.
    pub vpc_id: String,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// The ids of the security groups.
    pub security_groups: Vec<String>,
    /// The name of the instance profile.
    pub instance_profile: Option<String>,
    /// The size of the root volume; None when it is gone.
    pub disk_gb: Option<u32>,
    /// Whether the root volume goes with the instance; None when it is gone.
    pub delete_on_termination: Option<bool>,
    /// Whether the root volume is encrypted; None when it is gone.
    pub encrypted: Option<bool>,
    /// The type of the root volume; None when it is gone.
    pub volume_type: Option<String>,
    /// The private address, until termination.
    pub private_ip: Option<Ipv4Addr>,
    /// The public address, if there is one now.
    pub public_ip: Option<Ipv4Addr>,
    /// Whether the metadata service wants a token (`required` or `optional`).
    pub http_tokens: String,
    /// The client token of the launch.
    pub launch_token: Option<String>,
    /// User data as it was sent, in Base64.
    pub user_data: Option<String>,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordedCall {
    /// `ec2`, `iam`, `route53` or `sts`.
    pub service: String,
    /// The action's name.
    pub action: String,
    /// The raw parameters in their order, `Action` and `Version` among them; of a body in XML, the flattened elements.
    pub params: Vec<(String, String)>,
    /// The access key that signed the request.
    pub access_key: String,
    /// The region of the signature's scope.
    pub region: String,
}

impl InstanceView {
    pub(crate) fn new(region: &Region, instance: &Instance) -> Self {
        let volume = instance
            .volume
            .as_ref()
            .and_then(|id| region.volumes.any(id));
        let profile_name =
            |(arn, _): &(String, String)| arn.rsplit('/').next().unwrap_or_default().to_owned();
        Self {
            id: instance.id.clone(),
            state: instance.phase.kind().name().to_owned(),
            instance_type: instance.instance_type.to_owned(),
            image: instance.image.clone(),
            zone: instance.zone.clone(),
            subnet_id: instance.subnet.clone(),
            vpc_id: instance.vpc.clone(),
            tags: region.tags(&instance.id).clone(),
            security_groups: instance.groups.iter().map(|(id, _)| id.clone()).collect(),
            instance_profile: instance.profile.as_ref().map(profile_name),
            disk_gb: volume.map(|it| it.size_gb),
            delete_on_termination: volume.map(|it| it.delete_on_termination),
            encrypted: volume.map(|it| it.encrypted),
            volume_type: volume.map(|it| it.volume_type.to_owned()),
            private_ip: instance.private_ip,
            public_ip: instance.public.as_ref().map(|it| it.ip),
            http_tokens: instance.metadata.tokens.to_owned(),
            launch_token: instance.client_token.clone(),
            user_data: instance.user_data.clone(),
        }
    }
}
