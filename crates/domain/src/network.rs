//! What a cluster's network consists of, and why a zone is not part of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{placement::Subnet, tags};

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

/// Of the objects that bear the right name, the one to use: the one that is written down, else this installation's own,
/// else one that no installation made (Docker Cloud's, or the user's). One of another installation is never touched.
pub fn choose<'a>(
    found: impl IntoIterator<Item = Found<'a>>,
    installation: &str,
    written_down: Option<&str>,
) -> Option<&'a str> {
    found
        .into_iter()
        .filter(|f| f.installation.is_none_or(|tag| tag == installation))
        .min_by_key(|f| (Some(f.id) != written_down, f.installation.is_none(), f.id))
        .map(|f| f.id)
}

/// A kind of network object that Berth makes. Their order is the one in which they can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A subnet.
    Subnet,
    /// A route table.
    RouteTable,
    /// An internet gateway.
    InternetGateway,
    /// A security group.
    SecurityGroup,
    /// A VPC.
    Vpc,
}

impl ObjectKind {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subnet => "subnet",
            Self::RouteTable => "route table",
            Self::InternetGateway => "internet gateway",
            Self::SecurityGroup => "security group",
            Self::Vpc => "VPC",
        }
    }
}

/// A network object that bears this installation's tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// EC2's id of it.
    pub id: String,
    /// The VPC that it is in or attached to; a VPC is in itself.
    pub vpc_id: Option<String>,
    /// Its `Name`.
    pub name: Option<String>,
}

/// Of the objects of this installation, those that no row knows: what a worker made that died before it could write
/// their ids down, and a second one of what exists already. In the order in which they can be deleted.
///
/// A gateway that is attached to a VPC that is known belongs to it. What the user has renamed, and what is in a VPC
/// that the user has renamed, is the user's by now.
pub fn leftovers<'a>(seen: &'a [Object], known: &BTreeSet<String>) -> Vec<&'a Object> {
    let is_known = |id: &String| known.contains(id);
    let is_leftover_vpc = |object: &Object| {
        object.kind == ObjectKind::Vpc
            && object.name.as_deref() == Some(tags::VPC_NAME)
            && !is_known(&object.id)
    };
    let leftover_vpcs: BTreeSet<&str> = seen
        .iter()
        .filter(|object| is_leftover_vpc(object))
        .map(|object| object.id.as_str())
        .collect();
    let mut left: Vec<&Object> = seen
        .iter()
        .filter(|object| !is_known(&object.id) && has_its_own_name(object))
        .filter(|object| match (&object.vpc_id, object.kind) {
            (None, _) => true,
            (Some(vpc), ObjectKind::InternetGateway | ObjectKind::Vpc) => {
                leftover_vpcs.contains(vpc.as_str())
            }
            (Some(vpc), _) => is_known(vpc) || leftover_vpcs.contains(vpc.as_str()),
        })
        .collect();
    left.sort();
    left
}

/// The route tables and gateways of this installation that no row knows, each the first of its kind in a VPC that is
/// known and has no other: it is the one in use, made before such objects were written down, or by a worker that died
/// before it could do so.
pub fn adoptable<'a>(seen: &'a [Object], known: &BTreeSet<String>) -> Vec<&'a Object> {
    let candidates = || {
        seen.iter().filter(|object| {
            matches!(
                object.kind,
                ObjectKind::RouteTable | ObjectKind::InternetGateway
            ) && has_its_own_name(object)
        })
    };
    let is_first_of_its_vpc = |object: &&Object| {
        let alike = || {
            candidates().filter(|other| other.kind == object.kind && other.vpc_id == object.vpc_id)
        };
        alike().all(|other| !known.contains(&other.id)) && alike().min() == Some(*object)
    };
    candidates()
        .filter(|object| {
            object
                .vpc_id
                .as_ref()
                .is_some_and(|vpc| known.contains(vpc))
        })
        .filter(is_first_of_its_vpc)
        .collect()
}

fn has_its_own_name(object: &Object) -> bool {
    let Some(name) = &object.name else {
        return false;
    };
    match object.kind {
        ObjectKind::Subnet => name == tags::SUBNET_NAME,
        ObjectKind::RouteTable => name == tags::ROUTE_TABLE_NAME,
        ObjectKind::InternetGateway => name == tags::GATEWAY_NAME,
        // A second installation's group in one VPC has a longer name.
        ObjectKind::SecurityGroup => name.starts_with(tags::SECURITY_GROUP_NAME),
        ObjectKind::Vpc => name == tags::VPC_NAME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: ObjectKind, id: &str, vpc: Option<&str>, name: &str) -> Object {
        Object {
            kind,
            id: id.to_owned(),
            vpc_id: vpc.map(str::to_owned),
            name: Some(name.to_owned()),
        }
    }

    fn left(seen: &[Object], known: &[&str]) -> Vec<String> {
        let known = known.iter().map(|id| (*id).to_owned()).collect();
        let left = leftovers(seen, &known);
        left.into_iter().map(|object| object.id.clone()).collect()
    }

    #[test]
    fn i8_what_no_row_knows_is_left_over_and_goes_in_an_order_that_ec2_allows() {
        use ObjectKind::*;
        let seen = [
            object(Vpc, "vpc-1", Some("vpc-1"), "dc-vpc"),
            object(Vpc, "vpc-2", Some("vpc-2"), "dc-vpc"),
            object(SecurityGroup, "sg-2", Some("vpc-2"), "dc-vpc-default"),
            object(InternetGateway, "igw-1", Some("vpc-1"), "dc-gateway"),
            object(InternetGateway, "igw-2", Some("vpc-2"), "dc-gateway"),
            object(InternetGateway, "igw-3", None, "dc-gateway"),
            object(RouteTable, "rtb-1", Some("vpc-1"), "dc-route-table"),
            object(RouteTable, "rtb-2", Some("vpc-1"), "dc-route-table"),
            object(Subnet, "subnet-1", Some("vpc-1"), "dc-subnet"),
            object(Subnet, "subnet-2", Some("vpc-2"), "dc-subnet"),
        ];
        assert_eq!(
            left(&seen, &["vpc-1", "rtb-1", "subnet-1"]),
            ["subnet-2", "rtb-2", "igw-2", "igw-3", "sg-2", "vpc-2"]
        );
        let all: Vec<&str> = seen.iter().map(|object| object.id.as_str()).collect();
        assert!(left(&seen, &all).is_empty());
    }

    #[test]
    fn i6_what_no_row_knows_is_adopted_where_its_vpc_has_no_other() {
        use ObjectKind::{InternetGateway, RouteTable};
        let table = |id, vpc| object(RouteTable, id, Some(vpc), "dc-route-table");
        let seen = [
            object(InternetGateway, "igw-1", Some("vpc-1"), "dc-gateway"),
            object(InternetGateway, "igw-2", None, "dc-gateway"),
            table("rtb-1", "vpc-1"),
            table("rtb-2", "vpc-2"),
            table("rtb-3", "vpc-2"),
            table("rtb-4", "vpc-3"),
            table("rtb-5", "vpc-3"),
            table("rtb-6", "vpc-4"),
        ];
        let known = ["vpc-1", "vpc-2", "vpc-3", "rtb-5"];
        let known = known.iter().map(|id| (*id).to_owned()).collect();
        let adopted: Vec<&str> = adoptable(&seen, &known)
            .into_iter()
            .map(|it| it.id.as_str())
            .collect();
        assert_eq!(adopted, ["igw-1", "rtb-1", "rtb-2"]);
    }

    #[test]
    fn i8_what_the_user_has_renamed_is_the_users() {
        use ObjectKind::*;
        let seen = [
            object(Vpc, "vpc-2", Some("vpc-2"), "production"),
            object(Subnet, "subnet-2", Some("vpc-2"), "dc-subnet"),
            object(InternetGateway, "igw-2", Some("vpc-2"), "dc-gateway"),
            object(Subnet, "subnet-1", Some("vpc-1"), "databases"),
        ];
        assert!(left(&seen, &["vpc-1"]).is_empty());
    }

    #[test]
    fn i7_another_installations_objects_are_never_chosen() {
        let found = |id, installation| Found { id, installation };
        let chosen = |all: Vec<Found<'static>>, written| choose(all, "ours", written);
        assert_eq!(chosen(vec![found("vpc-1", Some("theirs"))], None), None);
        assert_eq!(
            chosen(vec![found("vpc-1", Some("theirs"))], Some("vpc-1")),
            None
        );
        let one_is_ours = || vec![found("vpc-1", None), found("vpc-2", Some("ours"))];
        assert_eq!(chosen(one_is_ours(), None), Some("vpc-2"));
        assert_eq!(chosen(one_is_ours(), Some("vpc-1")), Some("vpc-1"));
        let both_are_nobodys = vec![found("vpc-2", None), found("vpc-1", None)];
        assert_eq!(chosen(both_are_nobodys, None), Some("vpc-1"));
    }

    #[test]
    fn i6_of_two_of_its_own_the_one_that_is_written_down_stays_in_use() {
        let both = || {
            ["vpc-1", "vpc-2"].map(|id| Found {
                id,
                installation: Some("ours"),
            })
        };
        assert_eq!(choose(both(), "ours", Some("vpc-2")), Some("vpc-2"));
        assert_eq!(choose(both(), "ours", None), Some("vpc-1"));
    }
}
