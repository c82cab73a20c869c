//! What happens in a storm, decided by its seed alone.

use std::ops::Range;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sim::{Fault, FaultRule};

/// The clusters of a storm.
pub(super) const CLUSTERS: usize = 3;
/// The workers of a storm.
pub(super) const WORKERS: usize = 2;
/// The zones of its region.
pub(super) const ZONES: [&str; 3] = ["a", "b", "c"];
/// How many things happen.
const EVENTS: Range<usize> = 18..30;
/// How long after one the next thing happens, in milliseconds.
const PAUSE_MS: Range<u64> = 20..450;
const LARGEST: u32 = 7;

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
    /// Somebody terminates instances in the console: every so-manieth.
    ConsoleTerminate(usize),
    /// A zone has room for so many instances only; none is no limit.
    Room {
        /// The zone's letter.
        zone: &'static str,
        /// How many.
        instances: Option<u32>,
    },
    /// SIGKILL, and after a while another one.
    KillWorker(usize),
    /// SIGTERM, and another one.
    StopWorker(usize),
    /// A worker sleeps past its lease and wakes up.
    FreezeWorker(usize),
    /// Postgres is restarted.
    RestartPostgres,
    /// Calls of AWS go wrong.
    Faults(FaultRule),
    /// New objects are not seen for so long, in milliseconds.
    Consistency(u64),
    /// EC2's limits hold, or do not.
    Throttling(bool),
}

/// A storm: what happens, and how long after what was before it.
pub(super) struct Plan {
    pub(super) events: Vec<(u64, Event)>,
    /// The sizes that the user asks for when it is calm again.
    pub(super) afterwards: [u32; CLUSTERS],
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
    let cluster = rng.random_range(0..CLUSTERS);
    let worker = rng.random_range(0..WORKERS);
    match rng.random_range(0..100) {
        0..18 => deploy(rng, cluster),
        18..30 => Event::Scale {
            cluster,
            nodes: rng.random_range(0..=LARGEST),
        },
        30..35 => Event::Delete(cluster),
        35..40 => Event::DeleteNode(cluster),
        40..46 => Event::Cancel(cluster),
        46..52 => Event::ConsoleTerminate(rng.random_range(1..4)),
        52..60 => Event::Room {
            zone: ZONES[rng.random_range(0..ZONES.len())],
            instances: [Some(0), Some(1), Some(2), None][rng.random_range(0..4)],
        },
        60..70 => Event::KillWorker(worker),
        70..74 => Event::StopWorker(worker),
        74..77 => Event::FreezeWorker(worker),
        77..81 => Event::RestartPostgres,
        81..95 => Event::Faults(faults(rng)),
        95..98 => Event::Consistency(rng.random_range(0..700)),
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
    let fault = match rng.random_range(0..8) {
        0 => refuse(503, "RequestLimitExceeded"),
        1 => refuse(500, "InternalError"),
        2 => refuse(503, "Unavailable"),
        3 => Fault::ErrorAfterEffect(500, "InternalError".to_owned()),
        4 => Fault::Slow(rng.random_range(50..1500)),
        5 => Fault::HangAfterEffect,
        _ => Fault::DropAfterEffect,
    };
    FaultRule {
        times: rng.random_range(1..12),
        probability: rng.random_range(0.2..1.0),
        ..FaultRule::next(action, fault)
    }
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
