//! What a launch comes to in this account: the subnet, the groups and the profile, or EC2's reason why not. A dry run ends
//! after it.

use super::launch::{self, ProfileRef, Request};
use crate::catalogue::{self, Image, InstanceType};
use crate::protocol::ApiError;
use crate::state::{Iam, Kind, Profile, Region, Subnet};

/// A launch that may happen: everything that it names exists and fits together.
pub(super) struct Plan {
    pub image: &'static Image,
    pub kind: &'static InstanceType,
    pub subnet: Subnet,
    pub groups: Vec<(String, String)>,
    pub profile: Option<Profile>,
}

impl Plan {
    pub(super) fn new(
        region: &Region,
        iam: &Iam,
        request: &Request<'_>,
        groups_most: usize,
    ) -> Result<Self, ApiError> {
        let (image, kind) = launch::image_and_type(&region.name, request)?;
        if let Some(name) = request.key_name {
            // Key pairs are not simulated, so none exists.
            let message = format!("The key pair '{name}' does not exist");
            return Err(ApiError::bad("InvalidKeyPair.NotFound", message));
        }
        let subnet = subnet(region, request, kind)?.clone();
        let groups = groups(region, request, &subnet, groups_most)?;
        let profile = request
            .profile
            .as_ref()
            .map(|it| profile(iam, it))
            .transpose()?;
        Ok(Self {
            image,
            kind,
            subnet,
            groups,
            profile,
        })
    }
}

/// The subnet that the request names, or the default one of its zone, or of the first zone that has the type.
fn subnet<'r>(
    region: &'r Region,
    request: &Request<'_>,
    kind: &InstanceType,
) -> Result<&'r Subnet, ApiError> {
    let here = catalogue::region(&region.name).ok_or_else(ApiError::auth_failure)?;
    let offering = region.zones_offering(&kind.name);
    if offering.is_empty() {
        let message = "The requested configuration is currently not supported. Please check the documentation for supported configurations.";
        return Err(ApiError::bad("Unsupported", message));
    }
    if let Some(zone) = request
        .zone
        .filter(|name| !here.zones.iter().any(|it| it.name == **name))
    {
        return Err(ApiError::value(format!(
            "Invalid availability zone: [{zone}]"
        )));
    }
    let subnet = match request.subnet {
        Some(id) => {
            let subnet = region
                .subnets
                .get(id)
                .ok_or_else(|| Kind::Subnet.not_found(id))?;
            if request.zone.is_some_and(|zone| zone != subnet.zone) {
                return Err(ApiError::value(format!(
                    "The availability zone '{}' does not match the subnet '{id}', which is in '{}'",
                    request.zone.unwrap_or_default(),
                    subnet.zone
                )));
            }
            subnet
        }
        None => {
            let zone = request
                .zone
                .or(offering.first().map(|zone| zone.name.as_str()))
                .unwrap_or_default();
            let mut defaults = region.subnets.values().filter(|it| it.default_for_zone);
            defaults
                .find(|it| it.zone == zone)
                .ok_or_else(|| no_default(region, zone))?
        }
    };
    if !offering.iter().any(|zone| zone.name == subnet.zone) {
        let others: Vec<&str> = offering.iter().map(|zone| zone.name.as_str()).collect();
        let message = format!(
            "Your requested instance type ({}) is not supported in your requested Availability Zone ({}). Please retry \
             your request by not specifying an Availability Zone or choosing {}.",
            kind.name,
            subnet.zone,
            others.join(", ")
        );
        return Err(ApiError::bad("Unsupported", message));
    }
    Ok(subnet)
}

fn no_default(region: &Region, zone: &str) -> ApiError {
    if region.default_vpc().is_none() {
        let message = "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.";
        return ApiError::bad("VPCIdNotSpecified", message);
    }
    let message = format!("No default subnet for availability zone: '{zone}'.");
    ApiError::bad("MissingInput", message)
}

/// The groups by id or, in the default VPC, by name; none given means the VPC's default group.
fn groups(
    region: &Region,
    request: &Request<'_>,
    subnet: &Subnet,
    most: usize,
) -> Result<Vec<(String, String)>, ApiError> {
    let mut groups = Vec::new();
    for id in &request.groups {
        let unknown = || {
            ApiError::bad(
                "InvalidGroup.NotFound",
                format!("The security group '{id}' does not exist"),
            )
        };
        let group = region.groups.get(id).ok_or_else(unknown)?;
        if group.vpc != subnet.vpc {
            let message = format!(
                "Security group {id} and subnet {} belong to different networks.",
                subnet.id
            );
            return Err(ApiError::bad("InvalidParameter", message));
        }
        groups.push((group.id.clone(), group.name.clone()));
    }
    for name in &request.group_names {
        if request.subnet.is_some() {
            let message = "The parameter groupName cannot be used with the parameter subnet";
            return Err(ApiError::combination(message));
        }
        let found = region
            .groups
            .values()
            .find(|it| it.vpc == subnet.vpc && it.name == *name);
        let group = found.ok_or_else(|| {
            let message = format!(
                "The security group '{name}' does not exist in default VPC '{}'",
                subnet.vpc
            );
            ApiError::bad("InvalidGroup.NotFound", message)
        })?;
        groups.push((group.id.clone(), group.name.clone()));
    }
    if groups.is_empty() {
        groups.extend(
            region
                .default_group(&subnet.vpc)
                .map(|it| (it.id.clone(), it.name.clone())),
        );
    }
    if let Some(at) = (1..groups.len()).find(|at| groups[..*at].contains(&groups[*at])) {
        return Err(ApiError::value(format!(
            "Duplicate security group '{}'",
            groups[at].0
        )));
    }
    if groups.len() > most {
        let message = "The maximum number of security groups per interface has been reached.";
        return Err(ApiError::bad(
            "SecurityGroupsPerInterfaceLimitExceeded",
            message,
        ));
    }
    Ok(groups)
}

fn profile(iam: &Iam, wanted: &ProfileRef<'_>) -> Result<Profile, ApiError> {
    let (found, value, parameter, what) = match wanted {
        ProfileRef::Name(name) => (iam.profiles.get(*name), name, "name", "name"),
        ProfileRef::Arn(arn) => (iam.profile_by_arn(arn), arn, "arn", "ARN"),
    };
    found.cloned().ok_or_else(|| {
        ApiError::value(format!(
            "Value ({value}) for parameter iamInstanceProfile.{parameter} is invalid. Invalid IAM Instance Profile {what}"
        ))
    })
}
