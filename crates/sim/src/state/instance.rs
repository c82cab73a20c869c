//! Instances: their phases in simulated time, their volumes, and the launches that made them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;

use super::{Ids, Millis};
use crate::hosts::ConsoleLog;

/// An instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub id: String,
    pub reservation: String,
    pub owner: String,
    /// Orders instances by launch call and place in it.
    pub order: (u64, u32),
    pub image: String,
    pub instance_type: &'static str,
    pub architecture: String,
    pub subnet: String,
    pub vpc: String,
    pub zone: String,
    pub zone_id: String,
    pub phase: Phase,
    pub boot: Boot,
    pub console: ConsoleLog,
    pub launched: Millis,
    /// Why the last change happened, in EC2's words.
    pub reason: Option<(&'static str, &'static str, Millis)>,
    pub interface: String,
    pub attachment: String,
    pub mac: String,
    pub private_ip: Option<Ipv4Addr>,
    /// A public address from Amazon's pool is wanted whenever the instance runs.
    pub wants_public_ip: bool,
    pub public: Option<Association>,
    /// (id, name), kept after termination as EC2 shows them until the end of it.
    pub groups: Vec<(String, String)>,
    /// (arn, id) of the instance profile.
    pub profile: Option<(String, String)>,
    pub profile_association: Option<String>,
    pub root_device: &'static str,
    pub volume: Option<String>,
    pub user_data: Option<String>,
    pub client_token: Option<String>,
    pub monitoring: bool,
    pub ebs_optimized: bool,
    pub metadata: Metadata,
    pub termination_disabled: bool,
    pub cores: u32,
    pub threads_per_core: u32,
}

impl Instance {
    pub(crate) fn vcpus(&self) -> u32 {
        self.cores * self.threads_per_core
    }
}

/// A public address of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Association {
    pub ip: Ipv4Addr,
    /// The allocation of an elastic IP; None for an address of Amazon's pool.
    pub allocation: Option<String>,
}

/// Instance metadata options.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub tokens: &'static str,
    pub hop_limit: i64,
    pub endpoint: &'static str,
    pub tags: &'static str,
}

/// The phase of an instance, with the time at which the passing ones pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending { until: Millis },
    Running,
    Stopping { until: Millis },
    Stopped,
    ShuttingDown { until: Millis },
    Terminated { since: Millis },
}

/// The boot of an instance's system that is under way, or was the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Boot {
    /// From 1, counted over stops, starts and reboots.
    pub number: u32,
    /// When it is through.
    pub until: Millis,
}

impl Boot {
    /// A boot that begins at `from`. Its length hangs on the instance and the number alone.
    pub(crate) fn new(instance: &str, number: u32, from: Millis, takes: &Range<u64>) -> Self {
        let takes = Ids::new(&[instance, "boot", &number.to_string()]).within(takes);
        Self {
            number,
            until: from.saturating_add(takes),
        }
    }
}

/// A phase without its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseKind {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

impl PhaseKind {
    /// EC2's number for the state (low byte; the high byte is internal).
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

impl Phase {
    pub(crate) fn kind(self) -> PhaseKind {
        match self {
            Self::Pending { .. } => PhaseKind::Pending,
            Self::Running => PhaseKind::Running,
            Self::Stopping { .. } => PhaseKind::Stopping,
            Self::Stopped => PhaseKind::Stopped,
            Self::ShuttingDown { .. } => PhaseKind::ShuttingDown,
            Self::Terminated { .. } => PhaseKind::Terminated,
        }
    }

    /// The phase after time has passed.
    pub(crate) fn at(self, now: Millis) -> Self {
        match self {
            Self::Pending { until } if now >= until => Self::Running,
            Self::Stopping { until } if now >= until => Self::Stopped,
            Self::ShuttingDown { until } if now >= until => Self::Terminated { since: until },
            other => other,
        }
    }

    /// Whether a host is kept for the instance.
    pub(crate) fn takes_capacity(self) -> bool {
        matches!(
            self,
            Self::Pending { .. }
                | Self::Running
                | Self::Stopping { .. }
                | Self::ShuttingDown { .. }
        )
    }

    pub(crate) fn is_leaving(self) -> bool {
        matches!(self, Self::ShuttingDown { .. } | Self::Terminated { .. })
    }
}

/// How long the passing phases take.
#[derive(Clone, Debug)]
pub(crate) struct Timings {
    pub boot_ms: Range<u64>,
    pub stop_ms: u64,
    pub terminate_ms: u64,
    /// How long the system takes once the instance runs.
    pub system_ms: Range<u64>,
}

/// An EBS volume; each is the root of an instance, or was.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub id: String,
    pub size_gb: u32,
    pub volume_type: &'static str,
    pub encrypted: bool,
    pub iops: Option<i64>,
    pub throughput: Option<i64>,
    pub snapshot: String,
    pub zone: String,
    pub zone_id: String,
    pub created: Millis,
    /// The instance and the device name; None when it outlived its instance.
    pub attached: Option<(String, &'static str)>,
    pub delete_on_termination: bool,
}

/// What EC2 remembers of a launch by its client token.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub fingerprint: String,
    pub reservation: String,
    pub instances: Vec<String>,
}

/// Launches by (zone when one was named, client token): the token is zonal.
pub(crate) type Launches = BTreeMap<(Option<String>, String), Launch>;
