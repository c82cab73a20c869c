//! What a launch asks for: the parameters of RunInstances, with the rules that need no look at the account.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::tags;
use crate::call::Call;
use crate::catalogue::{self, Image, InstanceType};
use crate::protocol::filter::Tags;
use crate::protocol::{ApiError, Scope};
use crate::state::{Kind, Metadata};

/// "User data is limited to 16 KB, in raw form, before it is base64-encoded."
const MAX_USER_DATA: usize = 16 * 1024;

/// EC2's bounds for a client token: "Up to 64 ASCII characters".
const MAX_TOKEN: usize = 64;

/// The most that one call may ask for; EC2 has no documented number, and nobody means more.
const MAX_COUNT: i64 = 10_000;

/// A launch as it was asked for.
pub(crate) struct Request<'a> {
    pub image: &'a str,
    pub instance_type: &'a str,
    pub min: usize,
    pub max: usize,
    pub subnet: Option<&'a str>,
    pub zone: Option<&'a str>,
    pub groups: Vec<&'a str>,
    pub group_names: Vec<&'a str>,
    pub public_ip: Option<bool>,
    pub key_name: Option<&'a str>,
    pub user_data: Option<&'a str>,
    pub profile: Option<ProfileRef<'a>>,
    pub root: Option<RootDevice<'a>>,
    pub metadata: Metadata,
    pub termination_disabled: bool,
    pub monitoring: bool,
    pub ebs_optimized: bool,
    pub token: Option<&'a str>,
    pub instance_tags: Tags,
    pub volume_tags: Tags,
    pub interface_tags: Tags,
    pub fingerprint: String,
}

/// An instance profile by name or by ARN.
pub(crate) enum ProfileRef<'a> {
    Name(&'a str),
    Arn(&'a str),
}

/// What is asked of the root volume.
pub(crate) struct RootDevice<'a> {
    pub device: &'a str,
    pub size_gb: Option<u32>,
    pub volume_type: Option<&'static str>,
    pub encrypted: bool,
    pub delete_on_termination: bool,
    pub iops: Option<i64>,
    pub throughput: Option<i64>,
    pub snapshot: Option<&'a str>,
}

impl<'a> Request<'a> {
    pub(crate) fn read(call: &Call<'a>) -> Result<Self, ApiError> {
        let params = &call.params;
        let (min, max) = counts(params)?;
        let network = Network::read(call)?;
        let [instance_tags, volume_tags, interface_tags] =
            tags::specifications(params, [Kind::Instance, Kind::Volume, Kind::Interface])?;
        let placement = params.structure("Placement");
        if let Some(placement) = &placement {
            placement.word("Tenancy", &["default"])?;
        }
        // What the guest's own shutdown does; no guest runs here.
        params.word("InstanceInitiatedShutdownBehavior", &["stop", "terminate"])?;
        params.word("CreditSpecification.CpuCredits", &["standard", "unlimited"])?;
        Ok(Self {
            image: call.id("ImageId", Kind::Image)?,
            instance_type: params.required("InstanceType")?,
            min,
            max,
            subnet: network.subnet,
            zone: placement
                .and_then(|it| it.text("AvailabilityZone"))
                .filter(|it| !it.is_empty()),
            groups: network.groups,
            group_names: params.values("SecurityGroup"),
            public_ip: network.public_ip,
            key_name: params.text("KeyName"),
            user_data: user_data(params)?,
            profile: profile(params)?,
            root: root_device(params)?,
            metadata: metadata(params)?,
            termination_disabled: params.flag("DisableApiTermination")?.unwrap_or(false),
            monitoring: params.flag("Monitoring.Enabled")?.unwrap_or(false),
            ebs_optimized: params.flag("EbsOptimized")?.unwrap_or(false),
            token: client_token(params)?,
            instance_tags,
            volume_tags,
            interface_tags,
            fingerprint: params.fingerprint(&["Action", "Version", "ClientToken", "DryRun"]),
        })
    }
}

/// Reads `ClientToken`.
pub(crate) fn client_token<'a>(params: &Scope<'a>) -> Result<Option<&'a str>, ApiError> {
    let token = params.text("ClientToken").filter(|token| !token.is_empty());
    match token {
        Some(token) if token.len() > MAX_TOKEN || !token.is_ascii() => {
            let message = format!(
                "Invalid value '{token}' for ClientToken. Client tokens must be at most {MAX_TOKEN} ASCII characters"
            );
            Err(ApiError::value(message))
        }
        other => Ok(other),
    }
}

pub(crate) fn parameter_mismatch() -> ApiError {
    ApiError::bad(
        "IdempotentParameterMismatch",
        "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
    )
}

fn counts(params: &Scope<'_>) -> Result<(usize, usize), ApiError> {
    let (min, max) = (
        params.required_number("MinCount")?,
        params.required_number("MaxCount")?,
    );
    for (name, count) in [("minCount", min), ("maxCount", max)] {
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(ApiError::invalid(name, count));
        }
    }
    if min > max {
        let message = format!(
            "Value ({max}) for parameter maxCount is invalid. maxCount must not be less than minCount."
        );
        return Err(ApiError::value(message));
    }
    // Both are at most MAX_COUNT.
    Ok((
        usize::try_from(min).unwrap_or(1),
        usize::try_from(max).unwrap_or(1),
    ))
}

/// Subnet, groups and public address: given for the launch or for its one interface, never for both.
struct Network<'a> {
    subnet: Option<&'a str>,
    groups: Vec<&'a str>,
    public_ip: Option<bool>,
}

impl<'a> Network<'a> {
    fn read(call: &Call<'a>) -> Result<Self, ApiError> {
        let subnet = call.optional_id("SubnetId", Kind::Subnet)?;
        let groups = call.ids("SecurityGroupId", Kind::Group)?;
        let interfaces = call.params.items("NetworkInterface");
        let interface = match &interfaces[..] {
            [] => {
                return Ok(Self {
                    subnet,
                    groups,
                    public_ip: None,
                });
            }
            [one] => one,
            _ => {
                return Err(ApiError::bad(
                    "UnsupportedOperation",
                    "More than one network interface is not simulated",
                ));
            }
        };
        let both = |what: &str| {
            let message = format!(
                "Network interfaces and an instance-level {what} may not be specified on the same request"
            );
            Err(ApiError::combination(message))
        };
        if subnet.is_some() {
            return both("subnet ID");
        }
        if !groups.is_empty() || !call.params.values("SecurityGroup").is_empty() {
            return both("security groups");
        }
        if interface.required_number("DeviceIndex")? != 0 {
            return Err(ApiError::value(
                "Each network interface requires a device index, and the primary one is 0.",
            ));
        }
        // The interface of a launch always goes with its instance here.
        if interface.flag("DeleteOnTermination")? == Some(false) {
            return Err(ApiError::bad(
                "UnsupportedOperation",
                "Interfaces that outlive their instance are not simulated",
            ));
        }
        interface.text("Description");
        let subnet = interface.text("SubnetId").filter(|it| !it.is_empty());
        subnet.map(|id| Kind::Subnet.check(id)).transpose()?;
        let groups = interface.values("SecurityGroupId");
        groups.iter().try_for_each(|id| Kind::Group.check(id))?;
        Ok(Self {
            subnet,
            groups,
            public_ip: interface.flag("AssociatePublicIpAddress")?,
        })
    }
}

fn user_data<'a>(params: &Scope<'a>) -> Result<Option<&'a str>, ApiError> {
    let Some(encoded) = params.text("UserData").filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let raw = STANDARD
        .decode(encoded)
        .map_err(|_| ApiError::value("Invalid BASE64 encoding of user data."))?;
    if raw.len() > MAX_USER_DATA {
        return Err(ApiError::value(format!(
            "User data is limited to {MAX_USER_DATA} bytes"
        )));
    }
    Ok(Some(encoded))
}

fn profile<'a>(params: &Scope<'a>) -> Result<Option<ProfileRef<'a>>, ApiError> {
    match (
        params.text("IamInstanceProfile.Name"),
        params.text("IamInstanceProfile.Arn"),
    ) {
        (None, None) => Ok(None),
        (Some(name), None) => Ok(Some(ProfileRef::Name(name))),
        (None, Some(arn)) => Ok(Some(ProfileRef::Arn(arn))),
        (Some(_), Some(_)) => Err(ApiError::combination(
            "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'",
        )),
    }
}

fn metadata(params: &Scope<'_>) -> Result<Metadata, ApiError> {
    let scope = params.structure("MetadataOptions");
    let word = |name: &str,
                words: &[&'static str],
                default: &'static str|
     -> Result<&'static str, ApiError> {
        Ok(scope
            .as_ref()
            .map(|it| it.word(name, words))
            .transpose()?
            .flatten()
            .unwrap_or(default))
    };
    let hop_limit = scope
        .as_ref()
        .map(|it| it.number("HttpPutResponseHopLimit"))
        .transpose()?
        .flatten();
    if hop_limit.is_some_and(|limit| !(1..=64).contains(&limit)) {
        return Err(ApiError::value(
            "The HttpPutResponseHopLimit must be between 1 and 64",
        ));
    }
    Ok(Metadata {
        tokens: word("HttpTokens", &["optional", "required"], "optional")?,
        hop_limit: hop_limit.unwrap_or(1),
        endpoint: word("HttpEndpoint", &["enabled", "disabled"], "enabled")?,
        tags: word("InstanceMetadataTags", &["enabled", "disabled"], "disabled")?,
    })
}

fn root_device<'a>(params: &Scope<'a>) -> Result<Option<RootDevice<'a>>, ApiError> {
    let mappings = params.items("BlockDeviceMapping");
    let scope = match &mappings[..] {
        [] => return Ok(None),
        [one] => one,
        _ => {
            return Err(ApiError::bad(
                "UnsupportedOperation",
                "Volumes beside the root volume are not simulated",
            ));
        }
    };
    let size_gb = match scope.number("Ebs.VolumeSize")? {
        None => None,
        Some(size) => match u32::try_from(size) {
            // The bounds of gp2 and gp3 ("Amazon EBS volume types"); gp3 was widened since.
            Ok(size) if (1..=16_384).contains(&size) => Some(size),
            _ => {
                return Err(ApiError::value(format!(
                    "Volume size {size} GiB is out of range (1 to 16384)"
                )));
            }
        },
    };
    let types = &["gp2", "gp3", "io1", "io2", "standard"];
    let device = RootDevice {
        device: scope.required("DeviceName")?,
        size_gb,
        volume_type: scope.word("Ebs.VolumeType", types)?,
        encrypted: scope.flag("Ebs.Encrypted")?.unwrap_or(false),
        delete_on_termination: scope.flag("Ebs.DeleteOnTermination")?.unwrap_or(true),
        iops: scope.number("Ebs.Iops")?,
        throughput: scope.number("Ebs.Throughput")?,
        snapshot: scope.text("Ebs.SnapshotId"),
    };
    let refuse = |what: &str, kind: &str| {
        let message = format!("The parameter {what} is not supported for {kind} volumes.");
        Err(ApiError::combination(message))
    };
    match device.volume_type {
        Some(kind @ ("gp2" | "standard")) if device.iops.is_some() => refuse("iops", kind),
        Some(kind @ ("io1" | "io2")) if device.iops.is_none() => {
            Err(ApiError::missing(&format!("iops for {kind} volumes")))
        }
        Some(kind) if kind != "gp3" && device.throughput.is_some() => refuse("throughput", kind),
        _ => Ok(Some(device)),
    }
}

/// The image and the type of a launch, which must fit each other.
pub(crate) fn image_and_type(
    region: &str,
    request: &Request<'_>,
) -> Result<(&'static Image, &'static InstanceType), ApiError> {
    let kind = catalogue::instance_type(request.instance_type).ok_or_else(|| {
        ApiError::value(format!(
            "Invalid value '{}' for InstanceType.",
            request.instance_type
        ))
    })?;
    let image = catalogue::image(region, request.image)
        .ok_or_else(|| Kind::Image.not_found(request.image))?;
    if !kind.architectures.contains(&image.architecture) {
        let own = kind.architectures.join(",");
        return Err(ApiError::value(format!(
            "The architecture '{own}' of the specified instance type does not match the architecture '{}' of the \
             specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
            image.architecture
        )));
    }
    if let Some(root) = &request.root {
        let invalid = |message: String| Err(ApiError::bad("InvalidBlockDeviceMapping", message));
        if root.device != image.root_device {
            return invalid(format!(
                "The device {} is not the root device {}; other volumes are not simulated",
                root.device, image.root_device
            ));
        }
        if root
            .snapshot
            .is_some_and(|snapshot| snapshot != image.snapshot)
        {
            return invalid(format!(
                "The snapshot of device {} cannot be changed",
                root.device
            ));
        }
        if let Some(size) = root.size_gb.filter(|size| *size < image.volume_gb) {
            return invalid(format!(
                "Volume of size {size}GB is smaller than snapshot '{}', expect size >= {}GB",
                image.snapshot, image.volume_gb
            ));
        }
    }
    Ok((image, kind))
}
