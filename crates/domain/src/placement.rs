//! Where the next node goes, and which node goes first when there are too many.
//!
//! The seed: "it places every instance one by one in the less populated availability zone for that node cluster."

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{ids::NodeId, state::NodeState};

/// A subnet that can take nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// EC2's id of it.
    pub subnet_id: String,
    /// The availability zone it lies in.
    pub zone: String,
    /// Its block.
    pub cidr: Ipv4Net,
    /// How many more addresses it has, those of launches in flight already taken off.
    pub free_addresses: u32,
}

/// Where a node of the cluster is, or is being deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The availability zone.
    pub zone: String,
    /// The subnet in it.
    pub subnet_id: String,
}

/// The policy: the derived order of this struct is the order in which subnets are preferred.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    nodes_in_zone: u32,
    nodes_in_subnet: u32,
    zone: &'a str,
    subnet_id: &'a str,
}

/// Chooses a subnet for each of `count` nodes, one by one, given where the cluster's other nodes are.
///
/// The answer holds one index into `subnets` per placed node; it is shorter than `count` where the subnets are full.
pub fn place(count: usize, subnets: &[Subnet], seats: &[Seat]) -> Vec<usize> {
    let mut in_zone: BTreeMap<&str, u32> = BTreeMap::new();
    let mut in_subnet: BTreeMap<&str, u32> = BTreeMap::new();
    for seat in seats {
        *in_zone.entry(&seat.zone).or_default() += 1;
        *in_subnet.entry(&seat.subnet_id).or_default() += 1;
    }
    let mut free: Vec<u32> = subnets.iter().map(|subnet| subnet.free_addresses).collect();
    let mut placed = Vec::with_capacity(count);
    while placed.len() < count {
        let best = subnets
            .iter()
            .enumerate()
            .filter(|(i, _)| free[*i] > 0)
            .min_by_key(|(_, subnet)| Rank {
                nodes_in_zone: in_zone.get(subnet.zone.as_str()).copied().unwrap_or(0),
                nodes_in_subnet: in_subnet
                    .get(subnet.subnet_id.as_str())
                    .copied()
                    .unwrap_or(0),
                zone: &subnet.zone,
                subnet_id: &subnet.subnet_id,
            });
        let Some((index, subnet)) = best else { break };
        free[index] -= 1;
        *in_zone.entry(&subnet.zone).or_default() += 1;
        *in_subnet.entry(&subnet.subnet_id).or_default() += 1;
        placed.push(index);
    }
    placed
}

/// A node as a candidate for removal.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The node.
    pub id: NodeId,
    /// Its state; only live nodes are candidates.
    pub state: NodeState,
    /// Its zone, where one is known.
    pub zone: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// The order in which nodes leave a cluster that shrinks: the derived order is the policy, the greatest goes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Leaving<'a> {
    unreachable: bool,
    nodes_in_zone: u32,
    created_at: DateTime<Utc>,
    zone: Option<&'a str>,
    id: NodeId,
}

/// Chooses `count` nodes to remove: unreachable ones first, then the newest in the fullest zone.
pub fn choose_victims(count: usize, nodes: &[Candidate]) -> Vec<NodeId> {
    let mut left: Vec<&Candidate> = nodes.iter().filter(|node| node.state.is_live()).collect();
    let mut in_zone: BTreeMap<Option<&str>, u32> = BTreeMap::new();
    for node in &left {
        *in_zone.entry(node.zone.as_deref()).or_default() += 1;
    }
    let mut victims = Vec::new();
    while victims.len() < count {
        let next = left.iter().enumerate().max_by_key(|(_, node)| Leaving {
            unreachable: node.state == NodeState::Unreachable,
            nodes_in_zone: in_zone[&node.zone.as_deref()],
            created_at: node.created_at,
            zone: node.zone.as_deref(),
            id: node.id,
        });
        let Some((index, _)) = next else { break };
        let victim = left.swap_remove(index);
        if let Some(nodes) = in_zone.get_mut(&victim.zone.as_deref()) {
            *nodes -= 1;
        }
        victims.push(victim.id);
    }
    victims
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn subnet(id: &str, zone: &str, free: u32) -> Subnet {
        Subnet {
            subnet_id: id.into(),
            zone: zone.into(),
            cidr: Ipv4Net::default(),
            free_addresses: free,
        }
    }

    fn seat_of(subnet: &Subnet) -> Seat {
        Seat {
            zone: subnet.zone.clone(),
            subnet_id: subnet.subnet_id.clone(),
        }
    }

    /// The difference between the fullest and the emptiest of `zones`.
    fn spread(zones: &[String], seats: &[Seat]) -> u32 {
        let count = |zone: &String| seats.iter().filter(|seat| seat.zone == *zone).count();
        let fullest = zones.iter().map(count).max().unwrap_or(0);
        let emptiest = zones.iter().map(count).min().unwrap_or(0);
        u32::try_from(fullest - emptiest).unwrap_or(u32::MAX)
    }

    #[test]
    fn seed_a_first_deployment_is_round_robin() {
        let subnets = [
            subnet("s-a", "a", 100),
            subnet("s-b", "b", 100),
            subnet("s-c", "c", 100),
        ];
        assert_eq!(place(5, &subnets, &[]), [0, 1, 2, 0, 1]);
    }

    #[test]
    fn seed_the_next_node_goes_to_the_less_populated_zone() {
        let subnets = [subnet("s-a", "a", 100), subnet("s-b", "b", 100)];
        let seats = [
            seat_of(&subnets[0]),
            seat_of(&subnets[0]),
            seat_of(&subnets[1]),
        ];
        assert_eq!(place(2, &subnets, &seats), [1, 0]);
    }

    #[test]
    fn seed_one_subnet_takes_all() {
        let subnets = [subnet("s-a", "a", 100)];
        assert_eq!(place(3, &subnets, &[]), [0, 0, 0]);
    }

    #[test]
    fn two_subnets_of_one_zone_share_that_zones_part() {
        let subnets = [
            subnet("s-a1", "a", 100),
            subnet("s-a2", "a", 100),
            subnet("s-b", "b", 100),
        ];
        let placed = place(8, &subnets, &[]);
        let count = |i| placed.iter().filter(|p| **p == i).count();
        assert_eq!((count(0), count(1), count(2)), (2, 2, 4));
    }

    #[test]
    fn a_full_subnet_is_left_for_the_others_and_what_fits_nowhere_is_not_placed() {
        let subnets = [subnet("s-a", "a", 1), subnet("s-b", "b", 2)];
        assert_eq!(place(5, &subnets, &[]), [0, 1, 1]);
    }

    #[test]
    fn unreachable_nodes_leave_first_then_the_newest_of_the_fullest_zone() {
        let at = |minute: i64| DateTime::from_timestamp(minute * 60, 0).unwrap();
        let node = |n: u128, zone: &str, state, minute| Candidate {
            id: NodeId(Uuid::from_u128(n)),
            state,
            zone: Some(zone.into()),
            created_at: at(minute),
        };
        let nodes = [
            node(1, "a", NodeState::Deployed, 1),
            node(2, "a", NodeState::Deployed, 2),
            node(3, "a", NodeState::Deployed, 3),
            node(4, "b", NodeState::Unreachable, 1),
            node(5, "b", NodeState::Deployed, 9),
            node(6, "b", NodeState::Terminating, 9),
        ];
        let ids = |ns: &[u128]| {
            ns.iter()
                .map(|n| NodeId(Uuid::from_u128(*n)))
                .collect::<Vec<_>>()
        };
        assert_eq!(choose_victims(3, &nodes), ids(&[4, 3, 2]));
        assert_eq!(choose_victims(99, &nodes).len(), 5);
    }

    /// One thing that happens to a cluster.
    #[derive(Debug, Clone)]
    enum Happening {
        Grow(usize),
        Shrink(usize),
        Lose(usize),
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            (1usize..30).prop_map(Happening::Grow),
            (1usize..30).prop_map(Happening::Shrink),
            (0usize..100).prop_map(Happening::Lose),
        ]
    }

    proptest! {
        #[test]
        fn growing_never_widens_the_spread_and_evens_it_when_it_suffices(
            zones in 1usize..6,
            happenings in proptest::collection::vec(happening(), 1..30),
        ) {
            let subnets: Vec<Subnet> =
                (0..zones).map(|n| subnet(&format!("s-{n}"), &format!("zone-{n}"), 10_000)).collect();
            let names: Vec<String> = subnets.iter().map(|s| s.zone.clone()).collect();
            let mut seats: Vec<(NodeId, Seat)> = Vec::new();
            let mut next = 0u128;
            for happening in happenings {
                let seated: Vec<Seat> = seats.iter().map(|(_, seat)| seat.clone()).collect();
                let before = spread(&names, &seated);
                match happening {
                    Happening::Grow(by) => {
                        let fullest = names.iter().map(|z| seated.iter().filter(|s| s.zone == *z).count()).max();
                        let gap = fullest.unwrap_or(0) * zones - seated.len();
                        for index in place(by, &subnets, &seated) {
                            next += 1;
                            seats.push((NodeId(Uuid::from_u128(next)), seat_of(&subnets[index])));
                        }
                        let seated: Vec<Seat> = seats.iter().map(|(_, seat)| seat.clone()).collect();
                        let after = spread(&names, &seated);
                        prop_assert!(after <= before.max(1), "{before} -> {after}");
                        if before == 0 || by >= gap {
                            prop_assert!(after <= 1, "{before} -> {after} after {by} over a gap of {gap}");
                        }
                    }
                    Happening::Shrink(by) => {
                        let candidates: Vec<Candidate> = seats
                            .iter()
                            .map(|(id, seat)| Candidate {
                                id: *id,
                                state: NodeState::Deployed,
                                zone: Some(seat.zone.clone()),
                                created_at: DateTime::UNIX_EPOCH,
                            })
                            .collect();
                        let victims = choose_victims(by, &candidates);
                        seats.retain(|(id, _)| !victims.contains(id));
                        let seated: Vec<Seat> = seats.iter().map(|(_, seat)| seat.clone()).collect();
                        prop_assert!(spread(&names, &seated) <= before.max(1));
                    }
                    Happening::Lose(which) => {
                        if !seats.is_empty() {
                            seats.remove(which % seats.len());
                        }
                    }
                }
            }
        }

        #[test]
        fn placement_never_exceeds_a_subnets_free_addresses(
            free in proptest::collection::vec(0u32..20, 1..6),
            count in 0usize..150,
        ) {
            let subnets: Vec<Subnet> =
                free.iter().enumerate().map(|(n, f)| subnet(&format!("s-{n}"), &format!("z-{}", n % 3), *f)).collect();
            let placed = place(count, &subnets, &[]);
            for (index, free) in free.iter().enumerate() {
                prop_assert!(placed.iter().filter(|p| **p == index).count() <= *free as usize);
            }
            let room: usize = free.iter().map(|f| *f as usize).sum();
            prop_assert_eq!(placed.len(), count.min(room));
        }
    }
}
