//! The kinds of resources that have an id, with the words that EC2 uses for each of them.

use crate::protocol::ApiError;

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Address,
    Group,
    Image,
    Instance,
    Interface,
    Gateway,
    RouteTable,
    Subnet,
    Volume,
    Vpc,
}

/// The words for a kind. The spelling of EC2's codes follows no rule ("Error codes for the Amazon EC2 API").
struct Words {
    prefix: &'static str,
    /// In tag specifications and DescribeTags.
    tag_type: &'static str,
    noun: &'static str,
    malformed: &'static str,
    not_found: &'static str,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Address,
        Self::Group,
        Self::Image,
        Self::Instance,
        Self::Interface,
        Self::Gateway,
        Self::RouteTable,
        Self::Subnet,
        Self::Volume,
        Self::Vpc,
    ];

    fn words(self) -> Words {
        let words = |prefix, tag_type, noun, malformed, not_found| Words {
            prefix,
            tag_type,
            noun,
            malformed,
            not_found,
        };
        match self {
            Self::Address => words(
                "eipalloc",
                "elastic-ip",
                "allocation",
                "InvalidAllocationID.Malformed",
                "InvalidAllocationID.NotFound",
            ),
            Self::Group => words(
                "sg",
                "security-group",
                "security group",
                "InvalidGroupId.Malformed",
                "InvalidGroup.NotFound",
            ),
            Self::Image => words(
                "ami",
                "image",
                "image",
                "InvalidAMIID.Malformed",
                "InvalidAMIID.NotFound",
            ),
            Self::Instance => words(
                "i",
                "instance",
                "instance",
                "InvalidInstanceID.Malformed",
                "InvalidInstanceID.NotFound",
            ),
            Self::Interface => words(
                "eni",
                "network-interface",
                "networkInterface",
                "InvalidNetworkInterfaceId.Malformed",
                "InvalidNetworkInterfaceID.NotFound",
            ),
            Self::Gateway => words(
                "igw",
                "internet-gateway",
                "internetGateway",
                "InvalidInternetGatewayId.Malformed",
                "InvalidInternetGatewayID.NotFound",
            ),
            Self::RouteTable => words(
                "rtb",
                "route-table",
                "routeTable",
                "InvalidRouteTableId.Malformed",
                "InvalidRouteTableID.NotFound",
            ),
            Self::Subnet => words(
                "subnet",
                "subnet",
                "subnet",
                "InvalidSubnetID.Malformed",
                "InvalidSubnetID.NotFound",
            ),
            Self::Volume => words(
                "vol",
                "volume",
                "volume",
                "InvalidVolumeID.Malformed",
                "InvalidVolume.NotFound",
            ),
            Self::Vpc => words(
                "vpc",
                "vpc",
                "vpc",
                "InvalidVpcID.Malformed",
                "InvalidVpcID.NotFound",
            ),
        }
    }

    pub(crate) fn prefix(self) -> &'static str {
        self.words().prefix
    }

    pub(crate) fn tag_type(self) -> &'static str {
        self.words().tag_type
    }

    /// The kind that an id belongs to by its prefix.
    pub(crate) fn of_id(id: &str) -> Option<Self> {
        let (prefix, _) = id.rsplit_once('-')?;
        Self::ALL.into_iter().find(|kind| kind.prefix() == prefix)
    }

    /// Checks the form: the prefix and 8 (old) or 17 hexadecimal digits.
    pub(crate) fn check(self, id: &str) -> Result<(), ApiError> {
        let words = self.words();
        let digits = id
            .strip_prefix(words.prefix)
            .and_then(|rest| rest.strip_prefix('-'))
            .unwrap_or_default();
        let sound = matches!(digits.len(), 8 | 17)
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if sound {
            return Ok(());
        }
        Err(ApiError::bad(
            words.malformed,
            format!("Invalid id: \"{id}\" (expecting \"{}-...\")", words.prefix),
        ))
    }

    pub(crate) fn not_found(self, id: &str) -> ApiError {
        let Words {
            noun, not_found, ..
        } = self.words();
        let message = match self {
            Self::Image => format!("The image id '[{id}]' does not exist"),
            Self::Volume => format!("The volume '{id}' does not exist."),
            _ => format!("The {noun} ID '{id}' does not exist"),
        };
        ApiError::bad(not_found, message)
    }

    /// EC2 names all unknown instances in one sentence.
    pub(crate) fn none_of(self, ids: &[&str]) -> ApiError {
        match ids {
            [id] => self.not_found(id),
            _ => {
                let Words {
                    noun, not_found, ..
                } = self.words();
                ApiError::bad(
                    not_found,
                    format!("The {noun} IDs '{}' do not exist", ids.join(", ")),
                )
            }
        }
    }
}
