//! What can be asked for: providers, regions, availability zones and node types; as they are packaged, as an account shows
//! them, and as a caller sees them ([`View`]).

use serde::{Deserialize, Serialize};

mod view;

pub use view::{Offer, Place, View, Zone};

/// The name of the one provider that Berth deploys to.
pub const AWS: &str = "aws";
/// The provider's name for people.
pub const AWS_LABEL: &str = "Amazon Web Services";

/// An AWS region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// `us-east-1`
    pub name: String,
    /// `US East (N. Virginia)`
    pub label: String,
    /// The names of its availability zones, sorted.
    pub zones: Vec<String>,
}

/// A processor architecture, by Debian's and Canonical's names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86
    Amd64,
    /// 64-bit ARM
    Arm64,
}

impl Architecture {
    /// The name as Canonical writes it in the names of its images.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// An EC2 instance type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeType {
    /// `t3.medium`
    pub name: String,
    /// `t3.medium [2 vCPU, 4 GB]`
    pub label: String,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory in MB.
    pub memory_mb: u32,
    /// The architecture that its images must have.
    pub architecture: Architecture,
    /// The names of the availability zones that offer it, sorted.
    pub zones: Vec<String>,
}

/// What an instance type is, wherever it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// `t3.medium`
    pub name: String,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory in MB.
    pub memory_mb: u32,
    /// The architecture that its images must have.
    pub architecture: Architecture,
}

impl Figures {
    /// The name for people: `t3.medium [2 vCPU, 4 GB]`.
    pub fn label(&self) -> String {
        let gb = (f64::from(self.memory_mb) / 1024.0 * 100.0).round() / 100.0;
        format!("{} [{} vCPU, {gb} GB]", self.name, self.vcpus)
    }
}

/// An availability zone as an account has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownZone {
    /// `us-east-1a`
    pub name: String,
    /// Whether its state is `available`.
    pub is_available: bool,
    /// The names of the node types that it offers, sorted.
    pub node_types: Vec<String>,
}

/// A region as an account has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRegion {
    /// `us-east-1`
    pub name: String,
    /// Whether the account can use it: some must be opted in to.
    pub is_on: bool,
    /// Its zones, where they could be read.
    pub zones: Option<Vec<ShownZone>>,
}

/// What came of reading a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// What could be read.
    pub region: ShownRegion,
    /// Why that is not all, in AWS's words.
    pub refusal: Option<String>,
}

/// What came of reading all that an account has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// By name.
    pub regions: Vec<Surveyed>,
    /// The node types that were looked at, by name.
    pub node_types: Vec<Figures>,
    /// Whether AWS does not take the credentials any more, so that nothing further was asked.
    pub knows_nobody: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_fractions_where_there_are_some() {
        for (vcpus, memory_mb, expected) in [
            (1, 512, "x [1 vCPU, 0.5 GB]"),
            (2, 4096, "x [2 vCPU, 4 GB]"),
            (1, 3840, "x [1 vCPU, 3.75 GB]"),
            (1, 1740, "x [1 vCPU, 1.7 GB]"),
            (448, 25_165_824, "x [448 vCPU, 24576 GB]"),
        ] {
            let figures = Figures {
                name: "x".to_owned(),
                vcpus,
                memory_mb,
                architecture: Architecture::Amd64,
            };
            assert_eq!(figures.label(), expected);
        }
    }
}
