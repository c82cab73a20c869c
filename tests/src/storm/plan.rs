//! What happens in a storm, decided by its seed alone.

use std::ops::Range;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sim::{Fault, FaultRule, HideRule};

/// The regions of a storm.
pub(super) const PLACES: [&str; 2] = ["sa-east-1", "eu-west-1"];
/// The zones of each of them.
pub(super) const ZONES: [&str; 3] = ["a", "b", "c"];

/// Where a cluster's nodes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// Into `dc-vpc`, in the region of this number.
    Auto {
        /// The number in [`PLACES`].
        place: usize,
    },
    /// Into a VPC of the user's, in which Berth makes the subnets.
    OwnVpc,
    /// Into subnets of the user's.
    GivenSubnets,
}

impl Home {
    /// The region.
    pub(super) fn region(self) -> &'static str {
        match self {
            Self::Auto { place } => PLACES[place],
            Self::OwnVpc | Self::GivenSubnets => PLACES[0],
        }
    }
}

/// The clusters of a storm.
pub(super) const HOMES: [Home; 5] = [
    Home::Auto { place: 0 },
    Home::Auto { place: 0 },
    Home::Auto { place: 1 },
    Home::OwnVpc,
    Home::GivenSubnets,
];
/// The workers of a storm.
pub(super) const WORKERS: usize = 2;
/// The API replicas of a storm.
pub(super) const REPLICAS: usize = 2;
/// How many things happen.
const EVENTS: Range<usize> = 22..36;
/// How long after one the next thing happens, in milliseconds.
const PAUSE_MS: Range<u64> = 20..400;
const LARGEST: u32 = 7;
/// A listing lags behind for less than the time in which workers take a new object to be shown.
const LAG_MS: Range<u64> = 50..800;

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// The user makes and deploys a cluster, unless it is there.
    Deploy {
        /// Which one.
        cluster: usize,
        /// How many nodes.
        nodes: u32,
    },
    /// The user scales a cluster.
    Scale {
        /// Which one.
        cluster: usize,
        /// To how many nodes.
        nodes: u32,
    },
    /// The user deletes a cluster.
    Delete(usize),
    /// The user deletes a node of a cluster.
    DeleteNode(usize),
    /// The user cancels what is under way on a cluster.
    Cancel(usize),
    /// The user tries again what was last done to a cluster.
    Retry(usize),
    /// Somebody terminates instances in the console: every so-manieth.
    ConsoleTerminate(usize),
    /// Somebody stops instances in the console: every so-manieth.
    ConsoleStop(usize),
    /// Somebody starts all stopped instances in the console.
    ConsoleStart,
    /// Somebody reboots instances in the console: every so-manieth.
    ConsoleReboot(usize),
    /// Somebody deletes one of Berth's subnets in the console, if it is empty: the so-manieth that is.
    ConsoleDeleteSubnet(usize),
    /// Somebody detaches one of Berth's gateways in the console, if EC2 lets them: the so-manieth.
    ConsoleDetachGateway(usize),
    /// A zone has room for so many instances only; none is no limit.
    Room {
        /// The region's number.
        place: usize,
        /// The zone's letter.
        zone: &'static str,
        /// How many.
        instances: Option<u32>,
    },
    /// SIGKILL, and another one.
    KillWorker(usize),
    /// SIGTERM, and another one.
    StopWorker(usize),
    /// A worker sleeps past its lease and wakes up.
    FreezeWorker(usize),
    /// The same, in the middle of a transaction.
    FreezeInTransaction(usize),
    /// An API replica is killed while it scales a cluster, and another one is started.
    KillApi {
        /// Which one.
        replica: usize,
        /// The cluster that the user scales meanwhile.
        cluster: usize,
        /// To how many nodes.
        nodes: u32,
    },
    /// An API replica is stopped and another one started.
    StopApi(usize),
    /// Postgres is restarted.
    RestartPostgres,
    /// Calls of AWS go wrong.
    Faults(FaultRule),
    /// New objects are not seen for so long, in milliseconds.
    Consistency(u64),
    /// Lists leave something out.
    Hide(HideRule),
    /// EC2's limits hold, or do not.
    Throttling(bool),
}

/// A storm: what happens, and how long after what was before it.
pub(super) struct Plan {
    pub(super) events: Vec<(u64, Event)>,
    /// The sizes that the user asks for when it is calm again.
    pub(super) afterwards: [u32; HOMES.len()],
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let count = rng.random_range(EVENTS);
        let mut events = vec![(0, deploy(&mut rng, 0))];
        events.extend((0..count).map(|_| (rng.random_range(PAUSE_MS), event(&mut rng))));
        Self {
            events,
            afterwards: std::array::from_fn(|_| rng.random_range(0..=LARGEST)),
        }
    }
}

fn deploy(rng: &mut StdRng, cluster: usize) -> Event {
    let nodes = rng.random_range(1..=LARGEST);
    Event::Deploy { cluster, nodes }
}

fn event(rng: &mut StdRng) -> Event {
    let cluster = rng.random_range(0..HOMES.len());
    let worker = rng.random_range(0..WORKERS);
    let nodes = rng.random_range(0..=LARGEST);
    match rng.random_range(0..116) {
        0..18 => deploy(rng, cluster),
        18..30 => Event::Scale { cluster, nodes },
        30..34 => Event::Delete(cluster),
        34..38 => Event::DeleteNode(cluster),
        38..44 => Event::Cancel(cluster),
        44..46 => Event::Retry(cluster),
        46..51 => Event::ConsoleTerminate(rng.random_range(1..4)),
        51..54 => Event::ConsoleStop(rng.random_range(1..4)),
        54..57 => Event::ConsoleStart,
        57..58 => Event::ConsoleReboot(rng.random_range(1..4)),
        58..61 => Event::ConsoleDeleteSubnet(rng.random_range(0..6)),
        61..64 => Event::ConsoleDetachGateway(rng.random_range(0..2)),
        64..71 => Event::Room {
            place: rng.random_range(0..PLACES.len()),
            zone: ZONES[rng.random_range(0..ZONES.len())],
            instances: [Some(0), Some(1), Some(2), None][rng.random_range(0..4)],
        },
        71..79 => Event::KillWorker(worker),
        79..82 => Event::StopWorker(worker),
        82..84 => Event::FreezeWorker(worker),
        84..87 => Event::FreezeInTransaction(worker),
        87..90 => Event::KillApi {
            replica: rng.random_range(0..REPLICAS),
            cluster,
            nodes,
        },
        90..91 => Event::StopApi(rng.random_range(0..REPLICAS)),
        91..94 => Event::RestartPostgres,
        94..108 => Event::Faults(faults(rng)),
        108..111 => Event::Consistency(rng.random_range(0..700)),
        111..114 => Event::Hide(hide(rng)),
        _ => Event::Throttling(rng.random_bool(0.5)),
    }
}

fn faults(rng: &mut StdRng) -> FaultRule {
    let action = match rng.random_range(0..6) {
        0 => "*",
        1 => "Create*",
        2 => "RunInstances*",
        3 => "TerminateInstances",
        4 => "Describe*",
        _ => "A*",
    };
    let refuse = |status, code: &str| Fault::Refuse {
        status,
        code: code.to_owned(),
        message: "a storm is blowing".to_owned(),
    };
    let fault = match rng.random_range(0..9) {
        0 => refuse(503, "RequestLimitExceeded"),
        1 => refuse(500, "InternalError"),
        2 => refuse(503, "Unavailable"),
        3 => Fault::ErrorAfterEffect(500, "InternalError".to_owned()),
        4 => Fault::Slow(rng.random_range(50..1500)),
        5 => Fault::Hang,
        6 => Fault::HangAfterEffect,
        _ => Fault::DropAfterEffect,
    };
    FaultRule {
        times: rng.random_range(1..12),
        probability: rng.random_range(0.2..1.0),
        ..FaultRule::next(action, fault)
    }
}

/// New objects are missing from lists, though calls that name them work; or all instances are.
fn hide(rng: &mut StdRng) -> HideRule {
    let for_ms = Some(rng.random_range(LAG_MS));
    let kinds = [
        "vpc",
        "subnet",
        "internet-gateway",
        "route-table",
        "security-group",
        "instance",
    ];
    let rule = match rng.random_range(0..=kinds.len()) {
        6 => HideRule::kind("instance"),
        kind => HideRule::next(kinds[kind], rng.random_range(1..4)),
    };
    HideRule { for_ms, ..rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_means_the_same_storm() {
        let told = |seed| {
            let plan = Plan::of(seed);
            format!("{:?} {:?}", plan.events, plan.afterwards)
        };
        assert_eq!(told(7), told(7));
        assert_ne!(told(7), told(8));
    }
}
