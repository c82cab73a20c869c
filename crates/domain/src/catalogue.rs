//! What can be asked for: providers, regions, availability zones and node types.

use serde::{Deserialize, Serialize};

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
