//! What a cluster's network consists of, and why a zone is not part of it.

use serde::{Deserialize, Serialize};

use crate::placement::Subnet;

/// The block of the VPC that Berth makes (the seed, "What objects does Docker Cloud create").
pub const VPC_CIDR: &str = "10.78.0.0/16";

/// The network of a cluster as found ready for its node type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The VPC.
    pub vpc_id: String,
    /// The groups of every instance.
    pub security_group_ids: Vec<String>,
    /// Where nodes can go.
    pub subnets: Vec<Subnet>,
    /// Zones, or subnets that were asked for, that can't take this node type.
    pub left_out: Vec<LeftOut>,
}

/// A zone in which no node of the cluster can be, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The zone.
    pub zone: String,
    /// In words, AWS's own among them.
    pub reason: String,
}

/// An object of the account as a candidate for being a `dc-*` object of this installation.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// EC2's id of it.
    pub id: &'a str,
    /// The installation that its tag names, if any.
    pub installation: Option<&'a str>,
}

/// Of the objects that bear the right name, the one to use: this installation's own, else one that no installation
/// made (Docker Cloud's, or the user's). One of another installation is never touched.
pub fn choose<'a>(
    found: impl IntoIterator<Item = Found<'a>>,
    installation: &str,
) -> Option<&'a str> {
    found
        .into_iter()
        .filter(|f| f.installation.is_none_or(|tag| tag == installation))
        .min_by_key(|f| (f.installation.is_none(), f.id))
        .map(|f| f.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_another_installations_objects_are_never_chosen() {
        let found = |id, installation| Found { id, installation };
        assert_eq!(choose([found("vpc-1", Some("theirs"))], "ours"), None);
        assert_eq!(
            choose([found("vpc-1", None), found("vpc-2", Some("ours"))], "ours"),
            Some("vpc-2")
        );
        assert_eq!(
            choose([found("vpc-2", None), found("vpc-1", None)], "ours"),
            Some("vpc-1")
        );
    }
}
